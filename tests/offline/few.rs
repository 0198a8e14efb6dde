//! Alerts are few: what people do on other people's pages and in their suppliers' help centres raises none of use, whatever policy says,
//! and one who works in a foreign console raises one.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::laid::Day;
use crate::program::saastap;

/// All that could raise something does: nothing is learned, every vendor is unsanctioned, and those whose instances can be told have
/// one of ours.
fn config(tenanted: &BTreeSet<String>) -> String {
    let own: Vec<String> = tenanted.iter().map(|id| format!("{id:?} = ['ours']")).collect();
    format!(
        "[own]\ntenants = {{ {} }}\n[[group]]\nname = 'office'\nnetworks = ['10.20.0.0/16']\nclients = 'host'\n\
         [[policy]]\nrelation = ['own', 'foreign', 'unknown']\nstate = 'unsanctioned'\n[alert]\nlearn_days = 0\n",
        own.join(", ")
    )
}

const HOUR: f64 = 3_600.0;
const NINE: f64 = 9.0 * HOUR;
const MINUTE: f64 = 60.0;

const VISITS: usize = 1_000;
const VISITORS: usize = 250;
const READERS: usize = 200;

/// Hosts of the catalogue's own examples by their role and whether they name an instance, with the ids of their vendors.
fn hosts(is: impl Fn(&str, bool) -> bool) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("signatures");
    let files = |folder: &Path| -> Vec<_> {
        let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|f| f.unwrap().path()).collect();
        files.sort();
        files
    };
    for folder in files(&folder).iter().filter(|path| path.is_dir()) {
        // A first contact with remote assistance is told at once: that is another matter.
        if folder.ends_with("remote-assistance") {
            continue;
        }
        for file in files(folder) {
            let vendor: toml::Table = fs::read_to_string(file).unwrap().parse().unwrap();
            let text = |value: &toml::Value, key: &str| {
                value.get(key).and_then(toml::Value::as_str).map(str::to_owned)
            };
            for example in
                vendor.get("example").and_then(toml::Value::as_array).into_iter().flatten()
            {
                let (Some(host), Some(expect)) = (text(example, "host"), example.get("expect"))
                else {
                    continue;
                };
                let role = text(expect, "role").unwrap_or_default();
                if is(&role, text(expect, "tenant").is_some()) {
                    found.push((vendor["id"].as_str().unwrap().to_owned(), host));
                }
            }
        }
    }
    found
}

fn client(n: usize) -> [u8; 4] {
    [10, 20, (n / 200) as u8, (n % 200) as u8 + 1]
}

/// A server for each host, as `Day::connect` has it.
fn server(host: &str) -> ([u8; 4], u16) {
    let hash = host.bytes().fold(7u32, |hash, b| hash.wrapping_mul(31).wrapping_add(b.into()));
    let [_, b, c, d] = hash.to_be_bytes();
    ([198, 18 + b % 2, c, d | 1], 443)
}

/// A page is opened and read for a while: its widget fetches files, opens a socket, pings, and tells its vendor of the visit.
fn visit(day: &mut Day, at: f64, visitor: [u8; 4], widgets: &[(String, String)]) {
    let stays = 20.0 + day.share() * 100.0;
    for (_, host) in widgets {
        let mut on = day.connect_to(at, visitor, server(host), host);
        for n in 0..4 {
            day.ask(at + 0.3 + 0.2 * f64::from(n), &mut on, 900, 8_000);
        }
        day.timer((at + 5.0, at + stays), 25.0, &mut on, 600);
    }
}

/// A help centre is searched and read: a page now and then, each with a few requests; some read on for half an hour, as long as
/// somebody works.
fn read(day: &mut Day, at: f64, reader: [u8; 4], host: &str, long: bool) {
    let mut on = day.connect_to(at, reader, server(host), host);
    let (minutes, mean) = if long { (30.0, 10.0) } else { (3.0 + day.share() * 5.0, 30.0) };
    day.person((at + 0.5, at + minutes * MINUTE), mean, &mut on, 700);
}

/// The day through the whole program.
fn told(day: Day, tenanted: &BTreeSet<String>) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let (config_file, capture) = (folder.path().join("few.toml"), folder.path().join("few.pcap"));
    fs::write(&config_file, config(tenanted)).unwrap();
    day.write(&capture);
    let (config_file, capture) = (config_file.to_str().unwrap(), capture.to_str().unwrap());
    saastap(&["read", "--config", config_file, "--json", capture]).json()
}

/// Vendors and tenants of findings of use.
fn of_use(told: &Value) -> Vec<String> {
    let findings = told["findings"].as_array().unwrap().iter();
    let use_of = |f: &&Value| {
        ["unsanctioned_use", "unsanctioned_tenant"].iter().any(|id| f["finding"]["id"] == *id)
    };
    let words = |f: &Value| {
        format!("{} {} {} {}", f["finding"]["id"], f["vendor"]["id"], f["tenant"], f["role"])
    };
    findings.filter(use_of).map(words).collect()
}

#[test]
fn a_thousand_pages_and_two_hundred_readers_raise_nothing_and_a_foreign_console_one_case() {
    let widgets = hosts(|role, _| role == "widget");
    let centres = hosts(|role, tenant| tenant && (role == "portal" || role == "either"));
    assert!(widgets.len() > 200 && centres.len() > 80, "{} {}", widgets.len(), centres.len());
    let tenanted: BTreeSet<String> = centres.iter().map(|(id, _)| id.clone()).collect();
    let mut day = Day::new(20_261_102, client(0));
    for n in 0..VISITS {
        let at = NINE + 7.0 * HOUR * n as f64 / VISITS as f64;
        let three: Vec<_> = (0..3).map(|k| widgets[(n * 3 + k) % widgets.len()].clone()).collect();
        visit(&mut day, at, client(n % VISITORS), &three);
    }
    for n in 0..READERS {
        let at = NINE + 7.0 * HOUR * n as f64 / READERS as f64;
        read(&mut day, at, client(VISITORS + n), &centres[n % centres.len()].1, n % 5 == 0);
    }
    let agent = client(VISITORS + READERS);
    for host in ["other.zendesk.com", "1179764.apps.zdusercontent.com"] {
        let mut on = day.connect_to(NINE, agent, server(host), host);
        day.person((NINE + 2.0, NINE + 40.0 * MINUTE), 6.0, &mut on, 900);
    }
    let told = told(day, &tenanted);
    let vendors: BTreeSet<&str> =
        told["usage"].as_array().unwrap().iter().filter_map(|r| r["vendor"].as_str()).collect();
    assert!(vendors.len() > 200, "all of them are seen: {}", vendors.len());
    let found = of_use(&told);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains("\"zendesk\" \"other\""), "{found:?}");
}
