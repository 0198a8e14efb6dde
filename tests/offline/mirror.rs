//! What a span port makes of the office day: every frame twice, on another VLAN and one hop later; or one direction alone.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::Path;

use serde_json::Value;

use crate::again::same_for_any_workers;
use crate::program::{OFFICE_DAY, saastap};

/// One record of a classic pcap file of Ethernet frames.
#[derive(Clone)]
pub struct Record {
    micros: u64,
    pub wire_len: u32,
    pub bytes: Vec<u8>,
}

const HEADER: usize = 24;

pub fn records(path: &str) -> (Vec<u8>, Vec<Record>) {
    let packed = fs::File::open(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap();
    let mut all = Vec::new();
    flate2::read::MultiGzDecoder::new(packed).read_to_end(&mut all).unwrap();
    let word = |at: usize| u32::from_le_bytes(all[at..at + 4].try_into().unwrap());
    assert_eq!((word(0), word(20)), (0xa1b2_c3d4, 1), "microseconds, Ethernet");
    let mut records = Vec::new();
    let mut at = HEADER;
    while at < all.len() {
        let len = word(at + 8) as usize;
        records.push(Record {
            micros: u64::from(word(at)) * 1_000_000 + u64::from(word(at + 4)),
            wire_len: word(at + 12),
            bytes: all[at + 16..at + 16 + len].to_vec(),
        });
        at += 16 + len;
    }
    (all[..HEADER].to_vec(), records)
}

pub fn write(path: &Path, header: &[u8], records: &[Record]) {
    let mut all = header.to_vec();
    for record in records {
        let seconds = (record.micros / 1_000_000) as u32;
        let micros = (record.micros % 1_000_000) as u32;
        for word in [seconds, micros, record.bytes.len() as u32, record.wire_len] {
            all.extend(word.to_le_bytes());
        }
        all.extend(&record.bytes);
    }
    fs::write(path, all).unwrap();
}

/// The same frame as the next switch shows it, up to 5 ms later.
fn copy(record: &Record, number: usize) -> Record {
    let mut bytes = record.bytes.clone();
    bytes[..12].copy_from_slice(&[0x02, 0, 0, 0, 0, 1, 0x02, 0, 0, 0, 0, 2]);
    let tag = |at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
    let mut ip = 14;
    while tag(ip - 2) == 0x8100 {
        ip += 4;
    }
    match tag(ip - 2) {
        0x0800 => {
            bytes[ip + 8] -= 1;
            // RFC 1624: one less in the upper octet of a word adds as much to the checksum.
            let sum = u32::from(u16::from_be_bytes([bytes[ip + 10], bytes[ip + 11]])) + 0x0100;
            let sum = (sum & 0xffff) as u16 + (sum >> 16) as u16;
            bytes[ip + 10..ip + 12].copy_from_slice(&sum.to_be_bytes());
        }
        0x86dd => bytes[ip + 7] -= 1,
        _ => {}
    }
    bytes.splice(12..12, [0x81, 0, 0, 7]);
    Record {
        micros: record.micros + 20 + (number as u64 * 7_919) % 4_980,
        wire_len: record.wire_len + 4,
        bytes,
    }
}

/// Every frame twice, in the order in which they come.
fn doubled(records: &[Record]) -> Vec<Record> {
    let copies = records.iter().enumerate().map(|(number, record)| copy(record, number));
    let mut all: Vec<Record> = records.iter().cloned().chain(copies).collect();
    all.sort_by_key(|r| r.micros);
    all
}

fn read(form: &str, capture: &str) -> crate::program::Ran {
    saastap(&["--config", "config/demo.toml", "read", form, capture])
}

/// Usage by vendor, tenant, role and group.
fn usage(whole: &Value) -> BTreeMap<String, &Value> {
    let rows = whole["usage"].as_array().unwrap().iter();
    rows.map(|r| (["vendor", "tenant", "role", "group"].map(|k| r[k].to_string()).join(" "), r))
        .collect()
}

#[test]
fn a_day_that_is_mirrored_twice_is_the_day() {
    let (header, records) = records(OFFICE_DAY);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("twice.pcap");
    write(&file, &header, &doubled(&records));
    let file = file.to_str().unwrap();
    let (clean, twice) = (read("--json", OFFICE_DAY).json(), read("--json", file).json());
    let (day, other) = (usage(&clean), usage(&twice));
    assert!(day.len() > 10);
    assert_eq!(day.keys().collect::<Vec<_>>(), other.keys().collect::<Vec<_>>());
    for (key, row) in &day {
        let other = other[key];
        for exact in ["clients", "engagement", "state", "flows", "active_minutes"] {
            assert_eq!(row[exact], other[exact], "{key}: {exact}");
        }
        for near in ["sent", "received"] {
            let (one, two) = (row[near].as_f64().unwrap(), other[near].as_f64().unwrap());
            assert!((two - one).abs() <= one * 0.005, "{key}: {near} {one} became {two}");
        }
    }
    assert_eq!(shares(&clean), BTreeMap::new());
    assert_eq!(shares(&twice), BTreeMap::from([("duplicate".into(), 50)]));
    let found = |whole: &Value| -> Vec<Value> {
        let all = whole["findings"].as_array().unwrap().iter();
        all.map(|f| f["finding"]["id"].clone()).collect()
    };
    assert_eq!(found(&clean), found(&twice));
    same_for_any_workers(&[file], "--flows");
    same_for_any_workers(&[file], "--json");
}

/// Conditions of the span port that were told, with their shares in percent.
fn shares(whole: &Value) -> BTreeMap<String, u64> {
    let all = whole["conditions"].as_array().into_iter().flatten();
    all.map(|c| {
        let share = (c["share"].as_f64().unwrap() * 100.0).round();
        (c["condition"].as_str().unwrap().to_owned(), share as u64)
    })
    .collect()
}

/// Servers have the lower port, in TCP and UDP alike.
fn is_from_client(record: &Record) -> bool {
    let ports = ports(record, 6).or_else(|| ports(record, 17));
    ports.is_some_and(|(source, destination)| source > destination)
}

/// Source and destination port of a packet of this protocol.
fn ports(record: &Record, protocol: u8) -> Option<(u16, u16)> {
    let bytes = &record.bytes;
    let (of, at) = match u16::from_be_bytes([bytes[12], bytes[13]]) {
        0x0800 => (bytes[23], 14 + usize::from(bytes[14] & 15) * 4),
        0x86dd => (bytes[20], 14 + 40),
        _ => return None,
    };
    let port = |at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
    (of == protocol && bytes.len() >= at + 4).then(|| (port(at), port(at + 2)))
}

/// Flows of vendors by their ends.
fn vendors(capture: &str) -> BTreeMap<String, String> {
    let flows = read("--flows", capture).lines();
    let flows = flows.iter().filter(|f| f["vendor"].is_string());
    flows
        .map(|f| {
            (format!("{} {} {}", f["transport"], f["client"], f["server"]), f["vendor"].to_string())
        })
        .collect()
}

/// One direction alone: names in the client's are all found, those in the server's by what it tells of itself. Ends are never
/// taken for each other.
#[test]
fn a_tap_in_one_direction_names_what_that_direction_tells() {
    let (header, records) = records(OFFICE_DAY);
    let whole = vendors(OFFICE_DAY);
    assert!(whole.len() > 100);
    let folder = tempfile::tempdir().unwrap();
    for (side, floor) in [(true, FROM_CLIENTS), (false, FROM_SERVERS)] {
        let file = folder.path().join(format!("{side}.pcap"));
        let half: Vec<Record> =
            records.iter().filter(|r| is_from_client(r) == side).cloned().collect();
        write(&file, &header, &half);
        let file = file.to_str().unwrap();
        let seen = vendors(file);
        let same = whole.iter().filter(|(ends, vendor)| seen.get(*ends) == Some(vendor)).count();
        let recall = same as f64 / whole.len() as f64;
        let from = if side { "clients" } else { "servers" };
        println!("from {from} alone: {same} of {} flows of vendors ({recall:.3})", whole.len());
        assert!(recall >= floor, "from {from} alone: {recall:.3}");
        for (ends, vendor) in &seen {
            assert_eq!(whole.get(ends), Some(vendor), "{ends}");
        }
        let told = shares(&read("--json", file).json());
        assert!(told.get("one_way").is_some_and(|share| *share > 70), "{told:?}");
        // A side that is not seen must not make a silent flow end early: what came after would be another one.
        assert_eq!(told.get("mid_stream"), None, "{told:?}");
    }
}

/// Flows whose beginning was not seen, without DNS, are what earlier ones between the same ends were, or nothing.
#[test]
fn flows_older_than_the_sensor_are_named_by_what_it_remembers() {
    let (header, records) = records(OFFICE_DAY);
    let tcp: Vec<Record> = records.into_iter().filter(|r| ports(r, 6).is_some()).collect();
    let mut seen: BTreeMap<(u16, u16), u32> = BTreeMap::new();
    let mut both = tcp.clone();
    for record in &tcp {
        let (source, destination) = ports(record, 6).unwrap();
        let count = seen.entry((source.min(destination), source.max(destination))).or_default();
        *count += 1;
        // Handshake and hellos are missing, whatever their order.
        if *count > 12 {
            both.push(Record { micros: record.micros + 12 * 3_600_000_000, ..record.clone() });
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("older.pcap");
    write(&file, &header, &both);
    let file = file.to_str().unwrap();
    let (mut owners, mut remembered) = (BTreeMap::<String, Vec<String>>::new(), 0);
    let ends = |f: &Value| format!("{} {}", f["client"]["ip"], f["server"]);
    let owner = |f: &Value| format!("{} {} {}", f["vendor"], f["tenant"], f["role"]);
    for flow in read("--flows", file).lines() {
        if flow["via"] == "remembered" {
            remembered += 1;
            assert_eq!(owners[&ends(&flow)], [owner(&flow)], "{flow}");
            assert_eq!(
                (&flow["confidence"], &flow["visibility"]),
                (&"low".into(), &"named".into())
            );
        } else if flow["names"].is_array() {
            let known = owners.entry(ends(&flow)).or_default();
            if !known.contains(&owner(&flow)) {
                known.push(owner(&flow));
            }
        }
    }
    println!("{remembered} flows were remembered");
    assert!(remembered > 10);
    same_for_any_workers(&[file], "--flows");
}

const FROM_CLIENTS: f64 = 1.0;

/// Servers of TLS 1.3 tell nothing of themselves; what remains are answers of DNS and certificates up to TLS 1.2.
const FROM_SERVERS: f64 = 0.95;

/// A port that is mirrored with a tag in one direction and without in the other.
#[test]
fn a_tag_in_one_direction_alone_changes_nothing_and_is_told() {
    let (header, mut records) = records(OFFICE_DAY);
    for record in &mut records {
        if is_from_client(record) {
            record.bytes.splice(12..12, [0x81, 0, 0, 7]);
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tagged.pcap");
    write(&file, &header, &records);
    let file = file.to_str().unwrap();
    assert_eq!(vendors(file), vendors(OFFICE_DAY));
    let told = shares(&read("--json", file).json());
    assert!(told.get("tag_asymmetric").is_some_and(|share| *share > 90), "{told:?}");
    let text = saastap(&["--config", "config/demo.toml", "read", file]).well();
    assert!(text.contains(" % of TCP flows have a VLAN tag in one direction only."), "{text}");
}
