//! Hours of usage, by captures that are laid into them: told when they are over, once, and over restarts.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::IpAddr;

use saastap::capture;
use saastap::config::Config;
use saastap::count::Cells;
use saastap::pipeline::{Daemon, Rules, Setup};
use serde_json::Value;

use super::sensor::{Office, POLICY};
use super::wire::recorded;

#[test]
fn hours_are_told_when_they_are_over_and_add_up_to_all_usage() {
    let office = Office::new("");
    let sinks = FORMATS.map(|format| sink(&office, format, true)).concat();
    office.configure(&format!("{POLICY}\n{sinks}{}", sink(&office, "quiet", false)));
    lay(&office, "first", &[(10, CAPTURES), (55, CAPTURES), (80, CAPTURES)]);
    lay(&office, "second", &[(100, CAPTURES), (150, &["widget-page"])]);
    // A minute after the hour reports may still come late; a stop does not wait for them.
    lay(&office, "third", &[(180, &["tls13-openssl"])]);

    run(&office, "first");
    let first = summaries(&office, "json");
    assert!(first.len() > 5, "{first:?}");
    assert!(first.iter().all(|told| told["usage"]["hour"] == hour(0)), "the next is not over");
    run(&office, "second");
    let all = summaries(&office, "json");
    assert_eq!(all[..first.len()], first, "nothing is told again");
    let hours: BTreeSet<&str> = all.iter().filter_map(|s| s["usage"]["hour"].as_str()).collect();
    assert_eq!(hours.into_iter().collect::<Vec<_>>(), [hour(0), hour(1)]);
    let ids: BTreeSet<&str> = all.iter().filter_map(|s| s["event_id"].as_str()).collect();
    assert_eq!(ids.len(), all.len(), "each id once");
    run(&office, "third");
    let third = summaries(&office, "json");
    assert!(third.len() > all.len(), "a stop tells the hour that is over by then");
    assert!(third[all.len()..].iter().all(|told| told["usage"]["hour"] == hour(2)));

    // All but the last, whose hour is not over.
    let told = ["first.pcap", "second.pcap"].map(|name| office.path(name));
    let usage = office.program(&["read", "--json"]).args(told).output().unwrap();
    let usage: Value = serde_json::from_slice(&usage.stdout).unwrap();
    let expected = sums(usage["usage"].as_array().unwrap(), |row| {
        (["vendor", "tenant", "role", "group", "state"].map(|k| &row[k]), row, ["sent", "received"])
    });
    let found = sums(&third, |told| {
        let [tenant, role, group, state] = ["tenant", "role", "group", "state"].map(|k| &told[k]);
        let place = [&told["vendor"]["id"], tenant, role, group, state];
        (place, &told["usage"], ["sent_bytes", "received_bytes"])
    });
    assert_eq!(found, expected);

    let told = history(&office, &["--by", "hour"]);
    let by_day = history(&office, &["--by", "day"]);
    assert_eq!(told, by_day, "hours add up to the day");
    let mut by_vendor: BTreeMap<String, [u64; 4]> = BTreeMap::new();
    for told in &third {
        let sum = by_vendor.entry(place([&told["vendor"]["id"], &told["state"]])).or_default();
        let usage = &told["usage"];
        let counts = ["flows", "sent_bytes", "received_bytes", "active_minutes"];
        for (sum, key) in sum.iter_mut().zip(counts) {
            *sum += usage[key].as_u64().unwrap();
        }
    }
    for (place, sum) in by_vendor {
        assert_eq!(told.get(&place), Some(&sum), "{place}");
    }
    let one = history(&office, &["--vendor", "zendesk"]);
    assert!(!one.is_empty() && one.keys().all(|place| place.contains("zendesk")), "{one:?}");
    let open = history(&office, &["--vendor", "helpjuice", "--from", "2026-11-02"]);
    assert_eq!(open.len(), 1, "the hour that is not over is there as well: {open:?}");
    let table = office.program(&["usage", "--by", "hour"]).output().unwrap();
    let table = String::from_utf8(table.stdout).unwrap();
    assert!(table.contains("2026-11-02 10:00") && table.contains("anydesk"), "{table}");

    for format in FORMATS {
        assert_eq!(summaries(&office, format).len(), third.len(), "{format}");
        assert!(!office.text(format).contains("198.18.0."), "{format} tells a client");
    }
    assert!(summaries(&office, "quiet").is_empty(), "who does not ask gets none");
}

