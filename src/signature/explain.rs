//! Why a name belongs to a vendor, or to none: the match that wins, those that lose, and names that only look alike.

use std::sync::Arc;

use super::catalog::{Catalog, Place};
use super::domain::Name;
use super::lookalike::Imitation;
use super::rule::{Match, NoTenant};
use super::{Entry, Role, Verdict};

/// Labels of a name that are searched for a catalogued name in its midst: real names have fewer.
const MAX_SEARCHED: usize = 32;

/// What the catalogue says of a name, and why.
#[derive(Debug)]
pub struct Explanation {
    pub host: String,
    pub verdict: Option<Verdict>,
    pub winner: Option<Claim>,
    /// Why the winner's tenant rule gave no tenant.
    pub no_tenant: Option<NoTenant>,
    /// The role that the winner gives to other labels, where that before its name tells another.
    pub but_for_label: Option<Role>,
    /// Matches that could have been meant, longest name first.
    pub losers: Vec<(Claim, Lost)>,
    /// Whom a name of nobody imitates.
    pub imitation: Option<Imitation>,
}

/// A match and where it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    pub vendor: Arc<str>,
    pub signature: Arc<str>,
    pub exact: bool,
    pub source: String,
    pub file: Arc<str>,
    pub line: usize,
}

/// Why a match did not decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// Another match of a longer name, or for just such labels, wins.
    Shorter,
    /// It is for other labels before its name.
    Label,
    /// The match is for the name alone, the host lies below it.
    Exact,
    /// Its name stands in the host, but not at its end: whoever owns the end decides.
    NotAtEnd,
}

impl Lost {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Shorter => "a closer match wins",
            Self::Label => "it is for other labels before that name",
            Self::Exact => "it is for that name alone, not for names below it",
            Self::NotAtEnd => "it stands in the name, but not at its end",
        }
    }
}

impl Catalog {
    /// Explains a host name, an address or a JA4 fingerprint.
    pub fn explain(&self, host: &str) -> Explanation {
        let mut explained = Explanation {
            host: host.to_owned(),
            verdict: None,
            winner: None,
            no_tenant: None,
            but_for_label: None,
            losers: Vec::new(),
            imitation: self.imitates(host),
        };
        let address = host.parse().ok();
        let place = match address {
            Some(address) => self.range(address),
            None => self.fingerprint(host),
        };
        if let Some((entry, rule)) = place.and_then(|place| self.rule(place)) {
            explained.winner = Some(Claim::new(entry, rule));
            explained.verdict = place.and_then(|place| self.plain(place));
        }
        if address.is_some() || explained.winner.is_some() {
            return explained;
        }
        let Some(name) = Name::new(host) else { return explained };
        let mut losers: Vec<(Place, Lost)> = Vec::new();
        for hit in self.domains().all(&name) {
            for place in hit.value {
                let Some((entry, rule)) = self.rule(*place) else { continue };
                if !rule.claims(hit.label) {
                    losers.push((*place, Lost::Label));
                } else if explained.winner.is_some() {
                    losers.push((*place, Lost::Shorter));
                } else {
                    explained.winner = Some(Claim::new(entry, rule));
                    let reading = rule.read(hit.label);
                    explained.no_tenant = reading.why;
                    explained.but_for_label =
                        (reading.why.is_none() && reading.role != rule.role).then_some(rule.role);
                    explained.verdict = self.host(host);
                }
            }
        }
        let missed = self.domains().missed(&name).flatten();
        losers.extend(missed.map(|place| (*place, Lost::Exact)));
        losers.extend(self.amid(host).into_iter().map(|place| (place, Lost::NotAtEnd)));
        explained.losers = losers
            .into_iter()
            .filter_map(|(place, why)| {
                let (entry, rule) = self.rule(place)?;
                Some((Claim::new(entry, rule), why))
            })
            .collect();
        explained.losers.sort_by_key(|(claim, _)| std::cmp::Reverse(claim.signature.len()));
        explained
    }

    /// Catalogued names that stand in the host at a label's start and end before its last label.
    fn amid(&self, host: &str) -> Vec<Place> {
        let host = host.strip_suffix('.').unwrap_or(host);
        let mut found: Vec<Place> = Vec::new();
        let dots = host.match_indices('.').map(|(at, _)| at);
        for end in dots.take(MAX_SEARCHED) {
            let Some(name) = host.get(..end).and_then(Name::new) else { continue };
            let hit = self.domains().find(&name).and_then(|hit| hit.value.first());
            found.extend(hit.filter(|place| !found.contains(place)).copied());
        }
        found
    }
}

