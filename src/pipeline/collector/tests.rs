//! What the collector makes of what workers tell: names of flows that have none, legs of proxies, ends that were never told.

use tempfile::TempDir;

use super::*;
use crate::config::Config;
use crate::decode::{Address, Transport, Tunnels};
use crate::export::Metrics;
use crate::flow::{End, Tally};
use crate::identity::remembered;
use crate::pipeline::name::Via;
use crate::pipeline::offline;
use crate::pipeline::update::Interim;
use crate::sniff::dns::{DnsFlags, EchConfig, Section, Service, rtype};
use crate::sniff::{
    ClientHello, Dhcp, DhcpEvent, DnsAnswer, DnsMessage, EchOffer, EchOuter, Evidence, HttpRequest,
};

/// A vendor that shows itself by a name, an address range and a fingerprint.
const SHEET: &str = r#"id = "tool"
name = "Tool"
categories = ["remote-assistance"]
deployment = "cloud"
homepage = "https://tool.example"
[[match]]
domain = "tool.example"
role = "relay"
source = "here"
[[match]]
cidr = "192.0.2.0/24"
role = "relay"
confidence = "low"
source = "here"
[[match]]
ja4 = "t13d1516h2_8daaf6152771_b186095e22b6"
role = "relay"
confidence = "low"
source = "here"
[[example]]
host = "tool.example"
expect = { role = "relay" }
[[example]]
host = "nottool.example"
expect = "none"
[[example]]
address = "192.0.2.1"
expect = { role = "relay" }
[[example]]
ja4 = "t13d1516h2_8daaf6152771_b186095e22b6"
expect = { role = "relay" }
"#;

/// The collector of a configuration, told flow by flow.
struct Desk {
    collector: Collector,
    told: u64,
    at: Time,
    _dir: TempDir,
}

impl Desk {
    fn new(config: &str) -> Self {
        let dir = TempDir::new().unwrap();
        std::fs::write(dir.path().join("tool.toml"), SHEET).unwrap();
        let text = format!("[signatures]\ndirs = ['{}']\n{config}", dir.path().display());
        let config = Config::parse("x.toml", text).unwrap();
        let rules = Arc::new(InForce::new(Rules::load(&config).unwrap()));
        let metrics = Metrics::new(&config.metrics).unwrap();
        let collector = offline::collector(&config, rules, &metrics, [7; 32], true).unwrap();
        Self { collector, told: 0, at: Time::from_secs(1_700_000_000), _dir: dir }
    }

    /// A TCP flow of 1,000 octets of payload that showed this evidence, and ended; its line.
    fn flow(&mut self, client: [u8; 4], server: [u8; 4], evidence: Option<Evidence>) -> FlowLine {
        let sight = if evidence.is_some() { Sight::Read } else { Sight::Foreign };
        self.end(client, server, evidence, sight)
    }

    /// One that is older than the capture.
    fn late(&mut self, client: [u8; 4], server: [u8; 4]) -> FlowLine {
        self.end(client, server, None, Sight::MidStream)
    }

    fn end(
        &mut self,
        client: [u8; 4],
        server: [u8; 4],
        evidence: Option<Evidence>,
        sight: Sight,
    ) -> FlowLine {
        let end = |ip, port| Endpoint { ip: Address::v4(ip), port };
        self.between(end(client, 40_000), end(server, 443), evidence, sight)
    }

    fn between(
        &mut self,
        client: Endpoint,
        server: Endpoint,
        evidence: Option<Evidence>,
        sight: Sight,
    ) -> FlowLine {
        self.tell(client, server, evidence, sight);
        self.collector.lines.pop().unwrap()
    }

    fn tell(
        &mut self,
        client: Endpoint,
        server: Endpoint,
        evidence: Option<Evidence>,
        sight: Sight,
    ) {
        let ends = Ends {
            client,
            server,
            transport: Transport::Tcp,
            vlan: None,
            tunnels: Tunnels::default(),
        };
        self.told += 1;
        self.at = self.at.plus_secs(1);
        let (id, at) = (self.told, self.at);
        let delta = Delta {
            sent: Tally { bytes: 1_000, packets: 2, spoken: 1 },
            minute: 1,
            ..Delta::default()
        };
        let ended = Ended { ends, delta, start: at, last: at, end: End::Closed, sight };
        let evidence = evidence.map(|evidence| What::Evidence(Box::new((ends, evidence))));
        for what in evidence.into_iter().chain([What::Ended(Box::new(ended))]) {
            self.collector.take(0, Update { ordinal: id, at, slot: 0, id, what });
        }
    }

