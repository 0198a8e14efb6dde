//! Labels that are never a tenant, whoever the vendor: the names that infrastructure and a vendor's own pages go by.

use super::Role;

/// What a label tells that stands where a tenant would.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reserved {
    /// No tenant, and this role.
    As(Role),
    /// No tenant; the role of the match itself (`app`, `login`: the product's front door).
    Same,
}

/// The judged list. A label that vendors give to customers (`acme`, `support2`) must not stand here.
pub fn generic(label: &str) -> Option<Reserved> {
    // RFC 8552: an underscored label is an attribute of the name after it.
    if label.starts_with('_') {
        return Some(Reserved::As(Role::Marketing));
    }
    let roles = [
        (Role::Marketing, MARKETING),
        (Role::Api, API),
        (Role::Cdn, CDN),
        (Role::Mail, MAIL),
        (Role::Telemetry, TELEMETRY),
    ];
    if SAME.contains(&label) {
        return Some(Reserved::Same);
    }
    let role = roles.iter().find(|(_, labels)| labels.contains(&label))?.0;
    Some(Reserved::As(role))
}

/// The vendor's own pages: its site, manual, school, forum, and the desk at which it answers its own customers.
const MARKETING: &[&str] = &[
    "www",
    "about",
    "academy",
    "blog",
    "careers",
    "community",
    "company",
    "demo",
    "developer",
    "developers",
    "doc",
    "docs",
    "events",
    "forum",
    "go",
    "help",
    "info",
    "jobs",
    "learn",
    "legal",
    "marketing",
    "marketplace",
    "news",
    "partner",
    "partners",
    "press",
    "pricing",
    "security",
    "shop",
    "signup",
    "status",
    "store",
    "support",
    "training",
    "trust",
    "university",
    "webinar",
];

const API: &[&str] =
    &["api", "apis", "graphql", "oauth", "rest", "socket", "webhooks", "ws", "wss"];

const CDN: &[&str] = &[
    "assets", "cdn", "cdn1", "cdn2", "css", "edge", "files", "fonts", "images", "img", "js",
    "media", "origin", "static", "uploads",
];

const MAIL: &[&str] = &["autodiscover", "email", "mail", "mx", "smtp"];

const TELEMETRY: &[&str] = &[
    "analytics",
    "log",
    "logs",
    "metrics",
    "monitoring",
    "sentry",
    "telemetry",
    "track",
    "tracking",
];

/// Entrances and machinery of the product itself.
const SAME: &[&str] = &[
    "account",
    "accounts",
    "admin",
    "app",
    "apps",
    "auth",
    "beta",
    "console",
    "dashboard",
    "dev",
    "get",
    "id",
    "internal",
    "lb",
    "login",
    "m",
    "mobile",
    "my",
    "ns1",
    "ns2",
    "portal",
    "proxy",
    "push",
    "relay",
    "sandbox",
    "secure",
    "sso",
    "stage",
    "staging",
    "test",
    "web",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_label_stands_twice() {
        let mut all: Vec<&str> = [MARKETING, API, CDN, MAIL, TELEMETRY, SAME]
            .iter()
            .flat_map(|l| l.iter().copied())
            .collect();
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
    }

    #[test]
    fn each_kind_has_its_role() {
        assert_eq!(generic("www"), Some(Reserved::As(Role::Marketing)));
        assert_eq!(generic("static"), Some(Reserved::As(Role::Cdn)));
        assert_eq!(generic("login"), Some(Reserved::Same));
        assert_eq!(generic("_dmarc"), Some(Reserved::As(Role::Marketing)));
        assert_eq!(generic("acme"), None);
    }
}
