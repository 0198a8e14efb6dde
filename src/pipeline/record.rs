//! What the collector knows of one live flow, and the line that `--flows` prints when it ends.

use std::io::{self, Write};
use std::net::IpAddr;
use std::sync::Arc;

use serde::Serialize;

use super::dns_line::DnsLine;
use super::judge::OWN_NAMES;
use super::name::{Name, Via};
use super::update::Sight;
use crate::decode::{Endpoint, Tunnel};
use crate::flow::{Delta, End, Ends, MALLOC, Tally};
use crate::identity::{ClientKind, Ech, community_id};
use crate::policy::{Decision, Relation};
use crate::signature::{Confidence, Deployment, How, Role, Verdict};
use crate::sniff;
use crate::sniff::native::{self, Class};
use crate::sniff::{ClientHello, DnsMessage, EchOuter, Evidence, HttpRequest, Ja4};
use crate::time::Time;
use crate::usage::{self, Activity, Pulse, Ticket, Visibility};

/// A live flow, kept by worker and slot.
#[derive(Debug)]
pub struct Record {
    pub id: u64,
    pub ends: Ends,
    /// The highest rank of a name so far; 0 where nothing named it but DNS questions in it.
    rank: u8,
    has_hello: bool,
    has_http: bool,
    /// What the extension of the last hello is, and the outer hello before it.
    pub ech: Ech,
    pub ech_before: Option<Box<EchOuter>>,
    /// For its line alone: none where no line will be printed.
    told: Option<Box<Told>>,
    pub contact: Option<Box<Contact>>,
    /// DNS was asked for its name, and the catalogue whose its server's address is.
    asked_dns: bool,
    asked_address: bool,
    /// Its server's address has names of several owners.
    pub is_shared: bool,
    /// Its client is none of those whose use is counted.
    pub left_out: Option<Visibility>,
    /// It is one of those that are never recorded.
    pub never: bool,
    /// What is known of it beside its name: that it is a tunnel, encrypted DNS, what every network needs.
    hint: Option<Visibility>,
    /// Where its octets are counted if its name is nobody's signature.
    pub candidate: Option<Ticket>,
    /// Its name imitates somebody, and that has not been told yet.
    pub imitation: Option<Box<Imitating>>,
    sent: Tally,
    pub received: Tally,
    /// Whether it only keeps in touch, or somebody is connected.
    pub pulse: Pulse,
    /// It speaks a protocol of remote assistance, or of media.
    native: bool,
}

/// What the line of a flow says beside what everybody needs.
#[derive(Debug, Default)]
struct Told {
    names: Vec<Name>,
    dns: Vec<DnsMessage>,
    hello: Option<ClientHello>,
    /// Lines already printed of a long DNS flow.
    parts: u32,
    /// How DNS led to its address, or the names that it may have.
    chain: Vec<Arc<str>>,
    candidates: Vec<Arc<str>>,
}

/// A flow that belongs to a vendor: what is needed to count its next report without asking again.
#[derive(Debug)]
pub struct Contact {
    pub name: Name,
    pub verdict: Verdict,
    pub relation: Relation,
    pub deployment: Deployment,
    /// The server, by what privacy shows of it, where a client outside reaches what runs on premise inside.
    pub reached: Option<Arc<str>>,
    /// What stands for the group in ids that leave.
    pub mark: Arc<str>,
    pub key: usage::Key,
    pub client_kind: ClientKind,
    pub decision: Decision,
    /// The names from `name` to the one that the signature knows; empty where that is `name` itself.
    pub chain: Vec<Arc<str>>,
    pub start: Time,
    /// The flow itself has been counted, and that it is a session.
    pub counted: bool,
    pub session_counted: bool,
    /// Both ends lie in networks of ours.
    pub inside: bool,
    /// Where privacy lets it pass.
    pub community_id: Option<String>,
}

/// A contact with a name that imitates the vendor, and how.
#[derive(Debug)]
pub struct Imitating {
    pub how: How,
    pub contact: Box<Contact>,
}

impl Contact {
    /// What it rests on is hardly certain: it counts, and raises nothing by itself.
    pub fn is_hint(&self) -> bool {
        self.verdict.confidence == Confidence::Low
            && matches!(self.name.via, Via::Address | Via::Ja4)
    }

