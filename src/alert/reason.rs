//! What kept a finding back: for each condition of the table of findings the nearest reason why a sighting does not meet it.

use std::sync::Arc;

use super::finding::{
    EXCEPTION_EXPIRED, EXPOSED_ON_PREMISE, FIRST_SEEN, Finding, OFF_HOURS, REMOTE_SESSION,
    Sighting, UNSANCTIONED_TENANT, UNSANCTIONED_USE,
};
use super::lasting::Loss;
use crate::policy::{Relation, State};
use crate::signature::Role;
use crate::time::Time;
use crate::usage::Engagement;

/// Why nothing was said of a sighting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Policy allows it, by this rule.
    Allowed { state: State, rule: Option<Arc<str>> },
    /// The role says nothing of who works where.
    Bystander,
    /// A foreign tenant met as its customers meet it.
    Supplier,
    /// Not used enough: what it was on that day, and what it has to be.
    Shallow(Shallow),
    /// A name that pages of third parties fetch, without an instance.
    MayBeAPage,
    /// Other services share the name.
    Ambiguous,
    /// No rule calls the service unsanctioned.
    Unreviewed,
    /// Remote assistance that administrators use in every network, between two ends inside.
    OrdinaryInside,
    /// In use, but not as those use it who work in it.
    NotWorkedIn,
    /// Outside the hours of its rule, but no minute became active.
    Idle,
    /// Outside the hours of a rule whose state is not `sanctioned`.
    HoursOfAnother(State),
    /// What the finding is about did not occur at all.
    NotApplicable,
    /// A name that is hardly certain: it counts, and raises nothing by itself.
    Hint,
    /// `first_seen` learns until then.
    Learning { until: Time },
    /// The group, or the organisation, knows the service.
    Known,
    /// It was told, and a case speaks once a window.
    Told { at: Time, next: Time },
    /// Said once for ever, and it was.
    ToldOnce,
    /// Somebody takes care of the case.
    Acknowledged { owner: Box<str>, until: Time },
    /// Another finding has told of this contact, or its case is open.
    Other { finding: &'static str },
    /// As many cases as `max_cases` were open, or so much was learned.
    Full,
    /// A sensor that has just started judges nothing.
    Starting { until: Time },
    /// So few packets, flows or octets in the window say nothing.
    Little { whole: u64, needs: u64 },
    /// The share is below its threshold.
    Share(Loss),
    /// A sanctioned vendor was used after, or not for so few working days.
    Used { silent_days: u32, needs: u32 },
    /// It was silent for so long that this is usual by now.
    LongSilent { days: u32 },
    /// Too few used it before, or on too few of the working days that are known.
    Rare { used_days: u32, known_days: u32, clients_a_day: u32 },
}

/// The depth of a use that is not deep enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shallow {
    pub level: Engagement,
    pub needs: Engagement,
    pub active_minutes: u32,
    pub sent: u64,
    /// The name was ambiguous, and no agent companion was there.
    pub ambiguous: bool,
}

impl Reason {
    /// Whether a person who asks why nothing was said would want to hear it.
    pub const fn is_near(&self) -> bool {
        !matches!(self, Self::NotApplicable)
    }
}

/// Why the sighting does not meet the condition of the finding; `None` where it does.
pub fn reason(finding: &Finding, seen: &Sighting<'_>) -> Option<Reason> {
    match finding.id {
        EXPOSED_ON_PREMISE => {
            applies(seen.reached.is_some()).or_else(|| allowed(seen)).or_else(|| bystander(seen))
        }
        UNSANCTIONED_TENANT => unsanctioned_tenant(seen),
        UNSANCTIONED_USE => unsanctioned_use(seen),
        REMOTE_SESSION => remote_session(seen),
        OFF_HOURS => off_hours(seen),
        EXCEPTION_EXPIRED => applies(seen.decision.expired.is_some()).or_else(|| not_visited(seen)),
        FIRST_SEEN => allowed(seen).or_else(|| not_visited(seen)),
        _ => applies((finding.condition)(seen).is_some()),
    }
}

fn unsanctioned_tenant(seen: &Sighting<'_>) -> Option<Reason> {
    let foreign =
        seen.relation == Relation::Foreign && seen.vendor_has_own && seen.key.tenant.is_some();
    let none = applies(foreign).or_else(|| allowed(seen)).or_else(|| bystander(seen));
    none.or_else(|| match seen.key.role {
        _ if seen.worked_in() => None,
        Role::Portal => Some(Reason::Supplier),
        _ => Some(shallow(seen, Engagement::Use).unwrap_or(Reason::NotWorkedIn)),
    })
}

fn unsanctioned_use(seen: &Sighting<'_>) -> Option<Reason> {
    let first = matches!(seen.key.role, Role::Relay | Role::Download | Role::Console);
    let none = allowed(seen).or_else(|| bystander(seen));
    if none.is_some() || (seen.does_not_wait() && first) {
        return none;
    }
    if seen.decision.state != State::Unsanctioned {
        let ordinary = seen.remote_assistance() && seen.ordinary();
        return Some(if ordinary { Reason::OrdinaryInside } else { Reason::Unreviewed });
    }
    shallow(seen, Engagement::Use).or_else(|| seen.supplier().then_some(Reason::Supplier))
}

fn remote_session(seen: &Sighting<'_>) -> Option<Reason> {
    applies(seen.remote_assistance() && seen.session.is_some())
        .or_else(|| allowed(seen))
        .or_else(|| bystander(seen))
        .or_else(|| seen.ambiguous.then_some(Reason::Ambiguous))
        .or_else(|| seen.ordinary().then_some(Reason::OrdinaryInside))
}

