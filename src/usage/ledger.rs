//! The ledger of one client with one tenant: rows by role, open minutes, and the engagement they amount to.

use super::options::Options;
use super::{Addition, Day, Engagement, Usage};
use crate::identity::ClientKind;
use crate::signature::Role;

/// What one client does with one tenant of one vendor.
#[derive(Debug, Default)]
pub struct Ledger {
    rows: Vec<Row>,
    /// By minute; the latest [`OPEN_MINUTES`].
    minutes: Vec<Minute>,
}

/// One usage, and whether it changed since it was last saved.
#[derive(Debug)]
pub struct Row {
    pub role: Role,
    pub usage: Usage,
    pub changed: bool,
}

/// How deep the use is on one day, and why.
#[derive(Clone, Copy, Debug)]
pub struct Judgement {
    pub engagement: Engagement,
    pub threshold: Option<&'static str>,
    pub active: u32,
    pub sent: u64,
}

/// What an addition did.
#[derive(Clone, Copy, Debug)]
pub struct Added {
    /// `false` where a detail came too late to be told apart.
    pub in_time: bool,
    /// It made a minute active.
    pub worked: bool,
}

/// Whether what is sent in this role can make a use: widgets, files, telemetry and the vendor's own pages cannot, nor can
/// mail and downloads.
pub const fn counts(role: Role) -> bool {
    matches!(role, Role::Console | Role::Either | Role::Portal | Role::Api | Role::Relay)
}

impl Ledger {
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    pub fn row(&self, role: Role) -> Option<&Row> {
        self.rows.iter().find(|r| r.role == role)
    }

    pub fn row_mut(&mut self, role: Role) -> Option<&mut Row> {
        self.rows.iter_mut().find(|r| r.role == role)
    }

    pub fn counting(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(|r| counts(r.role))
    }

    pub fn insert(&mut self, role: Role, usage: Usage, changed: bool) {
        self.rows.retain(|r| r.role != role);
        self.rows.push(Row { role, usage, changed });
    }

    pub fn remove(&mut self, role: Role) {
        self.rows.retain(|r| r.role != role);
    }

    /// Adds to the row of this role, which must be there.
    pub fn add(&mut self, role: Role, addition: &Addition, options: &Options) -> Added {
        let gained = if counts(role) { self.minute(addition, options) } else { Ok((0, 0)) };
        let Some(Row { usage, .. }) = self.row_mut(role) else {
            return Added { in_time: true, worked: false };
        };
        usage.kind = addition.client_kind;
        usage.deployment = usage.deployment.and(addition.deployment);
        usage.flows = usage.flows.saturating_add(addition.flows);
        usage.sessions = usage.sessions.saturating_add(addition.sessions);
        usage.sent = usage.sent.saturating_add(addition.sent);
        usage.received = usage.received.saturating_add(addition.received);
        usage.first = usage.first.min(addition.at);
        usage.last = usage.last.max(addition.at);
        let kept = options.days_kept();
        let day = day_of(&mut usage.days, addition.at.day(), kept);
        let in_time = day.is_some();
        if let Some(day) = day {
            // A tab that is open all day sends megabytes of heartbeats: they are no use.
            let sent = addition.sent.saturating_sub(addition.quiet);
            day.sent = day.sent.saturating_add(sent);
            let clear = if addition.ambiguous { 0 } else { sent };
            day.clear_sent = day.clear_sent.saturating_add(clear);
            day.agent |= addition.agent;
        }
        let (active, clear) = gained.unwrap_or_default();
        if active + clear > 0 {
            usage.active_minutes = usage.active_minutes.saturating_add(u64::from(active));
            if let Some(day) = day_of(&mut usage.days, addition.minute / MINUTES_A_DAY, kept) {
                day.active = day.active.saturating_add(active);
                day.clear = day.clear.saturating_add(clear);
            }
        }
        Added { in_time: in_time && gained.is_ok(), worked: active > 0 }
    }

    /// How deep the use is on `day`, over the counting roles. `agent` tells on which days an agent companion was seen:
    /// on these an ambiguous name is as good as any.
    pub fn judge(
        &self,
        kind: ClientKind,
        day: u32,
        agent: &dyn Fn(u32) -> bool,
        options: &Options,
    ) -> Judgement {
        let today = self.day(day);
        let sure =
            |d: &Day| if agent(d.day) { (d.active, d.sent) } else { (d.clear, d.clear_sent) };
        let (minutes, sent) = sure(&today);
        let told = |engagement, threshold| Judgement {
            engagement,
            threshold,
            active: today.active,
            sent: today.sent,
        };
        // Of a shared address only volume is told: minutes of many people would add up to a use that nobody had.
        if kind != ClientKind::Shared && minutes >= options.use_minutes {
            return told(Engagement::Use, Some("use_minutes"));
        }
        if sent >= options.use_sent {
            return told(Engagement::Use, Some("use_sent"));
        }
        // An unknown client may be somebody else tomorrow: days do not add up.
        if kind == ClientKind::Host {
            let first = day.saturating_sub(options.use_window_days.saturating_sub(1));
            let days = || (first..=day).map(|d| self.day(d));
            let count = |found: usize| u32::try_from(found).unwrap_or(u32::MAX);
            if minutes > 0 && count(days().filter(|d| sure(d).0 > 0).count()) >= options.use_days {
                return told(Engagement::Use, Some("use_days"));
            }
            let long = |d: &Day| d.active >= options.ambiguous_minutes;
            if long(&today) && count(days().filter(long).count()) >= options.ambiguous_days {
                return told(Engagement::Use, Some("ambiguous_minutes"));
            }
        }
        if today.active >= options.visit_minutes {
            return told(Engagement::Visit, Some("visit_minutes"));
        }
        if today.sent >= options.use_sent {
            return told(Engagement::Visit, Some("use_sent"));
        }
        told(Engagement::Glance, None)
    }

