//! One rule: which contacts it is for, and the state it gives them until its exception ends.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::hours::Hours;
use super::pattern::Pattern;
use super::{Contact, Decision, Relation, State};
use crate::signature::{Deployment, Role};
use crate::time::{DAY, Time};

/// One `[[policy]]`, ready to be asked. An empty list means that the rule does not look at it.
#[derive(Clone, Debug)]
pub struct Rule {
    /// `policy[3] (saastap.toml:41)`, counted from 1.
    pub label: Arc<str>,
    pub line: usize,
    pub vendors: Vec<Arc<str>>,
    pub categories: Vec<Arc<str>>,
    pub tenants: Vec<Pattern>,
    pub relations: Vec<Relation>,
    pub roles: Vec<Role>,
    pub groups: Vec<Arc<str>>,
    pub deployments: Vec<Deployment>,
    pub state: State,
    /// Outside all of them the rule still decides, and the contact is off hours.
    pub hours: Vec<Hours>,
    pub exception: Option<Arc<Exception>>,
}

/// Why a rule holds for a time only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exception {
    pub owner: String,
    pub reason: String,
    /// Its last day, as the file writes it.
    pub expires: String,
    /// The end of that day (UTC).
    pub ends: Time,
}

impl Rule {
    pub fn matches(&self, contact: &Contact<'_>) -> bool {
        self.fails(contact).is_none()
    }

    /// The first condition that does not hold; `None` where the rule matches.
    pub fn fails(&self, contact: &Contact<'_>) -> Option<&'static str> {
        let vendor = contact.vendor;
        let tenant = |p: &Pattern| contact.tenant.is_some_and(|t| p.matches(t));
        if !allows(&self.vendors, |v| *v == vendor.id) {
            Some("vendor")
        } else if !allows(&self.categories, |c| vendor.is_in(c)) {
            Some("category")
        } else if !allows(&self.tenants, tenant) {
            Some("tenant")
        } else if !allows(&self.relations, |r| *r == contact.relation) {
            Some("relation")
        } else if !allows(&self.roles, |r| *r == contact.role) {
            Some("role")
        } else if !allows(&self.groups, |g| **g == *contact.group) {
            Some("group")
        } else if !allows(&self.deployments, |d| *d == contact.deployment) {
            Some("deployment")
        } else {
            None
        }
    }

    /// The state given to a contact that matches. A rule whose exception has ended still matches: it keeps its state for
    /// seven days of grace, then it says `unreviewed`, so that no later rule takes over unseen.
    pub fn decide(&self, at: Time) -> Decision {
        let expired = self.exception.as_ref().filter(|e| at >= e.ends);
        let over = expired.is_some_and(|e| at >= e.ends.plus(GRACE));
        let off_hours = !allows(&self.hours, |hours| hours.hold(at));
        let label = match expired {
            Some(e) => {
                let since = if over { "its exception expired" } else { "in grace since" };
                let Exception { owner, reason, expires, .. } = &**e;
                format!("{}, {since} {expires} ({owner}: {reason})", self.label).into()
            }
            None if off_hours => format!("{}, outside its hours", self.label).into(),
            None => self.label.clone(),
        };
        let state = if over { State::Unreviewed } else { self.state };
        Decision { state, rule: Some(label), off_hours, expired: expired.cloned() }
    }

    /// Whether every contact that `later` is for is taken by this rule already. Sees lists within lists, not what is
    /// behind them (the vendors of a category, the reach of a pattern).
    pub(super) fn covers(&self, later: &Self) -> bool {
        within(&later.vendors, &self.vendors)
            && within(&later.categories, &self.categories)
            && within(&later.tenants, &self.tenants)
            && within(&later.relations, &self.relations)
            && within(&later.roles, &self.roles)
            && within(&later.groups, &self.groups)
            && within(&later.deployments, &self.deployments)
    }

    fn conditions(&self) -> Vec<String> {
        let mut all = Vec::new();
        tell(&mut all, "vendor", &self.vendors, ToString::to_string);
        tell(&mut all, "category", &self.categories, ToString::to_string);
        tell(&mut all, "tenant", &self.tenants, ToString::to_string);
        tell(&mut all, "relation", &self.relations, |r| r.name().to_owned());
        tell(&mut all, "role", &self.roles, ToString::to_string);
        tell(&mut all, "group", &self.groups, ToString::to_string);
        tell(&mut all, "deployment", &self.deployments, |d| d.name().to_owned());
        all
    }
}

/// `vendor zendesk, tenant acme or acme-*: sanctioned`.
impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let conditions = self.conditions();
        let shown =
            if conditions.is_empty() { "everything".to_owned() } else { conditions.join(", ") };
        write!(f, "{shown}: {}", self.state)?;
        if !self.hours.is_empty() {
            let hours: Vec<String> = self.hours.iter().map(ToString::to_string).collect();
            write!(f, " in hours {}", hours.join(" or "))?;
        }
        match &self.exception {
            Some(e) => write!(f, " until {} ({}: {})", e.expires, e.owner, e.reason),
            None => Ok(()),
        }
    }
}

fn allows<T>(wanted: &[T], holds: impl Fn(&T) -> bool) -> bool {
    wanted.is_empty() || wanted.iter().any(holds)
}

fn within<T: PartialEq>(inner: &[T], outer: &[T]) -> bool {
    outer.is_empty() || (!inner.is_empty() && inner.iter().all(|i| outer.contains(i)))
}

fn tell<T>(all: &mut Vec<String>, key: &str, values: &[T], show: impl Fn(&T) -> String) {
    if !values.is_empty() {
        let values: Vec<String> = values.iter().map(show).collect();
        all.push(format!("{key} {}", values.join(" or ")));
    }
}

/// How long a rule keeps its state after its exception has ended.
const GRACE: Duration = DAY.saturating_mul(7);
