//! Names that imitate a vendor, and names that do not, from the wire to the finding.

use serde_json::Value;

use crate::activity::{OUTSIDE, SECOND, Talk, capture, read};
use crate::program::saastap_fed;

/// A page fetched from a host.
fn visit(port: u16, host: &str) -> Talk {
    let mut talk = Talk::tcp(port, OUTSIDE, 80);
    talk.say(SECOND, true, format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes());
    talk.say(2 * SECOND, false, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    talk
}

/// A question for an address; `answered` with one, or with NXDOMAIN.
fn question(port: u16, host: &str, answered: bool) -> Talk {
    let mut body = Vec::new();
    for label in host.split('.') {
        body.push(label.len() as u8);
        body.extend(label.as_bytes());
    }
    body.extend([0, 0, 1, 0, 1]);
    let head =
        |flags: [u8; 2], answers: u8| [0, 7, flags[0], flags[1], 0, 1, 0, answers, 0, 0, 0, 0];
    let mut talk = Talk::new(true, port, OUTSIDE, 53);
    talk.say(SECOND / 2, true, &[&head([1, 0], 0)[..], &body].concat());
    let record = [0xc0, 12, 0, 1, 0, 1, 0, 0, 1, 0, 0, 4, 93, 184, 216, 34];
    let answer = if answered {
        [&head([0x81, 0x80], 1)[..], &body, &record].concat()
    } else {
        [&head([0x81, 0x83], 0)[..], &body].concat()
    };
    talk.say(SECOND / 2 + 1_000, false, &answer);
    talk
}

/// Name, vendor, severity, threshold and sightings of each finding.
fn found(talks: Vec<Talk>) -> Vec<(String, String, String, String, u64)> {
    told(&read("--json", &capture(talks)).json())
}

/// The same under a configuration.
fn found_by(config: &str, talks: Vec<Talk>) -> Vec<(String, String, String, String, u64)> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("saastap.toml");
    std::fs::write(&file, config).unwrap();
    let args = ["read", "--config", file.to_str().unwrap(), "--json", "-"];
    told(&saastap_fed(&args, |stdin| stdin.write_all(&capture(talks)).unwrap()).json())
}

fn told(whole: &Value) -> Vec<(String, String, String, String, u64)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let mut told: Vec<_> = whole["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|f| {
            assert_eq!(f["finding"]["id"], "lookalike", "{f}");
            let sightings = f["sightings"].as_u64().unwrap();
            (
                text(&f["tenant"]),
                text(&f["vendor"]["id"]),
                text(&f["severity"]),
                text(&f["threshold"]),
                sightings,
            )
        })
        .collect();
    told.sort();
    told
}

fn row(
    name: &str,
    vendor: &str,
    severity: &str,
    threshold: &str,
    sightings: u64,
) -> (String, String, String, String, u64) {
    (name.into(), vendor.into(), severity.into(), threshold.into(), sightings)
}

#[test]
fn each_name_that_imitates_is_one_case() {
    let told = found(vec![
        visit(41_001, "zendesk-login.com"),
        visit(41_002, "ZENDESK-login.com"),
        visit(41_003, "acme.zendesk.com.session.net"),
        visit(41_004, "anydesk-update.com"),
    ]);
    assert_eq!(
        told,
        [
            row("acme.zendesk.com.session.net", "zendesk", "medium", "connected: domain", 1),
            row("anydesk-update.com", "anydesk", "high", "connected: combined", 1),
            row("zendesk-login.com", "zendesk", "medium", "connected: combined", 2),
        ]
    );
}

#[test]
fn a_question_alone_is_information_and_a_connection_is_more() {
    let told =
        found(vec![question(41_001, "zendesc.com", true), question(41_002, "zendesl.com", false)]);
    assert_eq!(told, [row("zendesc.com", "zendesk", "informational", "asked: typo", 1)]);
    let told = found(vec![question(41_001, "zendesc.com", true), visit(41_003, "zendesc.com")]);
    assert_eq!(told, [row("zendesc.com", "zendesk", "medium", "connected: typo", 2)]);
}

#[test]
fn honest_names_raise_nothing() {
    let told = found(vec![
        visit(41_001, "acme.zendesk.com"),
        visit(41_002, "zendesk.acme.com"),
        visit(41_003, "www.example.com"),
        visit(41_004, "www.zendesk.com.edgekey.net"),
        question(41_005, "zendesk.com", true),
    ]);
    assert_eq!(told, []);
}

#[test]
fn names_that_play_with_what_is_ours_are_told() {
    let own = "[own]\ndomains = [\"contoso.com\"]\ntenants = { zendesk = [\"northwind\"] }\n";
    let talks = vec![
        visit(41_001, "contoso-support.net"),
        visit(41_002, "northwind-login.com"),
        // Instances of others: one plays with ours, one does not, one is ours.
        visit(41_003, "northw1nd.zendesk.com"),
        visit(41_004, "globex.zendesk.com"),
        visit(41_005, "northwind.zendesk.com"),
        visit(41_006, "desk.contoso.com"),
        question(41_007, "c0ntoso.com", true),
        question(41_008, "northwind-help.freshdesk.com", true),
    ];
    assert_eq!(
        found_by(own, talks),
        [
            row("c0ntoso.com", "own", "informational", "asked: homoglyph", 1),
            row("contoso-support.net", "own", "medium", "connected: combined", 1),
            row("northw1nd.zendesk.com", "zendesk", "medium", "connected: homoglyph", 1),
            row("northwind-help.freshdesk.com", "zendesk", "informational", "asked: combined", 1),
            row("northwind-login.com", "zendesk", "medium", "connected: combined", 1),
        ]
    );
}