    /// A flow of which no line may come.
    fn silent(&mut self, client: [u8; 4], server: [u8; 4], evidence: Option<Evidence>) {
        let end = |ip, port| Endpoint { ip: Address::v4(ip), port };
        self.tell(end(client, 40_000), end(server, 443), evidence, Sight::Read);
    }

    /// A client learns by DNS that a name is at an address.
    fn resolve(&mut self, client: [u8; 4], name: &str, address: [u8; 4]) {
        let answer = DnsAnswer {
            section: Section::Answer,
            name: name.into(),
            rtype: rtype::A,
            ttl: 300,
            data: "".into(),
            address: Some(address.into()),
            service: None,
        };
        let flags = DnsFlags { recursion_desired: true, ..DnsFlags::default() };
        let message = DnsMessage {
            response: true,
            flags,
            question: name.into(),
            answers: vec![answer],
            ..DnsMessage::default()
        };
        self.flow(client, [10, 0, 0, 53], Some(Evidence::Dns(message)));
    }

    /// A message of DHCP passes.
    fn dhcp(&mut self, message: Dhcp) {
        let end = |last, port| Endpoint { ip: Address::v4([10, 0, 0, last]), port };
        self.between(end(5, 68), end(67, 67), Some(Evidence::Dhcp(message)), Sight::Read);
    }

    fn findings(&self) -> usize {
        self.collector.raised.len()
    }
}

fn request(host: &str) -> Option<Evidence> {
    Some(Evidence::Http(HttpRequest { host: Some(host.into()), ..HttpRequest::default() }))
}

fn seen(line: &FlowLine) -> (Option<&str>, Option<Via>, Option<Visibility>) {
    (line.vendor.as_deref(), line.via, line.visibility)
}

const CLIENT: [u8; 4] = [10, 0, 0, 5];
const TOOL: [u8; 4] = [192, 0, 2, 7];
const ELSEWHERE: [u8; 4] = [203, 0, 113, 7];

#[test]
fn the_range_of_an_address_names_what_nothing_else_names_and_raises_nothing() {
    let mut desk = Desk::new("");
    let line = desk.flow(CLIENT, TOOL, None);
    assert_eq!(seen(&line), (Some("tool"), Some(Via::Address), Some(Visibility::Named)));
    assert_eq!(line.confidence, Some(Confidence::Low));
    assert_eq!(line.signature.as_deref(), Some("cidr 192.0.2.0/24"));
    assert!(line.file.as_deref().unwrap().ends_with("tool.toml"));
    assert_eq!((desk.collector.inventory.len(), desk.findings()), (1, 0));
    let line = desk.flow(CLIENT, ELSEWHERE, None);
    assert_eq!(seen(&line), (None, None, Some(Visibility::NotTls)));
    // A name decides, be it nobody's.
    let line = desk.flow(CLIENT, TOOL, request("www.shop.example"));
    assert_eq!(seen(&line), (None, None, Some(Visibility::UnknownName)));
    let line = desk.flow(CLIENT, ELSEWHERE, request("tool.example"));
    assert_eq!(seen(&line).1, Some(Via::HttpHost));
    assert!(desk.findings() > 0, "by its name it raises what it should");
}

#[test]
fn an_address_that_dns_knows_by_name_is_not_judged_by_its_range() {
    let mut desk = Desk::new("");
    desk.resolve(CLIENT, "www.shop.example", TOOL);
    let line = desk.flow(CLIENT, TOOL, None);
    assert_eq!(seen(&line), (None, None, Some(Visibility::UnknownName)));
    desk.resolve(CLIENT, "www.news.example", TOOL);
    let line = desk.flow(CLIENT, TOOL, None);
    assert_eq!(seen(&line), (None, None, Some(Visibility::NotTls)), "it is shared");
    assert_eq!(line.candidates.len(), 2);
}

