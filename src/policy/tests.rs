//! What policy decides, and what it says of each mistake: tables as their user writes them, against four vendors.

use std::net::IpAddr;
use std::sync::Arc;

use super::*;
use crate::signature::{Deployment, TenantVisibility};

fn vendor(
    id: &str,
    categories: &[&str],
    deployment: Deployment,
    visible: TenantVisibility,
) -> Arc<Vendor> {
    Arc::new(Vendor {
        id: id.into(),
        name: id.into(),
        categories: categories.iter().map(|c| Arc::from(*c)).collect(),
        deployment,
        homepage: String::new(),
        tenant_visibility: visible,
        ordinary_inside: false,
        file: "".into(),
    })
}

fn vendors() -> Vec<Arc<Vendor>> {
    use Deployment::{Both, Cloud, OnPremise};
    use TenantVisibility::{Dns, Name, None};
    vec![
        vendor("zendesk", &["helpdesk", "customer-service"], Cloud, Name),
        vendor("intercom", &["customer-service"], Cloud, Dns),
        vendor("teamviewer", &["remote-assistance"], Both, None),
        vendor("zammad", &["helpdesk"], OnPremise, Name),
    ]
}

fn build(text: &str) -> Result<Policy, Faults> {
    let options: Options = toml::from_str(text).unwrap();
    Builder::new(&vendors(), "saastap.toml", text).build(&options)
}

fn faults(text: &str) -> String {
    build(text).unwrap_err().to_string()
}

/// `vendor[/tenant] role group`, decided at the beginning of the year 2027.
fn decide(policy: &Policy, contact: &str) -> Decision {
    decide_at(policy, contact, time("2027-01-01T00:00:00Z"))
}

fn decide_at(policy: &Policy, contact: &str, at: Time) -> Decision {
    let words: Vec<&str> = contact.split(' ').collect();
    let (id, tenant) = match words[0].split_once('/') {
        Some((id, tenant)) => (id, Some(tenant)),
        None => (words[0], None),
    };
    let vendor = vendors().into_iter().find(|v| &*v.id == id).unwrap();
    let role = Role::ALL.into_iter().find(|r| r.name() == words[1]).unwrap();
    let relation = policy.relation(id, tenant);
    let deployment = vendor.deployment;
    let group = words[2];
    policy.decide(&Contact { vendor: &vendor, tenant, role, relation, deployment, group, at })
}

fn time(text: &str) -> Time {
    serde_json::from_str(&format!("\"{text}\"")).unwrap()
}

#[test]
fn without_rules_everything_is_unreviewed() {
    let policy = Policy::default();
    let decision = decide(&policy, "zendesk/acme either other");
    assert_eq!(decision, Decision::default());
    let group = policy.group("10.0.0.1".parse::<IpAddr>().unwrap().into());
    assert_eq!(group, &Group { name: "other".into(), kind: None });
    assert!(policy.named_vendors().is_empty());
}

