//! The tables of policy as their user writes them: every value knows its place in the file, so that each mistake can be
//! told with its line.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use toml::Spanned;
use toml::value::Datetime;

use crate::identity::ClientKind;

/// `[own]`, `[[group]]` and `[[policy]]` of one file.
#[derive(Deserialize, Serialize, Clone, Debug, Default)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    pub own: OwnOptions,
    pub group: Vec<GroupOptions>,
    pub policy: Vec<Spanned<RuleOptions>>,
}

/// `[own]`: what is ours.
#[derive(Deserialize, Serialize, Clone, Debug, Default)]
#[serde(default, deny_unknown_fields)]
pub struct OwnOptions {
    pub domains: Vec<Spanned<String>>,
    /// Vendor id: patterns of tenants.
    pub tenants: BTreeMap<Spanned<String>, Spanned<Words>>,
    /// Host: `vendor/tenant`, or `vendor` where it has no instances to tell apart.
    pub names: BTreeMap<Spanned<String>, Spanned<String>>,
    /// Address, address and port, or network: `vendor/tenant`, or `vendor`.
    pub servers: BTreeMap<Spanned<String>, Spanned<String>>,
}

/// One `[[group]]`.
#[derive(Deserialize, Serialize, Clone, Debug)]
#[serde(deny_unknown_fields)]
pub struct GroupOptions {
    pub name: Spanned<String>,
    #[serde(default)]
    pub networks: Vec<Spanned<String>>,
    /// Beginnings of hardware addresses, known from DHCP.
    #[serde(default)]
    pub macs: Vec<Spanned<String>>,
    /// Patterns of the host names that machines give to DHCP.
    #[serde(default)]
    pub hosts: Vec<Spanned<String>>,
    /// Ids of the VLANs in which clients send.
    #[serde(default)]
    pub vlans: Vec<Spanned<i64>>,
    /// What stands behind its addresses.
    pub clients: Option<ClientKind>,
}

/// One `[[policy]]`. Of each key one value, or a list of which one must hold; all keys given must hold.
#[derive(Deserialize, Serialize, Clone, Debug, Default)]
#[serde(default, deny_unknown_fields)]
pub struct RuleOptions {
    pub vendor: Option<Spanned<Words>>,
    pub category: Option<Spanned<Words>>,
    pub tenant: Option<Spanned<Words>>,
    pub relation: Option<Spanned<Words>>,
    pub role: Option<Spanned<Words>>,
    pub group: Option<Spanned<Words>>,
    pub deployment: Option<Spanned<Words>>,
    pub state: Option<Spanned<String>>,
    pub exception: Option<Spanned<ExceptionOptions>>,
    /// `Mon-Fri 08:00-18:00 Europe/Berlin`.
    pub hours: Option<Spanned<Words>>,
}

/// `exception = { owner, reason, expires }`, all of them needed.
#[derive(Deserialize, Serialize, Clone, Debug, Default)]
#[serde(default, deny_unknown_fields)]
pub struct ExceptionOptions {
    pub owner: Option<String>,
    pub reason: Option<String>,
    /// The last day (UTC) on which it holds.
    pub expires: Option<Spanned<Datetime>>,
}

/// A word, or a list of words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Words(pub Vec<Word>);

/// A word and where it stands; a single one has the place of its key's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    pub text: String,
    pub span: Option<Range<usize>>,
}

impl<'de> Deserialize<'de> for Words {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(WordsVisitor)
    }
}

impl Serialize for Words {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|w| &w.text))
    }
}

struct WordsVisitor;

impl<'de> Visitor<'de> for WordsVisitor {
    type Value = Words;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string or a list of strings")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Words, E> {
        Ok(Words(vec![Word { text: text.to_owned(), span: None }]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Words, A::Error> {
        let mut words = Vec::new();
        while let Some(word) = list.next_element::<Spanned<String>>()? {
            words.push(Word { span: Some(word.span()), text: word.into_inner() });
        }
        Ok(Words(words))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_know_their_places() {
        let text = "vendor = [\n  \"a\",\n  \"b\",\n]\nrole = \"api\"\n";
        let rule: RuleOptions = toml::from_str(text).unwrap();
        let vendor = rule.vendor.unwrap();
        let places: Vec<&str> =
            vendor.get_ref().0.iter().map(|w| &text[w.span.clone().unwrap()]).collect();
        assert_eq!(places, ["\"a\"", "\"b\""]);
        let role = rule.role.unwrap();
        assert_eq!(&text[role.span()], "\"api\"");
        assert_eq!(role.get_ref().0, [Word { text: "api".to_owned(), span: None }]);
    }

    #[test]
    fn wrong_types_and_keys_are_told_with_their_place() {
        for (text, expected, line) in [
            (
                "[[policy]]\nvendor = 3",
                "invalid type: integer `3`, expected a string or a list of strings",
                2,
            ),
            ("[[policy]]\nvendr = \"a\"", "unknown field `vendr`", 2),
            ("[own]\n\ndomain = \"a\"", "unknown field `domain`", 3),
            ("[[group]]\nnetworks = []", "missing field `name`", 1),
            (
                "[[group]]\nname = \"a\"\nnetworks = []\nclients = \"many\"",
                "unknown variant `many`",
                4,
            ),
            (
                "[[policy]]\nexception = { owner = \"a\", until = 2027-01-01 }",
                "unknown field `until`",
                2,
            ),
        ] {
            let error = toml::from_str::<Options>(text).unwrap_err();
            assert!(error.message().contains(expected), "{error}");
            let at = crate::fault::line_of(text, error.span().unwrap().start);
            assert_eq!(at, line, "{error}");
        }
    }

    #[test]
    fn what_is_read_can_be_written_and_read_again() {
        let text = "[own]\ndomains = [\"acme.com\"]\ntenants = { zendesk = [\"acme\"] }\n\
                    names = { \"support.acme.com\" = \"zendesk/acme\" }\n\
                    [[policy]]\nvendor = \"zendesk\"\nstate = \"tolerated\"\n\
                    exception = { owner = \"a\", reason = \"b\", expires = 2027-03-31 }\n";
        let once: Options = toml::from_str(text).unwrap();
        let written = toml::to_string(&once).unwrap();
        let twice: Options = toml::from_str(&written).unwrap();
        assert_eq!(toml::to_string(&twice).unwrap(), written);
        assert!(written.contains("2027-03-31"), "{written}");
    }
}
