//! The demo: no root, no interface, no configuration; a table, a page, alerts.

use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

use rustix::process::Signal;

use super::doses::doses;
use super::sensor::{Office, PROGRAM, Sensor};

#[test]
fn the_demo_shows_use_and_writes_alerts_until_it_is_interrupted() {
    let office = Office::new("");
    let listen = format!("127.0.0.1:{}", office.port);
    let directory = office.path("demo");
    let demo = office.start(demo(&listen, &directory));
    demo.until("its page is there", |s| s.get("/-/ready").0 == 200);

    let second = self::demo(&listen, &office.path("other")).output().unwrap();
    assert_eq!(second.status.code(), Some(1));
    let told = String::from_utf8(second.stderr).unwrap();
    let begins = format!("saastap: cannot listen on {listen}: Address already in use");
    assert!(told.starts_with(&begins) && told.contains("choose another with --listen"), "{told}");
    assert!(!office.path("other").exists());

    let found = |demo: &Sensor<'_>, vendor: &str, finding: &str| {
        let findings = demo.office.findings("demo/alerts.jsonl");
        findings.iter().any(|f| f["vendor"]["id"] == vendor && f["finding"]["id"] == finding)
    };
    demo.until("AnyDesk is told", |s| found(s, "anydesk", "unsanctioned_use"));
    demo.until("the console is told", |s| found(s, "kustomer", "unsanctioned_tenant"));
    demo.signal(Signal::INT);
    assert_eq!(demo.end().code(), Some(0));
    for finding in office.findings("demo/alerts.jsonl") {
        let vendor = &finding["vendor"]["id"];
        assert!(vendor == "anydesk" || vendor == "kustomer", "no other is out of order: {finding}");
    }

    let out = office.text("out");
    let alerts = directory.join("alerts.jsonl");
    for line in [
        format!("  page     http://{listen}/\n"),
        format!("  metrics  http://{listen}/metrics\n"),
        format!("  alerts   {}\n", alerts.display()),
        format!("\nAlerts were written to {}\n", alerts.display()),
    ] {
        assert!(out.contains(&line), "{line}{out}");
    }
    let row = |words: &[&str]| {
        let is = |line: &str| words.iter().all(|w| line.split_whitespace().any(|x| x == *w));
        assert!(out.lines().any(is), "{words:?} is missing: {out}");
    };
    row(&["VENDOR", "TENANT", "ROLE", "GROUP", "STATE", "CLIENTS"]);
    row(&["zendesk", "acme", "support", "sanctioned", "own"]);
    row(&["anydesk", "relay", "office", "unsanctioned"]);
}

#[test]
fn a_demo_with_a_bound_ends_by_itself_and_the_next_one_begins_anew() {
    let office = Office::new("");
    let listen = format!("127.0.0.1:{}", office.port);
    for _ in 0..2 {
        let mut command = demo(&listen, &office.path("demo"));
        command.args(["--seconds", "3"]);
        let demo = office.start(command);
        demo.until("an agent is seen", |s| {
            s.get("/-/ready").0 == 200 && s.usage("zendesk").is_some()
        });
        assert_eq!(demo.end().code(), Some(0));
        let shown = office.text("out").matches("VENDOR").count();
        assert_eq!(shown, 1, "the table at the end: {}", office.text("out"));
        // Where the store was read again, its damage would be told.
        assert_eq!(office.text("log").matches("damaged").count(), 0);
        std::fs::write(office.path("demo/saastap.db"), "no database".repeat(1_000)).unwrap();
    }
}

fn demo(listen: &str, directory: &Path) -> Command {
    let mut command = Command::new(PROGRAM);
    command.args(["demo", "--listen", listen, "--directory"]).arg(directory);
    command
}

/// Round after round of the same day takes no more memory than the first ones did.
#[test]
fn memory_is_level_over_many_rounds() {
    const SECONDS: u64 = 6;
    let office = Office::new("");
    let listen = format!("127.0.0.1:{}", office.port);
    let demo = office.start(demo(&listen, &office.path("demo")));
    demo.until("its page is there", |s| s.get("/-/ready").0 == 200);
    let resident = || demo.metric("process_resident_memory_bytes").unwrap();
    let half = Duration::from_secs(SECONDS * doses(1) as u64 / 2);
    thread::sleep(half);
    let before = resident();
    thread::sleep(half);
    let after = resident();
    // The first day fills tables and caches; a leak of each round would go on.
    assert!(after < before * 1.25 + 8e6, "{before} then {after}");
    demo.signal(Signal::INT);
    assert_eq!(demo.end().code(), Some(0));
}