#[test]
fn the_first_rule_that_matches_decides() {
    let policy = build(
        r#"
[own]
tenants = { zendesk = ["acme", "acme-*"] }
[[group]]
name = "it"
networks = ["10.1.0.0/16"]
[[policy]]
vendor = "zendesk"
tenant = "ACME*"
state = "sanctioned"
[[policy]]
vendor = ["zendesk", "zammad"]
role = ["portal", "widget"]
state = "tolerated"
[[policy]]
relation = "foreign"
state = "unsanctioned"
[[policy]]
category = "remote-assistance"
group = "it"
state = "sanctioned"
[[policy]]
deployment = "on-premise"
group = ["it", "other"]
state = "tolerated"
[[policy]]
category = "remote-assistance"
state = "unsanctioned"
"#,
    )
    .unwrap();
    for (contact, state, rule) in [
        ("zendesk/acme either it", State::Sanctioned, 1),
        ("zendesk/acme-eu widget it", State::Sanctioned, 1),
        ("zendesk/supplier portal it", State::Tolerated, 2),
        ("zendesk/supplier either it", State::Unsanctioned, 3),
        ("zendesk either it", State::Unreviewed, 0),
        ("zendesk widget it", State::Tolerated, 2),
        ("intercom console it", State::Unreviewed, 0),
        ("teamviewer relay it", State::Sanctioned, 4),
        ("teamviewer relay other", State::Unsanctioned, 6),
        ("zammad console other", State::Tolerated, 5),
        ("zammad console sales", State::Unreviewed, 0),
    ] {
        let decision = decide(&policy, contact);
        assert_eq!(decision.state, state, "{contact}");
        let expected = format!("policy[{rule}] (saastap.toml:");
        assert_eq!(decision.rule.is_some_and(|r| r.starts_with(&expected)), rule > 0, "{contact}");
    }
    let decision = decide(&policy, "zendesk/acme either it");
    assert_eq!(decision.rule.as_deref(), Some("policy[1] (saastap.toml:7)"));
    let named: Vec<String> = policy.named_vendors().iter().map(ToString::to_string).collect();
    assert_eq!(named, ["zammad", "zendesk"]);
    let shown: Vec<String> = policy.rules().iter().map(ToString::to_string).collect();
    assert_eq!(shown[0], "vendor zendesk, tenant acme*: sanctioned");
    assert_eq!(shown[4], "group it or other, deployment on-premise: tolerated");
}

#[test]
fn own_tenants_and_names() {
    let policy = build(
        r#"
[own]
domains = ["acme.com"]
tenants = { zendesk = ["acme", "acme-*"] }
names = { "Support.acme.com" = "intercom/Acme", "tickets.acme.com" = "teamviewer" }
servers = { "10.1.2.0/24" = "zammad", "10.1.2.4:443" = "zammad/Own", "[2001:db8::4]:8443" = "teamviewer" }
"#,
    )
    .unwrap();
    assert_eq!(policy.relation("zendesk", Some("Acme-EU")), Relation::Own);
    assert_eq!(policy.relation("zendesk", Some("acmex")), Relation::Foreign);
    assert_eq!(policy.relation("zendesk", None), Relation::Unknown);
    assert_eq!(policy.relation("zammad", Some("acme")), Relation::Foreign);
    assert_eq!(policy.relation("intercom", Some("acme")), Relation::Own);
    assert!(policy.has_own("zendesk") && policy.has_own("intercom"));
    assert!(policy.has_own("zammad"), "a server of ours runs it");
    let (vendor, tenant) = policy.own_name("support.ACME.com.").unwrap();
    assert_eq!((&**vendor, tenant.map(|t| &**t)), ("intercom", Some("acme")));
    let (vendor, tenant) = policy.own_name("tickets.acme.com").unwrap();
    assert_eq!((&**vendor, tenant), ("teamviewer", None));
    assert!(policy.own_name("www.acme.com").is_none());
    let server = |ip: &str, port| {
        let server = policy.own_server(ip.parse().unwrap(), port)?;
        Some((server.vendor.to_string(), server.tenant.map(ToString::to_string), server.by_port))
    };
    let told = |vendor: &str, tenant: Option<&str>, by_port| {
        Some((vendor.to_owned(), tenant.map(str::to_owned), by_port))
    };
    assert_eq!(server("10.1.2.4", 443), told("zammad", Some("own"), true));
    assert_eq!(server("::ffff:10.1.2.4", 80), told("zammad", None, false), "the network's");
    assert_eq!(server("10.1.3.1", 443), None);
    assert_eq!(server("2001:db8::4", 8443), told("teamviewer", None, true));
    assert!(policy.is_own_domain("www.acme.com") && !policy.is_own_domain("acme.org"));
}

#[test]
fn the_longest_network_names_the_group() {
    let policy = build(
        r#"
[[group]]
name = "office"
networks = ["10.0.0.0/8", "2001:db8::/32"]
clients = "host"
[[group]]
name = "vdi"
networks = ["10.20.0.0/16"]
clients = "shared"
[[group]]
name = "kiosk"
networks = ["10.20.30.40"]
"#,
    )
    .unwrap();
    for (address, name, kind) in [
        ("10.1.1.1", "office", Some(ClientKind::Host)),
        ("2001:db8::5", "office", Some(ClientKind::Host)),
        ("10.20.1.1", "vdi", Some(ClientKind::Shared)),
        ("10.20.30.40", "kiosk", None),
        ("192.0.2.1", "other", None),
    ] {
        let group = policy.group(address.parse::<IpAddr>().unwrap().into());
        assert_eq!((&*group.name, group.kind), (name, kind), "{address}");
    }
    assert_eq!(policy.groups().len(), 3);
}

