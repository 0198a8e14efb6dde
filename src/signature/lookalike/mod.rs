//! Whether a name imitates somebody of the catalogue: as its owner hopes that people read it.

mod brands;
mod fold;
mod punycode;

use std::collections::HashSet;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use hashbrown::HashMap;
use serde::Serialize;

pub use brands::{Brands, Strength};

use super::catalog::Catalog;
use super::check::Entry;
use super::domain::Name;
use super::rule::{Kind, Match};
use super::{Role, Vendor, domain};

/// A name that imitates, and whom.
#[derive(Clone, Debug)]
pub struct Imitation {
    pub vendor: Arc<Vendor>,
    /// The word or domain of the vendor that it plays with.
    pub of: Box<str>,
    pub how: How,
}

/// How a name imitates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// The vendor's whole domain stands before somebody else's: `zendesk.com.login.example`.
    Domain,
    /// Letters that look like others, also of other scripts: `zenclesk`, `teamvi\u{435}wer`.
    Homoglyph,
    /// One or two letters off.
    Typo,
    /// The vendor's word with more beside it: `zendesk-support.com`.
    Combined,
    /// The vendor's word below another public suffix.
    Ending,
}

impl How {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Domain => "domain",
            Self::Homoglyph => "homoglyph",
            Self::Typo => "typo",
            Self::Combined => "combined",
            Self::Ending => "ending",
        }
    }

    /// For a person; what is imitated stands before it.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Domain => "put in front of somebody else's domain",
            Self::Homoglyph => "in letters that look like it",
            Self::Typo => "a letter or two off",
            Self::Combined => "with more beside it",
            Self::Ending => "with another ending",
        }
    }
}

impl fmt::Display for How {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Catalog {
    /// Whom a name imitates that is nobody's. `None` for names of the catalogue, of domains that their vendors own besides,
    /// and for all that imitates nobody. Any case, with or without a trailing dot.
    pub fn imitates(&self, host: &str) -> Option<Imitation> {
        let found = self.lookalikes().find(host)?;
        let name = Name::new(host)?;
        if self.find(&name).is_some() {
            return None;
        }
        let vendor = self.entries().get(found.0)?.vendor.clone();
        Some(Imitation { vendor, of: found.1.into(), how: found.2 })
    }
}

/// What some own and are known by; a place tells whose it is: of vendors, the index of the entry.
#[derive(Debug, Default)]
pub struct Lookalikes {
    words: Brands<usize>,
    /// Registered domains that the catalogue claims as a whole.
    domains: HashMap<Box<str>, usize>,
    /// Registered domains of vendors, claimed or not.
    owned: HashSet<Box<str>>,
}

impl Lookalikes {
    /// Adds a registered domain that imitations may put in front of another, and below which nothing imitates.
    pub fn domain(&mut self, registered: &str, at: usize) {
        self.owned.insert(registered.into());
        self.domains.entry(registered.into()).or_insert(at);
    }

    /// Adds a word that people know its owner by; the first of equal words stays.
    pub fn word(&mut self, word: &str, strength: Strength, at: usize) {
        self.words.insert(word, strength, at);
    }

    /// To be called once, when all is in.
    pub fn compile(&mut self) {
        self.words.compile();
    }

    /// The word that a label plays with, wherever it stands.
    pub fn label(&self, label: &str) -> Option<(usize, &str, How)> {
        self.words.find(label).map(|(word, at, how)| (*at, word, how))
    }

    pub(super) fn new(entries: &[Entry]) -> Self {
        let mut all = Self::default();
        for (at, entry) in entries.iter().enumerate() {
            all.owned.extend(entry.owned.iter().map(|name| (&**name).into()));
            all.owned.extend(homepage(entry).and_then(domain::registrable).map(Box::from));
            let names = entry.matches.iter().filter(|rule| is_name(rule.kind));
            for rule in names {
                let Some(registered) = domain::registrable(&rule.value) else {
                    all.owned.insert((&*rule.value).into());
                    continue;
                };
                all.owned.insert(registered.as_str().into());
                if rule.kind == Kind::Domain {
                    all.add(at, entry, rule, &registered);
                }
            }
        }
        // After all that is claimed: a word of both belongs to who claims it.
        for (at, entry) in entries.iter().enumerate() {
            for word in entry.owned.iter().filter_map(|name| name.split('.').next()) {
                let everyday = entry.everyday.iter().any(|o| **o == *word);
                if !everyday && word.len() >= OWNED {
                    all.words.insert(word, Strength::Distinct, at);
                }
            }
        }
        all.compile();
        all
    }

