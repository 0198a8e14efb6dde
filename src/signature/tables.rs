//! Which vendor it is by what is no host name: certificates, mail domains, ALPN, native protocols, patterns of bytes,
//! addresses, fingerprints.

use std::net::IpAddr;
use std::sync::Arc;

use hashbrown::HashMap;
use ipnet::IpNet;

use super::catalog::{Catalog, Found, Place};
use super::check::Entry;
use super::domain::{Name, Suffixes};
use super::look::{CertificateLook, Look};
use super::rule::{Kind, Match};
use super::{Confidence, Role, Verdict};
use crate::sniff::{Certificate, PatternId, Patterns, Sought};

/// Matches by what they look at.
#[derive(Debug, Default)]
pub struct Tables {
    mails: Suffixes<Vec<Place>>,
    spfs: Suffixes<Vec<Place>>,
    mxs: Suffixes<Vec<Place>>,
    certificate_names: Suffixes<Vec<Place>>,
    /// Those without a name: few, asked one by one.
    certificates: Vec<Place>,
    /// Beginnings, longest first, in lower case.
    txts: Vec<(Arc<str>, Place)>,
    /// Beginnings, longest first.
    alpns: Vec<(Arc<str>, Place)>,
    protocols: HashMap<Arc<str>, Vec<Place>>,
    ja4: HashMap<Arc<str>, Place>,
    ranges: HashMap<IpNet, Place>,
    /// Lengths of prefixes of `ranges`, longest first.
    lengths: Vec<u8>,
    by_pattern: HashMap<PatternId, Vec<Place>>,
    /// Without those of pages, unless they are asked for.
    patterns: Arc<Patterns>,
    all_patterns: Arc<Patterns>,
}

impl Tables {
    pub(super) fn add(&mut self, vendor: &str, rule: &Match, place: Place) {
        match (&rule.look, rule.kind) {
            (Look::Name, kind) => {
                let table = match kind {
                    Kind::Mail => &mut self.mails,
                    Kind::Spf => &mut self.spfs,
                    Kind::Mx => &mut self.mxs,
                    _ => return,
                };
                table.place(&rule.value, rule.exact).get_or_insert_default().push(place);
            }
            (Look::Certificate(look), _) => match &look.name {
                Some(name) => {
                    self.certificate_names.place(name, false).get_or_insert_default().push(place);
                }
                None => self.certificates.push(place),
            },
            (Look::Bytes(_), _) => {
                self.by_pattern.entry(pattern_id(vendor, rule)).or_default().push(place);
            }
            (Look::Txt, _) => self.txts.push((rule.value.to_lowercase().into(), place)),
            (Look::Alpn, _) => self.alpns.push((rule.value.clone(), place)),
            (Look::Protocol, _) => {
                self.protocols.entry(rule.value.clone()).or_default().push(place);
            }
            (Look::Cidr(net), _) => {
                self.ranges.insert(*net, place);
                self.lengths.push(net.prefix_len());
            }
            (Look::Ja4, _) => {
                self.ja4.insert(rule.value.clone(), place);
            }
        }
    }

    /// To be called once, when everything is added.
    pub(super) fn compile(&mut self, entries: &[Entry]) {
        self.txts.sort_by_key(|(value, _)| std::cmp::Reverse(value.len()));
        self.alpns.sort_by_key(|(value, _)| std::cmp::Reverse(value.len()));
        self.lengths.sort_unstable_by_key(|len| std::cmp::Reverse(*len));
        self.lengths.dedup();
        let sought = entries.iter().flat_map(|entry| {
            entry.matches.iter().filter_map(move |rule| match &rule.look {
                Look::Bytes(sought) => Some((pattern_id(&entry.vendor.id, rule), sought)),
                _ => None,
            })
        });
        // One vendor may look for the same octets at several ports.
        let mut rows: Vec<(PatternId, &Sought)> = sought.collect();
        rows.sort_unstable_by_key(|(id, _)| *id);
        rows.dedup_by_key(|(id, _)| *id);
        let heads = rows.iter().filter(|(_, sought)| !is_of_pages(sought)).copied();
        self.patterns = Arc::new(Patterns::new(heads));
        self.all_patterns = Arc::new(Patterns::new(rows.into_iter()));
    }

    /// From now on workers look into pages.
    pub(super) fn look_into_pages(&mut self) {
        self.patterns = self.all_patterns.clone();
    }
}

const fn is_of_pages(sought: &Sought) -> bool {
    matches!(sought, Sought::Title(_) | Sought::Body(_))
}

