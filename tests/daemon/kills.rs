//! Kills at any moment, while receivers fail as they like: what was counted is told, to each receiver in one order.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::chance::Random;
use super::doses::doses;
use super::faulty::Faulty;
use super::sensor::{Office, PATIENCE, POLICY};
use super::wire::Wire;

#[test]
fn no_counted_finding_is_lost_to_kills() {
    let Some(wire) = Wire::new() else { return };
    let runs = doses(10);
    let (mut chance, mut played, mut counted) = (Random(0x5eed), 0, 0.0);
    let (office, siem, hook) = (Office::new(""), Faulty::syslog(1), Faulty::webhook(2));
    let alerts = office.path("alerts.jsonl");
    office.configure(&format!(
        "{POLICY}\n[[sink]]\nname = 'file'\nkind = 'file'\npath = '{}'\n\
         [[sink]]\nname = 'siem'\nkind = 'syslog'\naddress = '127.0.0.1:{}'\n\
         [[sink]]\nname = 'hook'\nkind = 'webhook'\nurl = 'http://127.0.0.1:{}/'\n",
        alerts.display(),
        siem.port,
        hook.port
    ));
    for _ in 0..runs {
        let sensor = office.run(&wire.near);
        let life = Duration::from_millis(u64::from(chance.below(4_000)));
        let (mut sender, dead) = (wire.sender(), AtomicBool::new(false));
        let before = played;
        thread::scope(|scope| {
            // Names without end, each of which is a finding of its own.
            let traffic = scope.spawn(|| {
                let mut names = 0;
                while !dead.load(Ordering::Relaxed) && names < NAMES {
                    let host = format!("zendesk-login{}.com", before + names);
                    sender.request(CLIENT, SERVER, &host);
                    names += 1;
                    thread::sleep(Duration::from_millis(10));
                }
                names
            });
            let (start, mut seen) = (Instant::now(), 0.0);
            while start.elapsed() < life {
                seen = sensor.metric(COUNTED).unwrap_or(seen);
                assert_eq!(sensor.metric(DROPPED).unwrap_or(0.0), 0.0, "capture stalled");
            }
            sensor.signal(Signal::KILL);
            assert_eq!(sensor.end().code(), None, "killed");
            dead.store(true, Ordering::Relaxed);
            played += traffic.join().unwrap();
            counted += seen;
        });
    }
    assert!(counted > 0.0, "{runs} runs of which none came to a finding show nothing");

    siem.recover();
    hook.recover();
    let sensor = office.run(&wire.near);
    let told = || {
        let file = office.findings("alerts.jsonl");
        let file = file.iter().map(|event| event["event_id"].as_str().unwrap().to_owned());
        [file.collect(), siem.taken(), hook.taken()]
    };
    let waiting = |sink: &str| {
        let series = format!("saastap_sink_waiting_messages{{sink=\"{sink}\"}}");
        sensor.metric(&series)
    };
    let start = Instant::now();
    // All have as many, and it is told that none waits: at its start the sensor knows of none yet.
    loop {
        let counts = told().map(|ids| in_order(&ids).len());
        let waits = SINKS.map(waiting);
        if counts == [counts[0]; 3] && waits == [Some(0.0); 3] {
            break;
        }
        // The longest pause between two attempts comes before the ten seconds that a syslog connection must live.
        assert!(start.elapsed() < 4 * PATIENCE, "{counts:?} are told, {waits:?} wait");
        thread::sleep(Duration::from_millis(100));
    }
    sensor.stop();
    let told = told();
    let first = told.each_ref().map(|ids| in_order(ids));
    println!(
        "{runs} kills, {played} names, {counted} counted; {} told, again: {:?}",
        first[0].len(),
        told.iter().zip(&first).map(|(all, first)| all.len() - first.len()).collect::<Vec<_>>()
    );
    assert!(first[0].len() as f64 >= counted, "{counted} were counted, {} told", first[0].len());
    for (sink, ids) in SINKS.iter().zip(&first) {
        assert_eq!(*ids, first[0], "{sink}: not all, or in another order");
    }
}

/// Ids in the order in which they came first.
fn in_order(ids: &[String]) -> Vec<&str> {
    let mut known = BTreeSet::new();
    ids.iter().map(String::as_str).filter(|id| known.insert(*id)).collect()
}

const SINKS: [&str; 3] = ["file", "siem", "hook"];
const COUNTED: &str = "saastap_findings_total{finding=\"lookalike\"}";
const DROPPED: &str = "saastap_capture_kernel_dropped_packets_total";
/// More than any run lives to see.
const NAMES: u64 = 10_000;
const CLIENT: [u8; 4] = [198, 18, 0, 9];
const SERVER: [u8; 4] = [198, 18, 1, 5];