    /// The domain and its word, if people know the vendor by them.
    fn add(&mut self, at: usize, entry: &Entry, rule: &Match, registered: &str) {
        let Some(word) = registered.split('.').next() else { return };
        let whole = *rule.value == *registered;
        let home = homepage(entry).map(|host| host.strip_prefix("www.").unwrap_or(host));
        let squeezed = squeeze(word);
        let related =
            names_of(entry).any(|name| squeezed.contains(&*name) || name.contains(&*squeezed));
        if !whole && (home != Some(registered) || !related) {
            return;
        }
        let everyday = entry.everyday.iter().any(|o| **o == *word);
        // Nobody knows a vendor by where its files lie, nor by what other products of its owner are called.
        let unknown = matches!(rule.role, Role::Cdn | Role::Platform);
        if unknown || (everyday && word.len() < ORDINARY) {
            self.domains.entry(registered.into()).or_insert(at);
            return;
        }
        let strength = if related && !everyday { Strength::Distinct } else { Strength::Needy };
        self.words.insert(word, strength, at);
        self.domains.entry(registered.into()).or_insert(at);
    }

    /// Whose word or domain a host plays with that is none of theirs, the word or domain, and how.
    pub fn find(&self, host: &str) -> Option<(usize, &str, How)> {
        let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        if host.len() > domain::MAX_OCTETS || host.parse::<IpAddr>().is_ok() {
            return None;
        }
        let registered = psl::domain(host.as_bytes())?;
        let known = registered.suffix().is_known();
        let registered = std::str::from_utf8(registered.as_bytes()).ok()?;
        if self.owned.contains(registered) || is_carrier(registered) {
            return None;
        }
        let front = host.strip_suffix(registered).unwrap_or_default();
        if let Some((at, name)) = self.in_front(front) {
            return Some((at, name, How::Domain));
        }
        self.label(registered.split('.').next().filter(|_| known)?)
    }

    /// A whole domain of a vendor in the labels before somebody else's; they end with a dot.
    fn in_front(&self, front: &str) -> Option<(usize, &str)> {
        let ends = front.match_indices('.').take(MAX_SEARCHED);
        ends.filter_map(|(end, _)| front.get(..end)).find_map(|name| {
            let registered = psl::domain_str(name)?;
            let (name, at) = self.domains.get_key_value(registered)?;
            Some((*at, &**name))
        })
    }
}

const fn is_name(kind: Kind) -> bool {
    matches!(kind, Kind::Domain | Kind::Cname | Kind::Mail | Kind::Mx | Kind::Spf)
}

fn homepage(entry: &Entry) -> Option<&str> {
    entry.vendor.homepage.split("//").nth(1)?.split('/').next()
}

/// What people call the vendor, squeezed: its id, its name without what stands in brackets, the first word of each, the word
/// of its home page.
fn names_of(entry: &Entry) -> impl Iterator<Item = String> {
    let name = entry.vendor.name.split('(').next().unwrap_or_default();
    let id = &*entry.vendor.id;
    let home = homepage(entry).and_then(domain::registrable).unwrap_or_default();
    let home = home.split('.').next().unwrap_or_default().to_owned();
    let first = |text: &str, by| text.split(by).next().unwrap_or_default().to_owned();
    let texts = [id.to_owned(), name.to_owned(), first(id, '-'), first(name, ' '), home];
    texts.into_iter().map(|text| squeeze(&text)).filter(|name| name.len() >= RELATED)
}

fn squeeze(text: &str) -> String {
    let kept = text.chars().filter(char::is_ascii_alphanumeric);
    kept.map(|c| c.to_ascii_lowercase()).collect()
}

/// Whether names of others stand below this one by design.
fn is_carrier(name: &str) -> bool {
    CARRIERS.iter().any(|carrier| {
        name.strip_suffix(carrier).is_some_and(|front| front.is_empty() || front.ends_with('.'))
    })
}

/// Letters that two words must share to be one vendor's.
const RELATED: usize = 4;

/// Letters of the word of a domain that is owned and no more, at least.
const OWNED: usize = 8;

/// Letters of a word of the language at least: a shorter one stands beside a lure by chance.
const ORDINARY: usize = 7;

/// Labels before a domain that are searched for another: real names have fewer.
const MAX_SEARCHED: usize = 32;

/// Services that put the whole name of a customer's or a visited host below their own: content networks and tracking by CNAME
/// that are not on the public suffix list, translators, caches, proxies of the browser. From their public documentation.
const CARRIERS: &[&str] = &[
    "adobedc.net",
    "ampproject.org",
    "cloudflare.net",
    "fastly.net",
    "mcas.ms",
    "menlosecurity.com",
    "omtrdc.net",
    "translate.goog",
    "trafficmanager.net",
];
#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::sample::{ZENDESK, sheet};
    use super::*;

