//! What can be explained of a verdict, and that every flow and octet is named or has one reason why not.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::activity::{self, Talk, capture, hex};
use crate::program::{OFFICE_DAY, saastap};

#[test]
fn every_flow_and_octet_has_one_visibility() {
    for capture in [OFFICE_DAY, "tests/captures/dns-cname.pcap", "tests/captures/browsing.pcap"] {
        let flows = saastap(&["read", "--flows", capture]).lines();
        let whole = saastap(&["read", "--json", capture]).json();
        let (mut ended, mut octets) = (BTreeMap::<String, u64>::new(), 0);
        for line in flows.iter().filter(|line| line["ended"].is_string()) {
            *ended.entry(line["visibility"].as_str().unwrap().to_owned()).or_default() += 1;
            octets += line["sent"]["bytes"].as_u64().unwrap();
            octets += line["received"]["bytes"].as_u64().unwrap();
        }
        let rows = whole["visibility"].as_array().unwrap();
        let told: BTreeMap<String, u64> = rows
            .iter()
            .filter(|row| row["flows"] != 0)
            .map(|row| (row["visibility"].as_str().unwrap().into(), row["flows"].as_u64().unwrap()))
            .collect();
        assert_eq!(told, ended, "{capture}");
        let told: u64 = rows.iter().map(|row| row["bytes"].as_u64().unwrap()).sum();
        assert_eq!(told, octets, "{capture}");
    }
}

#[test]
fn a_resolver_that_refuses_encrypted_dns_is_told() {
    // use-application-dns.net, type A: the question, and that there is no such name.
    let name = "137573652d6170706c69636174696f6e2d646e73036e657400";
    let mut talk = Talk::new(true, 40_000, [10, 0, 0, 53], 53);
    talk.say(0, true, &hex(&format!("0007 0100 0001 0000 0000 0000 {name} 0001 0001")));
    talk.say(9_000, false, &hex(&format!("0007 8183 0001 0000 0000 0000 {name} 0001 0001")));
    let bytes = capture(vec![talk]);
    let canaries = activity::read("--json", &bytes).json()["canaries"].clone();
    let wanted = r#"[{"canary":"firefox_doh","questions":1,"permitted":0,"refused":1}]"#;
    assert_eq!(canaries, serde_json::from_str::<Value>(wanted).unwrap());
    let said = activity::read("--json", &capture(Vec::new())).json();
    assert!(said.get("canaries").is_none(), "nobody asked: {said}");
}

#[test]
fn names_that_nobody_claims_are_candidates_by_registrable_domain() {
    let whole = saastap(&["read", "--json", "tests/captures/browsing.pcap"]).json();
    let candidates = whole["candidates"].as_array().unwrap();
    let domains: Vec<&str> = candidates.iter().map(|c| c["domain"].as_str().unwrap()).collect();
    assert!(domains.contains(&"python.org"), "docs.python.org is one of its names: {domains:?}");
    assert!(!domains.iter().any(|d| d.split('.').count() > 2), "{domains:?}");
    let bytes = |c: &Value| c["bytes"].as_u64().unwrap();
    assert!(candidates.windows(2).all(|two| bytes(&two[0]) >= bytes(&two[1])));
    assert!(candidates.iter().all(|c| bytes(c) > 0 && c["flows"].as_u64().unwrap() > 0));
}

#[test]
fn a_flow_is_explained_to_a_person_and_in_json() {
    let capture = "tests/captures/tls13-openssl.pcap";
    let lines = saastap(&["read", "--flows", capture]).lines();
    let flow = lines.iter().find(|line| line["vendor"] == "helpjuice").unwrap();
    assert_eq!((&flow["via"], &flow["confidence"]), (&"tls_sni".into(), &"high".into()));
    assert!(flow["signature"].as_str().unwrap().contains("helpjuice.com"), "{flow}");
    assert!(flow["community_id"].as_str().unwrap().starts_with("1:"));
    let id = flow["id"].to_string();
    let text = saastap(&["explain", "--flow", &id, capture]).well();
    for part in ["acme.helpjuice.com (tls_sni)", "helpjuice.toml", "high", "1:", " -> ", "named"] {
        assert!(text.contains(part), "no {part} in\n{text}");
    }
    for field in ["alpn", "ja4", "signature", "file", "tunnels"] {
        let told = text.contains(&format!("  {field} "));
        assert_eq!(told, flow.get(field).is_some(), "{field} in\n{text}");
    }
    let vanity = "tests/captures/dns-cname.pcap";
    let lines = saastap(&["read", "--flows", vanity]).lines();
    let id = lines.iter().find(|line| line["vendor"] == "zendesk").unwrap()["id"].to_string();
    let text = saastap(&["explain", "--flow", &id, vanity]).well();
    assert!(text.contains("chain       support.acme.example -> acme.zendesk.com\n"), "{text}");
    let hidden = "tests/captures/ech-chromium.pcap";
    let lines = saastap(&["read", "--flows", hidden]).lines();
    let id = lines.iter().find(|line| line["ech"] == "real").unwrap()["id"].to_string();
    let text = saastap(&["explain", "--flow", &id, hidden]).well();
    assert!(text.contains("ech         real\n"), "{text}");
    let json = saastap(&["explain", "--flow", &flow["id"].to_string(), "--json", capture]).lines();
    assert_eq!(json.last(), Some(flow));
    let wrong = saastap(&["explain", "--flow", "999999", capture]);
    assert_eq!(wrong.code, Some(2));
    assert!(wrong.err.contains("no flow 999999") && wrong.err.contains("mend:"), "{}", wrong.err);
}

#[test]
fn the_tunnels_of_a_flow_are_told() {
    let through = |line: &Value| {
        let kinds = line["tunnels"].as_array().cloned().unwrap_or_default();
        kinds.iter().map(|kind| kind.as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let tunnels = "tests/captures/tunnels.pcap";
    for workers in ["1", "2"] {
        let lines = saastap(&["read", "--flows", "--workers", workers, tunnels]).lines();
        for (host, kind) in [
            ("docs.python.org", "vxlan"),
            ("news.example", "geneve"),
            ("intranet.acme.example", "gre"),
            ("registry.npmjs.org", "erspan"),
            ("deb.debian.org", "vxlan"),
        ] {
            let named = |l: &&Value| l["transport"] == "tcp" && l["names"][0]["name"] == host;
            let line = lines.iter().find(named).unwrap();
            assert_eq!(through(line), [kind], "{host}");
        }
        assert!(lines.iter().all(|line| through(line).len() == 1), "{lines:?}");
    }
    const VLAN: &str = "tests/captures/vlan-curl.pcap";
    let lines = saastap(&["read", "--flows", VLAN]).lines();
    assert!(!lines.is_empty() && lines.iter().all(|line| through(line) == ["vlan"]), "{lines:?}");
    let text = saastap(&["explain", "--flow", &lines[0]["id"].to_string(), VLAN]).well();
    assert!(text.contains("through     vlan\n"), "{text}");
    let lines = saastap(&["read", "--flows", "tests/captures/tls13-openssl.pcap"]).lines();
    assert!(lines.iter().all(|line| line.get("tunnels").is_none()), "{lines:?}");
}