impl Catalog {
    /// The patterns that workers look for; [`Catalog::pattern`] says whose they are.
    pub fn patterns(&self) -> Arc<Patterns> {
        self.others().patterns.clone()
    }

    /// With those of pages, whether the workers look for them or not.
    pub(super) fn all_patterns(&self) -> Arc<Patterns> {
        self.others().all_patterns.clone()
    }

    /// Whose pattern was met in the bytes of a server at `port`. `None` also for one of another catalogue.
    pub fn pattern(&self, id: PatternId, port: u16) -> Option<Verdict> {
        self.at_port(self.others().by_pattern.get(&id)?, port)
    }

    /// Whose native protocol is spoken with a server at `port`.
    pub fn protocol(&self, protocol: &str, port: u16) -> Option<Verdict> {
        self.at_port(self.others().protocols.get(protocol)?, port)
    }

    /// Whose ALPN protocol a client offers: the longest beginning wins.
    pub fn alpn(&self, protocol: &str) -> Option<Verdict> {
        let mut rows = self.others().alpns.iter();
        rows.find(|(head, _)| protocol.starts_with(&**head))
            .and_then(|(_, place)| self.plain(*place))
    }

    /// Whose server has such a certificate, at `port`. What `certificate` matches say comes first. Else the names in it count
    /// as host names do, at medium confidence at most: they belong to the vendor if the subject does (its common name, or
    /// where it has none the first name), and no other name is another vendor's. They never name a tenant: one
    /// certificate serves many.
    pub fn certificate(&self, certificate: &Certificate, port: u16) -> Option<Verdict> {
        self.by_certificate(certificate, port).or_else(|| self.by_certified_names(certificate))
    }

    /// Whose mail domain it is: of SMTP greetings and envelopes. Where no `mail` match claims it, a host name's vendor and
    /// tenant do, as `mail` and of medium confidence at most.
    pub fn mail(&self, domain: &str) -> Option<Verdict> {
        let name = Name::new(domain)?;
        let mut hits = self.others().mails.all(&name);
        if let Some(found) = hits.find_map(|hit| self.found(&hit)) {
            return Some(found.verdict());
        }
        let verdict = self.find(&name)?.verdict();
        let confidence = verdict.confidence.min(Confidence::Medium);
        Some(Verdict { role: Role::Mail, confidence, agent: false, ..verdict })
    }

    /// Whose servers may send mail for a domain whose SPF record includes this one (RFC 7208 section 5.2). Where no `spf` match
    /// claims it, a mail domain of the name is as good.
    pub fn spf(&self, include: &str) -> Option<Verdict> {
        self.of_domain(&self.others().spfs, include)
    }

    /// Who takes the mail of a domain with this exchanger, likewise.
    pub fn mx(&self, exchanger: &str) -> Option<Verdict> {
        self.of_domain(&self.others().mxs, exchanger)
    }

    fn of_domain(&self, table: &Suffixes<Vec<Place>>, domain: &str) -> Option<Verdict> {
        let name = Name::new(domain)?;
        let found = table.all(&name).find_map(|hit| self.found(&hit)).map(Found::verdict);
        found.or_else(|| self.mail(domain))
    }

    /// Whose address range it is: the narrowest. Always of low confidence.
    pub fn address(&self, address: IpAddr) -> Option<Verdict> {
        self.plain(self.range(address)?)
    }

    /// Who has a domain verified by this TXT record: the longest beginning wins.
    pub fn txt(&self, text: &str) -> Option<Verdict> {
        let begins = |head: &str| {
            text.get(..head.len()).is_some_and(|begun| begun.eq_ignore_ascii_case(head))
        };
        let (_, place) = self.others().txts.iter().find(|(head, _)| begins(head))?;
        self.plain(*place)
    }

    /// Whether any match is a JA4 fingerprint.
    pub fn asks_for_ja4(&self) -> bool {
        !self.others().ja4.is_empty()
    }

    /// Whose client has this JA4 fingerprint.
    pub fn ja4(&self, fingerprint: &str) -> Option<Verdict> {
        self.plain(self.fingerprint(fingerprint)?)
    }

    /// The narrowest range that holds an address.
    pub(super) fn range(&self, address: IpAddr) -> Option<Place> {
        let tables = self.others();
        let address = address.to_canonical();
        let nets = tables.lengths.iter().filter_map(|len| IpNet::new(address, *len).ok());
        nets.filter_map(|net| tables.ranges.get(&net.trunc())).next().copied()
    }