impl Claim {
    fn new(entry: &Entry, rule: &Match) -> Self {
        Self {
            vendor: entry.vendor.id.clone(),
            signature: rule.value.clone(),
            exact: rule.exact,
            source: rule.source.clone(),
            file: entry.file.clone(),
            line: rule.line,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::{ZENDESK, sheet};
    use super::*;

    fn catalog() -> Catalog {
        let rival = sheet("rival", "deep.zdassets.com")
            .replacen("role", "exact = true\nrole", 1)
            .replace("\"a.deep", "\"deep");
        Catalog::load_texts(&[("helpdesk/zendesk.toml", ZENDESK), ("helpdesk/rival.toml", &rival)])
            .unwrap_or_else(|faults| panic!("{faults}"))
    }

    fn losers(explained: &Explanation) -> Vec<(&str, Lost)> {
        explained.losers.iter().map(|(claim, why)| (&*claim.signature, *why)).collect()
    }

    #[test]
    fn winner_and_losers_are_told() {
        let catalog = catalog();
        let explained = catalog.explain("deep.zdassets.com");
        assert_eq!(explained.winner.as_ref().map(|c| &*c.vendor), Some("rival"));
        assert_eq!(losers(&explained), [("zdassets.com", Lost::Shorter)]);
        let explained = catalog.explain("x.deep.zdassets.com");
        assert_eq!(explained.winner.as_ref().map(|c| &*c.vendor), Some("zendesk"));
        assert_eq!(losers(&explained), [("deep.zdassets.com", Lost::Exact)]);
        let explained = catalog.explain("www.zendesk.com");
        assert_eq!(explained.no_tenant, Some(NoTenant::Generic));
        assert_eq!(explained.winner.map(|c| c.line), Some(7));
    }

    #[test]
    fn addresses_and_fingerprints_are_explained_by_their_range_and_text() {
        let rule = |rule: &str, example: &str| {
            let rest = "role = \"relay\"\nconfidence = \"low\"\nsource = \"here\"";
            format!(
                "[[match]]\n{rule}\n{rest}\n[[example]]\n{example}\nexpect = {{ role = \"relay\" }}\n"
            )
        };
        let print = "t13d1516h2_8daaf6152771_b186095e22b6";
        let ja4 = format!("ja4 = \"{print}\"");
        let ranges = ["192.0.2.0/24", "192.0.2.64/26"].map(|range| {
            rule(
                &format!("cidr = \"{range}\""),
                &format!("address = \"{}\"", &range[..range.len() - 3]),
            )
        });
        let text = [sheet("rival", "rival.example"), ranges.concat(), rule(&ja4, &ja4)].concat();
        let catalog = Catalog::load_texts(&[("helpdesk/rival.toml", &text)])
            .unwrap_or_else(|faults| panic!("{faults}"));
        for (asked, signature) in [
            ("192.0.2.7", Some("192.0.2.0/24")),
            ("192.0.2.70", Some("192.0.2.64/26")),
            ("::ffff:192.0.2.70", Some("192.0.2.64/26")),
            (print, Some(print)),
            ("192.0.3.1", None),
            ("2001:db8::1", None),
            ("t13d1516h2_8daaf6152771_b186095e22b7", None),
        ] {
            let explained = catalog.explain(asked);
            assert_eq!(explained.winner.as_ref().map(|claim| &*claim.signature), signature);
            assert_eq!(explained.verdict.is_some(), signature.is_some(), "{asked}");
            assert!(explained.losers.is_empty());
        }
    }

    #[test]
    fn look_alikes_are_nobodys_and_say_why() {
        let catalog = catalog();
        let explained = catalog.explain("acme.zendesk.com.login.example");
        assert!(explained.verdict.is_none() && explained.winner.is_none());
        assert_eq!(losers(&explained), [("zendesk.com", Lost::NotAtEnd)]);
        for host in ["notzendesk.com", "zendesk-support.com", "", "..", &"a.".repeat(2000)] {
            let explained = catalog.explain(host);
            assert!(explained.verdict.is_none() && explained.losers.is_empty(), "{host}");
        }
    }
}
