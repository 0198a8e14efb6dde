//! Who a client is leaves the daemon in no form where `privacy.client` is `pseudonym`: not by its web, log, store or sinks.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags};
use serde_json::Value;

use saastap::identity::{KEY_OCTETS, load_key};

use super::dictionary;
use super::sensor::{Office, POLICY};
use super::wire::{Wire, recorded};

#[test]
fn no_output_log_or_file_tells_a_client() {
    let Some(wire) = Wire::new() else { return };
    let office = Office::new("");
    let sinks = FORMATS.map(|format| sink(&office, format, &format!("{format}.out")));
    // What cannot be written waits in the store.
    let dead = sink(&office, "json", "none/dead.out");
    let leases = office.path("leases.csv");
    fs::write(&leases, format!("address,from,to,identity\n198.18.0.9,,,{PERSON}\n")).unwrap();
    let leases = format!("[leases]\nfiles = ['{}']\n", leases.display());
    office.configure(&format!("{POLICY}\n{OFFICE}\n{leases}{}{dead}", sinks.concat()));
    let sensor =
        office.start(office.program(&["--log-level", "trace", "run", "--interface", &wire.near]));
    sensor.until("it is ready", |s| s.get("/-/ready").0 == 200);
    assert_eq!(sensor.metric("saastap_usage_summaries_total"), Some(0.0), "known before any");
    let mut sender = wire.sender();
    let mut sent: u64 = CAPTURES.iter().map(|capture| sender.play(capture, 100)).sum();
    sender.lease();
    sender.answer("desk-7.acme.example", [198, 18, 0, 7]);
    sent += 2 + sender.request([203, 0, 113, 5], [198, 18, 0, 9], "198.18.0.9");
    sensor.until("all frames are seen", |s| s.metric(PACKETS) == Some(sent as f64));
    for finding in ["unsanctioned_use", "exposed_on_premise"] {
        let series = format!("saastap_findings_total{{finding=\"{finding}\"}}");
        sensor.until(finding, |s| s.metric(&series) > Some(0.0));
    }
    sensor.until("the sinks have it", |_| office.findings("json.out").len() >= 2);
    assert_eq!(sensor.ask("POST", "/-/reload").0, 200);
    let mut said = files(&office.path(""));
    for page in PAGES {
        let (status, body) = sensor.get(page);
        assert_eq!(status, 200, "{page}");
        said.push((page.to_owned(), body.into_bytes()));
    }
    sensor.stop();
    said.extend(files(&office.path("")));
    let rows = rows(&office.path("state/saastap.db"));
    for table in ["usage", "window", "outbox", "name", "hour"] {
        assert!(rows.iter().any(|(of, _)| of == table), "nothing in the table {table}");
    }
    assert!(rows.iter().any(|(_, row)| row.contains("lease/")), "no lease in the store");
    said.extend(rows.into_iter().map(|(table, row)| (table, row.into_bytes())));
    let known = load_key(&office.path("state/pseudonym.key")).unwrap();
    said.retain(|(place, _)| !OWN_WORDS.contains(&&**place));
    let by_key = dictionary::recovered(&said, &[&known]);
    assert!(by_key.contains("198.18.0.2 by HMAC"), "the key tells clients: {by_key:?}");
    let without = dictionary::recovered(&said, &[&[], &[0; KEY_OCTETS], b"saastap"]);
    assert_eq!(without, BTreeSet::new(), "recovered without the key");

    let secrets = secrets();
    assert!(secrets.len() > 100, "{} are too few: {secrets:?}", secrets.len());
    let mut words = BTreeMap::<_, Vec<_>>::new();
    for secret in &secrets {
        words.entry([secret[0], secret[1]]).or_default().push(&**secret);
    }
    let mut told = BTreeSet::new();
    let mut places = BTreeSet::new();
    for (place, octets) in said {
        for secret in found(&octets, &words) {
            told.insert(format!("{place} tells {}", secret.escape_ascii()));
        }
        places.insert(place);
    }
    assert!(told.is_empty(), "{told:#?}");
    for place in ["log", "state/saastap.db-wal", "state/saastap.db", "cef.out"] {
        assert!(places.contains(place), "{place} was not looked at: {places:?}");
    }
}

