//! What loads, and yet is not as a signature file should be: matches that change nothing, files out of order, keys that say
//! what holds anyway.

use super::catalog::Catalog;
use super::check::Entry;
use super::domain::Name;
use super::reserved::{self, Reserved};
use super::rule::{Kind, Match, fits};
use super::schema::Expect;
use crate::fault::Fault;

/// Examples of names that the vendor gets, for a file to be trusted.
const MIN_POSITIVE: usize = 2;

/// Lines that say what a match says without them.
const DEFAULTS: [&str; 4] =
    ["ambiguous = false", "agent = false", "exact = false", "confidence = \"high\""];

/// Everything that is amiss with a vendor of a loaded catalogue, in the order of its lines. `text` is that of its file.
pub fn vendor(catalog: &Catalog, entry: &Entry, text: &str) -> Vec<Fault> {
    let mut lint = Lint { entry, faults: Vec::new() };
    lint.order(text);
    lint.defaults(text);
    lint.examples();
    for rule in &entry.matches {
        lint.shadowed(catalog, rule);
        lint.reserved(catalog, rule);
    }
    lint.faults.sort_by_key(|fault| fault.line);
    lint.faults
}

struct Lint<'a> {
    entry: &'a Entry,
    faults: Vec<Fault>,
}

impl Lint<'_> {
    /// Head, matches by kind as the manual lists them, examples: a reader finds the domains first.
    fn order(&mut self, text: &str) {
        let mut before: Option<&Match> = None;
        for rule in &self.entry.matches {
            if let Some(before) = before.filter(|before| rank(before.kind) > rank(rule.kind)) {
                let what = format!("a {} match stands after a {} match", rule.kind, before.kind);
                let mend = format!("move it up to the other {} matches", rule.kind);
                self.fault(what, mend, rule.line);
            }
            before = Some(rule);
        }
        let first = self.entry.examples.iter().map(|example| example.line).min();
        for rule in &self.entry.matches {
            if first.is_some_and(|first| rule.line > first) {
                let mend = "move it up: examples come last";
                self.fault("a [[match]] stands after an [[example]]", mend, rule.line);
            }
        }
        let heads: Vec<(usize, usize)> = numbered(text)
            .take_while(|(_, line)| !line.starts_with("[["))
            .filter_map(|(at, line)| {
                let key = line.split('=').next()?.trim();
                Some((at, HEAD.iter().position(|head| *head == key)?))
            })
            .collect();
        for pair in heads.windows(2) {
            if let [(_, before), (at, key)] = pair
                && before > key
            {
                let mend = format!("write them in the order {}", HEAD.join(", "));
                self.fault("the keys of the head are out of order", mend, *at);
            }
        }
    }

    fn defaults(&mut self, text: &str) {
        for (at, line) in numbered(text) {
            if let Some(default) = DEFAULTS.iter().find(|default| line.starts_with(**default)) {
                self.fault(format!("{default} is so anyway"), "remove the line", at);
            }
        }
    }

    fn examples(&mut self) {
        let (mut positive, mut negative) = (0, 0);
        for example in &self.entry.examples {
            match &example.expect {
                Expect::Nobody => negative += 1,
                Expect::Somebody(e)
                    if e.vendor.as_ref().is_some_and(|v| **v != *self.entry.vendor.id) =>
                {
                    negative += 1;
                }
                Expect::Somebody(_) => positive += 1,
            }
        }
        if positive < MIN_POSITIVE {
            let shown = if positive == 1 { "example shows" } else { "examples show" };
            let what = format!("{positive} {shown} what the signature finds");
            self.fault(what, format!("add examples until there are {MIN_POSITIVE}"), 1);
        }
        if negative == 0 {
            let mend = "add an [[example]] with expect = \"none\"";
            self.fault("no example shows what the signature must not find", mend, 1);
        }
    }

    /// A longer name that says of itself and of all below it what the next shorter one says.
    fn shadowed(&mut self, catalog: &Catalog, rule: &Match) {
        if rule.kind != Kind::Domain || !rule.labels.is_empty() {
            return;
        }
        let Some(name) = Name::new(&rule.value) else { return };
        let shorter = catalog.domains().all(&name).find_map(|hit| {
            let mut rules = hit.value.iter().filter_map(|place| catalog.rule(*place));
            let (entry, other) = rules.find(|(_, other)| {
                !std::ptr::eq(*other, rule) && !other.exact && other.claims(hit.label)
            })?;
            Some((entry, other, other.read(hit.label)))
        });
        let Some((entry, other, reading)) = shorter else { return };
        // Of a match with a tenant, names below say another thing than those below the shorter one.
        let same = entry.vendor.id == self.entry.vendor.id
            && !rule.tenant
            && reading.tenant.is_none()
            && (reading.role, reading.ambiguous) == (rule.role, rule.ambiguous)
            && other.agent == rule.agent
            && other.confidence >= rule.confidence;
        if same {
            let what = format!(
                "{:?} changes nothing: {:?} (line {}) says the same of it",
                &*rule.value, &*other.value, other.line
            );
            self.fault(what, "remove the [[match]], or give it a role of its own", rule.line);
        }
    }

    /// Labels that the generic list, another pattern or a longer match has already taken.
    fn reserved(&mut self, catalog: &Catalog, rule: &Match) {
        for label in &rule.reserved {
            let plain = !label.contains('*');
            let role = reserved::generic(label);
            let generic = match (rule.reserved_role, role) {
                (_, None) => false,
                (None, Some(_)) => true,
                (Some(said), Some(Reserved::As(role))) => said == role,
                (Some(said), Some(Reserved::Same)) => said == rule.role,
            };
            let other = rule.reserved.iter().find(|other| *other != label && fits(other, label));
            let below = format!("{label}.{}", rule.value);
            let own = (plain && rule.kind == Kind::Domain).then(|| Name::new(&below)).flatten();
            let own = own.is_some_and(|name| {
                let mut hits = catalog.domains().all(&name);
                hits.next().is_some_and(|hit| {
                    let mut rules = hit.value.iter().filter_map(|place| catalog.rule(*place));
                    rules.any(|(_, m)| *m.value == *below && !m.exact && m.labels.is_empty())
                })
            });
            let why = if plain && generic {
                "is on the generic list".to_owned()
            } else if let Some(other) = other.filter(|_| plain) {
                format!("is one of {other:?}")
            } else if own {
                format!("has a match of its own ({below:?})")
            } else {
                continue;
            };
            self.fault(format!("reserved label {label:?} {why}"), "remove the label", rule.line);
        }
    }

    fn fault(&mut self, what: impl Into<String>, mend: impl Into<String>, line: usize) {
        self.faults.push(Fault::new(&*self.entry.file, what, mend).at_line(line));
    }
}

