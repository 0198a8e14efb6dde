//! Names of others that play with what is ours: our domains, and our instances at vendors.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::own::Own;
use crate::signature::{
    Deployment, How, Lookalikes, Strength, TenantVisibility, Vendor, registrable,
};

/// What is ours, as imitations of it are searched.
#[derive(Debug, Default)]
pub struct Imitated {
    known: Lookalikes,
    /// By the place that `known` answers with.
    owners: Vec<Arc<Vendor>>,
}

/// A name that plays with what is ours.
#[derive(Clone, Debug)]
pub struct OwnImitation {
    /// At whom the imitated instance is; of a domain, [`OWN`] under the domain's name.
    pub vendor: Arc<Vendor>,
    /// The word or the domain.
    pub of: Box<str>,
    pub how: How,
}

/// The id that stands for a vendor where one of our own domains is imitated.
pub const OWN: &str = "own";

impl Imitated {
    pub(super) fn new(own: &Own, vendors: &BTreeMap<&str, &Arc<Vendor>>) -> Self {
        let mut all = Self::default();
        let hosts = own.domains.iter().chain(own.names.keys());
        for domain in hosts.filter_map(|host| registrable(host)) {
            let at = all.owners.len();
            all.known.domain(&domain, at);
            let word = domain.split('.').next().unwrap_or_default();
            all.known.word(word, strength(word), at);
            all.owners.push(Arc::new(ourselves(&domain)));
        }
        for (id, patterns) in &own.tenants {
            let Some(vendor) = vendors.get(&**id) else { continue };
            for pattern in patterns {
                let at = all.owners.len();
                let word = pattern.head().trim_end_matches(['-', '_']);
                all.known.word(word, strength(word), at);
                all.owners.push(Arc::clone(vendor));
            }
        }
        all.known.compile();
        all
    }

    /// Of a host that is nobody's.
    pub fn host(&self, host: &str) -> Option<OwnImitation> {
        self.told(self.known.find(host)?)
    }

    /// Of an instance that is not ours. The very word is none: whoever is called so may be called so.
    pub fn tenant(&self, tenant: &str) -> Option<OwnImitation> {
        self.told(self.known.label(tenant)?).filter(|told| told.how != How::Ending)
    }

    fn told(&self, (at, of, how): (usize, &str, How)) -> Option<OwnImitation> {
        Some(OwnImitation { vendor: self.owners.get(at)?.clone(), of: of.into(), how })
    }
}

/// Our domain in the place of a vendor.
fn ourselves(domain: &str) -> Vendor {
    Vendor {
        id: OWN.into(),
        name: domain.into(),
        categories: vec![OWN.into()],
        deployment: Deployment::Both,
        homepage: format!("https://{domain}"),
        tenant_visibility: TenantVisibility::None,
        ordinary_inside: false,
        file: "".into(),
    }
}

/// What organisations are called is often a word of the language: a short one counts only beside a lure, as those of four
/// letters do anyway.
const fn strength(word: &str) -> Strength {
    match word.len() {
        5..DISTINCT => Strength::Needy,
        _ => Strength::Distinct,
    }
}

/// Letters from which a word of ours is taken to be nobody else's.
const DISTINCT: usize = 7;

#[cfg(test)]
mod tests {
    use super::super::pattern::Pattern;
    use super::*;
    use crate::signature::Catalog;

    fn ours() -> Imitated {
        let catalog = Catalog::embedded().unwrap();
        let vendors = catalog.vendors().map(|v| (&*v.id, v)).collect();
        let patterns = ["northwind-*", "*", "x*"].map(|p| Pattern::new(p).unwrap());
        let mut own = Own::default();
        own.domains = vec!["contoso.com".into(), "eu.acme.co.uk".into(), "bridge.org".into()];
        own.tenants = [("zendesk".into(), patterns.to_vec())].into();
        Imitated::new(&own, &vendors)
    }

    #[test]
    fn hosts_that_play_with_what_is_ours_are_told_with_whom_and_how() {
        let ours = ours();
        for (host, vendor, name, how) in [
            ("contoso.com.login.example", OWN, "contoso.com", How::Domain),
            ("contoso-helpdesk.net", OWN, "contoso.com", How::Combined),
            ("cont0so.com", OWN, "contoso.com", How::Homoglyph),
            ("contosso.com", OWN, "contoso.com", How::Typo),
            ("contoso.cyou", OWN, "contoso.com", How::Ending),
            ("acme.co.uk.verify.example", OWN, "acme.co.uk", How::Domain),
            ("acme-login.com", OWN, "acme.co.uk", How::Combined),
            ("bridge-support.com", OWN, "bridge.org", How::Combined),
            ("northwind-login.com", "zendesk", "Zendesk", How::Combined),
        ] {
            let told = ours.host(host).map(|i| (i.vendor.id.clone(), i.vendor.name.clone(), i.how));
            assert_eq!(told, Some((vendor.into(), name.into(), how)), "{host}");
        }
        for host in [
            "contoso.com",
            "mail.contoso.com",
            "acme.co.uk",
            "acme.org",
            "acmetools.com",
            "london-bridge.org",
            "bridges.com",
            "bridge.net",
            "contoso.zendesk.com",
            "contoso.lan",
            "",
        ] {
            assert!(ours.host(host).is_none(), "{host}");
        }
    }

    #[test]
    fn instances_that_play_with_ours_are_told_and_the_very_word_is_not() {
        let ours = ours();
        for (tenant, how) in [
            ("northwind-support", How::Combined),
            ("n0rthwind", How::Homoglyph),
            ("nortwhind", How::Typo),
            ("contoso-help", How::Combined),
        ] {
            assert_eq!(ours.tenant(tenant).map(|i| i.how), Some(how), "{tenant}");
        }
        for tenant in ["northwind", "contoso", "bridge", "globex", "south-wind", ""] {
            assert!(ours.tenant(tenant).is_none(), "{tenant}");
        }
    }
}