    /// What must be the same for two flows to belong to one owner: vendor, tenant and role.
    pub fn owner(&self) -> String {
        let Verdict { vendor, tenant, role, .. } = &self.verdict;
        format!("{}/{}/{}", vendor.id, tenant.as_deref().unwrap_or_default(), role.name())
    }
}

/// Names of one flow: a client that sends another Host with each request must not take all memory.
const MAX_NAMES: usize = 64;

/// DNS messages of one flow that wait for its line; a resolver's flow is told in parts of so many.
pub const DNS_PART: usize = 32;

/// Octets that the collector keeps of one live flow that nobody's signature knows: its record, and the place of that in a vector
/// that grows by doubling.
pub const MEMORY: u64 = (size_of::<Record>() + MALLOC + 2 * size_of::<usize>()) as u64;

/// Octets more of one that belongs to a vendor, with a name of a usual length and what is shared by few.
pub const CONTACT_MEMORY: u64 = (size_of::<Contact>() + MALLOC + 64) as u64;

impl Record {
    pub fn new(id: u64, ends: Ends) -> Self {
        Self {
            id,
            ends,
            rank: 0,
            has_hello: false,
            has_http: false,
            ech: Ech::None,
            ech_before: None,
            told: None,
            contact: None,
            asked_dns: false,
            asked_address: false,
            is_shared: false,
            left_out: None,
            never: false,
            hint: None,
            candidate: None,
            imitation: None,
            sent: Tally::default(),
            received: Tally::default(),
            pulse: Pulse::default(),
            native: false,
        }
    }

    pub fn add(&mut self, delta: &Delta) {
        self.sent.add(&delta.sent);
        self.received.add(&delta.received);
    }

    /// What came before anything named the flow: all of it, as long as nothing did.
    pub fn pending(&self) -> Delta {
        if self.is_named() {
            return Delta::default();
        }
        Delta { sent: self.sent, received: self.received, ..Delta::default() }
    }

    /// How DNS led to its address, for its line.
    pub fn led_by(&mut self, chain: Vec<Arc<str>>) {
        self.told().chain = chain;
    }

    /// The names that it may have, for its line.
    pub fn may_be(&mut self, candidates: Vec<Arc<str>>) {
        self.told().candidates = candidates;
    }

    fn told(&mut self) -> &mut Told {
        self.told.get_or_insert_default()
    }

    /// Takes evidence; the names that it gives the flow. `keep` is off where no line will be printed.
    pub fn learn(&mut self, evidence: Evidence, keep: bool) -> Vec<Name> {
        let mut names = Vec::new();
        self.has_http |= matches!(evidence, Evidence::Http(_) | Evidence::HttpResponse(_));
        match evidence {
            Evidence::Tls(hello) => {
                if sniff::encrypted_dns(&hello, self.ends.server.port) {
                    self.hint.get_or_insert(Visibility::EncryptedDns);
                }
                if sniff::private_relay(&hello) {
                    self.hint.get_or_insert(Visibility::Tunnel);
                }
                let via = Via::from(hello.carrier);
                names.extend(hello.sni.as_deref().map(|sni| self.name(via, sni, keep)));
                self.has_hello = true;
                if self.ech == Ech::Real {
                    // What stands in the clear is the name of a front.
                    self.hint = Some(Visibility::Ech);
                    names.clear();
                }
                if keep {
                    self.told().hello = Some(hello);
                }
            }
            Evidence::Certificate(certificate) => {
                // Their number has a bound of its own in the sniffer: those of a large network are hundreds. Where no line
                // will be printed, one is enough to know that the flow has a name.
                let kept = if keep { certificate.names.len() } else { 1 };
                let all = certificate.names.iter().take(kept);
                names
                    .extend(all.map(|name| Name { via: Via::Certificate, name: (&**name).into() }));
                if keep {
                    self.told().names.extend(names.iter().cloned());
                }
                names.truncate(1);
            }
            Evidence::Http(HttpRequest { host: Some(host), port }) => match port {
                // The line shows the authority as it was sent, with its port; signatures know hosts alone.
                Some(port) if keep => {
                    self.name(Via::HttpHost, &format!("{host}:{port}"), keep);
                    names.push(Name { via: Via::HttpHost, name: Arc::from(host) });
                }
                _ => names.push(self.name(Via::HttpHost, &host, keep)),
            },
            Evidence::Dns(message) => {
                self.hint.get_or_insert(Visibility::Infrastructure);
                if keep {
                    for (question, _) in message.questions() {
                        self.name(Via::DnsQuery, question, keep);
                    }
                    self.told().dns.push(message);
                }
            }
            Evidence::Smtp(smtp) => {
                for name in [smtp.greeting, smtp.hello, smtp.sender].iter().flatten() {
                    names.push(self.name(Via::Smtp, name, keep));
                }
                for name in &smtp.recipients {
                    names.push(self.name(Via::Smtp, name, keep));
                }
            }
            Evidence::Tunnel(tunnel) => {
                names.push(self.name(tunnel.kind.into(), &tunnel.host, keep))
            }
            Evidence::Native(seen) => {
                let name = self.name(Via::Native, seen.protocol, keep);
                let class = native::class(seen.protocol);
                self.native |= class.is_some_and(|class| class != Class::Tunnel);
                match class {
                    // What is inside has no name: the line shows the protocol, visibility the reason.
                    Some(Class::Tunnel) => {
                        self.hint.get_or_insert(Visibility::Tunnel);
                    }
                    Some(Class::Media) => {}
                    Some(Class::RemoteAssistance) | None => names.push(name),
                }
            }
            Evidence::Dhcp(_) => {
                self.hint.get_or_insert(Visibility::Infrastructure);
            }
            Evidence::Http(_) | Evidence::HttpResponse(_) | Evidence::Payload(_) => {}
        }
        names
    }

