//! Another policy while packets flow; a broken one changes nothing, and says where it is broken.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use super::doses::doses;
use super::sensor::{Office, POLICY, Sensor};
use super::wire::Wire;

#[test]
fn a_changed_policy_changes_the_state_shown_and_a_broken_one_does_not() {
    let Some(wire) = Wire::new() else { return };
    let office = Office::new("");
    let alerts = office.path("alerts.jsonl");
    let policy = format!(
        "{POLICY}\n[[sink]]\nname = 'file'\nkind = 'file'\npath = '{}'\n",
        alerts.display()
    );
    office.configure(&policy);
    let sensor = office.run(&wire.near);
    wire.sender().play("anydesk-session", 50);
    sensor.until("the use is shown", |s| s.usage("anydesk").is_some());
    assert_eq!(state(&sensor), "unsanctioned");

    office.configure(&policy.replace("\"unsanctioned\"", "\"sanctioned\""));
    sensor.signal(Signal::HUP);
    sensor.until("SIGHUP has changed it", |s| state(s) == "sanctioned");
    office.configure(&policy.replace("\"unsanctioned\"", "\"tolerated\""));
    assert_eq!(sensor.ask("POST", "/-/reload"), (200, "reloaded\n".to_owned()));
    assert_eq!(state(&sensor), "tolerated");
    assert_eq!(sensor.metric(SUCCESSFUL), Some(1.0));

    office.configure(&policy.replace("\"unsanctioned\"", "\"forbidden\""));
    let line = office.text("saastap.toml").lines().position(|l| l.contains("forbidden")).unwrap();
    let place = format!("{}:{}: ", office.path("saastap.toml").display(), line + 1);
    let (status, answer) = sensor.ask("POST", "/-/reload");
    assert_eq!(status, 500);
    assert!(answer.contains(&place) && answer.contains("forbidden"), "{answer}");
    assert!(answer.contains("\n  mend: "), "{answer}");
    assert_eq!((state(&sensor), sensor.metric(SUCCESSFUL)), ("tolerated".to_owned(), Some(0.0)));
    let told = |log: &str| log.matches(&place).count();
    assert_eq!(told(&office.text("log")), 1);
    sensor.signal(Signal::HUP);
    sensor.until("the log says it again", |_| told(&office.text("log")) == 2);
    assert_eq!(state(&sensor), "tolerated");
    assert_eq!(sensor.get("/-/ready").0, 200);

    office.configure(&policy);
    sensor.signal(Signal::HUP);
    sensor.until("it is mended", |s| s.metric(SUCCESSFUL) == Some(1.0));
    assert_eq!(state(&sensor), "unsanctioned");
    let outcomes = || -> Vec<String> {
        let text = office.text("alerts.jsonl");
        let events = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
        let events = events.map(|line| serde_json::from_str::<Value>(line).unwrap());
        let audits = events.filter(|event| event["event_kind"] == "audit");
        audits.map(|event| event["audit"]["outcome"].as_str().unwrap().to_owned()).collect()
    };
    let told = ["success", "success", "failure", "failure", "success"];
    sensor.until("every reload is told to the sinks", |_| outcomes() == told);
    sensor.stop();
}

#[test]
fn a_changed_lease_file_is_taken_up_and_a_broken_one_is_not() {
    let Some(wire) = Wire::new() else { return };
    let office = Office::new("");
    let file = office.path("leases.csv");
    let write = |rows: &str| {
        let new = office.path("new.csv");
        fs::write(&new, format!("address,from,to,identity,group\n{rows}\n")).unwrap();
        fs::rename(new, &file).unwrap();
    };
    let groups = ["it", "crew"].map(|name| format!("[[group]]\nname = '{name}'\n")).concat();
    let table =
        format!("{groups}[leases]\nfiles = ['{}']\n[privacy]\nsmall_groups = 0\n", file.display());
    write("198.18.0.5,,,alice,it");
    office.configure(&table);
    let sensor = office.run(&wire.near);
    let visit = |client, host: &str, group: &str| {
        wire.sender().request([198, 18, 0, client], [198, 18, 0, 80], host);
        sensor.until(host, |s| {
            let usage = s.json("/api/v1/usage")["usage"].take();
            let rows = usage.as_array().unwrap().iter();
            rows.filter(|row| host.contains(row["vendor"].as_str().unwrap()))
                .any(|row| row["group"] == group)
        });
    };
    visit(5, "acme.zendesk.com", "it");
    write("198.18.0.6,,,bob,crew\n198.18.0.9,,,bob,crew");
    sensor.until("it is read again", |s| s.metric(LEASE_ROWS) == Some(2.0));
    visit(6, "acme.freshdesk.com", "crew");
    visit(5, "acme.kustomerapp.com", "other");
    write("198.18.0.6,,,bob,crews");
    sensor.until("it is refused", |s| s.metric(LEASE_BROKEN) == Some(1.0));
    assert_eq!((sensor.metric(LEASE_ROWS), sensor.metric(LEASE_FRESH)), (Some(2.0), Some(0.0)));
    let place = format!("{}:2: unknown group `crews`", file.display());
    assert_eq!(office.text("log").matches(&place).count(), 1);
    visit(6, "acme.intercom.com", "crew");
    let (status, answer) = sensor.ask("POST", "/-/reload");
    assert!(status == 500 && answer.contains(&place), "{answer}");
    write("198.18.0.7,,,carol,it");
    sensor.until("it is mended", |s| s.metric(LEASE_FRESH) == Some(1.0));
    assert_eq!(sensor.metric(LEASE_ROWS), Some(1.0));
    sensor.stop();
}

