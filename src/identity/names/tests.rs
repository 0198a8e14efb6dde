//! Names from answers: whose question, by which chain, for how long; and what a resolver's own questions show.

use super::*;
use crate::decode::Address;
use crate::sniff::DnsAnswer;
use crate::sniff::dns::{DnsFlags, Section, Service, rtype};

const CLIENT: &str = "10.0.0.5";
const RESOLVER: &str = "10.0.0.53";
const ZENDESK: &str = "216.198.53.1";

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn end(text: &str, port: u16) -> Endpoint {
    let ip = match ip(text) {
        IpAddr::V4(ip) => Address::v4(ip.octets()),
        IpAddr::V6(ip) => Address::v6(ip.octets()),
    };
    Endpoint { ip, port }
}

fn record(name: &str, ttl: u32, rtype: u16, data: &str) -> DnsAnswer {
    DnsAnswer {
        section: Section::Answer,
        name: name.into(),
        rtype,
        ttl,
        data: data.into(),
        address: data.parse().ok(),
        service: None,
    }
}

fn a(name: &str, ttl: u32, address: &str) -> DnsAnswer {
    record(name, ttl, rtype::A, address)
}

fn cname(name: &str, ttl: u32, target: &str) -> DnsAnswer {
    record(name, ttl, rtype::CNAME, target)
}

fn https(name: &str, priority: u16, target: &str, hints: &[&str]) -> DnsAnswer {
    let hints = hints.iter().map(|hint| ip(hint)).collect();
    let service = Service { priority, target: target.into(), hints, ..Service::default() };
    DnsAnswer { service: Some(Box::new(service)), ..record(name, 300, rtype::HTTPS, "") }
}

fn answer(question: &str, answers: &[DnsAnswer]) -> DnsMessage {
    let answers = answers.to_vec();
    let flags = DnsFlags { recursion_desired: true, ..DnsFlags::default() };
    DnsMessage { response: true, flags, question: question.into(), answers, ..Default::default() }
}

fn names() -> Names {
    Names::new(&Options::default())
}

fn at(secs: u64) -> Time {
    Time::from_secs(1_800_000_000 + secs)
}

/// A client is answered by its resolver.
fn below(names: &mut Names, client: &str, message: &DnsMessage, secs: u64) {
    names.learn(end(client, 40_000), end(RESOLVER, 53), false, message, at(secs));
}

/// A resolver is answered by a server that has the name.
fn above(names: &mut Names, server: &str, message: &DnsMessage, secs: u64) {
    let message = DnsMessage { flags: DnsFlags::default(), ..message.clone() };
    names.learn(end(RESOLVER, 40_000), end(server, 53), false, &message, at(secs));
}

/// Names in their order, each with its chain; and whose question it was.
fn told(names: &Names, client: &str, server: &str, secs: u64) -> (Vec<String>, Option<Source>) {
    let Some(found) = names.of_flow(ip(client), ip(server), at(secs)) else {
        return (Vec::new(), None);
    };
    let shown = |c: &Candidate| {
        let chain: Vec<&str> = c.chain.iter().map(|name| &**name).collect();
        [&[&*c.name], &chain[..]].concat().join(" > ")
    };
    (found.names.iter().map(shown).collect(), Some(found.source))
}

fn chain(names: &Names, name: &str, secs: u64) -> Vec<String> {
    names.chain(name, at(secs)).iter().map(|name| name.to_string()).collect()
}

/// What a client gets for a vanity host.
fn vanity() -> DnsMessage {
    answer(
        "Support.Acme.com",
        &[cname("support.acme.com", 300, "ACME.zendesk.com"), a("acme.zendesk.com", 60, ZENDESK)],
    )
}

#[test]
fn the_question_names_the_flow_to_the_address_that_it_led_to() {
    let mut names = names();
    below(&mut names, CLIENT, &vanity(), 0);
    let expected = vec!["support.acme.com > acme.zendesk.com".to_owned()];
    assert_eq!(told(&names, CLIENT, ZENDESK, 1), (expected.clone(), Some(Source::Client)));
    assert_eq!(told(&names, "10.0.0.6", ZENDESK, 1), (expected, Some(Source::Others)));
    assert_eq!(told(&names, CLIENT, "216.198.53.2", 1).1, None);
    assert_eq!(chain(&names, "support.acme.com.", 1), ["acme.zendesk.com"]);
    assert_eq!(names.owners("acme.zendesk.com", at(1)), ["support.acme.com".into()]);
}