    /// Whether a name of this rank decides about the flow, and not only helps where others are nobody's.
    pub fn rises_to(&mut self, via: Via) -> bool {
        let rises = via.rank() >= self.rank;
        self.rank = self.rank.max(via.rank());
        rises
    }

    pub fn has_full_part(&self) -> bool {
        self.told.as_ref().is_some_and(|told| told.dns.len() >= DNS_PART)
    }

    /// Presence or session, for flows of which that can be said: relays of a vendor, remote assistance, media.
    pub fn activity(&self) -> Option<Activity> {
        let relay = self.contact.as_ref().is_some_and(|c| c.verdict.role == Role::Relay);
        (relay || self.native).then(|| self.pulse.activity())
    }

    /// TLS or HTTP was read in it.
    pub const fn speaks_web(&self) -> bool {
        self.has_hello || self.has_http
    }

    /// Octets that the server sent.
    pub const fn received(&self) -> u64 {
        self.received.bytes
    }

    /// Octets that the client sent, and that it received.
    pub const fn octets_each_way(&self) -> (u64, u64) {
        (self.sent.bytes, self.received.bytes)
    }

    /// Octets both ways.
    pub const fn octets(&self) -> u64 {
        self.sent.bytes + self.received.bytes
    }

    pub const fn is_named(&self) -> bool {
        self.rank > 0
    }

    /// Whether DNS may name it, asked once: a flow that has a name of its own, or carries DNS itself, needs none.
    pub fn wants_dns(&mut self) -> bool {
        let first = !std::mem::replace(&mut self.asked_dns, true);
        first && !self.is_named() && self.hint != Some(Visibility::Infrastructure)
    }

    /// Whether the range of its server's address may name it, asked once and last. Where DNS has several owners' names for the
    /// address, it is shared, and nobody's evidence.
    pub fn wants_address(&mut self) -> bool {
        let first = !std::mem::replace(&mut self.asked_address, true);
        let shared = self.is_shared;
        first && !shared && !self.is_named() && self.hint != Some(Visibility::Infrastructure)
    }

    /// How the octets of a named flow count in visibility.
    pub fn named_as(&self) -> Visibility {
        match self.left_out {
            Some(reason) => reason,
            None if self.contact.is_some() => Visibility::Named,
            None => self.hint.unwrap_or(Visibility::UnknownName),
        }
    }

    /// Why a flow has no name that ended with this sight.
    pub fn unnamed_as(&self, sight: Sight) -> Visibility {
        if let Some(hint) = self.hint {
            return hint;
        }
        if self.has_hello {
            return Visibility::NoSni;
        }
        match sight {
            Sight::MidStream => Visibility::MidStream,
            Sight::Incomplete => Visibility::Incomplete,
            Sight::QuicSealed => Visibility::QuicSealed,
            Sight::Empty => Visibility::Empty,
            Sight::Pending | Sight::Read | Sight::Foreign => Visibility::NotTls,
        }
    }