#[test]
fn a_fingerprint_helps_where_the_name_is_nobodys_and_raises_nothing() {
    let mut desk = Desk::new("");
    let hello = |sni: &str| {
        let ja4 = Some("t13d1516h2_8daaf6152771_b186095e22b6".into());
        Some(Evidence::Tls(ClientHello { sni: Some(sni.into()), ja4, ..ClientHello::default() }))
    };
    let line = desk.flow(CLIENT, ELSEWHERE, hello("host.shop.example"));
    assert_eq!(seen(&line), (Some("tool"), Some(Via::Ja4), Some(Visibility::Named)));
    assert_eq!(desk.findings(), 0);
    let line = desk.flow(CLIENT, ELSEWHERE, hello("acme.zendesk.com"));
    assert_eq!(seen(&line).0, Some("zendesk"));
    let line = desk.flow(CLIENT, ELSEWHERE, hello("tool.example"));
    assert_eq!(seen(&line).1, Some(Via::TlsSni));
    assert!(desk.findings() > 0);
}

#[test]
fn under_real_ech_the_front_names_nobody_and_what_was_asked_for_is_probable() {
    let mut desk = Desk::new("");
    // A record whose configuration has a vendor's own name for its front.
    let config =
        EchConfig { config_id: 7, public_name: "tool.example".into(), suites: vec![(1, 1)] };
    let service = Some(Box::new(Service { ech: vec![config], ..Service::default() }));
    let host = "acme.zendesk.com";
    let answer = DnsAnswer { name: host.into(), rtype: 65, service, ..DnsAnswer::default() };
    let record = DnsMessage {
        response: true,
        question: host.into(),
        qtype: 65,
        answers: vec![answer],
        ..DnsMessage::default()
    };
    desk.flow(CLIENT, [10, 0, 0, 53], Some(Evidence::Dns(record)));
    let hello = || {
        let outer = EchOuter { suite: (1, 1), config_id: 7, enc: 32, payload: 208, digest: 1 };
        let ech = Some(Box::new(EchOffer::Outer(outer)));
        let sni = Some("tool.example".into());
        Some(Evidence::Tls(ClientHello { sni, ech, ..ClientHello::default() }))
    };
    let line = desk.flow(CLIENT, ELSEWHERE, hello());
    assert_eq!((line.ech, seen(&line)), (Some(Ech::Real), (None, None, Some(Visibility::Ech))));
    assert_eq!(desk.findings(), 0, "nobody was reached");
    desk.resolve(CLIENT, host, ELSEWHERE);
    let line = desk.flow(CLIENT, ELSEWHERE, hello());
    assert_eq!(seen(&line), (Some("zendesk"), Some(Via::Dns), Some(Visibility::Named)));
    assert_eq!(line.confidence, Some(Confidence::Low));
    desk.resolve(CLIENT, "www.shop.example", ELSEWHERE);
    let line = desk.flow(CLIENT, ELSEWHERE, hello());
    assert_eq!(seen(&line), (None, None, Some(Visibility::Ech)), "one of several owners");
}

const VANTAGES: &str = "[[vantage]]\nkind = 'proxy'\nnetworks = ['10.1.1.10']
[[vantage]]\nkind = 'nat'\nnetworks = ['198.51.100.1']
[[vantage]]\nkind = 'tls-inspector'\nnetworks = ['10.1.1.11']
[[vantage]]\nkind = 'guest'\nnetworks = ['10.9.0.0/16']\n[[vantage]]\nkind = 'scanner'\nnetworks = ['10.8.0.1']\n";
const PROXY: [u8; 4] = [10, 1, 1, 10];
const INSPECTOR: [u8; 4] = [10, 1, 1, 11];
const NAT: [u8; 4] = [198, 51, 100, 1];

