//! One `[[match]]` of a signature, and what it says of a name that it claims.

use std::fmt;
use std::sync::Arc;

use super::look::Look;
use super::reserved::{self, Reserved};
use super::{Confidence, Role};

/// What a match looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// A host name: SNI, HTTP Host, a DNS question.
    Domain,
    /// The target of a vanity host's CNAME.
    Cname,
    /// An include of an SPF record (RFC 7208 section 5.2).
    Spf,
    /// A mail exchanger.
    Mx,
    /// The beginning of a TXT record by which a vendor has a domain verified.
    Txt,
    /// The domain of SMTP greetings and envelopes.
    Mail,
    /// Names and issuer of a server certificate.
    Certificate,
    /// Headers, cookies and paths of HTTP/1.
    Http,
    /// The first octets of one side of a stream.
    Payload,
    /// The beginning of an ALPN protocol (RFC 7301).
    Alpn,
    /// A native protocol, by the name of what found it.
    Protocol,
    /// An address range.
    Cidr,
    /// The fingerprint of a ClientHello.
    Ja4,
}

impl Kind {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Domain => "domain",
            Self::Cname => "cname",
            Self::Spf => "spf",
            Self::Mx => "mx",
            Self::Txt => "txt",
            Self::Mail => "mail",
            Self::Certificate => "certificate",
            Self::Http => "http",
            Self::Payload => "payload",
            Self::Alpn => "alpn",
            Self::Protocol => "protocol",
            Self::Cidr => "cidr",
            Self::Ja4 => "ja4",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One `[[match]]`.
#[derive(Clone, Debug)]
pub struct Match {
    pub kind: Kind,
    /// As the file writes it: `zendesk.com`, `Server: ScreenConnect/`.
    pub value: Arc<str>,
    pub look: Look,
    /// As verdicts show it: the value, with the kind before it where it is no name.
    pub signature: Arc<str>,
    /// Ports of the server beside which alone it counts; empty: any.
    pub ports: Vec<u16>,
    pub role: Role,
    pub ambiguous: bool,
    pub agent: bool,
    /// The name itself only, nothing below it.
    pub exact: bool,
    /// Claims only names whose label before the suffix fits one of these; empty: all names.
    pub labels: Vec<Box<str>>,
    /// The label before the suffix names the instance.
    pub tenant: bool,
    /// Labels that are no tenants, beside the generic ones; `*` stands for any characters.
    pub reserved: Vec<Box<str>>,
    /// The role of those; by default that of the generic list, else `marketing`.
    pub reserved_role: Option<Role>,
    pub source: String,
    pub confidence: Confidence,
    /// Of its `[[match]]`, from 1.
    pub line: usize,
}

impl Match {
    /// Whether it claims a name with this label before its suffix.
    pub fn claims(&self, label: Option<&[u8]>) -> bool {
        let fits_one = |label| self.labels.iter().any(|pattern| fits(pattern, label));
        self.labels.is_empty()
            || label.and_then(|l| std::str::from_utf8(l).ok()).is_some_and(fits_one)
    }

    /// What the match says of a name whose label before the suffix is `label` (lower case; `None`: the name is the suffix).
    pub fn read<'a>(&self, label: Option<&'a [u8]>) -> Reading<'a> {
        let plain = self.plain();
        if !self.tenant {
            return Reading { role: self.below(label).unwrap_or(plain.role), ..plain };
        }
        let Some(label) = label else {
            // `zendesk.com` itself: the front page, as `www`.
            let role = self.reserved_role.unwrap_or(Role::Marketing);
            return Reading { role, ambiguous: false, why: Some(NoTenant::Bare), ..plain };
        };
        let Some(label) = std::str::from_utf8(label).ok().filter(|l| is_label(l)) else {
            return Reading { why: Some(NoTenant::NotALabel), ..plain };
        };
        let Some((reserved, why)) = self.reserves(label) else {
            return Reading { tenant: Some(label), ..plain };
        };
        match reserved {
            Reserved::As(role) => Reading { role, ambiguous: false, why: Some(why), ..plain },
            Reserved::Same => Reading { why: Some(why), ..plain },
        }
    }

    /// The role that the label tells. A match for some labels has said what they are.
    fn below(&self, label: Option<&[u8]>) -> Option<Role> {
        if self.kind != Kind::Domain || !self.labels.is_empty() {
            return None;
        }
        reserved::below(self.role, std::str::from_utf8(label?).ok()?)
    }

    /// What the match says of anything but a name.
    pub const fn plain(&self) -> Reading<'static> {
        Reading { role: self.role, tenant: None, ambiguous: self.ambiguous, why: None }
    }

    /// Whether it counts for a server at this port.
    pub fn at_port(&self, port: u16) -> bool {
        self.ports.is_empty() || self.ports.contains(&port)
    }

    fn reserves(&self, label: &str) -> Option<(Reserved, NoTenant)> {
        let generic = reserved::generic(label);
        if self.reserved.iter().any(|r| fits(r, label)) {
            let by_default = generic.unwrap_or(Reserved::As(Role::Marketing));
            Some((self.reserved_role.map_or(by_default, Reserved::As), NoTenant::Reserved))
        } else {
            generic.map(|g| (g, NoTenant::Generic))
        }
    }
}