    pub fn name(&mut self, via: Via, name: &str, keep: bool) -> Name {
        if !keep {
            return Name { via, name: Arc::from(name) };
        }
        let names = &mut self.told().names;
        if let Some(known) = names.iter().find(|n| n.via == via && &*n.name == name) {
            return known.clone();
        }
        let name = Name { via, name: Arc::from(name) };
        if names.len() < MAX_NAMES {
            names.push(name.clone());
        }
        name
    }

    /// The line of this flow: the whole, or the next part of a long one.
    pub fn line(&mut self, at: Time, ended: Option<(Time, End, Visibility)>) -> FlowLine {
        let activity = self.activity();
        let told = self.told.get_or_insert_default();
        let part = (told.parts > 0 || ended.is_none()).then_some(told.parts);
        told.parts += 1;
        let hello = told.hello.as_ref();
        let contact = self.contact.as_ref();
        FlowLine {
            id: self.id,
            part,
            start: ended.map(|(start, ..)| start),
            end: at,
            transport: self.ends.transport.name(),
            client: Place::from(self.ends.client),
            server: Place::from(self.ends.server),
            community_id: community_id(self.ends.client, self.ends.server, self.ends.transport),
            tunnels: tunnels(self.ends),
            names: std::mem::take(&mut told.names),
            dns: std::mem::take(&mut told.dns).into_iter().map(DnsLine::from).collect(),
            alpn: hello.map(|h| h.alpn.clone()).unwrap_or_default(),
            tls_versions: hello.map(|h| h.versions.clone()).unwrap_or_default(),
            ech: self.has_hello.then_some(self.ech),
            ja4: hello.and_then(|h| h.ja4.as_ref()).map(Ja4::text),
            sent: self.sent,
            received: self.received,
            vendor: contact.map(|c| c.verdict.vendor.id.clone()),
            tenant: contact.and_then(|c| c.verdict.tenant.clone()),
            role: contact.map(|c| c.verdict.role.name()),
            deployment: contact.map(|c| c.deployment),
            via: contact.map(|c| c.name.via),
            signature: contact.map(|c| c.verdict.signature.clone()),
            // What the configuration declares stands in no file of the catalogue.
            file: contact
                .filter(|c| *c.verdict.signature != *OWN_NAMES)
                .map(|c| c.verdict.vendor.file.clone()),
            confidence: contact.map(|c| c.verdict.confidence),
            chain: match contact {
                Some(contact) if contact.name.via != Via::Dns => contact.chain.clone(),
                _ => std::mem::take(&mut told.chain),
            },
            candidates: std::mem::take(&mut told.candidates),
            activity,
            relation: contact.map(|c| c.relation.name()),
            state: contact.map(|c| c.decision.state.name()),
            group: contact.map(|c| c.key.group.clone()),
            visibility: ended.map(|(.., visibility)| visibility),
            ended: ended.map(|(_, end, _)| end),
        }
    }
}

/// One line of `--flows`.
#[derive(Debug, Serialize)]
pub struct FlowLine {
    /// The number of the frame that began the flow.
    pub id: u64,
    /// Present where a long flow is told in several lines with the same `id`, counted from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub part: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start: Option<Time>,
    pub end: Time,
    pub transport: &'static str,
    pub client: Place,
    pub server: Place,
    pub community_id: String,
    /// What its packets came through: `vlan`, and the kinds of `saastap_decode_tunnel_frames_total`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tunnels: Vec<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<Name>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dns: Vec<DnsLine>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub alpn: Vec<Box<str>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tls_versions: Vec<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ech: Option<Ech>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ja4: Option<Box<str>>,
    pub sent: Tally,
    pub received: Tally,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vendor: Option<Arc<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<Arc<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deployment: Option<Deployment>,
    /// What gave the vendor: the kind of name, the signature and how sure it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub via: Option<Via>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signature: Option<Arc<str>>,
    /// The file of the signature.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<Arc<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confidence: Option<Confidence>,
    /// How DNS led to the name that the signature knows: the question, CNAMEs, and the address where that gave the name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub chain: Vec<Arc<str>>,
    /// Names that the server's address has in DNS, where they are several owners' and none decides.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub candidates: Vec<Arc<str>>,
    /// Whether a relay, remote assistance or media only kept in touch, or somebody was connected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub activity: Option<Activity>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub relation: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<Arc<str>>,
    /// `named`, or the reason why the flow has no name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub visibility: Option<Visibility>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended: Option<End>,
}