#[test]
fn summaries_keep_what_privacy_asks_for() {
    for (mode, is_client) in [
        ("pseudonym", (|id| id.len() == 14 && id.starts_with("c-")) as fn(&str) -> bool),
        ("address", |id| id.parse::<IpAddr>().is_ok()),
        ("group", |id| id == "-"),
    ] {
        let office = Office::new("");
        let privacy =
            format!("[privacy]\nclient = '{mode}'\nnever_record = {{ vendors = ['anydesk'] }}\n");
        let sinks = sink(&office, "json", true) + &sink(&office, "none/dead", true);
        office.configure(&format!("{privacy}{POLICY}\n{sinks}"));
        lay(&office, "only", &[(10, CAPTURES), (100, CAPTURES)]);
        run(&office, "only");
        let told = summaries(&office, "json");
        let clients: Vec<&str> = told.iter().map(|s| s["client"]["id"].as_str().unwrap()).collect();
        assert!(!clients.is_empty() && clients.iter().all(|id| is_client(id)), "{clients:?}");
        let vendors: BTreeSet<_> = told.iter().filter_map(|s| s["vendor"]["id"].as_str()).collect();
        assert!(vendors.len() > 1 && !vendors.contains("anydesk"), "{vendors:?}");
        if mode == "group" {
            continue;
        }
        // What waits for a sink, and the hour that is not over, are forgotten as well.
        let store = rusqlite::Connection::open(office.path("state/saastap.db")).unwrap();
        let count = |table: &str, id: &str| -> u32 {
            let sql = format!("SELECT count(*) FROM {table}");
            store.query_row(&sql.replace('?', id), [], |row| row.get(0)).unwrap()
        };
        let of = |id: &str| {
            let waiting = count("outbox WHERE instr(payload, '?') AND state = 1", id);
            [waiting, count("hour WHERE client = '?'", id)]
        };
        let id = clients[0];
        assert!(of(id).iter().all(|count| *count > 0), "{:?}", of(id));
        let rollups = count("rollup", "");
        // Nobody else may have the store open.
        drop(store);
        let forget = office.program(&["forget", "--client", id]).output().unwrap();
        assert!(forget.status.success(), "{}", String::from_utf8_lossy(&forget.stderr));
        let store = rusqlite::Connection::open(office.path("state/saastap.db")).unwrap();
        let count = |sql: &str| -> u32 {
            store.query_row(&format!("SELECT count(*) FROM {sql}"), [], |row| row.get(0)).unwrap()
        };
        assert_eq!(count(&format!("outbox WHERE instr(payload, '{id}')")), 0);
        assert_eq!(count(&format!("hour WHERE client = '{id}'")), 0);
        assert_eq!(count("rollup"), rollups, "sums tell nobody");
    }
}

/// Sums of `saastap usage` by vendor and state: flows, octets each way, active minutes.
fn history(office: &Office, args: &[&str]) -> BTreeMap<String, [u64; 4]> {
    let told = office.program(&["usage", "--json"]).args(args).output().unwrap();
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    let told = String::from_utf8(told.stdout).unwrap();
    let rows: Vec<Value> = told.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let mut sums: BTreeMap<String, [u64; 4]> = BTreeMap::new();
    for row in &rows {
        let sum = sums.entry(place([&row["vendor"], &row["state"]])).or_default();
        for (sum, key) in sum.iter_mut().zip(["flows", "sent", "received", "active_minutes"]) {
            *sum += row[key].as_u64().unwrap();
        }
    }
    sums
}

fn place(words: [&Value; 2]) -> String {
    format!("{} {}", words[0], words[1])
}

/// Sums by place: flows, octets each way, active minutes.
fn sums<'a>(
    rows: &'a [Value],
    read: impl Fn(&'a Value) -> ([&'a Value; 5], &'a Value, [&'static str; 2]),
) -> BTreeMap<String, [u64; 4]> {
    let mut sums: BTreeMap<String, [u64; 4]> = BTreeMap::new();
    for row in rows {
        let (place, counts, [sent, received]) = read(row);
        let sum = sums.entry(format!("{place:?}")).or_default();
        for (sum, key) in sum.iter_mut().zip(["flows", sent, received, "active_minutes"]) {
            *sum += counts[key].as_u64().unwrap();
        }
    }
    sums
}