/// What a match says of one name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading<'a> {
    pub role: Role,
    pub tenant: Option<&'a str>,
    pub ambiguous: bool,
    /// Why a match with a tenant rule gave no tenant.
    pub why: Option<NoTenant>,
}

/// Why a name under a tenant rule shows no tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoTenant {
    /// The name is the suffix itself.
    Bare,
    /// The match reserves the label.
    Reserved,
    /// The label is infrastructure everywhere.
    Generic,
    /// Octets that no host name has.
    NotALabel,
}

impl fmt::Display for NoTenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bare => "the name has no label before the suffix",
            Self::Reserved => "the label before the suffix is reserved by the match",
            Self::Generic => "the label before the suffix is infrastructure, not an instance",
            Self::NotALabel => "the label before the suffix is no host label",
        })
    }
}

/// Letters, digits, hyphens (RFC 952, RFC 1123 section 2.1), and the underscore that some vendors allow. Lower case.
pub fn is_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && label.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_'))
}

/// Whether the label is what `pattern` shows, in which each `*` stands for any characters, or none. Linear but for the
/// number of stars: each piece between them is searched once, from where the last one ended.
pub fn fits(pattern: &str, label: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else { return pattern == label };
    let Some(mut label) = label.strip_prefix(head) else { return false };
    let mut pieces = rest.split('*').peekable();
    while let Some(piece) = pieces.next() {
        if pieces.peek().is_none() {
            return label.ends_with(piece);
        }
        match label.find(piece) {
            Some(at) => label = label.get(at + piece.len()..).unwrap_or_default(),
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule() -> Match {
        Match {
            kind: Kind::Domain,
            value: "zendesk.com".into(),
            look: Look::Name,
            signature: "zendesk.com".into(),
            ports: Vec::new(),
            role: Role::Either,
            ambiguous: true,
            agent: false,
            exact: false,
            labels: Vec::new(),
            tenant: true,
            reserved: vec!["ekr".into(), "cdn".into()],
            reserved_role: None,
            source: "here".into(),
            confidence: Confidence::High,
            line: 1,
        }
    }

    fn read(rule: &Match, label: &str) -> (Role, Option<String>, bool) {
        let reading = rule.read(Some(label.as_bytes()));
        (reading.role, reading.tenant.map(str::to_owned), reading.ambiguous)
    }

    #[test]
    fn reserved_labels_have_a_role_and_no_tenant() {
        let mut rule = rule();
        assert_eq!(read(&rule, "acme"), (Role::Either, Some("acme".into()), true));
        assert_eq!(read(&rule, "xn--mnchen-3ya").1, Some("xn--mnchen-3ya".into()));
        assert_eq!(read(&rule, "www"), (Role::Marketing, None, false));
        assert_eq!(read(&rule, "ekr"), (Role::Marketing, None, false));
        assert_eq!(read(&rule, "cdn"), (Role::Cdn, None, false));
        assert_eq!(read(&rule, "login"), (Role::Either, None, true));
        assert_eq!(rule.read(None).role, Role::Marketing);
        rule.reserved_role = Some(Role::Widget);
        assert_eq!(read(&rule, "ekr"), (Role::Widget, None, false));
        assert_eq!(read(&rule, "www"), (Role::Marketing, None, false));
    }

    #[test]
    fn stars_stand_for_any_characters() {
        for (pattern, label, fit) in [
            ("assets", "assets", true),
            ("assets", "assets1", false),
            ("assets*", "assets", true),
            ("assets*", "assets10", true),
            ("*-vbus-*", "1-vbus-de", true),
            ("*-vbus-*", "vbus-de", false),
            ("instance-*-relay", "instance-abc-relay", true),
            ("instance-*-relay", "instance-relay", false),
            ("a*a", "a", false),
            ("*", "x", true),
            ("*a*ab", "aab", true),
        ] {
            assert_eq!(fits(pattern, label), fit, "{pattern} {label}");
        }
    }

    #[test]
    fn odd_octets_are_no_tenant() {
        let rule = rule();
        for label in ["a b", "é", "\u{fffd}", "a/b", "*"] {
            assert_eq!(read(&rule, label), (Role::Either, None, true), "{label}");
        }
    }

    #[test]
    fn without_a_tenant_rule_no_label_is_an_instance() {
        let rule = Match { tenant: false, role: Role::Widget, ..rule() };
        assert_eq!(read(&rule, "www"), (Role::Widget, None, true));
        assert_eq!(rule.read(None).role, Role::Widget);
    }

    #[test]
    fn without_a_tenant_rule_labels_of_files_and_reports_have_their_role() {
        let rule = Match { tenant: false, role: Role::Console, ..rule() };
        assert_eq!(read(&rule, "eu-cdn"), (Role::Cdn, None, true));
        assert_eq!(read(&rule, "eu"), (Role::Console, None, true));
        let some = Match { labels: vec!["eu-*".into()], ..rule.clone() };
        assert_eq!(read(&some, "eu-cdn"), (Role::Console, None, true), "said by the match");
        let cname = Match { kind: Kind::Cname, ..rule };
        assert_eq!(read(&cname, "eu-cdn"), (Role::Console, None, true));
    }
}