/// Lines from 1, without blanks around them.
fn numbered(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().map(|(at, line)| (at + 1, line.trim()))
}

fn rank(kind: Kind) -> usize {
    KINDS.iter().position(|known| *known == kind).unwrap_or(KINDS.len())
}

/// As signatures/README.md lists them.
const KINDS: [Kind; 12] = [
    Kind::Domain,
    Kind::Cname,
    Kind::Spf,
    Kind::Mx,
    Kind::Mail,
    Kind::Certificate,
    Kind::Alpn,
    Kind::Protocol,
    Kind::Http,
    Kind::Payload,
    Kind::Cidr,
    Kind::Ja4,
];

const HEAD: [&str; 6] = ["id", "name", "categories", "deployment", "homepage", "tenant_visibility"];

#[cfg(test)]
mod tests {
    use super::super::sample::{ZENDESK, sheet};
    use super::super::{Options, load};
    use super::*;

    const PATH: &str = "helpdesk/zendesk.toml";

    fn good() -> String {
        ZENDESK.to_owned()
    }

    fn lint(text: &str) -> Vec<String> {
        let catalog = Catalog::load_texts(&[(PATH, text)]).unwrap_or_else(|f| panic!("{f}"));
        let entry = catalog.entry("zendesk").unwrap();
        vendor(&catalog, entry, text).iter().map(ToString::to_string).collect()
    }

    fn with_match(rows: &str) -> Vec<String> {
        let row = format!("[[match]]\n{rows}source = \"here\"\n\n[[match]]\ncname");
        lint(&good().replacen("[[match]]\ncname", &row, 1))
    }