/// Runs a daemon of this office over a laid capture, to its end.
fn run(office: &Office, name: &str) {
    let config = Config::load(&office.path("saastap.toml")).unwrap();
    let rules = Rules::load(&config).unwrap();
    let captured = Cells::new();
    let file = office.path(&format!("{name}.pcap"));
    let source = capture::open_files(&[file], &config.capture, captured.clone()).unwrap();
    let setup = Setup { config, config_file: None, source, captured, flow_log: None, waits: true };
    Daemon::start(setup, rules).unwrap().run(|_, _| true).unwrap();
}

/// Writes NAME.pcap with recorded captures, each beginning so many minutes after ten o'clock.
fn lay(office: &Office, name: &str, times: &[(u64, &[&str])]) {
    let mut frames: Vec<(u64, Vec<u8>)> = Vec::new();
    for (minutes, captures) in times {
        for capture in *captures {
            let octets = fs::read(recorded(capture)).unwrap();
            assert_eq!((&octets[..4], octets[20]), (&[0xd4, 0xc3, 0xb2, 0xa1][..], 1), "{capture}");
            let number = |at: usize| u32::from_le_bytes(octets[at..at + 4].try_into().unwrap());
            let (mut at, mut first) = (24, None);
            while at < octets.len() {
                let micros = u64::from(number(at)) * 1_000_000 + u64::from(number(at + 4));
                let end = at + 16 + number(at + 8) as usize;
                let since = micros - *first.get_or_insert(micros);
                frames.push(((TEN + minutes * 60) * 1_000_000 + since, octets[at + 8..end].into()));
                at = end;
            }
        }
    }
    frames.sort_by_key(|(micros, _)| *micros);
    let mut records = Vec::new();
    for (micros, frame) in frames {
        for part in [micros / 1_000_000, micros % 1_000_000] {
            records.extend(u32::try_from(part).unwrap().to_le_bytes());
        }
        records.extend(frame);
    }
    let head = fs::read(recorded("tls13-openssl")).unwrap()[..24].to_vec();
    fs::write(office.path(&format!("{name}.pcap")), [head, records].concat()).unwrap();
}

/// A sink of the format, or in another place one of JSON.
fn sink(office: &Office, place: &str, usage: bool) -> String {
    let format = FORMATS.into_iter().find(|format| *format == place).unwrap_or("json");
    let (name, path) = (place.replace('/', "-"), office.path(place));
    let usage = if usage { "usage = 'hourly'\n" } else { "" };
    format!(
        "[[sink]]\nname = '{name}'\nkind = 'file'\nformat = '{format}'\npath = '{}'\n{usage}",
        path.display()
    )
}

/// Summaries in a file, in their order; of formats that are no JSON the lines.
fn summaries(office: &Office, place: &str) -> Vec<Value> {
    let text = office.text(place);
    let event = |line: &str| serde_json::from_str(line).unwrap_or_else(|_| line.into());
    let is_usage = |event: &Value| match event.as_str() {
        Some(line) => line.contains("|usage|"),
        None => [&event["event_kind"], &event["event"]["code"], &event["metadata"]["event_code"]]
            .iter()
            .any(|kind| **kind == "usage"),
    };
    text.lines().map(event).filter(is_usage).collect()
}

/// The hour after so many, as messages show it.
fn hour(after: usize) -> &'static str {
    ["2026-11-02T10:00:00.000000Z", "2026-11-02T11:00:00.000000Z", "2026-11-02T12:00:00.000000Z"]
        [after]
}

const FORMATS: [&str; 5] = ["json", "ecs", "ocsf", "cef", "leef"];
const CAPTURES: &[&str] = &["anydesk-session", "agent-console", "foreign-console", "widget-page"];

/// Ten o'clock of Monday, 2026-11-02, in seconds since the epoch.
const TEN: u64 = 1_793_577_600 + 36_000;