    pub(super) fn fingerprint(&self, fingerprint: &str) -> Option<Place> {
        self.others().ja4.get(fingerprint).copied()
    }

    fn by_certificate(&self, certificate: &Certificate, port: u16) -> Option<Verdict> {
        let tables = self.others();
        let fits = |place: &Place| {
            let (_, rule) = self.rule(*place)?;
            let Look::Certificate(look) = &rule.look else { return None };
            (CertificateLook::fits(look, certificate) && rule.at_port(port)).then_some(*place)
        };
        let names = certificate.names.iter().chain(&certificate.subject);
        let named = names.take(MAX_NAMES).filter_map(|name| {
            let name = Name::new(name.strip_prefix("*.").unwrap_or(name))?;
            let mut hits = tables.certificate_names.all(&name);
            hits.find_map(|hit| hit.value.iter().find_map(fits))
        });
        let mut places = named.chain(tables.certificates.iter().filter_map(fits));
        places.next().and_then(|place| self.plain(place))
    }

    fn by_certified_names(&self, certificate: &Certificate) -> Option<Verdict> {
        let subject = certificate.subject.as_ref().or(certificate.names.first())?;
        let verdict = self.host(subject)?;
        let others = certificate.names.iter().take(MAX_NAMES).filter_map(|name| self.host(name));
        if others.into_iter().any(|other| other.vendor.id != verdict.vendor.id) {
            return None;
        }
        let confidence = verdict.confidence.min(Confidence::Medium);
        Some(Verdict { tenant: None, confidence, ..verdict })
    }

    /// The match that asks for this port, else the one that asks for none.
    fn at_port(&self, places: &[Place], port: u16) -> Option<Verdict> {
        let rules = || places.iter().filter_map(|place| Some((*place, self.rule(*place)?.1)));
        let at = rules().find(|(_, rule)| rule.ports.contains(&port));
        let (place, _) = at.or_else(|| rules().find(|(_, rule)| rule.ports.is_empty()))?;
        self.plain(place)
    }

    pub(super) fn plain(&self, place: Place) -> Option<Verdict> {
        let (entry, rule) = self.rule(place)?;
        Some(Found { entry, rule, reading: rule.plain() }.verdict())
    }
}

/// Names of one certificate that are looked at: those of shared fronts have a hundred, and are nobody's evidence.
const MAX_NAMES: usize = 256;