#[test]
fn reloads_under_traffic_lose_no_packet_and_mix_no_policies() {
    let Some(wire) = Wire::new() else { return };
    let office = Office::new(RED);
    let sensor = office.run(&wire.near);
    let (mut sender, enough) = (wire.sender(), AtomicBool::new(false));
    let reloads = doses(200);
    // As much traffic in all, however long it takes.
    let pause = Duration::from_millis(5) * u32::try_from(doses(1)).unwrap();
    let (questions, frames) = thread::scope(|scope| {
        let traffic = scope.spawn(|| {
            let (mut questions, mut frames) = (0_u64, 0);
            while !enough.load(Ordering::Relaxed) && questions < FLOWS {
                for _ in 0..20 {
                    sender.question(4_000 + questions as u16);
                    questions += 1;
                }
                frames +=
                    20 + sender.request([198, 18, 0, 9], [198, 18, 1, 5], "acme.freshdesk.com");
                thread::sleep(pause);
            }
            (questions, frames)
        });
        let mut seen = office.text("log").len();
        for number in 0..reloads {
            office.configure(if number % 2 == 0 { BLUE } else { RED });
            if number % 4 < 2 {
                assert_eq!(sensor.ask("PUT", "/-/reload").0, 200);
            } else {
                sensor.signal(Signal::HUP);
            }
            sensor.until("it is loaded", |_| {
                let log = office.text("log");
                let new = log.get(seen..).unwrap_or_default();
                let loaded = new.contains("loaded anew") && new.ends_with('\n');
                if loaded {
                    seen = log.len();
                }
                loaded
            });
        }
        enough.store(true, Ordering::Relaxed);
        traffic.join().unwrap()
    });
    assert!(questions > 1_000, "{questions} are no traffic");
    println!("{reloads} reloads, {frames} frames");
    let seen = |row: &str| sensor.metric(&format!("saastap_capture_{row}_total"));
    sensor.until("all are seen", |_| seen("packets") >= Some(frames as f64));
    assert_eq!(seen("packets"), Some(frames as f64));
    assert_eq!(seen("kernel_dropped_packets"), Some(0.0));
    let flows = |group: &str, state: &str| {
        let labels = format!("{{group=\"{group}\",state=\"{state}\"}}");
        sensor.metric(&format!("saastap_group_flows_total{labels}")).unwrap_or_default()
    };
    let log = office.text("log");
    assert!(!log.contains("at the next start"), "what the command line adds is no change: {log}");
    sensor.until("both policies decided", |_| {
        flows("red", "tolerated") > 0.0 && flows("blue", "sanctioned") > 0.0
    });
    assert_eq!((flows("red", "sanctioned"), flows("blue", "tolerated")), (0.0, 0.0), "mixed");
    sensor.stop();
    // Not only captured: each was counted, and each flow has its name.
    let (mut counted, mut named) = (0, 0);
    for line in office.text("flows").lines() {
        let flow: Value = serde_json::from_str(line).unwrap();
        counted += ["sent", "received"]
            .map(|way| flow[way]["packets"].as_u64().unwrap())
            .iter()
            .sum::<u64>();
        let asked = format!("p{}.example", flow["client"]["port"]);
        named += u64::from(flow["names"][0]["name"] == asked.as_str());
    }
    assert_eq!((counted, named), (frames, questions));
}

/// Two policies that agree in nothing. Groups of one client are named, as addresses are.
const RED: &str = "[privacy]\nclient = 'address'\n[[group]]\nname = 'red'\nnetworks = ['198.18.0.0/24']\n\
                   [[policy]]\nvendor = 'freshdesk'\nstate = 'tolerated'\n";
const BLUE: &str = "[privacy]\nclient = 'address'\n[[group]]\nname = 'blue'\nnetworks = ['198.18.0.0/24']\n\
                    [[policy]]\nvendor = 'freshdesk'\nstate = 'sanctioned'\n";

/// Questions at most: one for each port.
const FLOWS: u64 = 60_000;

fn state(sensor: &Sensor<'_>) -> String {
    sensor.usage("anydesk").unwrap()["state"].as_str().unwrap().to_owned()
}

const SUCCESSFUL: &str = "saastap_config_last_reload_successful";
const LEASE_ROWS: &str = "saastap_lease_file_rows";
const LEASE_FRESH: &str = "saastap_lease_file_last_read_successful";
const LEASE_BROKEN: &str = "saastap_lease_file_failed_reads_total{reason=\"broken\"}";