    /// Lifts the counting rows to an engagement; the roles whose row was saved until now.
    pub fn lift(&mut self, engagement: Engagement) -> Vec<Role> {
        let mut changed = Vec::new();
        for row in self.rows.iter_mut().filter(|r| counts(r.role)) {
            if row.usage.engagement < engagement {
                row.usage.engagement = engagement;
                if !std::mem::replace(&mut row.changed, true) {
                    changed.push(row.role);
                }
            }
        }
        changed
    }

    /// The detail of one day over all counting roles.
    fn day(&self, day: u32) -> Day {
        let mut sum = Day { day, ..Day::default() };
        for row in self.counting() {
            let Ok(at) = row.usage.days.binary_search_by_key(&day, |d| d.day) else { continue };
            let Some(of) = row.usage.days.get(at) else { continue };
            sum.active = sum.active.saturating_add(of.active);
            sum.clear = sum.clear.saturating_add(of.clear);
            sum.sent = sum.sent.saturating_add(of.sent);
            sum.clear_sent = sum.clear_sent.saturating_add(of.clear_sent);
        }
        sum
    }

    /// Adds to the minute of an addition; (1, 0), (0, 1) or (1, 1) where that made it active, by all that was sent and by
    /// what was not ambiguous. The error: the minute is older than all open ones.
    fn minute(&mut self, addition: &Addition, options: &Options) -> Result<(u32, u32), ()> {
        if addition.minute_payload == 0 && addition.minute_bursts == 0 {
            return Ok((0, 0));
        }
        let at = match self.minutes.binary_search_by_key(&addition.minute, |m| m.minute) {
            Ok(at) => at,
            Err(0) if self.minutes.len() >= OPEN_MINUTES => return Err(()),
            Err(at) => {
                self.minutes.insert(at, Minute::new(addition.minute));
                if self.minutes.len() > OPEN_MINUTES {
                    self.minutes.remove(0);
                    at - 1
                } else {
                    at
                }
            }
        };
        let Some(minute) = self.minutes.get_mut(at) else { return Ok((0, 0)) };
        let active = minute.all.add(addition, options);
        let clear = !addition.ambiguous && minute.clear.add(addition, options);
        Ok((u32::from(active), u32::from(clear)))
    }
}

#[derive(Debug)]
struct Minute {
    minute: u32,
    all: Sum,
    /// Without what went to ambiguous names.
    clear: Sum,
}

impl Minute {
    const fn new(minute: u32) -> Self {
        let none = Sum { payload: 0, bursts: 0 };
        Self { minute, all: none, clear: none }
    }
}

#[derive(Clone, Copy, Debug)]
struct Sum {
    payload: u64,
    bursts: u32,
}

impl Sum {
    /// Whether this addition made the sum that of an active minute.
    fn add(&mut self, addition: &Addition, options: &Options) -> bool {
        let before = self.is_active(options);
        self.payload = self.payload.saturating_add(addition.minute_payload);
        self.bursts = self.bursts.saturating_add(addition.minute_bursts);
        !before && self.is_active(options)
    }

    const fn is_active(&self, options: &Options) -> bool {
        self.payload >= options.minute_payload && self.bursts >= options.minute_bursts
    }
}

/// The detail of a day, made where there is none; `None` where it is older than all that are kept.
fn day_of(days: &mut Vec<Day>, day: u32, kept: usize) -> Option<&mut Day> {
    let at = match days.binary_search_by_key(&day, |d| d.day) {
        Ok(at) => at,
        Err(0) if days.len() >= kept => return None,
        Err(at) => {
            days.insert(at, Day { day, ..Day::default() });
            if days.len() > kept {
                days.remove(0);
                at - 1
            } else {
                at
            }
        }
    };
    days.get_mut(at)
}

/// Minutes to which a report may still add: flows report each second or so and when they end, so that a minute is complete
/// one or two minutes later; the rest is for rings that wait.
const OPEN_MINUTES: usize = 8;

pub const MINUTES_A_DAY: u32 = 24 * 60;