#[test]
fn a_group_has_its_name_from_its_fifth_client_on() {
    let Some(wire) = Wire::new() else { return };
    let office = Office::new("");
    let formats = FORMATS.map(|format| sink(&office, format, &format!("{format}.out")));
    let group = "[[group]]\nname = 'zeppelin'\nnetworks = ['198.18.0.0/28']\n";
    let rule = "[[policy]]\ngroup = 'zeppelin'\nvendor = 'anydesk'\nstate = 'unsanctioned'\n";
    office.configure(&format!("{group}{rule}{}", formats.concat()));
    let sensor = office.run(&wire.near);
    let flows = |group: &str| {
        let series = |state| format!("{GROUP_FLOWS}{{group=\"{group}\",state=\"{state}\"}}");
        let of = |state| sensor.metric(&series(state)).unwrap_or(-1.0);
        of("unreviewed") + of("unsanctioned")
    };
    let visit = |client| {
        wire.sender().request([198, 18, 0, client], [198, 18, 0, 80], "acme.zendesk.com");
    };
    assert_eq!((flows("zeppelin"), flows("small")), (0.0, 0.0), "from the start");
    // Its client is one of them.
    wire.sender().play("anydesk-session", 50);
    sensor.until("it is told", |_| office.findings("json.out").len() == 1);
    for (client, seen) in [(3, 1.0), (4, 2.0), (5, 3.0)] {
        visit(client);
        let before = flows("small");
        sensor.until("it is counted", |_| before + flows("small") > 0.0 && flows("small") > seen);
    }
    let few = flows("small");
    assert_eq!(flows("zeppelin"), 0.0);
    let usage = sensor.usage("anydesk").unwrap();
    assert_eq!((&usage["group"], &usage["state"]), (&"small".into(), &"unsanctioned".into()));
    for place in PAGES.into_iter().chain(["/api/v1/suppressed"]) {
        let said = sensor.get(place).1;
        let told = said.lines().filter(|line| line.contains("zeppelin") && !line.ends_with(" 0"));
        assert_eq!(told.collect::<Vec<_>>(), [""; 0], "{place}");
    }
    for format in FORMATS {
        let text = office.text(&format!("{format}.out"));
        assert!(text.contains("small") && !text.contains("zeppelin"), "{format}: {text}");
    }
    assert!(!office.text("log").contains("zeppelin"));

    visit(6);
    sensor.until("it is named", |_| flows("zeppelin") > 0.0);
    assert_eq!(flows("small"), few, "a counter never falls, and what the few did is not told");
    assert_eq!(sensor.usage("anydesk").unwrap()["group"], "zeppelin");
    sensor.stop();
    let sensor = office.run(&wire.near);
    assert_eq!(sensor.usage("anydesk").unwrap()["group"], "zeppelin", "also after a restart");
    sensor.stop();
}