#[derive(Debug, Serialize)]
pub struct Place {
    pub ip: IpAddr,
    pub port: u16,
}

impl From<Endpoint> for Place {
    fn from(end: Endpoint) -> Self {
        Self { ip: end.ip.ip(), port: end.port }
    }
}

fn tunnels(ends: Ends) -> Vec<&'static str> {
    ends.vlan.map(|_| "vlan").into_iter().chain(ends.tunnels.iter().map(Tunnel::name)).collect()
}

/// One line of JSON in ASCII alone: names come from the wire, and what reads the line may know no other encoding.
pub fn write_ascii(out: &mut impl Write, value: &impl Serialize) -> io::Result<()> {
    let text = serde_json::to_string(value)?;
    let mut rest = text.as_str();
    while let Some(at) = rest.find(|c: char| !c.is_ascii() || c == '\u{7f}') {
        let (ascii, other) = rest.split_at(at);
        out.write_all(ascii.as_bytes())?;
        let mut chars = other.chars();
        if let Some(c) = chars.next() {
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(out, "\\u{unit:04x}")?;
            }
        }
        rest = chars.as_str();
    }
    out.write_all(rest.as_bytes())?;
    out.write_all(b"\n")
}

/// A worker may have hundreds of thousands of live flows.
const _: () = assert!(size_of::<Record>() <= 192);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::{Address, Transport, Tunnels};

    fn record() -> Record {
        let end = Endpoint { ip: Address::v4([192, 0, 2, 1]), port: 80 };
        let ends = Ends {
            client: end,
            server: end,
            transport: Transport::Tcp,
            vlan: None,
            tunnels: Tunnels::default(),
        };
        Record::new(1, ends)
    }

    fn request(host: &str) -> Evidence {
        Evidence::Http(HttpRequest { host: Some(host.into()), ..HttpRequest::default() })
    }

    #[test]
    fn a_flow_without_a_line_keeps_no_names() {
        let (mut without, mut with) = (record(), record());
        for i in 0..100 {
            let host = format!("h{i}.example");
            assert_eq!(&*without.learn(request(&host), false)[0].name, host);
            with.learn(request(&host), true);
        }
        without.learn(Evidence::Tls(ClientHello::default()), false);
        assert!(!without.is_named() && without.rises_to(Via::HttpHost));
        assert_eq!(with.told().names.len(), MAX_NAMES);
        assert!(without.told.is_none() && without.has_hello && without.is_named());
    }

    #[test]
    fn private_relay_is_a_tunnel_whatever_its_name() {
        let hello = |sni: &str| ClientHello { sni: Some(sni.into()), ..ClientHello::default() };
        for (sni, reason) in [
            ("mask.icloud.com", Visibility::Tunnel),
            ("www.icloud.com", Visibility::UnknownName),
            ("dns.google", Visibility::EncryptedDns),
        ] {
            let mut record = record();
            record.learn(Evidence::Tls(hello(sni)), false);
            assert_eq!(record.named_as(), reason, "{sni}");
        }
    }

    #[test]
    fn a_part_of_a_line_takes_no_name_from_its_flow() {
        let mut record = record();
        record.learn(request("a.example"), true);
        record.rises_to(Via::HttpHost);
        record.line(Time::ZERO, None);
        assert!(record.is_named());
    }

    #[test]
    fn json_is_ascii_and_means_the_same() {
        let mut out = Vec::new();
        write_ascii(&mut out, &["h\u{e9}llo", "\u{1f600}\u{fffd}\u{7f}", "plain"]).unwrap();
        assert!(out.is_ascii());
        let back: Vec<String> = serde_json::from_slice(&out).unwrap();
        assert_eq!(back, ["h\u{e9}llo", "\u{1f600}\u{fffd}\u{7f}", "plain"]);
    }
}
