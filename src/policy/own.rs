//! What is ours: domains, tenants by pattern, names declared where DNS does not show them.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ipnet::IpNet;

use super::Relation;
use super::pattern::Pattern;

/// `[own]`, ready to be asked.
#[derive(Clone, Debug, Default)]
pub struct Own {
    pub(super) domains: Vec<String>,
    pub(super) tenants: BTreeMap<Arc<str>, Vec<Pattern>>,
    pub(super) names: HashMap<String, (Arc<str>, Option<Arc<str>>)>,
    /// The narrowest first, and of equal ones those for a port.
    servers: Vec<Server>,
    /// Vendors and tenants that a host of an own domain was seen to lead to.
    reached: Arc<Mutex<Reached>>,
}

/// One entry of `servers`.
#[derive(Clone, Debug)]
pub struct Server {
    pub network: IpNet,
    /// `None`: whatever speaks TLS or HTTP there.
    pub port: Option<u16>,
    pub vendor: Arc<str>,
    pub tenant: Option<Arc<str>>,
}

/// What `[own]` says of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnServer<'a> {
    pub vendor: &'a Arc<str>,
    pub tenant: Option<&'a Arc<str>>,
    /// Declared for this very port, and not for the whole machine.
    pub by_port: bool,
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

    /// False where the same is declared already.
    pub(super) fn add_server(&mut self, server: Server) -> bool {
        let rank = |server: &Server| (Reverse(server.network.prefix_len()), server.port.is_none());
        let same = |s: &Server| s.network == server.network && s.port == server.port;
        let fresh = !self.servers.iter().any(same);
        let at = self.servers.partition_point(|s| rank(s) <= rank(&server));
        self.servers.insert(at, server);
        fresh
    }

    pub fn server(&self, address: IpAddr, port: u16) -> Option<OwnServer<'_>> {
        let address = address.to_canonical();
        let here = |s: &&Server| s.network.contains(&address) && s.port.is_none_or(|p| p == port);
        let server = self.servers.iter().find(here)?;
        let (vendor, tenant) = (&server.vendor, server.tenant.as_ref());
        Some(OwnServer { vendor, tenant, by_port: server.port.is_some() })
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
