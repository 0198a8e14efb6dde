//! A capture replayed over a wire gives the flows that reading it gives.

use std::thread;

use serde_json::Value;

use super::sensor::{Office, POLICY};
use super::wire::{Wire, recorded};

#[test]
fn the_wire_gives_the_flows_of_the_file() {
    thread::scope(|scope| {
        for (number, capture) in CAPTURES.into_iter().enumerate() {
            // Some by one thread that does all, some by a reader and several workers.
            scope.spawn(move || same(capture, 1 + number % 3));
        }
    });
}

fn same(capture: &str, workers: usize) {
    let Some(wire) = Wire::new() else { return };
    let office = Office::new(&format!("[sensor]\nworkers = {workers}\n{POLICY}{SCENES}"));
    let file = recorded(capture);
    let read = office.program(&["read", "--flows", file.to_str().unwrap()]).output().unwrap();
    assert!(read.status.success(), "{}", String::from_utf8_lossy(&read.stderr));
    let from_file = flows(&String::from_utf8(read.stdout).unwrap());

    let sensor = office.run(&wire.near);
    let sent = wire.sender().play(capture, FASTER) as f64;
    let seen = |row: &str| sensor.metric(&format!("saastap_capture_{row}_total"));
    sensor.until("all frames are there", |_| seen("packets") >= Some(sent));
    assert_eq!((seen("packets"), seen("kernel_dropped_packets")), (Some(sent), Some(0.0)));
    sensor.stop();
    let from_wire = flows(&office.text("flows"));

    assert!(!from_file.is_empty());
    for (file, wire) in from_file.iter().zip(&from_wire) {
        assert_eq!(file, wire, "{capture}");
    }
    assert_eq!(from_file.len(), from_wire.len(), "{capture}");
}

/// Each flow without its times, and without what follows from them: by which clock it ended.
fn flows(lines: &str) -> Vec<String> {
    let flow = |line: &str| {
        let mut flow: Value = serde_json::from_str(line).unwrap();
        let facts = flow.as_object_mut().unwrap();
        for time in ["start", "end", "ended"] {
            facts.remove(time);
        }
        assert!(facts["client"]["ip"].is_string() && facts["sent"]["packets"].is_u64());
        flow.to_string()
    };
    let mut flows: Vec<_> = lines.lines().map(flow).collect();
    flows.sort_unstable();
    flows
}

const CAPTURES: [&str; 12] = [
    "anydesk-session",
    "browsing",
    "chromium-pq-ech",
    "curl-http-keepalive",
    "dns-cname",
    "foreign-console",
    "hello-reordered",
    "hello-two-records",
    "ipv6-node",
    "tls12-openssl",
    "tls13-openssl",
    "vlan-curl",
];

/// Recorded pauses are divided by this: 48 seconds become six.
const FASTER: u32 = 8;

/// A group for the recorded clients.
const SCENES: &str =
    "\n[[group]]\nname = 'scenes'\nnetworks = ['198.18.0.0/24', '2001:db8::/48']\n";