    fn catalog() -> Catalog {
        let owned = "owned = [\"zendesk-careers.com\"]\n[[match]]";
        let zendesk = ZENDESK.replacen("[[match]]", owned, 1);
        let viewer = sheet("distantviewer", "distantviewer.com");
        let common = sheet("exchange", "exchange.com").replacen(
            "[[match]]",
            "everyday = [\"exchange\"]\n[[match]]",
            1,
        );
        let livechat = sheet("livechat", "livechat.com");
        let shared = |id: &str, domain: &str, role: &str| {
            let role = format!("role = \"{role}\"");
            sheet(id, domain).replacen("role = \"console\"", &role, 1).replacen(
                "{ role = \"console\" }",
                &format!("{{ {role} }}"),
                1,
            )
        };
        let power = shared("power", "power.com", "platform");
        let files = shared("filewarehouse", "filewarehouse.net", "cdn");
        let texts = [
            ("helpdesk/power.toml", &*power),
            ("helpdesk/filewarehouse.toml", &files),
            ("helpdesk/zendesk.toml", &*zendesk),
            ("helpdesk/distantviewer.toml", &viewer),
            ("helpdesk/exchange.toml", &common),
            ("helpdesk/livechat.toml", &livechat),
        ];
        Catalog::load_texts(&texts).unwrap_or_else(|faults| panic!("{faults}"))
    }

    #[test]
    fn imitations_are_told_with_whom_and_how() {
        let catalog = catalog();
        for (host, vendor, how) in [
            ("zendesk.com.login.example", "zendesk", How::Domain),
            ("power.com.login.example", "power", How::Domain),
            ("Acme.ZenDesk.com.evil.net.", "zendesk", How::Domain),
            ("zendesc.com", "zendesk", How::Typo),
            ("zednesk.net", "zendesk", How::Typo),
            ("zendeskk.org", "zendesk", How::Combined),
            ("zendes-login.com", "zendesk", How::Typo),
            ("zendessupport.com", "zendesk", How::Typo),
            ("zend3sk.com", "zendesk", How::Homoglyph),
            ("distantvievver.com", "distantviewer", How::Homoglyph),
            ("distanviewerr.com", "distantviewer", How::Typo),
            ("xn--zndesk-3of.com", "zendesk", How::Homoglyph),
            ("zendesk-support.com", "zendesk", How::Combined),
            ("my-zendesk.co.uk", "zendesk", How::Combined),
            ("zendeskhelpdesk24.com", "zendesk", How::Combined),
            ("secure.zendesk-sso.net", "zendesk", How::Combined),
            ("zendesk.duckdns.org", "zendesk", How::Ending),
            ("zendesk.cyou", "zendesk", How::Ending),
            ("exchange-login.com", "exchange", How::Combined),
            ("livechat-support.com", "livechat", How::Combined),
        ] {
            let told = catalog.imitates(host).map(|i| (i.vendor.id.to_string(), i.how));
            assert_eq!(told, Some((vendor.to_owned(), how)), "{host}");
        }
    }

    #[test]
    fn own_names_others_and_words_of_the_language_are_no_imitations() {
        let catalog = catalog();
        for host in [
            "zendesk.com",
            "acme.zendesk.com",
            "zendesk-support.zendesk.com",
            "zendesk-careers.com",
            "jobs.zendesk-careers.com",
            "zendesk.acme.com",
            "zendesk-support.acme.com",
            "www.zendesk.com.edgekey.net",
            "www.zendesk.com.cdn.cloudflare.net",
            "www.zendesk.com.mcas.ms",
            "www-zendesk-com.translate.goog",
            "power-support.com",
            "manpower.com",
            "filewarehose.net",
            "exchange.org",
            "stock-exchange.com",
            "exchanges.com",
            "acme-livechat.com",
            "livechats.com",
            "zen.com",
            "desk.com",
            "zendo.com",
            "bendesk.com",
            "com",
            "zendesk",
            "zendesk.lan",
            "192.0.2.1",
            "2001:db8::1",
            "",
            ".",
            "..",
        ] {
            assert!(catalog.imitates(host).is_none(), "{host}");
        }
    }

    /// No vendor of the shipped catalogue imitates another, nor itself: its own examples show that.
    #[test]
    fn no_example_of_the_catalogue_imitates() {
        let catalog = Catalog::embedded().unwrap();
        let hosts = catalog.entries().iter().flat_map(|entry| &entry.matches);
        for rule in hosts.filter(|rule| is_name(rule.kind)) {
            let told = catalog.imitates(&rule.value).map(|i| i.of);
            assert_eq!(told, None, "{}", rule.value);
        }
    }

    #[test]
    fn the_longest_names_cost_no_more_than_their_length() {
        let catalog = Catalog::embedded().unwrap();
        for host in [
            format!("{}com", "zendesk.com.".repeat(20)),
            format!("{}.com", "a".repeat(63)),
            format!("{}.com", "loginsupport".repeat(5)),
            format!("{}.com", "-".repeat(63)),
            format!("xn--{}.com", "9".repeat(59)),
            "a.".repeat(127),
        ] {
            catalog.imitates(&host);
        }
        assert_eq!(catalog.imitates(&format!("{}.com", "zendesk".repeat(50))).map(|i| i.of), None);
    }

    proptest! {
        #[test]
        fn anything_is_judged_without_a_panic(host in "[a-z0-9.-]{0,80}|(xn--)?.{0,40}\\.com|.{0,60}") {
            catalog().imitates(&host);
        }
    }
}