fn off_hours(seen: &Sighting<'_>) -> Option<Reason> {
    let state = seen.decision.state;
    let other = || (state != State::Sanctioned).then_some(Reason::HoursOfAnother(state));
    applies(seen.decision.off_hours)
        .or_else(other)
        .or_else(|| bystander(seen))
        .or_else(|| (!seen.standing.worked).then_some(Reason::Idle))
}

/// Why the contact does not make its vendor known in its group.
fn not_visited(seen: &Sighting<'_>) -> Option<Reason> {
    if seen.visited() {
        return None;
    }
    let supplier = seen.supplier().then_some(Reason::Supplier);
    let not = bystander(seen).or(supplier).or_else(|| shallow(seen, Engagement::Visit));
    Some(not.unwrap_or(Reason::MayBeAPage))
}

fn applies(it_does: bool) -> Option<Reason> {
    (!it_does).then_some(Reason::NotApplicable)
}

fn allowed(seen: &Sighting<'_>) -> Option<Reason> {
    let (state, rule) = (seen.decision.state, &seen.decision.rule);
    seen.allowed().then(|| Reason::Allowed { state, rule: rule.clone() })
}

fn bystander(seen: &Sighting<'_>) -> Option<Reason> {
    seen.bystander().then_some(Reason::Bystander)
}

fn shallow(seen: &Sighting<'_>, needs: Engagement) -> Option<Reason> {
    let level = seen.standing.engagement;
    let shallow = Shallow {
        level,
        needs,
        active_minutes: seen.standing.active_minutes_today,
        sent: seen.standing.sent_today,
        ambiguous: seen.ambiguous && !seen.agent,
    };
    (level < needs).then_some(Reason::Shallow(shallow))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::alert::finding::tests::Sample;
    use crate::alert::finding::{FINDINGS, LOOKALIKE};
    use crate::alert::session::Session;
    use crate::policy::Exception;
    use crate::signature::How;

    /// Every mix of what conditions look at.
    fn any_sample() -> impl Strategy<Value = Sample> {
        let who = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
        let what = (0..Role::ALL.len(), 0..State::ALL.len(), 0..3_usize, 0..3_usize);
        let how = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
        (who, what, how, any::<bool>(), any::<bool>()).prop_map(
            |(who, what, how, remote, ordinary)| {
                let category = if remote { "remote-assistance" } else { "helpdesk" };
                let mut sample = Sample::new("anydesk", category)
                    .state(State::ALL[what.1])
                    .role(Role::ALL[what.0]);
                let levels = [Engagement::Glance, Engagement::Visit, Engagement::Use];
                let relations = [Relation::Own, Relation::Foreign, Relation::Unknown];
                sample.standing.engagement = levels[what.2];
                sample.relation = relations[what.3];
                sample.vendor.ordinary_inside = ordinary;
                sample.key.tenant = who.0.then(|| "other".into());
                sample.vendor_has_own = who.1;
                sample.reached = who.2.then(|| "10.1.2.3".into());
                sample.imitation = who.3.then_some((How::Typo, how.0));
                (sample.ambiguous, sample.agent, sample.inside) = (how.0, how.1, how.2);
                sample.session = how.4.then(|| Session::direct(how.0, how.1));
                sample.standing.worked = how.3;
                sample.decision.off_hours = how.4;
                sample.decision.expired = (how.3 ^ how.1).then(|| {
                    let (owner, reason) = ("ada".to_owned(), "migration".to_owned());
                    let ends = Time::from_secs(1_793_577_600);
                    Arc::new(Exception { owner, reason, expires: "2026-11-01".into(), ends })
                });
                sample
            },
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(4_096) })]

        #[test]
        fn what_is_raised_has_no_reason_and_what_is_not_has_one(sample in any_sample()) {
            let seen = sample.sighting();
            for finding in FINDINGS {
                let (raised, kept) = ((finding.condition)(&seen), reason(finding, &seen));
                prop_assert_eq!(raised.is_some(), kept.is_none(), "{}: {:?}", finding.id, kept);
            }
        }
    }

    fn why(id: &str, sample: &Sample) -> Option<Reason> {
        reason(Finding::by_id(id).unwrap(), &sample.sighting())
    }

    #[test]
    fn the_nearest_reason_is_the_one_that_a_person_would_change() {
        let mut sample = Sample::new("gorgias", "helpdesk").state(State::Unsanctioned);
        sample.standing.engagement = Engagement::Visit;
        sample.standing.active_minutes_today = 4;
        let Some(Reason::Shallow(shallow)) = why(UNSANCTIONED_USE, &sample) else { panic!() };
        assert_eq!((shallow.needs, shallow.active_minutes), (Engagement::Use, 4));
        let rule = Some("policy[1] (saastap.toml:3)".into());
        let sample = sample.state(State::Sanctioned);
        let allowed = Reason::Allowed { state: State::Sanctioned, rule };
        assert_eq!(why(UNSANCTIONED_USE, &sample), Some(allowed));
        let sample = sample.state(State::Unreviewed);
        assert_eq!(why(UNSANCTIONED_USE, &sample), Some(Reason::Unreviewed));
        assert_eq!(why(FIRST_SEEN, &sample), None);
        let portal = Sample::foreign("zendesk").role(Role::Portal);
        assert_eq!(why(UNSANCTIONED_TENANT, &portal), Some(Reason::Supplier));
        assert_eq!(why(LOOKALIKE, &portal), Some(Reason::NotApplicable));
    }
}
