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

/// The role of a name below a suffix that names no tenants, where a word of the label before the suffix tells it apart from
/// `role`, that of the suffix: its files, its reports, what pages embed, its own pages to read. Words stand between hyphens;
/// digits at their ends do not count.
pub fn below(role: Role, label: &str) -> Option<Role> {
    let has = |words: &[&str]| {
        label
            .split('-')
            .any(|word| words.contains(&word.trim_end_matches(|c: char| c.is_ascii_digit())))
    };
    let told = match role {
        Role::Widget if has(FILES) => Role::Cdn,
        Role::Console | Role::Api | Role::Marketing | Role::Telemetry | Role::Platform
            if has(FILES) || has(PAINT) =>
        {
            Role::Cdn
        }
        Role::Console | Role::Api | Role::Marketing | Role::Widget | Role::Platform
            if has(REPORTS) =>
        {
            Role::Telemetry
        }
        Role::Console | Role::Api | Role::Marketing | Role::Telemetry if has(EMBEDDED) => {
            Role::Widget
        }
        Role::Console | Role::Relay if has(CALLED) => Role::Api,
        Role::Console | Role::Api | Role::Relay | Role::Download | Role::Telemetry
            if PAGES.contains(&label) =>
        {
            Role::Marketing
        }
        _ => return None,
    };
    Some(told)
}

/// Files of any kind.
const FILES: &[&str] = &["attachments", "avatars", "cdn", "cdnjs", "files", "fonts"];

/// Files of a page, and of a widget its very script. Not `js` and `media`: that is often a script too, and the voices of a call.
const PAINT: &[&str] = &["assets", "css", "images", "img", "static"];

/// Not `track`: to follow visitors is what a widget does.
const REPORTS: &[&str] = &[
    "analytics",
    "bugsnag",
    "log",
    "logger",
    "logs",
    "metrics",
    "monitoring",
    "sentry",
    "smetrics",
    "telemetry",
];

/// What pages of others fetch.
const EMBEDDED: &[&str] =
    &["chat", "embed", "livechat", "messenger", "plugin", "sdk", "webchat", "widget", "widgets"];

/// What programs call. Not below a vendor's own site: there the pages of others may call it.
const CALLED: &[&str] = &["api", "apis", "graphql", "rest", "webhooks", "ws", "wss"];

/// For whoever reads about the product.
const PAGES: &[&str] = &["blog", "careers", "developer", "developers", "docs", "status", "www"];

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
    fn below_a_suffix_without_tenants_words_of_the_label_tell_the_role() {
        for (role, label, told) in [
            (Role::Console, "cdn2", Some(Role::Cdn)),
            (Role::Widget, "eu-files", Some(Role::Cdn)),
            (Role::Widget, "static", None),
            (Role::Marketing, "static", Some(Role::Cdn)),
            (Role::Cdn, "cdn", None),
            (Role::Console, "logs", Some(Role::Telemetry)),
            (Role::Telemetry, "metrics", None),
            (Role::Marketing, "plugin-shop", Some(Role::Widget)),
            (Role::Console, "chat-api", Some(Role::Widget)),
            (Role::Console, "www", Some(Role::Marketing)),
            (Role::Relay, "www", Some(Role::Marketing)),
            (Role::Relay, "chat", None),
            (Role::Widget, "www", None),
            (Role::Console, "blogs", None),
            (Role::Console, "my-docs", None),
            (Role::Console, "chatter", None),
            (Role::Console, "acme", None),
            (Role::Console, "eu-api", Some(Role::Api)),
            (Role::Marketing, "api", None),
            (Role::Either, "cdn", None),
            (Role::Platform, "docs", None),
            (Role::Platform, "smetrics", Some(Role::Telemetry)),
        ] {
            assert_eq!(below(role, label), told, "{role} {label}");
        }
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