    #[test]
    fn the_shipped_catalogue_is_clean() {
        let faults = load::lint(&Options::default(), None).unwrap_or_else(|f| panic!("{f}"));
        assert!(faults.0.is_empty(), "{faults}");
    }

    #[test]
    fn a_good_file_has_nothing_amiss() {
        assert_eq!(lint(&good()), [""; 0]);
    }

    #[test]
    fn a_match_that_changes_nothing_is_told() {
        let got = with_match("domain = \"ekr.zdassets.com\"\nrole = \"widget\"\n");
        assert_eq!(
            got,
            ["helpdesk/zendesk.toml:20: \"ekr.zdassets.com\" changes nothing: \"zdassets.com\" \
              (line 15) says the same of it\n  mend: remove the [[match]], or give it a role of \
              its own"]
        );
        // A generic label, and the suffix itself.
        assert_eq!(with_match("domain = \"docs.zendesk.com\"\nrole = \"marketing\"\n").len(), 1);
        let exact = "domain = \"zendesk.com\"\nexact = true\nrole = \"marketing\"\n";
        assert_eq!(with_match(exact).len(), 1);
        for different in [
            "domain = \"ekr.zdassets.com\"\nrole = \"cdn\"\n",
            "domain = \"ekr.zdassets.com\"\nrole = \"widget\"\nambiguous = true\n",
            "domain = \"ekr.zdassets.com\"\nrole = \"widget\"\nagent = true\n",
            "domain = \"ekr.zdassets.com\"\nrole = \"widget\"\ntenant = \"label\"\n",
            "domain = \"other.zendesk.com\"\nrole = \"either\"\nambiguous = true\n",
            "domain = \"zendesk.com\"\nlabels = [\"a\"]\nrole = \"either\"\n",
        ] {
            let text = with_match(different);
            assert_eq!(text, [""; 0], "{different}");
        }
    }

    #[test]
    fn labels_that_are_taken_are_told() {
        let reserving = |labels: &str| lint(&good().replacen("[\"ekr\"]", labels, 1));
        let got = reserving("[\"ekr\", \"docs\", \"login\"]");
        assert_eq!(got.len(), 2, "{got:?}");
        assert!(got[0].contains(":7: reserved label \"docs\" is on the generic list"), "{got:?}");
        let got = reserving("[\"asset1\", \"asset*\"]");
        assert!(got[0].contains("\"asset1\" is one of \"asset*\""), "{got:?}");
        let role = reserving("[\"docs\"]\nreserved_role = \"portal\"");
        assert_eq!(role, [""; 0]);
        let got = with_match("domain = \"ekr.zendesk.com\"\nrole = \"widget\"\n");
        assert!(got[0].contains("\"ekr\" has a match of its own"), "{got:?}");
    }

    #[test]
    fn order_and_defaults_are_told() {
        let got = lint(&good().replacen("ambiguous = true", "ambiguous = true\nexact = false", 1));
        assert!(got[0].contains(":11: exact = false is so anyway\n  mend: remove"), "{got:?}");
        let late = format!(
            "{}\n[[match]]\ndomain = \"a.example\"\nrole = \"api\"\nsource = \"x\"\n",
            good()
        );
        let got = lint(&late);
        assert_eq!(got.len(), 2, "{got:?}");
        assert!(got.iter().any(|f| f.contains("a domain match stands after a cname match")));
        assert!(got.iter().any(|f| f.contains("after an [[example]]")));
        let head = good().replacen(
            "id = \"zendesk\"\nname = \"Zendesk\"",
            "name = \"Zendesk\"\nid = \"zendesk\"",
            1,
        );
        let got = lint(&head);
        assert!(got[0].contains(":2: the keys of the head are out of order"), "{got:?}");
    }

    #[test]
    fn two_positive_examples_are_asked_for() {
        let one = sheet("one", "one.example");
        let catalog = Catalog::load_texts(&[("helpdesk/one.toml", &one)]).unwrap();
        let got = vendor(&catalog, catalog.entry("one").unwrap(), &one);
        assert_eq!(got.len(), 1);
        assert_eq!(got[0].what, "1 example shows what the signature finds");
    }
}
