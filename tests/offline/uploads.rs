//! What somebody sends a service within an hour: more than usual is told whatever policy says, the same over two hours, by two
//! people or as a download is not.

use std::fs;

use serde_json::Value;

use crate::laid::Day;
use crate::program::saastap;

/// A tenth of the usual floor, so that captures are small.
const CONFIG: &str = "
[[group]]
name = \"office\"
networks = [\"10.20.0.0/16\"]
[[policy]]
vendor = \"zendesk\"
state = \"sanctioned\"
[alert]
upload_floor = 5_000_000
";

const CLIENT: [u8; 4] = [10, 20, 0, 7];
const COLLEAGUE: [u8; 4] = [10, 20, 0, 8];
const SERVER: ([u8; 4], u16) = ([198, 18, 7, 7], 443);

const HOUR: f64 = 3_600.0;
const NINE: f64 = 9.0 * HOUR;

/// Octets of one picture that goes with a ticket.
const PICTURE: usize = 600_000;

/// So many pictures from a client to two instances, one each two minutes.
fn sends(day: &mut Day, at: f64, client: [u8; 4], pictures: u32) {
    let hosts = ["acme.zendesk.com", "acme-support.zendesk.com"];
    let mut both = hosts.map(|host| day.connect_to(at, client, SERVER, host));
    for n in 0..pictures {
        day.ask(at + 120.0 * f64::from(n + 1), &mut both[n as usize % 2], PICTURE, 500);
    }
}

/// The uploads that the whole program tells of the day.
fn told(lay: impl Fn(&mut Day), workers: &str) -> Vec<Value> {
    let folder = tempfile::tempdir().unwrap();
    let (config, capture) = (folder.path().join("day.toml"), folder.path().join("day.pcap"));
    fs::write(&config, CONFIG).unwrap();
    let mut day = Day::new(7, CLIENT);
    lay(&mut day);
    day.write(&capture);
    let (config, capture) = (config.to_str().unwrap(), capture.to_str().unwrap());
    let told = saastap(&["read", "--config", config, "--workers", workers, "--json", capture]);
    let mut told = told.json();
    let usage = told["usage"].as_array().unwrap();
    assert!(usage.iter().any(|row| row["vendor"] == "zendesk" && row["state"] == "sanctioned"));
    let Value::Array(mut findings) = told["findings"].take() else { panic!() };
    findings.retain(|finding| finding["finding"]["id"] == "upload_spike");
    findings
}

#[test]
fn an_hour_of_pictures_is_told_of_the_client_who_sent_them() {
    for workers in ["1", "2"] {
        let told = told(|day| sends(day, NINE, CLIENT, 10), workers);
        assert_eq!(told.len(), 1, "{told:#?}");
        let spike = &told[0];
        assert_eq!(spike["client"]["id"], "10.20.0.7");
        assert_eq!((&spike["group"], &spike["state"]), (&"office".into(), &"sanctioned".into()));
        assert_eq!(spike["tenant"], Value::Null, "of all instances together");
        assert_eq!(spike["threshold"], "upload_floor");
        assert_eq!(spike["upload"]["threshold_bytes"], 5_000_000);
        let sent = spike["upload"]["hour_bytes"].as_u64().unwrap();
        assert!((5_000_000..7_000_000).contains(&sent), "{sent}");
    }
}

#[test]
fn as_much_over_two_hours_by_two_people_or_as_a_download_is_not_told() {
    let two_hours = |day: &mut Day| {
        sends(day, NINE, CLIENT, 7);
        sends(day, NINE + HOUR, CLIENT, 7);
    };
    let two_people = |day: &mut Day| {
        sends(day, NINE, CLIENT, 7);
        sends(day, NINE + 1.0, COLLEAGUE, 7);
    };
    let download = |day: &mut Day| {
        let mut on = day.connect_to(NINE, CLIENT, SERVER, "acme.zendesk.com");
        (0..20).for_each(|n| day.ask(NINE + 60.0 * f64::from(n + 1), &mut on, 900, PICTURE));
    };
    assert!(told(two_hours, "1").is_empty());
    assert!(told(two_people, "1").is_empty());
    assert!(told(download, "1").is_empty());
}
