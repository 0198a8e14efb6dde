//! Where software runs: products on premise told from the vendor's cloud, servers that are declared as ours, and inside servers
//! that are reached from outside.

use std::fs;

use serde_json::Value;

use crate::laid::Day;
use crate::program::saastap;

const CONFIG: &str = "
[own]
domains = [\"acme.example\"]
servers = { \"10.1.2.4:443\" = \"atlassian-jsm/jira\", \"10.1.3.0/24\" = \"glpi\" }
[[policy]]
vendor = \"zammad\"
deployment = \"on-premise\"
state = \"sanctioned\"
[[policy]]
vendor = \"zammad\"
deployment = \"cloud\"
state = \"unsanctioned\"
";

const CLIENT: [u8; 4] = [10, 20, 0, 7];
const OUTSIDE: [u8; 4] = [203, 0, 113, 5];

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: tickets.acme.example\r\n\r\n";
const ZAMMAD: &[u8] =
    b"HTTP/1.1 200 OK\r\nSet-Cookie: _zammad_session_ab12=x; path=/\r\nContent-Length: 0\r\n\r\n";
const NOBODYS: &[u8] = b"HTTP/1.1 200 OK\r\nServer: nginx\r\nContent-Length: 0\r\n\r\n";

fn day() -> Day {
    Day::new(4, CLIENT)
}

/// Asks a server in the clear.
fn ask(day: &mut Day, at: f64, client: [u8; 4], server: [u8; 4], answer: &[u8]) {
    let mut on = day.open(at, client, (server, 80));
    day.exchange(at + 0.1, &mut on, GET, answer);
}

fn read(day: Day, form: &str, more: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let (config, capture) = (folder.path().join("day.toml"), folder.path().join("day.pcap"));
    fs::write(&config, CONFIG).unwrap();
    day.write(&capture);
    let mut args = vec!["read", "--config", config.to_str().unwrap()];
    args.extend(Some(form).filter(|form| !form.is_empty()));
    args.extend(more);
    args.push(capture.to_str().unwrap());
    saastap(&args).well()
}

fn whole(day: Day, more: &[&str]) -> Value {
    serde_json::from_str(&read(day, "--json", more)).unwrap()
}

fn flows(day: Day) -> Vec<Value> {
    read(day, "--flows", &[]).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_server_inside_is_on_premise_and_one_outside_is_the_cloud() {
    let mut day = day();
    ask(&mut day, 10.0, CLIENT, [10, 1, 2, 3], ZAMMAD);
    ask(&mut day, 20.0, CLIENT, [198, 51, 100, 9], ZAMMAD);
    day.connect(30.0, "other.zammad.com");
    // Through a proxy inside: the name is the vendor's own.
    day.connect_to(40.0, CLIENT, ([10, 1, 1, 1], 443), "third.zammad.com");
    let flows = flows(day);
    let told: Vec<[&str; 3]> = flows
        .iter()
        .map(|f| ["vendor", "deployment", "state"].map(|key| f[key].as_str().unwrap()))
        .collect();
    let (inside, cloud) =
        (["zammad", "on-premise", "sanctioned"], ["zammad", "cloud", "unsanctioned"]);
    assert_eq!(told, [inside, cloud, cloud, cloud], "{flows:#?}");
}

#[test]
fn the_usage_table_tells_where() {
    let lay = || {
        let mut day = day();
        ask(&mut day, 10.0, CLIENT, [10, 1, 2, 3], ZAMMAD);
        day.connect(30.0, "other.zammad.com");
        day
    };
    let whole = whole(lay(), &[]);
    let rows = whole["usage"].as_array().unwrap();
    let told: Vec<[&str; 2]> =
        rows.iter().map(|r| ["deployment", "state"].map(|key| r[key].as_str().unwrap())).collect();
    assert_eq!(told, [["cloud", "unsanctioned"], ["on-premise", "sanctioned"]], "{rows:#?}");
    let text = read(lay(), "", &[]);
    assert!(text.contains("zammad (on-premise)"), "{text}");
}

/// TLS 1.3 shows neither certificate nor HTTP: what nobody's signature knows is what it was declared to be.
#[test]
fn declared_servers_are_what_they_are_declared_to_be() {
    let mut day = day();
    day.connect_to(10.0, CLIENT, ([10, 1, 2, 4], 443), "tickets.acme.example");
    day.connect_to(20.0, CLIENT, ([10, 1, 3, 9], 8_443), "assets.acme.example");
    let mut shell = day.open(30.0, CLIENT, ([10, 1, 3, 9], 22));
    day.exchange(31.0, &mut shell, b"SSH-2.0-OpenSSH_9.9\r\n", b"SSH-2.0-OpenSSH_9.9\r\n");
    day.connect_to(40.0, CLIENT, ([10, 1, 2, 4], 8_443), "tickets.acme.example");
    // A name in the handshake that a signature knows is better evidence.
    day.connect_to(50.0, CLIENT, ([10, 1, 2, 4], 443), "acme.helpjuice.com");
    let flows = flows(day);
    let told: Vec<(&str, &str, &str)> = flows
        .iter()
        .map(|f| {
            let of = |key: &str| f[key].as_str().unwrap_or("-");
            (of("vendor"), of("tenant"), of("deployment"))
        })
        .collect();
    assert_eq!(
        told,
        [
            ("atlassian-jsm", "jira", "on-premise"),
            ("glpi", "-", "on-premise"),
            ("-", "-", "-"),
            ("-", "-", "-"),
            ("helpjuice", "acme", "cloud"),
        ],
        "{flows:#?}"
    );
    assert_eq!(
        (&flows[0]["signature"], &flows[0]["relation"]),
        (&"own.servers".into(), &"own".into())
    );
}

#[test]
fn inside_servers_of_unknown_software_that_are_reached_from_outside_are_listed() {
    let lay = || {
        let mut day = day();
        for n in 0..3 {
            day.connect_to(10.0 + f64::from(n), OUTSIDE, ([10, 1, 2, 9], 443), "shop.acme.example");
        }
        ask(&mut day, 20.0, OUTSIDE, [10, 1, 2, 10], NOBODYS);
        // Known software, a client inside, a server outside, what is no web: not these.
        ask(&mut day, 30.0, OUTSIDE, [10, 1, 2, 3], ZAMMAD);
        day.connect_to(40.0, OUTSIDE, ([10, 1, 2, 4], 443), "tickets.acme.example");
        ask(&mut day, 50.0, CLIENT, [10, 1, 2, 11], NOBODYS);
        ask(&mut day, 60.0, CLIENT, [198, 51, 100, 9], NOBODYS);
        let mut shell = day.open(70.0, OUTSIDE, ([10, 1, 2, 12], 22));
        day.exchange(71.0, &mut shell, b"SSH-2.0-OpenSSH_9.9\r\n", b"SSH-2.0-OpenSSH_9.9\r\n");
        // Nobody answers.
        day.unanswered(80.0, OUTSIDE, ([10, 1, 2, 13], 443));
        day
    };
    let told = whole(lay(), &[]);
    let inside = &told["inside_servers"];
    assert_eq!((&inside["flows_from_outside"], &inside["left_out"]), (&7.into(), &0.into()));
    let rows: Vec<(&str, u64, u64)> = inside["unknown"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| {
            (
                r["server"].as_str().unwrap(),
                r["port"].as_u64().unwrap(),
                r["flows"].as_u64().unwrap(),
            )
        })
        .collect();
    assert_eq!(rows, [("10.1.2.9", 443, 3), ("10.1.2.10", 80, 1)]);
    let hidden = whole(lay(), &["--clients", "pseudonym"]);
    let server = hidden["inside_servers"]["unknown"][0]["server"].as_str().unwrap();
    assert!(server.starts_with("c-"), "{server}");
    let text = read(lay(), "", &[]);
    assert!(text.contains("From outside to servers inside: 7 flows; software not known"), "{text}");
    assert!(text.contains("10.1.2.9"), "{text}");
}

/// The findings of a day: id, vendor and server.
fn found(day: Day, more: &[&str]) -> Vec<(String, String, String)> {
    let told = whole(day, more);
    let all = told["findings"].as_array().unwrap().iter();
    let word = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    all.map(|f| (word(&f["finding"]["id"]), word(&f["vendor"]["id"]), word(&f["server"]))).collect()
}

#[test]
fn software_on_premise_that_is_reached_from_outside_is_one_finding_for_each_server() {
    let glpi = b"HTTP/1.1 200 OK\r\nSet-Cookie: glpi_0a1b=x\r\nContent-Length: 0\r\n\r\n";
    let lay = || {
        let mut day = day();
        for (n, last) in [5, 6, 7].into_iter().enumerate() {
            ask(&mut day, 10.0 * n as f64, [203, 0, 113, last], [10, 1, 2, 20], glpi);
        }
        ask(&mut day, 50.0, OUTSIDE, [10, 1, 2, 21], glpi);
        // Declared: it shows nothing.
        day.connect_to(60.0, OUTSIDE, ([10, 1, 2, 4], 443), "tickets.acme.example");
        day
    };
    let exposed = |vendor: &str, server: &str| {
        ("exposed_on_premise".to_owned(), vendor.to_owned(), server.to_owned())
    };
    assert_eq!(
        found(lay(), &[]),
        [
            exposed("glpi", "10.1.2.20"),
            exposed("glpi", "10.1.2.21"),
            exposed("atlassian-jsm", "10.1.2.4")
        ]
    );
    let hidden = found(lay(), &["--clients", "pseudonym"]);
    assert!(hidden.iter().all(|(.., server)| server.starts_with("c-")), "{hidden:?}");
}

#[test]
fn what_is_allowed_inside_or_not_ours_is_not_exposed() {
    let glpi = b"HTTP/1.1 200 OK\r\nSet-Cookie: glpi_0a1b=x\r\nContent-Length: 0\r\n\r\n";
    let mut day = day();
    // Sanctioned on premise; a client inside; a server outside; unknown software.
    ask(&mut day, 10.0, OUTSIDE, [10, 1, 2, 3], ZAMMAD);
    ask(&mut day, 20.0, CLIENT, [10, 1, 2, 20], glpi);
    ask(&mut day, 30.0, CLIENT, [198, 51, 100, 9], glpi);
    ask(&mut day, 40.0, OUTSIDE, [198, 51, 100, 9], glpi);
    ask(&mut day, 50.0, OUTSIDE, [10, 1, 2, 9], NOBODYS);
    assert_eq!(found(day, &[]), []);
}

/// That none was seen is said with what it is worth; where nothing came in at all, nothing is said.
#[test]
fn nothing_is_said_to_be_safe() {
    let mut known = day();
    ask(&mut known, 30.0, OUTSIDE, [10, 1, 2, 3], ZAMMAD);
    let text = read(known, "", &[]);
    assert!(text.contains("was not seen among them"), "{text}");
    assert!(text.contains("does not pass this sensor"), "{text}");
    let mut nothing = day();
    ask(&mut nothing, 50.0, CLIENT, [10, 1, 2, 11], NOBODYS);
    assert!(!read(nothing, "", &[]).contains("From outside"));
}