#[test]
fn a_name_lasts_as_its_ttl_within_floor_and_cap() {
    for (ttl, lasts) in [(0, 60), (300, 300), (1_000_000, 86_400), (u32::MAX, 86_400)] {
        let mut names = names();
        below(&mut names, CLIENT, &answer("a.example", &[a("a.example", ttl, ZENDESK)]), 0);
        assert!(told(&names, CLIENT, ZENDESK, lasts).1.is_some(), "{ttl}");
        assert_eq!(told(&names, CLIENT, ZENDESK, lasts + 1).1, None, "{ttl}");
    }
    // The shortest on the way counts, and a later answer's shorter rest takes nothing away.
    let mut names = names();
    below(&mut names, CLIENT, &vanity(), 0);
    assert_eq!(told(&names, CLIENT, ZENDESK, 61).1, None);
    below(&mut names, CLIENT, &answer("a.example", &[a("a.example", 500, ZENDESK)]), 100);
    below(&mut names, "10.0.0.6", &answer("a.example", &[a("a.example", 60, ZENDESK)]), 200);
    assert_eq!(told(&names, "10.0.0.7", ZENDESK, 599).1, Some(Source::Others));
}

#[test]
fn a_shared_address_has_all_its_names() {
    let mut names = names();
    for i in 0..20 {
        let host = format!("h{i}.example");
        below(&mut names, CLIENT, &answer(&host, &[a(&host, 300, ZENDESK)]), i);
        let found = names.of_flow(ip(CLIENT), ip(ZENDESK), at(i)).unwrap();
        assert_eq!(found.names.len() as u64, (i + 1).min(8));
        assert_eq!(&*found.names[0].name, host);
        assert_eq!(found.more, i >= 8);
    }
    let found = names.of_flow(ip(CLIENT), ip(ZENDESK), at(319)).unwrap();
    assert_eq!((found.names.len(), found.more), (1, false), "the others have run out");
}

#[test]
fn a_name_that_was_learned_after_the_flow_began_is_not_its_name() {
    let mut names = names();
    below(&mut names, CLIENT, &answer("a.example", &[a("a.example", 60, ZENDESK)]), 10);
    below(&mut names, CLIENT, &answer("b.example", &[a("b.example", 60, ZENDESK)]), 20);
    let began = |secs| -> Vec<String> {
        let found = names.of_flow(ip(CLIENT), ip(ZENDESK), at(secs));
        found.map_or_else(Vec::new, |f| f.names.iter().map(|c| c.name.to_string()).collect())
    };
    assert!(began(9).is_empty());
    assert_eq!(began(15), ["a.example"]);
    assert_eq!(began(25), ["b.example", "a.example"]);
    assert_eq!(began(75), ["b.example"]);
}

#[test]
fn only_what_the_question_leads_to_is_believed() {
    let mut names = names();
    let mut poison = answer(
        "www.evil.example",
        &[
            a("acme.zendesk.com", 300, "192.0.2.66"),
            cname("support.acme.com", 300, "evil.example"),
            a("www.evil.example", 300, "192.0.2.1"),
        ],
    );
    below(&mut names, CLIENT, &poison, 0);
    assert_eq!(told(&names, CLIENT, "192.0.2.66", 1).1, None);
    assert!(chain(&names, "support.acme.com", 1).is_empty());
    assert_eq!(told(&names, CLIENT, "192.0.2.1", 1).0, ["www.evil.example"]);
    poison.rcode = 3;
    poison.answers = vec![a("www.evil.example", 300, "192.0.2.2")];
    below(&mut names, CLIENT, &poison, 0);
    poison.rcode = 0;
    poison.response = false;
    below(&mut names, CLIENT, &poison, 0);
    poison.response = true;
    poison.question = "not a host".into();
    below(&mut names, CLIENT, &poison, 0);
    assert_eq!(told(&names, CLIENT, "192.0.2.2", 1).1, None);
}

#[test]
fn loops_of_cnames_end() {
    let mut names = names();
    for (owner, target) in [("a.example", "b.example"), ("b.example", "a.example")] {
        below(&mut names, CLIENT, &answer(owner, &[cname(owner, 300, target)]), 0);
    }
    assert_eq!(chain(&names, "a.example", 1), ["b.example"]);
    assert_eq!(names.owners("a.example", at(1)), ["b.example".into()]);
    let mut long = Vec::new();
    for i in 0..100 {
        long.push(cname(&format!("c{i}.example"), 300, &format!("c{}.example", i + 1)));
    }
    below(&mut names, CLIENT, &answer("c0.example", &long), 0);
    assert!((10..=16).contains(&chain(&names, "c0.example", 1).len()));
}