/// FNV-1a of 64 bits over what the match says.
fn pattern_id(vendor: &str, rule: &Match) -> PatternId {
    let texts = [vendor, rule.kind.name(), &rule.value];
    let octets = texts.into_iter().flat_map(|text| text.bytes().chain([0xff]));
    PatternId(octets.fold(0xcbf2_9ce4_8422_2325, |hash, octet| {
        (hash ^ u64::from(octet)).wrapping_mul(0x0000_0100_0000_01b3)
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = r#"id = "desk"
name = "Desk"
categories = ["helpdesk"]
deployment = "both"
homepage = "https://desk.example"
[[match]]
domain = "desk.example"
role = "either"
tenant = "label"
source = "here"
[[example]]
host = "a.desk.example"
expect = { role = "either", tenant = "a" }
[[example]]
host = "notdesk.example"
expect = "none"
"#;

    /// A sheet with one more match and an example of it.
    fn sheet(rule: &str, example: &str) -> String {
        let expect = "expect = { role = \"relay\" }";
        let rule = format!("[[match]]\n{rule}\nrole = \"relay\"\nsource = \"here\"\n");
        format!("{HEAD}{rule}[[example]]\n{example}\n{expect}\n")
    }

    fn catalog(rule: &str, example: &str) -> Catalog {
        let text = sheet(rule, example);
        Catalog::load_texts(&[("helpdesk/desk.toml", &text)])
            .unwrap_or_else(|f| panic!("{rule}: {f}"))
    }

    fn refused(rule: &str, example: &str) -> String {
        let text = sheet(rule, example);
        Catalog::load_texts(&[("helpdesk/desk.toml", &text)]).unwrap_err().to_string()
    }

    fn certificate(names: &[&str], subject: Option<&str>, issuer: Option<&str>) -> Certificate {
        Certificate {
            names: names.iter().map(|n| (*n).into()).collect(),
            subject: subject.map(Into::into),
            issuer: issuer.map(Into::into),
            organisation: None,
            left_out: 0,
        }
    }

    fn relay(verdict: Option<Verdict>) -> Option<String> {
        let verdict = verdict?;
        assert_eq!((verdict.role, verdict.tenant), (Role::Relay, None));
        Some(verdict.signature.to_string())
    }

    #[test]
    fn each_kind_finds_what_its_example_shows() {
        for (rule, example, signature) in [
            ("alpn = \"desk/\"", "alpn = \"desk/7.1/linux\"", "alpn desk/"),
            ("protocol = \"rfb\"", "protocol = \"rfb\"", "protocol rfb"),
            (
                "http = { header = \"Server: Desk/\" }",
                "header = \"server: desk/1.2\"",
                "http Server: Desk/",
            ),
            ("http = { header = \"X-Desk\" }", "header = \"x-desk: 1\"", "http X-Desk"),
            ("http = { cookie = \"DESK_*\" }", "cookie = \"DESK_ab12\"", "http cookie DESK_*"),
            ("http = { path = \"/desk/\" }", "path = \"/desk/a?b\"", "http path /desk/"),
            (
                "http = { title = \"Deskly 7\" }",
                "title = \"deskly 7.1 - Login\"",
                "http title Deskly 7",
            ),
            (
                "http = { body = \"made by Deskly\" }",
                "body = \"<!-- made by Deskly -->\"",
                "http body made by Deskly",
            ),
            (
                "payload = { from = \"server\", text = \"DESK:1\" }",
                "payload = { from = \"server\", hex = \"44 45 53 4b 3a 31 00\" }",
                "payload server DESK:1",
            ),
            (
                "certificate = { issuer = \"Desk CA\" }",
                "certificate = { issuer = \"desk ca\", names = [\"a.example\"] }",
                "certificate issuer Desk CA",
            ),
            (
                "certificate = { name = \"relay.example\" }",
                "certificate = { names = [\"b.example\", \"*.relay.example\"] }",
                "certificate name relay.example",
            ),
            (
                "cidr = \"192.0.2.0/24\"\nconfidence = \"low\"",
                "address = \"192.0.2.7\"",
                "cidr 192.0.2.0/24",
            ),
            (
                "ja4 = \"t13d1516h2_8daaf6152771_b186095e22b6\"\nconfidence = \"low\"",
                "ja4 = \"t13d1516h2_8daaf6152771_b186095e22b6\"",
                "ja4 t13d1516h2_8daaf6152771_b186095e22b6",
            ),
        ] {
            let catalog = catalog(rule, example);
            let example = catalog.entry("desk").unwrap().examples.last().unwrap();
            let verdict = catalog.judge(&example.given, 0);
            assert_eq!(relay(verdict).as_deref(), Some(signature), "{rule}");
            let got = refused(rule, "host = \"x.desk.example\"\nport = 1\n#");
            assert!(got.contains("no example shows what the"), "{rule}: {got}");
        }
        let mail = catalog("mail = \"desk.example\"", "mail = \"mx1.desk.example\"");
        assert_eq!(relay(mail.mail("Desk.Example")).as_deref(), Some("desk.example"));
        assert!(mail.mail("notdesk.example").is_none() && mail.mail("").is_none());
        let without = Catalog::load_texts(&[("helpdesk/desk.toml", HEAD)]).unwrap();
        let verdict = without.mail("acme.desk.example").unwrap();
        assert_eq!((verdict.role, verdict.tenant.as_deref()), (Role::Mail, Some("acme")));
    }

    #[test]
    fn a_port_says_where_a_match_counts() {
        let rule = "payload = { from = \"server\", text = \"DESK\" }\nport = [6129, 7]";
        let desk = "payload = { from = \"server\", text = \"DESK!\" }";
        let catalog = catalog(rule, &format!("{desk}\nport = 6129"));
        let id = pattern_id("desk", &catalog.entry("desk").unwrap().matches[1]);
        assert!(catalog.pattern(id, 7).is_some() && catalog.pattern(id, 80).is_none());
        assert!(catalog.pattern(PatternId(1), 7).is_none(), "of another catalogue");
        let got = refused(rule, desk);
        assert!(got.contains("expected desk as relay, no tenant, got none"), "{got}");
    }

    #[test]
    fn what_could_be_anybodys_is_refused() {
        for (rule, what) in [
            ("alpn = \"h2\"", "alpn \"h2\" is not one product's"),
            ("protocol = \"rbf\"", "no sniffer knows protocol \"rbf\""),
            ("http = { header = \"Server\" }", "is sent by every server"),
            ("http = { header = \": x\" }", "has no name"),
            ("http = { cookie = \"id*\" }", "is no name of one product"),
            ("http = { cookie = \"a*bcdef\" }", "is no name of one product"),
            ("http = { path = \"/a\" }", "is no path of one product"),
            ("http = { title = \"Login\" }", "is no title of one product"),
            ("http = { body = \"Login\" }", "is no text of one product"),
            ("http = { path = \"/a/b\", cookie = \"abcd\" }", "needs one of"),
            ("payload = { from = \"client\", text = \"GET \" }", "4 octets are not"),
            ("payload = { from = \"client\", hex = \"0\" }", "is no row of octets"),
            ("payload = { from = \"client\" }", "needs one of text and hex"),
            ("certificate = {}", "the certificate says nothing"),
            ("certificate = { name = \"com\" }", "is a single label"),
            ("cidr = \"192.0.2.0/24\"", "is hardly certain"),
            ("cidr = \"10.0.0.0/8\"\nconfidence = \"low\"", "is too wide"),
            ("cidr = \"192.0.2.1/24\"\nconfidence = \"low\"", "is too wide, or has bits"),
            ("ja4 = \"t13d1516h2_8daaf6152771_b186095e22b6\"", "is hardly certain"),
            ("alpn = \"desk/\"\nport = 1", "a alpn match has no port"),
            ("alpn = \"desk/\"\ntenant = \"label\"", "say nothing of a alpn match"),
            ("alpn = \"desk/\"\nprotocol = \"rfb\"", "more than one kind"),
            ("port = 5900", "a port alone decides nothing"),
        ] {
            let got = refused(rule, "host = \"x.desk.example\"");
            assert!(got.contains(what), "{rule}: {got}");
            assert!(got.contains("desk.toml:17") || got.contains("desk.toml:18"), "{rule}: {got}");
        }
    }

    #[test]
    fn names_of_a_certificate_count_as_hosts_do_but_never_as_tenants() {
        let other =
            HEAD.replace("desk", "chat").replace("helpchat", "helpdesk").replace("Desk", "Chat");
        let texts = [("helpdesk/desk.toml", HEAD), ("helpdesk/chat.toml", &*other)];
        let catalog = Catalog::load_texts(&texts).unwrap_or_else(|f| panic!("{f}"));
        let vendor = |c: &Certificate| {
            let verdict = catalog.certificate(c, 443)?;
            assert_eq!((verdict.tenant, verdict.confidence), (None, Confidence::Medium));
            Some(verdict.vendor.id.to_string())
        };
        let desk = Some("desk".to_owned());
        assert_eq!(vendor(&certificate(&["*.desk.example", "desk.example"], None, None)), desk);
        assert_eq!(vendor(&certificate(&["x.example"], Some("acme.desk.example"), None)), desk);
        assert_eq!(vendor(&certificate(&["x.example", "acme.desk.example"], None, None)), None);
        let shared = certificate(&["*.desk.example", "*.chat.example"], None, None);
        assert_eq!(vendor(&shared), None);
        assert_eq!(vendor(&Certificate::default()), None);
    }

    #[test]
    fn the_longest_beginning_and_the_narrowest_range_win() {
        let more = "[[match]]\nalpn = \"desk/2\"\nrole = \"api\"\nsource = \"here\"\n";
        let rule = format!("{more}[[match]]\nalpn = \"desk/\"").replacen("[[match]]\n", "", 1);
        let catalog = catalog(&rule, "alpn = \"desk/1\"");
        assert_eq!(catalog.alpn("desk/2.1").map(|v| v.role), Some(Role::Api));
        assert_eq!(catalog.alpn("desk/3").map(|v| v.role), Some(Role::Relay));
        assert!(catalog.alpn("desk").is_none());
    }

    #[test]
    fn the_id_of_a_pattern_outlives_a_reload() {
        let rule = "http = { cookie = \"DESK_*\" }";
        let one = catalog(rule, "cookie = \"DESK_1\"");
        let rules = format!(
            "http = {{ path = \"/desk/\" }}\nrole = \"api\"\nsource = \"here\"\n[[match]]\n{rule}"
        );
        let two = catalog(&rules, "cookie = \"DESK_1\"");
        let mut met = crate::sniff::Met::default();
        one.patterns().response_line(b"Set-Cookie: DESK_=", &mut met);
        let [id] = met.ids() else { panic!("{met:?}") };
        assert_eq!(two.pattern(*id, 80).map(|v| v.role), Some(Role::Relay));
    }
}
