//! What is known and owed outlives a stop and a kill.

use std::fs;

use rustix::process::Signal;

use super::doses::doses;
use super::sensor::{Office, POLICY, Sensor};
use super::wire::Wire;

#[test]
fn usage_and_cases_survive_a_stop() {
    let Some(wire) = Wire::new() else { return };
    let office = Office::new("");
    let alerts = office.path("alerts.jsonl");
    office.configure(&format!("{POLICY}\n{}", file_sink("file", alerts.to_str().unwrap())));
    let mut sender = wire.sender();
    let sensor = office.run(&wire.near);
    let sent = Some(sender.play("anydesk-session", 50) as f64);
    sensor.until("it is told", |_| office.findings("alerts.jsonl").len() == 1);
    sensor.until("all is seen", |s| s.metric(PACKETS) == sent);
    sensor.stop();
    let read = office
        .program(&["read", "--json", super::wire::recorded("anydesk-session").to_str().unwrap()])
        .output()
        .unwrap();
    let read: serde_json::Value = serde_json::from_slice(&read.stdout).unwrap();

    let sensor = office.run(&wire.near);
    let kept = sensor.usage("anydesk").expect("the use is still known");
    for fact in ["flows", "sent", "received", "clients", "state", "role", "group"] {
        assert_eq!(kept[fact], read["usage"][0][fact], "{fact}");
    }
    sender.play("anydesk-session", 50);
    sensor.until("a new flow is counted", |s| s.usage("anydesk").unwrap()["flows"] == 2);
    sensor.until("all of it is seen", |s| s.metric(PACKETS) == sent);
    let again = sensor.usage("anydesk").unwrap();
    assert_eq!(again["clients"], 1, "the pseudonym is still the same");
    let twice = 2 * kept["sent"].as_u64().unwrap();
    sensor.stop();
    assert_eq!(office.findings("alerts.jsonl").len(), 1, "its window is not over");

    let sensor = office.run(&wire.near);
    assert_eq!(sensor.usage("anydesk").unwrap()["sent"], twice);
    sensor.stop();
}

#[test]
fn what_was_learned_survives_a_stop() {
    let Some(wire) = Wire::new() else { return };
    let office = Office::new(POLICY);
    let learned = |sensor: &Sensor<'_>| {
        [
            "saastap_dns_names{table=\"cname\"}",
            "saastap_remembered_verdicts",
            "saastap_identity_leases_held",
        ]
        .map(|series| sensor.metric(series).unwrap_or_default())
    };
    let sensor = office.run(&wire.near);
    let mut sender = wire.sender();
    let sent = sender.play("dns-cname", 50) + 1;
    sender.lease();
    sensor.until("all is seen", |s| s.metric(PACKETS) == Some(sent as f64));
    sensor.until("it has learned", |s| learned(s).iter().all(|count| *count > 0.0));
    let before = learned(&sensor);
    sensor.stop();
    let sensor = office.run(&wire.near);
    // What its last flows taught when it stopped comes on top.
    let all = |s: &Sensor<'_>| learned(s).iter().zip(before).all(|(now, then)| *now >= then);
    sensor.until("it knows it again", all);
    assert_eq!(sensor.metric(PACKETS), Some(0.0), "from its store alone");
    sensor.stop();
    let log = office.text("log");
    assert!(!log.contains("cannot be read"), "{log}");
}

#[test]
fn names_and_verdicts_of_before_a_stop_name_flows_after_it() {
    let Some(wire) = Wire::new() else { return };
    let office = Office::new(POLICY);
    let mut sender = wire.sender();
    let sensor = office.run(&wire.near);
    // A vanity host over TLS at 198.18.1.11, and what a resolver says of another address.
    let sent = sender.play("dns-cname", 50) + 1;
    sender.answer("acme.helpjuice.com", [198, 18, 1, 80]);
    sensor.until("all is seen", |s| s.metric(PACKETS) == Some(sent as f64));
    sensor.stop();
    fs::remove_file(office.path("flows")).unwrap();

    let sensor = office.run(&wire.near);
    let said = ["\u{17}\u{3}\u{3}\0\u{4}abcd", "\u{17}\u{3}\u{3}\0\u{4}efgh"];
    let sent = sender.talk([198, 18, 0, 2], [198, 18, 1, 11], 443, said, false)
        + sender.talk([198, 18, 0, 3], [198, 18, 1, 11], 443, said, false)
        + sender.talk([198, 18, 0, 4], [198, 18, 1, 80], 4_443, ["hey\n", "you\n"], true);
    sensor.until("all is seen", |s| s.metric(PACKETS) == Some(sent as f64));
    sensor.stop();
    let text = office.text("flows");
    let told = |client: &str| {
        let lines =
            text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        let line = lines.into_iter().find(|line| line["client"]["ip"] == client).expect(client);
        ["via", "vendor", "tenant"].map(|key| line[key].as_str().unwrap_or_default().to_owned())
    };
    assert_eq!(told("198.18.0.2"), ["remembered", "zendesk", "acme"], "{text}");
    assert_ne!(told("198.18.0.3")[0], "remembered", "it was never there: {text}");
    assert_eq!(told("198.18.0.4"), ["dns", "helpjuice", "acme"], "{text}");
}

#[test]
fn what_was_accepted_is_told_after_a_kill() {
    let Some(wire) = Wire::new() else { return };
    for _ in 0..doses(2) {
        killed_and_told(&wire);
    }
}

fn killed_and_told(wire: &Wire) {
    let office = Office::new("");
    // The second file cannot be written before its folder is there.
    let (up, down) = (office.path("up.jsonl"), office.path("later/down.jsonl"));
    let sinks = [("up", &up), ("down", &down)].map(|(n, p)| file_sink(n, p.to_str().unwrap()));
    office.configure(&format!("{POLICY}\n{}", sinks.concat()));
    let sensor = office.run(&wire.near);
    wire.sender().play("anydesk-session", 50);
    sensor.until("it is accepted", |s| {
        s.metric("saastap_findings_total{finding=\"unsanctioned_use\"}") == Some(1.0)
    });
    sensor.signal(Signal::KILL);
    assert_eq!(sensor.end().code(), None, "killed");
    assert_eq!(office.findings("later/down.jsonl").len(), 0);

    fs::create_dir(office.path("later")).unwrap();
    let sensor = office.run(&wire.near);
    for file in ["up.jsonl", "later/down.jsonl"] {
        sensor.until(file, |_| !office.findings(file).is_empty());
    }
    sensor.stop();
    let (up, down) = (office.findings("up.jsonl"), office.findings("later/down.jsonl"));
    assert_eq!(down.len(), 1, "nothing was acknowledged before the kill, so it is told once");
    assert!((1..=2).contains(&up.len()), "once, or twice where the kill came before the receipt");
    assert!(up.iter().all(|event| *event == down[0]), "as it was accepted");
    assert_eq!(down[0]["finding"]["id"], "unsanctioned_use");
}

const PACKETS: &str = "saastap_capture_packets_total";

fn file_sink(name: &str, path: &str) -> String {
    format!("[[sink]]\nname = '{name}'\nkind = 'file'\npath = '{path}'\n")
}