#[test]
fn a_link_that_was_left_is_forgotten() {
    let mut names = names();
    below(&mut names, CLIENT, &vanity(), 0);
    let moved = answer("support.acme.com", &[a("support.acme.com", 300, "192.0.2.9")]);
    below(&mut names, CLIENT, &moved, 10);
    assert!(chain(&names, "support.acme.com", 11).is_empty());
    assert!(names.owners("acme.zendesk.com", at(11)).is_empty());
    let elsewhere = answer("support.acme.com", &[cname("support.acme.com", 300, "d.example")]);
    below(&mut names, CLIENT, &vanity(), 20);
    below(&mut names, CLIENT, &elsewhere, 1_000);
    assert_eq!(chain(&names, "support.acme.com", 1_000), ["d.example"]);
    assert!(names.owners("acme.zendesk.com", at(1_000)).is_empty());
}

#[test]
fn a_vanity_host_is_remembered_for_days() {
    let mut names = names();
    below(&mut names, CLIENT, &vanity(), 0);
    let week = 7 * 86_400;
    assert_eq!(chain(&names, "support.acme.com", week), ["acme.zendesk.com"]);
    assert!(chain(&names, "support.acme.com", week + 1).is_empty());
}

#[test]
fn https_records_lead_on_and_hint() {
    let mut names = names();
    let alias = answer(
        "acme.com",
        &[
            https("acme.com", 0, "acme.zendesk.com", &[]),
            https("acme.zendesk.com", 1, "", &[ZENDESK, "2606:4700::1"]),
        ],
    );
    below(&mut names, CLIENT, &alias, 0);
    assert_eq!(told(&names, CLIENT, ZENDESK, 1).0, ["acme.com > acme.zendesk.com"]);
    assert_eq!(told(&names, CLIENT, "2606:4700::1", 1).0, ["acme.com > acme.zendesk.com"]);
    assert_eq!(chain(&names, "acme.com", 1), ["acme.zendesk.com"]);
    let served = https("b.example", 1, "pool.example", &["192.0.2.7"]);
    below(&mut names, CLIENT, &answer("b.example", &[served]), 0);
    assert_eq!(told(&names, CLIENT, "192.0.2.7", 1).0, ["b.example > pool.example"]);
}

/// The resolver finds out who has a name: the root and the top level refer it on.
fn referrals(names: &mut Names, secs: u64) {
    for server in ["198.41.0.4", "192.5.6.30"] {
        above(names, server, &answer("acme.com", &[]), secs);
    }
}

#[test]
fn above_a_cold_resolver_the_chain_is_stitched_over_its_questions() {
    let mut names = names();
    referrals(&mut names, 0);
    let first = [cname("support.acme.com", 300, "acme.zendesk.com")];
    above(&mut names, "192.0.2.53", &answer("support.acme.com", &first), 1);
    let second = [a("acme.zendesk.com", 60, ZENDESK)];
    above(&mut names, "192.0.2.54", &answer("acme.zendesk.com", &second), 1);
    let both = vec!["support.acme.com > acme.zendesk.com".into(), "acme.zendesk.com".to_owned()];
    assert_eq!(told(&names, CLIENT, ZENDESK, 2), (both, Some(Source::Resolver)));
    assert_eq!(chain(&names, "support.acme.com", 2), ["acme.zendesk.com"]);
}

#[test]
fn above_a_warm_resolver_the_link_stands_by_its_own_ttl() {
    let mut names = names();
    referrals(&mut names, 0);
    let link = [cname("support.acme.com", 900, "acme.zendesk.com")];
    above(&mut names, "192.0.2.53", &answer("support.acme.com", &link), 0);
    // The resolver keeps the link, and asks for the address alone, again and again.
    for secs in [100, 200, 300] {
        let address = [a("acme.zendesk.com", 60, ZENDESK)];
        above(&mut names, "192.0.2.54", &answer("acme.zendesk.com", &address), secs);
        let (told, _) = told(&names, CLIENT, ZENDESK, secs + 1);
        assert_eq!(told, ["support.acme.com > acme.zendesk.com", "acme.zendesk.com"]);
    }
    let address = [a("acme.zendesk.com", 60, ZENDESK)];
    above(&mut names, "192.0.2.54", &answer("acme.zendesk.com", &address), 901);
    assert_eq!(told(&names, CLIENT, ZENDESK, 902).0, ["acme.zendesk.com"], "its TTL is over");
}

