//! Events on their whole way: cases, store, outbox, and real receivers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod alertmanager;
mod authority;
mod broker;
mod formats;
mod http;
mod kafka;
mod receiver;
mod rsyslog;
mod sensing;

use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;

use self::sensing::Sensing;

#[test]
fn a_dead_sink_slows_no_other_and_a_renamed_file_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("alerts.jsonl");
    let dead = free_port();
    let text = format!(
        "[[sink]]\nname='dead'\nkind='syslog'\naddress='127.0.0.1:{dead}'\n\
         [[sink]]\nname='file'\nkind='file'\npath='{}'\n",
        path.display()
    );
    let mut sensor = Sensing::new(&folder.path().join("a.db"), &text);
    let mut sent = Vec::new();
    for n in 0..10 {
        sent.push(sensor.raise(n));
    }
    sensor.wait("the file has them", |s| s[1].delivered == 10);
    let old = folder.path().join("alerts.jsonl.1");
    std::fs::rename(&path, &old).unwrap();
    for n in 10..20 {
        sent.push(sensor.raise(n));
    }
    let stats = sensor.wait("the file has them all", |s| s[1].delivered == 20);
    assert_eq!((stats[0].delivered, stats[0].up), (0, false));
    let lines = |path: &PathBuf| ids(&std::fs::read_to_string(path).unwrap());
    assert_eq!(lines(&old), sent[..10]);
    assert_eq!(lines(&path), sent[10..]);

    // The dead sink's events stay in the store, for a run in which it lives.
    sensor.close();
    let alive = TcpListener::bind((Ipv4Addr::LOCALHOST, dead)).unwrap();
    let sensor = Sensing::new(&folder.path().join("a.db"), &text);
    let (mut stream, _) = alive.accept().unwrap();
    let mut got = Vec::new();
    while got.len() < 20 {
        got.push(frame(&mut stream));
    }
    let got: Vec<String> =
        got.iter().map(|m| ids(m.split_once(" - ").unwrap().1).remove(0)).collect();
    assert_eq!(got, sent, "in order");
    drop(sensor);
}

#[test]
fn a_backlog_is_bounded_and_what_is_given_up_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let text = format!(
        "[[sink]]\nname='dead'\nkind='syslog'\naddress='127.0.0.1:{}'\nmax_messages=5\n",
        free_port()
    );
    let mut sensor = Sensing::new(&folder.path().join("a.db"), &text);
    for n in 0..20 {
        sensor.raise(n);
    }
    let stats = sensor.wait("the backlog is cut", |s| s[0].given_up >= 15);
    assert_eq!((stats[0].given_up, stats[0].delivered), (15, 0));
}

#[test]
fn a_heartbeat_reaches_the_sink() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("alerts.jsonl");
    let text = format!("[[sink]]\nname='file'\nkind='file'\npath='{}'\n", path.display());
    let mut sensor = Sensing::new(&folder.path().join("a.db"), &text);
    let identity = sensor.cases.sensor().clone();
    assert!(sensor.outbox.heartbeat(&identity, [("saastap_frames_total", 3)].into()));
    sensor.wait("it is delivered", |s| s[0].delivered == 1);
    let line = std::fs::read_to_string(&path).unwrap();
    let event: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(event["event_kind"], "heartbeat");
    assert_eq!(event["values"]["saastap_frames_total"], 3);
    assert_eq!(event["sensor"]["name"], "test-sensor");
}

fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

fn ids(lines: &str) -> Vec<String> {
    let id = |line: &str| {
        let event: serde_json::Value = serde_json::from_str(line).unwrap();
        event["event_id"].as_str().unwrap().to_owned()
    };
    lines.lines().map(id).collect()
}

/// One message framed by octet counting.
fn frame(stream: &mut impl std::io::Read) -> String {
    let mut count = 0;
    loop {
        let mut octet = [0];
        stream.read_exact(&mut octet).unwrap();
        match octet[0] {
            b' ' => break,
            digit => count = count * 10 + usize::from(digit - b'0'),
        }
    }
    let mut message = vec![0; count];
    stream.read_exact(&mut message).unwrap();
    String::from_utf8(message).unwrap()
}