#[test]
fn a_host_name_goes_before_a_hardware_address_and_that_before_a_network() {
    let policy = build(
        r#"
[[group]]
name = "office"
networks = ["10.0.0.0/8"]
[[group]]
name = "phones"
macs = ["3c:22:fb", "3C-22-FC-01-02-03"]
[[group]]
name = "it"
hosts = ["it-*", "jump.acme.com"]
macs = ["3c:22:fb:01"]
[[group]]
name = "laptops"
hosts = ["it-lap*"]
"#,
    )
    .unwrap();
    let (phone, admin) = (Some([0x3c, 0x22, 0xfb, 9, 9, 9]), Some([0x3c, 0x22, 0xfb, 1, 9, 9]));
    for (mac, host, expected) in [
        (None, None, "office"),
        (phone, None, "phones"),
        (admin, None, "it"),
        (Some([0x3c, 0x22, 0xfc, 1, 2, 3]), Some("desk"), "phones"),
        (phone, Some("IT-desk"), "it"),
        (phone, Some("it-desk.acme.com"), "it"),
        (phone, Some("it-lap7"), "laptops"),
        (None, Some("jump.acme.com"), "it"),
        (None, Some("jump"), "office"),
        (Some([0; 6]), Some("desk"), "office"),
    ] {
        let address: IpAddr = "10.0.0.1".parse().unwrap();
        let group = policy.group(Who { mac, host, ..Who::from(address) });
        assert_eq!(&*group.name, expected, "{mac:?} {host:?}");
    }
    assert_eq!(policy.groups().len(), 4);
}

#[test]
fn the_lease_file_goes_before_all_and_the_vlan_behind_all() {
    let policy = build(
        r#"
[[group]]
name = "office"
networks = ["10.0.0.0/16"]
[[group]]
name = "lab"
vlans = [20, 4094]
[[group]]
name = "phones"
macs = ["3c:22:fb"]
[[group]]
name = "it"
hosts = ["it-*"]
"#,
    )
    .unwrap();
    let (phone, vlan) = (Some([0x3c, 0x22, 0xfb, 9, 9, 9]), std::num::NonZeroU16::new);
    for (listed, host, mac, address, vlan, expected) in [
        (Some("lab"), Some("it-7"), phone, "10.0.0.1", vlan(20), ("lab", Some(By::LeaseFile))),
        (Some("other"), Some("it-7"), phone, "10.0.0.1", vlan(20), ("other", None)),
        (None, Some("it-7"), phone, "10.0.0.1", vlan(20), ("it", Some(By::Host))),
        (None, Some("desk"), phone, "10.0.0.1", vlan(20), ("phones", Some(By::Mac))),
        (None, None, None, "10.0.0.1", vlan(20), ("office", Some(By::Network))),
        (None, None, None, "10.9.0.1", vlan(4_094), ("lab", Some(By::Vlan))),
        (None, None, None, "10.9.0.1", vlan(21), ("other", None)),
        (None, None, None, "10.9.0.1", None, ("other", None)),
    ] {
        let address = address.parse().unwrap();
        let (group, by) = policy.group_by(Who { address, listed, mac, host, vlan });
        assert_eq!((&*group.name, by), expected);
    }
    assert_eq!(policy.knows_group("lab").and(policy.knows_group("other")), Ok(()));
    assert!(policy.knows_group("offices").unwrap_err().contains("write `office` if"));
}

