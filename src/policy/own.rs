//! What is ours: domains, tenants by pattern, names declared where DNS does not show them.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Relation;
use super::pattern::Pattern;

/// `[own]`, ready to be asked.
#[derive(Clone, Debug, Default)]
pub struct Own {
    pub(super) domains: Vec<String>,
    pub(super) tenants: BTreeMap<Arc<str>, Vec<Pattern>>,
    pub(super) names: HashMap<String, (Arc<str>, Option<Arc<str>>)>,
    /// Vendors and tenants that a host of an own domain was seen to lead to.
    reached: Arc<Mutex<Reached>>,
}

type Reached = HashSet<(Arc<str>, Arc<str>)>;

/// Tenants that are ours by what was seen, at most: an organisation has dozens.
const MAX_REACHED: usize = 1_000;

impl Own {
    /// Vendor id and tenant of a declared host.
    pub fn name(&self, host: &str) -> Option<(&Arc<str>, Option<&Arc<str>>)> {
        let (vendor, tenant) = self.names.get(&*host_of(host))?;
        Some((vendor, tenant.as_ref()))
    }

    /// Whether the host is one of the own domains or lies below one.
    pub fn holds(&self, host: &str) -> bool {
        let host = host_of(host);
        self.domains.iter().any(|domain| {
            host.strip_suffix(domain.as_str()).is_some_and(|l| l.is_empty() || l.ends_with('.'))
        })
    }

    /// A tenant is ours where `[own]` names it for this vendor, or where it is a host of ours (vanity names).
    pub fn relation(&self, vendor: &str, tenant: Option<&str>) -> Relation {
        let Some(tenant) = tenant else { return Relation::Unknown };
        let declared =
            self.tenants.get(vendor).is_some_and(|all| all.iter().any(|p| p.matches(tenant)));
        if declared || self.holds(tenant) || self.is_reached(vendor, Some(tenant)) {
            Relation::Own
        } else {
            Relation::Foreign
        }
    }

    pub fn has(&self, vendor: &str) -> bool {
        self.tenants.contains_key(vendor) || self.is_reached(vendor, None)
    }

    pub fn reach(&self, vendor: &Arc<str>, tenant: &Arc<str>) {
        let mut reached = self.reached();
        if reached.len() < MAX_REACHED {
            reached.insert((vendor.clone(), tenant.clone()));
        }
    }

    fn is_reached(&self, vendor: &str, tenant: Option<&str>) -> bool {
        let reached = self.reached();
        reached.iter().any(|(v, t)| **v == *vendor && tenant.is_none_or(|tenant| **t == *tenant))
    }

    fn reached(&self) -> MutexGuard<'_, Reached> {
        self.reached.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn vendors(&self) -> impl Iterator<Item = &Arc<str>> {
        self.tenants.keys()
    }
}

/// A host as it is compared: lower case, without the root's dot.
pub(super) fn host_of(text: &str) -> String {
    let text = text.strip_suffix('.').unwrap_or(text);
    text.to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_domains_end_at_a_dot() {
        let own = Own { domains: vec!["acme.com".to_owned()], ..Own::default() };
        for (host, expected) in [
            ("acme.com", true),
            ("Support.ACME.com.", true),
            ("notacme.com", false),
            ("acme.com.evil.example", false),
            ("com", false),
            ("", false),
        ] {
            assert_eq!(own.holds(host), expected, "{host}");
        }
        assert_eq!(own.relation("zendesk", Some("help.acme.com")), Relation::Own);
        assert_eq!(own.relation("zendesk", Some("acme")), Relation::Foreign);
        assert_eq!(own.relation("zendesk", None), Relation::Unknown);
        assert!(!own.has("zendesk"));
        own.reach(&"zendesk".into(), &"acme".into());
        assert!(own.has("zendesk") && !own.has("kustomer"));
        assert_eq!(own.relation("zendesk", Some("acme")), Relation::Own);
        assert_eq!(own.relation("kustomer", Some("acme")), Relation::Foreign);
        assert_eq!(own.relation("zendesk", Some("other")), Relation::Foreign);
    }
}
