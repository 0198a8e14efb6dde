//! What every format says is read by programs that others wrote.

use std::path::Path;
use std::process::Command;

use saastap::alert::event::VendorName;
use saastap::alert::lasting::{Cause, Lasting, Loss, Silence};
use saastap::policy::State;
use saastap::time::Time;

use crate::sensing::Sensing;

#[test]
fn others_read_every_format() {
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/test-python/bin/python3");
    if !python.exists() {
        println!("SKIPPED: {} is not there: run `make setup-test`", python.display());
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = |format: &str| folder.path().join(format);
    let text: String = FORMATS
        .iter()
        .map(|format| {
            let path = path(format);
            let path = path.display();
            format!("[[sink]]\nname='{format}'\nkind='file'\nformat='{format}'\npath='{path}'\nusage='hourly'\n")
        })
        .collect();
    let mut sensor = Sensing::new(&folder.path().join("a.db"), &text);
    let mut sent: Vec<String> = (0..3).map(|n| sensor.raise(n)).collect();
    sent.push(sensor.hold(&silence()));
    sent.push(sensor.hold(&loss()));
    sensor.wait("they are accepted", |s| s.iter().all(|s| s.delivered == 5));
    sent.extend(sensor.close_cases());
    let identity = sensor.cases.sensor().clone();
    assert!(sensor.outbox.heartbeat(&identity, [("frames", 3)].into()));
    sensor.wait("it is written", |s| s.iter().all(|s| s.delivered == 11));
    let hours: Vec<String> = ["c-0f30512374f4", "10.20.0.7", "-"].map(|c| sensor.tell(c)).into();
    sensor.wait("all are written", |s| s.iter().all(|s| s.delivered == 14));

    let judge = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sinks/judge.py");
    for format in FORMATS {
        let judged =
            Command::new(&python).arg(&judge).arg(format).arg(path(format)).output().unwrap();
        let error = String::from_utf8_lossy(&judged.stderr);
        assert!(judged.status.success(), "{format}: {error}");
        let told = String::from_utf8(judged.stdout).unwrap();
        let told: Vec<&str> = told.lines().collect();
        assert_eq!(told[..10], sent, "{format}: {error}");
        assert_eq!(told[11..], hours, "after the heartbeat");
    }
}

fn silence() -> Lasting {
    let last_used = Time::from_secs(1_794_960_000);
    Lasting::Silence {
        vendor: VendorName { id: "zendesk".into(), name: "Zendesk".into(), category: None },
        state: State::Sanctioned,
        silence: Silence { days: 5, known_days: 20, clients_a_day: 7, last_used },
    }
}

fn loss() -> Lasting {
    let (cause, minutes) = (Cause::Drops, 15);
    Lasting::Loss {
        loss: Loss { cause, part: 30_000, whole: 120_000, minutes, threshold_percent: 1 },
    }
}

const FORMATS: [&str; 5] = ["json", "ecs", "ocsf", "cef", "leef"];