#[test]
fn two_claims_of_equal_rank_are_refused() {
    let twice = |claim: &str| {
        let text = format!("[[group]]\nname = \"a\"\n{claim}\n[[group]]\nname = \"b\"\n{claim}\n");
        build(&text).unwrap_err().to_string()
    };
    for (claim, expected) in [
        ("macs = [\"3c:22:fb\"]", "groups `a` (line 3) and `b` both claim address `3c:22:fb`"),
        ("hosts = [\"IT-*\"]", "groups `a` (line 3) and `b` both claim host name `IT-*`"),
        ("vlans = [20]", "groups `a` (line 3) and `b` both claim VLAN `20`"),
        ("vlans = [0]", "`0` is no VLAN"),
        ("vlans = [4095]", "`4095` is no VLAN"),
        ("vlans = [-1]", "`-1` is no VLAN"),
        ("macs = [\"3c:2\"]", "`3c:2` is no beginning of a hardware address"),
        ("hosts = [\"\"]", "an empty host name matches nothing"),
    ] {
        let said = twice(claim);
        assert!(said.contains(&format!("saastap.toml:6: {expected}")), "{said}");
    }
}

#[test]
fn an_exception_ends_with_its_day_then_grace_then_nothing() {
    let policy = build(
        r#"
[[policy]]
vendor = "intercom"
state = "tolerated"
exception = { owner = "marketing", reason = "migration", expires = 2027-03-31 }
[[policy]]
category = "customer-service"
state = "unsanctioned"
"#,
    )
    .unwrap();
    for (at, state, rule) in [
        ("2027-03-31T23:59:59Z", State::Tolerated, "policy[1] (saastap.toml:2)"),
        (
            "2027-04-01T00:00:00Z",
            State::Tolerated,
            "policy[1] (saastap.toml:2), in grace since 2027-03-31 (marketing: migration)",
        ),
        (
            "2027-04-07T23:59:59Z",
            State::Tolerated,
            "policy[1] (saastap.toml:2), in grace since 2027-03-31 (marketing: migration)",
        ),
        (
            "2027-04-08T00:00:00Z",
            State::Unreviewed,
            "policy[1] (saastap.toml:2), its exception expired 2027-03-31 (marketing: migration)",
        ),
    ] {
        let decision = decide_at(&policy, "intercom console other", time(at));
        assert_eq!((decision.state, decision.rule.as_deref()), (state, Some(rule)), "{at}");
    }
    assert_eq!(
        policy.rules()[0].to_string(),
        "vendor intercom: tolerated until 2027-03-31 (marketing: migration)"
    );
}