#[test]
fn the_inner_leg_counts_and_the_outer_is_seen() {
    for (client, server, visibility) in [
        (CLIENT, PROXY, Visibility::Named),
        (PROXY, ELSEWHERE, Visibility::SecondLeg),
        (NAT, ELSEWHERE, Visibility::SecondLeg),
        (NAT, PROXY, Visibility::SecondLeg),
        (ELSEWHERE, NAT, Visibility::SecondLeg),
        (CLIENT, INSPECTOR, Visibility::Named),
        (INSPECTOR, ELSEWHERE, Visibility::Named),
        ([10, 9, 3, 4], ELSEWHERE, Visibility::Excluded),
        ([10, 9, 3, 4], PROXY, Visibility::Excluded),
        ([10, 8, 0, 1], ELSEWHERE, Visibility::Excluded),
        (CLIENT, [10, 8, 0, 1], Visibility::Named),
    ] {
        let mut desk = Desk::new(VANTAGES);
        let line = desk.flow(client, server, request("tool.example"));
        let counts = visibility == Visibility::Named;
        assert_eq!(line.visibility, Some(visibility), "{client:?} {server:?}");
        assert_eq!((line.vendor.is_some(), desk.collector.inventory.len() == 1), (counts, counts));
        assert_eq!(desk.findings() > 0, counts);
        // Without a name, and with one of nobody's.
        for evidence in [None, request("www.shop.example")] {
            let line = desk.flow(client, server, evidence);
            assert_eq!(line.visibility == Some(visibility), !counts, "{client:?} {server:?}");
        }
    }
}

#[test]
fn the_questions_of_a_declared_resolver_are_not_its_own() {
    use crate::identity::names::Counter;
    const RESOLVER: [u8; 4] = [10, 0, 0, 9];
    for declared in [true, false] {
        let vantage = "[[vantage]]\nkind = 'resolver'\nnetworks = ['10.0.0.9']\n";
        let mut desk = Desk::new(if declared { vantage } else { "" });
        desk.resolve(RESOLVER, "tool.example", ELSEWHERE);
        desk.collector.names.tell(desk.at);
        let position =
            [Counter::Above, Counter::Below].map(|row| desk.collector.names.cells().get(row));
        assert_eq!(position, if declared { [1, 0] } else { [0, 1] });
        let line = desk.flow(CLIENT, ELSEWHERE, None);
        assert_eq!((line.via, line.confidence), (Some(Via::Dns), Some(Confidence::Low)));
    }
}

#[test]
fn the_address_of_a_proxy_names_nothing() {
    for server in [PROXY, INSPECTOR, [10, 1, 1, 12]] {
        let mut desk = Desk::new(VANTAGES);
        let is_proxy = server != [10, 1, 1, 12];
        desk.resolve(CLIENT, "tool.example", server);
        let named = desk.flow(CLIENT, server, None).via;
        assert_eq!(named, (!is_proxy).then_some(Via::Dns));
        let mut desk = Desk::new(VANTAGES);
        desk.flow(CLIENT, server, request("tool.example"));
        let line = desk.late(CLIENT, server);
        assert_eq!(line.via, (!is_proxy).then_some(Via::Remembered));
        assert_eq!(line.confidence, (!is_proxy).then_some(Confidence::Low));
        let held = desk.collector.remembered.cells().get(remembered::Counter::Held);
        assert_eq!(held, u64::from(!is_proxy), "what is no evidence is not kept");
    }
}

#[test]
fn a_lease_and_what_a_flow_was_outlive_a_restart() {
    let groups = "[[group]]\nname = 'desks'\nhosts = ['desk-*']\n";
    let mut before = Desk::new(groups);
    let lease = |event, seconds| {
        let mac = Some([0x3c, 0x22, 0xfb, 1, 2, 3]);
        let addresses = vec![(CLIENT.into(), seconds)];
        Dhcp { event, mac, name: Some("desk-7".into()), addresses }
    };
    before.dhcp(lease(DhcpEvent::Granted, 3_600));
    let told = before.flow(CLIENT, TOOL, request("tool.example"));
    assert_eq!(told.group.as_deref(), Some("desks"));
    let mut rows = Vec::new();
    while let more = before.collector.changed_names(1)
        && !more.is_empty()
    {
        rows.extend(more.into_iter().map(|row| (row.key, row.value)));
    }
    let plain = |(key, value): &(String, String)| {
        [key, value].iter().any(|text| text.contains("desk-7") || text.contains("10.0.0.5"))
    };
    assert!(rows.len() >= 2 && !rows.iter().any(plain), "{rows:?}");

    let mut after = Desk::new(groups);
    assert_eq!(after.collector.restore_names(rows.clone()), 0);
    let told = after.late(CLIENT, TOOL);
    assert_eq!((told.via, told.group.as_deref()), (Some(Via::Remembered), Some("desks")));
    assert!(after.collector.changed_names(10).is_empty(), "the store knows it");

    before.dhcp(lease(DhcpEvent::Released, 0));
    let gone = before.collector.changed_names(10);
    assert!(gone.iter().any(|row| row.until == Time::ZERO && rows.iter().any(|r| r.0 == row.key)));
}