#[test]
fn a_client_is_revealed_by_the_key_alone_and_forgotten_for_good() {
    let Some(wire) = Wire::new() else { return };
    let office = Office::new("");
    let sinks = sink(&office, "json", "json.out") + &sink(&office, "json", "none/dead.out");
    office.configure(&format!("{POLICY}\n{sinks}"));
    let ask = |args: &[&str]| {
        let done = office.program(args).output().unwrap();
        let text = |octets: Vec<u8>| String::from_utf8(octets).unwrap();
        (done.status.code(), text(done.stdout), text(done.stderr))
    };
    let sensor = office.run(&wire.near);
    wire.sender().play("anydesk-session", 50);
    sensor.until("it is told", |_| office.findings("json.out").len() == 1);
    let told = office.findings("json.out").remove(0);
    let id = told["client"]["id"].as_str().unwrap();

    let plan = ["reveal", id, "--networks", "198.18.4.0/24,198.18.0.0/24"];
    let (code, out, _) = ask(&plan);
    assert_eq!((code, &*out), (Some(0), "198.18.0.2\n"), "also while the sensor runs");
    let (code, out, _) = ask(&["reveal", id, "--networks", "198.18.4.0/24"]);
    assert_eq!((code, &*out), (Some(1), ""));
    let other = office.path("other.key");
    fs::write(&other, "00".repeat(32)).unwrap();
    fs::set_permissions(&other, fs::Permissions::from_mode(0o600)).unwrap();
    let (code, out, _) = ask(&[&plan[..], &["--key", other.to_str().unwrap()]].concat());
    assert_eq!((code, &*out), (Some(1), ""), "another key tells nothing");
    let (code, _, error) = ask(&["reveal", id, "--networks", "10.0.0.0/8"]);
    assert!(code == Some(2) && error.contains("more than 2^20 addresses"), "{error}");
    let traces = office.text("state/audit.jsonl");
    assert_eq!(traces.lines().count(), 3, "each that was answered left one: {traces}");
    assert!(traces.contains(id) && !traces.contains("198.18.0.2"));

    let (code, _, error) = ask(&["forget", "--client", "198.18.0.2"]);
    assert!(code == Some(2) && error.contains("systemctl stop saastap"), "{error}");
    assert_eq!(sensor.ask("POST", "/-/reload").0, 200);
    sensor.until("the sinks hear of it", |_| office.text("json.out").contains("\"reveal\""));
    sensor.stop();
    let store = office.path("state/saastap.db");
    let tells = |table: &str| rows(&store).iter().any(|(of, row)| of == table && row.contains(id));
    assert!(tells("usage") && tells("window") && tells("outbox"));
    let (code, out, error) = ask(&["forget", "--client", "198.18.0.2"]);
    assert!(code == Some(0) && out.starts_with("forgotten: "), "{error}");
    assert!(!rows(&store).iter().any(|(_, row)| row.contains(id)), "{:?}", rows(&store));

    let sensor = office.run(&wire.near);
    assert_eq!(sensor.usage("anydesk"), None);
    sensor.until("the sinks hear of it", |_| office.text("json.out").contains("\"forget\""));
    sensor.stop();
}

/// What is known of the clients: addresses, hardware addresses, host names, Community IDs, each in every form in which
/// programs write it.
fn secrets() -> Vec<Vec<u8>> {
    let mut texts: BTreeSet<String> =
        ["desk-7", "desk-17", "desk-18", "203.0.113.5", "198.18.0.7", "198.18.0.9", PERSON]
            .map(Into::into)
            .into();
    let mut octets = BTreeSet::from([vec![0x3c, 0x22, 0xfb, 1, 2, 3]]);
    let reader = Office::new("");
    for capture in CAPTURES {
        let file = recorded(capture);
        let read = reader.program(&["read", "--flows", file.to_str().unwrap()]).output().unwrap();
        for line in String::from_utf8(read.stdout).unwrap().lines() {
            let flow: Value = serde_json::from_str(line).unwrap();
            let ip: IpAddr = flow["client"]["ip"].as_str().unwrap().parse().unwrap();
            if ip.is_unspecified() {
                continue;
            }
            texts.insert(ip.to_string());
            if let IpAddr::V6(v6) = ip {
                texts.insert(v6.segments().map(|s| format!("{s:04x}")).join(":"));
                octets.insert(v6.octets().to_vec());
            }
            if let Some(id) = flow["community_id"].as_str() {
                texts.insert(id.strip_prefix("1:").unwrap().to_owned());
            }
        }
        let mut frames = pcap::Capture::from_file(file).unwrap();
        while let Ok(frame) = frames.next_packet() {
            octets.insert(frame.data[6..12].to_vec());
        }
    }
    for form in &octets {
        let hex: Vec<String> = form.iter().map(|o| format!("{o:02x}")).collect();
        texts.extend(["", ":", "-"].map(|between| hex.join(between)));
    }
    texts
        .into_iter()
        .map(String::into_bytes)
        .chain(octets)
        .map(|s| s.to_ascii_lowercase())
        .collect()
}

