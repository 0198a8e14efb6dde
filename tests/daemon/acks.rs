//! A case is listed, shown and acknowledged, beside the daemon and without it; the sinks hear of that once.

use std::process::Output;

use serde_json::{Value, json};

use super::sensor::{Office, POLICY, Sensor};
use super::wire::Wire;

#[test]
fn a_case_is_acknowledged_while_the_daemon_runs_and_while_it_does_not() {
    let Some(wire) = Wire::new() else { return };
    let office = Office::new("");
    let alerts = office.path("alerts.jsonl");
    office.configure(&format!(
        "{POLICY}\n[[sink]]\nname = 'file'\nkind = 'file'\npath = '{}'\n",
        alerts.display()
    ));
    let refused = case(&office, &["list"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(text(&refused.stderr).contains("there is no store\n  mend: "), "{refused:?}");

    let sensor = office.run(&wire.near);
    assert_eq!(text(&case(&office, &["list"]).stdout), "No open case.\n");
    wire.sender().play("anydesk-session", 50);
    sensor.until("it is told", |_| office.findings("alerts.jsonl").len() == 1);
    let uid = office.findings("alerts.jsonl")[0]["finding"]["uid"].as_str().unwrap().to_owned();

    let ack = |owner: &str, until: &str| {
        let words = ["--owner", owner, "--reason", "vendor call", "--until", until];
        let output = case(&office, &[&["ack", &uid[..8]], &words[..]].concat());
        assert!(output.status.success(), "{}", text(&output.stderr));
    };
    ack("ada", "2099-03-31");
    sensor.until("the sinks hear of it", |_| audits(&office).len() == 1);
    let told = &audits(&office)[0]["audit"];
    assert_eq!((&told["action"], &told["outcome"]), (&"ack".into(), &"success".into()));
    let detail = told["detail"].as_str().unwrap();
    assert!(detail.contains(&uid) && detail.contains("by ada until 2099-04-01"), "{detail}");
    taken(&sensor);
    let list = text(&case(&office, &["list"]).stdout);
    assert!(list.contains(&uid[..8]) && list.contains("anydesk") && list.contains("2099-04-01"));
    assert!(list.lines().all(|line| line.chars().count() <= 80), "{list}");
    let kept = || {
        let rows = sensor.json("/api/v1/suppressed?vendor=anydesk&finding=unsanctioned_use");
        rows["suppressed"][0]["reason"].as_str().unwrap_or_default().to_owned()
    };
    wire.sender().play("anydesk-session", 50);
    let quiet = "acknowledged by ada until 2099-04-01T00:00:00Z";
    sensor.until("the contact is kept back for it", |_| kept() == quiet);
    assert_eq!(sensor.json("/api/v1/suppressed?vendor=zendesk")["suppressed"], json!([]));
    sensor.stop();

    // Nobody runs: what is left now is taken over by the next start, and that of before is not told again.
    ack("bob", "2099-05-31");
    assert!(text(&case(&office, &["show", &uid]).stdout).contains("has not taken it over yet"));
    let sensor = office.run(&wire.near);
    sensor.until("the sinks hear of this as well", |_| audits(&office).len() == 2);
    taken(&sensor);
    sensor.stop();
    assert_eq!(audits(&office).len(), 2);
    let shown: Value =
        serde_json::from_slice(&case(&office, &["show", &uid[..4], "--json"]).stdout).unwrap();
    assert_eq!(shown["acknowledged"]["owner"], "bob");
    assert_eq!((&shown["finding"]["uid"], &shown["waits"]), (&uid.as_str().into(), &Value::Null));

    for (args, words) in [
        (["show", "zzzz"], "begins with `zzzz`"),
        (["show", ""], "write more of it"),
        (["ack", &uid], "--owner"),
    ] {
        let output = case(&office, &args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(text(&output.stderr).contains(words), "{}", text(&output.stderr));
    }
}

/// Waits until the store holds the acknowledgment as one that is in force.
fn taken(sensor: &Sensor<'_>) {
    let waits = |case: &Value| case.get("waits").is_some();
    sensor.until("it is taken over", |s| {
        let list = text(&case(s.office, &["list", "--json"]).stdout);
        let cases: Vec<Value> = list.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
        cases.len() == 1 && cases[0]["acknowledged"].is_object() && !waits(&cases[0])
    });
}

fn audits(office: &Office) -> Vec<Value> {
    let text = office.text("alerts.jsonl");
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    let events = whole.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    events.filter(|event| event["event_kind"] == "audit").collect()
}

fn case(office: &Office, args: &[&str]) -> Output {
    office.program(&[&["case"], args].concat()).output().unwrap()
}

fn text(octets: &[u8]) -> String {
    String::from_utf8_lossy(octets).into_owned()
}