#[test]
fn minimal_responses_and_a_resolver_met_when_it_is_warm_give_what_they_have() {
    let mut names = names();
    referrals(&mut names, 0);
    // No CNAME was ever seen: the target alone is named.
    let address = [a("acme.zendesk.com", 60, ZENDESK)];
    above(&mut names, "192.0.2.54", &answer("acme.zendesk.com", &address), 1);
    let only = vec!["acme.zendesk.com".to_owned()];
    assert_eq!(told(&names, CLIENT, ZENDESK, 2), (only, Some(Source::Resolver)));
    // One server has both names and gives the link without the address, or the other way round.
    let link = [cname("help.acme.com", 300, "pages.acme.com")];
    above(&mut names, "192.0.2.53", &answer("help.acme.com", &link), 3);
    let link = [cname("pages.acme.com", 300, "acme.zendesk.com")];
    above(&mut names, "192.0.2.53", &answer("pages.acme.com", &link), 3);
    let (told, _) = told(&names, CLIENT, ZENDESK, 4);
    let long = "help.acme.com > pages.acme.com > acme.zendesk.com";
    assert!(told.contains(&long.to_owned()), "{told:?}");
    assert_eq!(chain(&names, "help.acme.com", 4), ["pages.acme.com", "acme.zendesk.com"]);
}

#[test]
fn the_vantage_is_told_by_who_asks_how() {
    let position = |names: &mut Names, secs| {
        names.tell(at(secs));
        let rows = [Counter::Below, Counter::Above, Counter::None];
        rows.map(|row| names.cells().get(row))
    };
    let mut names = names();
    assert_eq!(position(&mut names, 0), [0, 0, 1]);
    referrals(&mut names, 0);
    assert_eq!(position(&mut names, 1), [0, 1, 0]);
    assert!(names.askers.is_resolver(ip(RESOLVER), at(1)));
    below(&mut names, CLIENT, &vanity(), 2);
    assert_eq!(position(&mut names, 3), [1, 0, 0], "both: more rules work below");
    assert!(!names.askers.is_resolver(ip(CLIENT), at(3)));
    assert_eq!(position(&mut names, 3_700), [0, 0, 1]);
    // Who wishes for recursion is none, until it has not for an hour.
    below(&mut names, RESOLVER, &vanity(), 4_000);
    assert!(!names.askers.is_resolver(ip(RESOLVER), at(4_001)));
    assert!(names.askers.is_resolver(ip(RESOLVER), at(7_700)));
}

#[test]
fn a_declared_resolver_may_forward() {
    let mut names = names();
    names.learn(end(RESOLVER, 40_000), end("9.9.9.9", 53), true, &vanity(), at(0));
    assert_eq!(told(&names, CLIENT, ZENDESK, 1).1, Some(Source::Resolver));
    names.tell(at(1));
    assert_eq!(names.cells().get(Counter::Above), 1);
}

#[test]
fn who_asks_one_server_alone_is_no_resolver() {
    let mut names = names();
    above(&mut names, "192.0.2.53", &vanity(), 0);
    above(&mut names, "192.0.2.53", &vanity(), 1);
    assert_eq!(told(&names, CLIENT, ZENDESK, 2).1, Some(Source::Others));
    above(&mut names, "192.0.2.54", &vanity(), 2);
    assert_eq!(told(&names, CLIENT, ZENDESK, 3).1, Some(Source::Resolver));
}

#[test]
fn multicast_names_are_counted_and_not_believed() {
    let mut names = names();
    for (port, row) in [(5353, Counter::Mdns), (5355, Counter::Llmnr)] {
        let group = end("224.0.0.251", port);
        names.learn(end(CLIENT, 50_000), group, false, &vanity(), at(0));
        assert_eq!(names.cells().get(row), 1);
    }
    assert_eq!(told(&names, CLIENT, ZENDESK, 1).1, None);
    names.tell(at(0));
    assert_eq!(names.cells().get(Counter::None), 1);
}