#[test]
fn each_mistake_is_told_with_its_line_and_remedy() {
    for (text, expected) in [
        (
            "[[policy]]\nvendor = \"zendsk\"\nstate = \"tolerated\"",
            "saastap.toml:2: unknown vendor `zendsk`\n  mend: write `zendesk` if that was meant; `saastap catalog list` shows all ids",
        ),
        (
            "[[policy]]\nvendor = [\n\"zendesk\",\n\"salesforce\"]\nstate = \"tolerated\"",
            "saastap.toml:4: unknown vendor `salesforce`\n  mend: `saastap catalog list` shows all ids",
        ),
        (
            "[[policy]]\ncategory = \"help-desk\"\nstate = \"tolerated\"",
            "saastap.toml:2: unknown category `help-desk`\n  mend: write `helpdesk` if that was meant; `saastap catalog list` shows all categories",
        ),
        (
            "[[policy]]\nvendor = \"teamviewer\"\ntenant = \"acme\"\nstate = \"tolerated\"",
            "saastap.toml:3: a tenant of `teamviewer` cannot be named: instance not observable on the wire\n  mend: name the vendor alone",
        ),
        (
            "[own]\ntenants = { teamviewer = [\"acme\"] }",
            "saastap.toml:2: a tenant of `teamviewer` cannot be named: instance not observable on the wire\n  mend: name the vendor alone",
        ),
        (
            "[own]\nservers = { \"10.1.2.3/33\" = \"zammad\" }",
            "saastap.toml:2: `10.1.2.3/33` is no server\n  mend: write an address, `10.1.2.3`, with a port, `10.1.2.3:8443`, or a network",
        ),
        (
            "[own]\nservers = { \"10.1.2.3\" = \"zendesk/acme\" }",
            "saastap.toml:2: `zendesk` runs at its vendor's alone, not on own servers\n  mend: name hosts that it serves for you in `names`",
        ),
        (
            "[own.servers]\n\"10.1.2.3\" = \"zammad\"\n\"10.1.2.3/32\" = \"zammad\"",
            "saastap.toml:3: `10.1.2.3/32` is declared twice\n  mend: keep one of the two",
        ),
        (
            "[own.tenants]\nzendesk = \"acme\"\nintercon = \"acme\"",
            "saastap.toml:3: unknown vendor `intercon`\n  mend: write `intercom` if that was meant; `saastap catalog list` shows all ids",
        ),
        (
            "[own]\nnames = { \"a.acme.com\" = \"zendesk/acme*\" }",
            "saastap.toml:2: `zendesk/acme*` names no tenant\n  mend: write `vendor/tenant` with one tenant, as `zendesk/acme`",
        ),
        (
            "[own]\ndomains = [\"acme.com\",\n\"https://acme.com\"]",
            "saastap.toml:3: `https://acme.com` is no host name\n  mend: write it as `support.acme.com`, without scheme or path",
        ),
        (
            "[[group]]\nname = \"support\"\nnetworks = []\n[[policy]]\ngroup = \"suport\"\nstate = \"tolerated\"",
            "saastap.toml:5: unknown group `suport`\n  mend: write `support` if that was meant; declare it as a `[[group]]`",
        ),
        (
            "[[group]]\nname = \"a\"\nnetworks = [\"10.1.0.0/16\"]\n[[group]]\nname = \"b\"\nnetworks = [\"10.1.0.0/16\"]",
            "saastap.toml:6: groups `a` (line 3) and `b` both claim network `10.1.0.0/16`\n  mend: give the network to one of them",
        ),
        (
            "[[group]]\nname = \"a\"\nnetworks = [\"10.1.2.3/16\"]",
            "saastap.toml:3: network `10.1.2.3/16` has bits set behind its prefix: `10.1.0.0/16` was meant, or `10.1.2.3` for one address\n  mend: correct the network",
        ),
        (
            "[[group]]\nname = \"a\"\nnetworks = [\"office\"]",
            "saastap.toml:3: `office` is no network: write it as `10.20.0.0/16`\n  mend: correct the network",
        ),
        (
            "[[group]]\nname = \"a\"\nnetworks = []\n[[group]]\nname = \"a\"\nnetworks = []",
            "saastap.toml:5: group `a` is declared twice, first in line 2\n  mend: put all its networks into one `[[group]]`",
        ),
        (
            "[[group]]\nname = \"other\"\nnetworks = []",
            "saastap.toml:2: a group cannot be called `other`\n  mend: choose another name: `other` is who is in no group",
        ),
        (
            "[[policy]]\nrole = \"consol\"\nstate = \"tolerated\"",
            "saastap.toml:2: unknown role `consol`\n  mend: write one of console, portal, either, api, widget, cdn, mail, relay, download, telemetry, marketing, platform",
        ),
        (
            "[[policy]]\nrelation = \"ours\"\nstate = \"tolerated\"",
            "saastap.toml:2: unknown relation `ours`\n  mend: write one of own, foreign, unknown",
        ),
        (
            "[[policy]]\ndeployment = \"premise\"\nstate = \"tolerated\"",
            "saastap.toml:2: unknown deployment `premise`\n  mend: write one of cloud, on-premise, both",
        ),
        (
            "[[policy]]\nstate = \"allowed\"",
            "saastap.toml:2: unknown state `allowed`\n  mend: write one of sanctioned, tolerated, unsanctioned, unreviewed",
        ),
        (
            "\n[[policy]]\nvendor = \"zendesk\"",
            "saastap.toml:2: rule 1 gives no `state`\n  mend: add `state = \"sanctioned\"`, \"tolerated\", \"unsanctioned\" or \"unreviewed\"",
        ),
        (
            "[[policy]]\nvendor = []\nstate = \"tolerated\"",
            "saastap.toml:2: `vendor` is an empty list and matches nothing\n  mend: remove `vendor` to match any, or name one",
        ),
        (
            "[[policy]]\ntenant = \"\"\nstate = \"tolerated\"",
            "saastap.toml:2: an empty tenant matches nothing\n  mend: write a tenant, or `*` for any",
        ),
        (
            "[[policy]]\nstate = \"tolerated\"\nhours = \"Mon-Fri 08:00-18:00\"",
            "saastap.toml:3: `hours` say nothing of what is tolerated at all hours\n  mend: remove `hours`, or make the state \"sanctioned\"",
        ),
        (
            "[[policy]]\nstate = \"sanctioned\"\nhours = [\"Mon-Fri 08:00-18:00\", \"Sat 9-12\"]",
            "saastap.toml:3: `Sat 9-12` is no span of hours\n  mend: write days, times and a time zone, as \"Mon-Fri 08:00-18:00 Europe/Berlin\"",
        ),
        (
            "[[policy]]\nstate = \"tolerated\"\nexception = { owner = \"a\", expires = 2027-03-31 }",
            "saastap.toml:3: an exception without `reason`\n  mend: write `exception = { owner = \"...\", reason = \"...\", expires = 2027-03-31 }`",
        ),
        (
            "[[policy]]\nstate = \"tolerated\"\nexception = { owner = \"a\", reason = \"b\", expires = 2027-03-31T10:00:00Z }",
            "saastap.toml:3: `2027-03-31T10:00:00Z` is no day\n  mend: write the last day it holds, as `2027-03-31`",
        ),
        (
            "[[policy]]\nvendor = [\"zendesk\", \"zammad\"]\nstate = \"tolerated\"\n[[policy]]\nvendor = \"zammad\"\nrole = \"api\"\nstate = \"sanctioned\"",
            "saastap.toml:4: rule 2 can never match: policy[1] in line 1 comes first and takes all it is for\n  mend: remove the rule, or move it before the other one",
        ),
        (
            "[[policy]]\nstate = \"tolerated\"\n[[policy]]\nvendor = \"zammad\"\nstate = \"sanctioned\"",
            "saastap.toml:3: rule 2 can never match: policy[1] in line 1 comes first and takes all it is for\n  mend: remove the rule, or move it before the other one",
        ),
    ] {
        assert_eq!(faults(text), expected, "{text}");
    }
}

