//! What a damaged file and a full disk do to the store, and what they do not.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::sensor::{Office, POLICY, Sensor};
use super::wire::{Wire, run, skipped};

#[test]
fn a_damaged_store_is_set_aside() {
    let Some(wire) = Wire::new() else { return };
    let office = Office::new(POLICY);
    office.run(&wire.near).stop();
    let store = office.path("state/saastap.db");
    let garbage = b"no database ".repeat(1_000);
    fs::write(&store, &garbage).unwrap();
    let sensor = office.run(&wire.near);
    assert!(office.text("log").contains("saastap.db was damaged: it lies now at "));
    wire.sender().play("anydesk-session", 50);
    sensor.until("it counts", |s| s.usage("anydesk").is_some());
    sensor.stop();
    let files = fs::read_dir(office.path("state")).unwrap().map(|f| f.unwrap().path());
    let aside: Vec<_> = files.filter(|f| fs::read(f).unwrap() == garbage).collect();
    assert_eq!(aside.len(), 1, "what was damaged is kept");
    assert_ne!(aside[0], store);
}

#[test]
fn a_full_disk_delays_findings_and_loses_none() {
    let Some(wire) = Wire::new() else { return };
    if let Err(why) = run("unshare", &["--mount", "true"]) {
        skipped("cannot mount a small disk", &why);
        return;
    }
    let office = Office::new("");
    let alerts = office.path("alerts.jsonl");
    office.configure(&format!(
        "{POLICY}\n[[sink]]\nname = 'file'\nkind = 'file'\npath = '{}'\n",
        alerts.display()
    ));
    let state = office.path("state");
    fs::create_dir(&state).unwrap();
    // A disk that only the program and its children see, and that goes with them.
    let mut command = std::process::Command::new("unshare");
    command.args(["--mount", "sh", "-c", SMALL_DISK, "sh"]).arg(&state);
    let program = office.program(&["run", "--interface", &wire.near]);
    command.arg(program.get_program()).args(program.get_args());
    let sensor = office.start(command);
    sensor.until("it is ready", |s| s.get("/-/ready").0 == 200);
    let mut sender = wire.sender();
    let mut sent = 0;
    let mut play = |host: &str| sent += sender.request([198, 18, 0, 9], [198, 18, 1, 5], host);
    play("zendesk-login1.com");
    sensor.until("the first is told", |_| office.findings("alerts.jsonl").len() == 1);

    let ballast = seen_by(&sensor, &state.join("ballast"));
    fill(&ballast);
    for n in 2..=40 {
        play(&format!("zendesk-login{n}.com"));
    }
    let failures = |s: &Sensor<'_>| s.metric("saastap_store_commit_failures_total") > Some(0.0);
    sensor.until("the store says that it cannot commit", failures);
    let before = sensor.metric(COUNTED);
    assert!(before < Some(40.0), "no disk was full: {before:?}");
    fs::remove_file(&ballast).unwrap();
    sensor.until("all are counted", |s| s.metric(COUNTED) == Some(40.0));
    sensor.until("all are told", |_| office.findings("alerts.jsonl").len() >= 40);
    assert_eq!(sensor.metric("saastap_capture_packets_total"), Some(sent as f64));
    sensor.stop();
    let log = office.text("log");
    assert!(
        log.contains("the store cannot commit") && log.contains("the store commits again"),
        "{log}"
    );
    let told = office.findings("alerts.jsonl");
    let names: std::collections::BTreeSet<_> =
        told.iter().map(|e| e["event_id"].to_string()).collect();
    assert_eq!((told.len(), names.len()), (40, 40), "each once");
}

/// Four mebibytes at the first argument, and then the rest as a program.
const SMALL_DISK: &str = "mount -t tmpfs -o size=4m tmpfs \"$1\" && shift && exec \"$@\"";

const COUNTED: &str = "saastap_findings_total{finding=\"lookalike\"}";

/// Where a path lies for a program with mounts of its own.
fn seen_by(sensor: &Sensor<'_>, path: &Path) -> PathBuf {
    Path::new("/proc")
        .join(sensor.id().to_string())
        .join("root")
        .join(path.strip_prefix("/").unwrap())
}

/// Writes until nothing more fits.
fn fill(path: &Path) {
    let mut file = fs::File::create(path).unwrap();
    for block in [1 << 16, 1 << 12, 1] {
        while file.write_all(&vec![0; block]).is_ok() {}
    }
}