#[test]
fn names_survive_in_rows_without_clients() {
    let mut names = names();
    below(&mut names, CLIENT, &vanity(), 0);
    below(&mut names, CLIENT, &answer("a.example", &[a("a.example", 3_600, ZENDESK)]), 0);
    below(&mut names, CLIENT, &answer("pc7.corp", &[a("pc7.corp", 3_600, "10.0.0.7")]), 0);
    let rows = names.take_changed(100, at(0), |address| address == ip(ZENDESK));
    assert!(names.take_changed(100, at(0), |_| true).is_empty());
    let text = format!("{rows:?}");
    assert_eq!(rows.len(), 2, "{text}");
    assert!(!text.contains(CLIENT) && !text.contains("pc7"), "{text}");

    let mut later = Names::new(&Options::default());
    let pairs = rows.into_iter().map(|row| (row.key, row.value));
    let broken = [("address/x", "[]"), ("cname/a", "{"), ("x", "[]")];
    let broken = broken.map(|(key, value)| (key.to_owned(), value.to_owned()));
    assert_eq!(later.restore(pairs.chain(broken)), 3);
    assert_eq!(chain(&later, "support.acme.com", 100), ["acme.zendesk.com"]);
    let (told, source) = told(&later, CLIENT, ZENDESK, 100);
    assert_eq!((told, source), (vec!["a.example".to_owned()], Some(Source::Others)));
    assert_eq!(later.of_flow(ip(CLIENT), ip(ZENDESK), at(3_601)), None);
    // A link seen again on another day is saved again; on the same day it is not.
    below(&mut names, CLIENT, &vanity(), 60);
    assert!(names.take_changed(100, at(60), |_| true).is_empty());
    below(&mut names, CLIENT, &vanity(), 86_400);
    assert_eq!(names.take_changed(100, at(86_400), |_| true).len(), 1);
}

#[test]
fn a_chain_without_end_is_followed_for_a_while() {
    let mut names = names();
    for n in 0..40 {
        let (owner, target) = (format!("h{n}.example"), format!("h{}.example", n + 1));
        below(&mut names, CLIENT, &answer(&owner, &[cname(&owner, 300, &target)]), 0);
    }
    assert_eq!(chain(&names, "h0.example", 1).len(), 16);
    assert_eq!(chain(&names, "h30.example", 1).len(), 10);
    assert!(names.owners("h40.example", at(1)).len() <= 16);
    below(
        &mut names,
        CLIENT,
        &answer("h40.example", &[cname("h40.example", 300, "h35.example")]),
        1,
    );
    assert_eq!(chain(&names, "h36.example", 1).len(), 5, "a ring is gone round once");
}

#[test]
fn what_is_not_worth_a_row_takes_no_place_of_others() {
    let mut names = names();
    for n in 0..50 {
        let address = format!("10.0.0.{n}");
        below(&mut names, CLIENT, &answer("pc.corp", &[a("pc.corp", 3_600, &address)]), 0);
    }
    below(&mut names, CLIENT, &answer("a.example", &[a("a.example", 3_600, ZENDESK)]), 0);
    let outside = |address| !is_inside(address);
    assert_eq!(names.take_changed(1, at(0), outside).len(), 1);
}

#[test]
fn changes_that_cannot_wait_are_counted() {
    let mut names = names();
    for n in 0..=rows::MAX_CHANGED as u32 {
        let address = IpAddr::V4(n.into()).to_string();
        below(&mut names, CLIENT, &answer("a.example", &[a("a.example", 3_600, &address)]), 0);
    }
    assert_eq!(names.cells().get(Counter::Unsaved), 1);
    let renewed = a("a.example", 86_400, "0.0.0.1");
    below(&mut names, CLIENT, &answer("a.example", &[renewed]), 0);
    assert_eq!(names.cells().get(Counter::Unsaved), 1, "it waits already");
    assert_eq!(names.take_changed(usize::MAX, at(0), |_| true).len(), rows::MAX_CHANGED);
}

#[test]
fn addresses_inside_are_told_by_their_range() {
    for inside in ["10.0.0.1", "192.168.1.1", "100.64.0.1", "100.127.255.1", "fd00::1", "fe80::1"] {
        assert!(is_inside(ip(inside)), "{inside}");
    }
    for outside in ["100.63.0.1", "100.128.0.1", "198.18.1.11", "2001:db8::1", "216.198.53.1"] {
        assert!(!is_inside(ip(outside)), "{outside}");
    }
}

#[test]
fn all_tables_stay_within_their_memory() {
    let mut names = Names::new(&Options { max_mib: 1, ..Options::default() });
    for i in 0..6_000u32 {
        let host = format!("h{i}.{}.example", "x".repeat(200));
        let target = format!("t{i}.{}.example", "y".repeat(200));
        let address = IpAddr::V4(i.into()).to_string();
        let answers = [cname(&host, 300, &target), a(&target, 300, &address)];
        below(&mut names, &address, &answer(&host, &answers), 0);
    }
    names.tell(at(0));
    let held = |row| names.cells().get(row);
    assert!(held(Counter::Pairs) < 2_000 && held(Counter::Servers) < 2_000);
    assert!(held(Counter::Links) < 2_000 && held(Counter::Links) > 50);
    assert!(held(Counter::Forgotten) > 10_000);
}