#[test]
fn all_mistakes_are_told_at_once_by_line() {
    let text = r#"
[[group]]
name = "a"
networks = ["10.1.2.3/16"]
[[policy]]
vendor = "zendsk"
role = "consol"
exception = { reason = " " }
[own]
tenants = { zendeskk = "a" }
"#;
    let lines: Vec<Option<usize>> = build(text).unwrap_err().0.iter().map(|f| f.line).collect();
    let lines: Vec<usize> = lines.into_iter().map(Option::unwrap).collect();
    assert_eq!(lines, [4, 5, 6, 7, 8, 8, 8, 10]);
}

#[test]
fn a_rule_that_only_overlaps_stays() {
    let text = r#"
[[policy]]
vendor = "zendesk"
role = "api"
state = "tolerated"
[[policy]]
vendor = "zendesk"
state = "sanctioned"
[[policy]]
category = "helpdesk"
state = "tolerated"
"#;
    assert_eq!(build(text).unwrap().rules().len(), 3);
}

#[test]
fn outside_its_hours_a_rule_still_decides_and_says_so() {
    let text = r#"
[[policy]]
vendor = "zendesk"
state = "sanctioned"
hours = ["Mon-Fri 08:00-18:00 Europe/Berlin", "Sat 09:00-12:00 Europe/Berlin"]
"#;
    let policy = build(text).unwrap();
    let decide = |at: &str| decide_at(&policy, "zendesk/acme either other", time(at));
    let within = decide("2026-11-20T16:59:00Z");
    assert_eq!((within.state, within.off_hours), (State::Sanctioned, false));
    let outside = decide("2026-11-20T17:00:00Z");
    assert_eq!((outside.state, outside.off_hours), (State::Sanctioned, true));
    assert!(outside.rule.unwrap().ends_with("outside its hours"));
    assert!(!decide("2026-11-21T08:00:00Z").off_hours, "Saturday, 09:00 there");
}