#[test]
fn the_octets_of_a_flow_whose_end_was_never_told_are_seen() {
    let mut collector = Desk::new("").collector;
    let end = Endpoint { ip: Address::v4([203, 0, 113, 1]), port: 9 };
    let ends = Ends {
        client: end,
        server: end,
        transport: Transport::Udp,
        vlan: None,
        tunnels: Tunnels::default(),
    };
    let sent = Tally { bytes: 1_000, packets: 1, spoken: 1 };
    for id in 0..2 {
        let at = Time::from_secs(1);
        let delta = Delta { sent, ..Delta::default() };
        let interim = Interim { ends, delta, start: at, sight: Sight::Pending };
        let what = What::Counts(Box::new(interim));
        collector.take(0, Update { ordinal: id, at, slot: 3, id, what });
    }
    let rows = collector.seen.visibility_rows();
    assert_eq!(rows.len(), 1, "what the second flow sent is pending: {rows:?}");
    assert_eq!(rows[0].visibility, Visibility::Overload);
    assert_eq!((rows[0].share.flows, rows[0].share.bytes), (1, 1_000));
}

#[test]
fn what_is_never_recorded_is_counted_and_kept_nowhere() {
    let never = "[privacy]\nnever_record = { names = ['council.example'], vendors = ['intercom'], \
                 networks = ['10.0.9.0/24'] }\n[own]\nservers = { '10.0.0.44' = 'zammad' }\n";
    let mut desk = Desk::new(never);
    let line = desk.flow(CLIENT, TOOL, request("tool.example"));
    assert_eq!(line.vendor.as_deref(), Some("tool"));
    let (kept, told) = (desk.collector.inventory.len(), desk.findings());
    let hello = |sni: &str, ja4: &str| {
        let (sni, ja4) = (Some(sni.into()), Some(ja4.into()));
        Some(Evidence::Tls(ClientHello { sni, ja4, ..ClientHello::default() }))
    };
    let known_print = "t13d1516h2_8daaf6152771_b186095e22b6";
    let other: [u8; 4] = [10, 0, 9, 5];
    for (client, server, evidence) in [
        (CLIENT, ELSEWHERE, request("www.council.example")),
        // What else shows whose it is does not make up for that.
        (CLIENT, ELSEWHERE, hello("council.example", known_print)),
        (CLIENT, TOOL, request("council.example")),
        (CLIENT, [10, 0, 0, 44], request("council.example")),
        (CLIENT, ELSEWHERE, request("app.intercom.com")),
        (other, ELSEWHERE, request("tool.example")),
        (other, TOOL, None),
        (CLIENT, other, request("tool.example")),
    ] {
        desk.silent(client, server, evidence);
    }
    let question = DnsMessage { question: "mail.council.example".into(), ..DnsMessage::default() };
    let line = desk.flow(CLIENT, [10, 0, 0, 53], Some(Evidence::Dns(question)));
    assert_eq!(line.visibility, Some(Visibility::Infrastructure));
    assert!(!serde_json::to_string(&line).unwrap().contains("council"));
    assert_eq!((desk.collector.inventory.len(), desk.findings()), (kept, told));
    assert!(desk.collector.lines.is_empty());
    assert_eq!(desk.collector.never.get(NeverCounter::Flows), 8);
    let rows = desk.collector.seen.visibility_rows();
    let excluded = rows.iter().find(|row| row.visibility == Visibility::Excluded).unwrap();
    assert_eq!((excluded.share.flows, excluded.share.bytes), (8, 8_000));
    assert!(desk.collector.seen.candidate_rows().is_empty());
    let rows = desk.collector.changed_names(usize::MAX);
    assert!(!rows.iter().any(|row| format!("{row:?}").contains("council")), "{rows:?}");

    // Others are told as ever.
    let line = desk.flow(CLIENT, TOOL, request("tool.example"));
    assert_eq!(line.vendor.as_deref(), Some("tool"));
}