/// The words that stand in a text whole, whatever the case of their letters.
fn found<'a>(text: &[u8], words: &BTreeMap<[u8; 2], Vec<&'a [u8]>>) -> BTreeSet<&'a [u8]> {
    let text = text.to_ascii_lowercase();
    let is_letter = |octet: Option<&u8>| octet.is_some_and(u8::is_ascii_alphanumeric);
    let mut found = BTreeSet::new();
    for at in 0..text.len().saturating_sub(1) {
        for word in words.get(&[text[at], text[at + 1]]).into_iter().flatten() {
            let before = at.checked_sub(1).and_then(|at| text.get(at));
            let inside = is_letter(word.first()) && is_letter(before);
            let goes_on = is_letter(word.last()) && is_letter(text.get(at + word.len()));
            if text[at..].starts_with(word) && !inside && !goes_on {
                found.insert(*word);
            }
        }
    }
    found
}

/// Every file below a folder.
fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap()) {
        let name = entry.file_name().into_string().unwrap();
        if entry.file_type().unwrap().is_dir() {
            let below = files(&entry.path()).into_iter();
            all.extend(below.map(|(file, octets)| (format!("{name}/{file}"), octets)));
        } else {
            all.push((name, fs::read(entry.path()).unwrap()));
        }
    }
    all
}

/// Table and text of every row of a store.
fn rows(store: &Path) -> Vec<(String, String)> {
    let store = Connection::open_with_flags(store, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let mut tables = store.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").unwrap();
    let tables = tables.query_map([], |row| row.get::<_, String>(0)).unwrap();
    let mut all = Vec::new();
    for table in tables.map(|table| table.unwrap()) {
        let mut select = store.prepare(&format!("SELECT * FROM \"{table}\"")).unwrap();
        let columns = select.column_count();
        let mut rows = select.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            let cells: Vec<String> = (0..columns)
                .map(|at| match row.get_ref(at).unwrap() {
                    ValueRef::Text(text) | ValueRef::Blob(text) => {
                        String::from_utf8_lossy(text).into_owned()
                    }
                    other => format!("{other:?}"),
                })
                .collect();
            all.push((table.clone(), cells.join(" ")));
        }
    }
    all
}

fn sink(office: &Office, format: &str, file: &str) -> String {
    let path = office.path(file);
    format!(
        "[[sink]]\nname = '{}'\nkind = 'file'\nformat = '{format}'\npath = '{}'\n",
        file.replace(['.', '/'], "-"),
        path.display()
    )
}

const FORMATS: [&str; 5] = ["json", "ecs", "ocsf", "cef", "leef"];

const PAGES: [&str; 6] = [
    "/",
    "/metrics",
    "/api/v1/usage",
    "/api/v1/usage/history",
    "/api/v1/findings",
    "/api/v1/visibility",
];

/// What people wrote, and the key.
const OWN_WORDS: [&str; 3] = ["saastap.toml", "leases.csv", "state/pseudonym.key"];

/// Whom the lease file names.
const PERSON: &str = "alice.doe";

/// IPv4 and IPv6, addresses given by DHCP, vendors that are told and some that are not.
const CAPTURES: [&str; 8] = [
    "dhcp",
    "dhcpv6",
    "anydesk-session",
    "foreign-console",
    "dns-below-resolver",
    "browsing",
    "rdp",
    "quic-ipv6",
];

/// The clients' addresses are public ones, which only `local_networks` tells.
const OFFICE: &str = "\
[flow]
local_networks = ['198.18.0.0/24', '198.18.2.0/24', '2001:db8::2:0/112', '2001:db8::2/128', 'fe80::/10']
[own.servers]
'198.18.0.9:80' = 'zammad'
";

const PACKETS: &str = "saastap_capture_packets_total";

const GROUP_FLOWS: &str = "saastap_group_flows_total";
