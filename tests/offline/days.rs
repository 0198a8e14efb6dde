//! How deep a use is by what people and scripts do all day: an open widget, an idle agent, one who works, a customer who
//! writes a ticket. Names that agents and visitors share alone never make a use (`signatures/README.md`, Ambiguous names).

use std::fs;

use serde_json::Value;

use crate::laid::Day;
use crate::program::saastap;

/// Everything that could raise something does: no learning, an own tenant, and the vendors unsanctioned.
const CONFIG: &str = "
[own]
tenants = { zendesk = [\"acme\"], freshdesk = [\"acme\"] }
[[group]]
name = \"office\"
networks = [\"10.20.0.0/16\"]
clients = \"host\"
[[policy]]
vendor = [\"zendesk\", \"freshdesk\"]
state = \"unsanctioned\"
[alert]
learn_days = 0
";

const CLIENT: [u8; 4] = [10, 20, 0, 7];

const HOUR: f64 = 3_600.0;
const NINE: f64 = 9.0 * HOUR;
const MINUTE: f64 = 60.0;

const SEEDS: [u64; 2] = [1, 20_261_102];

/// A vendor by the names of one of its instances.
struct Names {
    vendor: &'static str,
    /// The host that agents, customers and widgets share.
    shared: &'static str,
    tenant: &'static str,
    /// What a page with the widget fetches beside it, and where its socket is.
    files: &'static [&'static str],
    socket: &'static str,
    /// What the agents' workspace alone fetches.
    companion: &'static str,
}

const VENDORS: [Names; 2] = [
    Names {
        vendor: "zendesk",
        shared: "other.zendesk.com",
        tenant: "other",
        files: &["static.zdassets.com", "ekr.zdassets.com"],
        socket: "api.smooch.io",
        companion: "1179764.apps.zdusercontent.com",
    },
    Names {
        vendor: "freshdesk",
        shared: "other.freshdesk.com",
        tenant: "other",
        files: &["assets1.freshdesk.com", "widget.freshworks.com"],
        socket: "other.freshdesk.com",
        companion: "api.fdcollab.com",
    },
];

/// A page of somebody's shop, its widget open for eight hours: files at first, then a socket with pings and presence, and a
/// poll of the settings; the connections are made anew each two hours.
fn widget(day: &mut Day, names: &Names) {
    for host in names.files {
        let mut on = day.connect(NINE, host);
        for n in 0..6 {
            day.ask(NINE + 0.2 * f64::from(n), &mut on, 900, 40_000);
        }
    }
    for part in 0..4 {
        let (from, until) =
            (NINE + f64::from(part) * 2.0 * HOUR, NINE + f64::from(part + 1) * 2.0 * HOUR);
        let mut polls = day.connect(from, names.shared);
        day.timer((from + 1.0, until), 60.0, &mut polls, 1_400);
        let mut socket = day.connect(from + 0.5, names.socket);
        day.ask(from + 1.0, &mut socket, 1_200, 400);
        day.timer((from + 2.0, until), 25.0, &mut socket, 40);
        let mut presence = day.connect(from + 0.7, names.socket);
        day.timer((from + 7.0, until), 45.0, &mut presence, 700);
    }
}

/// An agent's workspace with nobody before it: heartbeats, long polls and counts of views on one connection, as HTTP/2 has
/// it, a socket with pings, and now and then a ticket that comes in, of which the workspace fetches the counts.
fn idle(day: &mut Day, names: &Names, (from, until): (f64, f64)) {
    let mut work = day.connect(from, names.shared);
    for n in 0..20 {
        day.ask(from + 0.15 * f64::from(n), &mut work, 1_500, 60_000);
    }
    day.timer((from + 10.0, until), 10.0, &mut work, 1_150);
    day.timer((from + 33.0, until), 60.0, &mut work, 1_700);
    day.timer((from + 47.0, until), 60.0, &mut work, 2_300);
    let mut socket = day.connect(from + 1.0, names.shared);
    day.ask(from + 1.5, &mut socket, 1_800, 300);
    day.timer((from + 20.0, until), 20.0, &mut socket, 40);
    let mut companion = day.connect(from + 2.0, names.companion);
    day.timer((from + 3.0, until), 300.0, &mut companion, 900);
    let mut at = from + 100.0;
    while at < until {
        day.push(at, &mut socket, 600);
        day.ask(at + 0.1, &mut work, 1_600, 3_000);
        at += 60.0 + day.share() * 480.0;
    }
}

/// The day through the whole program.
fn read(day: Day, workers: &str) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let (config, capture) = (folder.path().join("day.toml"), folder.path().join("day.pcap"));
    fs::write(&config, CONFIG).unwrap();
    day.write(&capture);
    let (config, capture) = (config.to_str().unwrap(), capture.to_str().unwrap());
    saastap(&["read", "--config", config, "--workers", workers, "--json", capture]).json()
}

/// Engagement, and active minutes over all rows, of the vendor's instance.
fn depth(told: &Value, names: &Names) -> (String, u64) {
    let rows = told["usage"].as_array().unwrap().iter();
    let rows: Vec<&Value> =
        rows.filter(|r| r["vendor"] == names.vendor && r["tenant"] == names.tenant).collect();
    let row = rows.iter().find(|r| r["role"] == "either").unwrap_or_else(|| panic!("{told:#}"));
    let minutes = rows.iter().map(|r| r["active_minutes"].as_u64().unwrap()).sum();
    (row["engagement"].as_str().unwrap().to_owned(), minutes)
}

/// The ids of the findings.
fn findings(told: &Value) -> Vec<&str> {
    let all = told["findings"].as_array().unwrap();
    all.iter().map(|f| f["finding"]["id"].as_str().unwrap()).collect()
}

/// Each scene for each vendor and seed.
fn lay(scene: impl Fn(&mut Day, &Names), judge: impl Fn(&Value, &Names)) {
    for names in &VENDORS {
        for seed in SEEDS {
            let mut day = Day::new(seed, CLIENT);
            scene(&mut day, names);
            judge(&read(day, "1"), names);
        }
    }
}

#[test]
fn a_page_with_an_open_widget_is_no_use_after_eight_hours() {
    lay(widget, |told, names| {
        let (depth, minutes) = depth(told, names);
        assert!(depth == "glance" || depth == "visit", "{depth}, {minutes} minutes: {told:#}");
        assert!(minutes <= 8, "{minutes} minutes of 480");
        assert_eq!(findings(told), [""; 0]);
        for row in told["usage"].as_array().unwrap() {
            assert_ne!(row["engagement"], "use", "{row}");
        }
    });
}

#[test]
fn an_idle_agent_is_no_use_after_eight_hours() {
    lay(
        |day, names| idle(day, names, (NINE, NINE + 8.0 * HOUR)),
        |told, names| {
            let (depth, minutes) = depth(told, names);
            assert_ne!(depth, "use", "{minutes} minutes: {told:#}");
            assert!(!findings(told).contains(&"unsanctioned_tenant"), "{told:#}");
        },
    );
}

/// Twenty minutes of tickets: the companion shows that it is an agent, and ten active minutes do the rest.
#[test]
fn an_agent_who_works_for_twenty_minutes_is_a_use() {
    let works = |day: &mut Day, names: &Names| {
        idle(day, names, (NINE, NINE + 25.0 * MINUTE));
        let mut on = day.connect(NINE + 3.0, names.shared);
        day.person((NINE + 60.0, NINE + 21.0 * MINUTE), 6.0, &mut on, 900);
    };
    lay(works, |told, names| {
        let (depth, minutes) = depth(told, names);
        assert_eq!(depth, "use", "{minutes} minutes: {told:#}");
        assert!((10..=22).contains(&minutes), "{minutes}");
        assert!(findings(told).contains(&"unsanctioned_tenant"), "{told:#}");
    });
}

/// The same without what shows an agent: nobody can tell.
#[test]
fn the_same_work_without_a_companion_is_a_visit() {
    let works = |day: &mut Day, names: &Names| {
        let alone = Names { companion: names.files[0], ..*names };
        idle(day, &alone, (NINE, NINE + 25.0 * MINUTE));
        let mut on = day.connect(NINE + 3.0, names.shared);
        day.person((NINE + 60.0, NINE + 21.0 * MINUTE), 6.0, &mut on, 900);
    };
    lay(works, |told, names| {
        let (depth, minutes) = depth(told, names);
        assert_eq!(depth, "visit", "{told:#}");
        assert!((10..=22).contains(&minutes), "{minutes}");
        assert_eq!(findings(told), [""; 0], "{told:#}");
    });
}

/// A customer reads help pages, writes for a quarter of an hour while the form looks for articles, and sends a picture.
#[test]
fn a_customer_who_writes_a_ticket_is_no_use_and_no_finding() {
    let writes = |day: &mut Day, names: &Names| {
        for host in names.files {
            let mut on = day.connect(NINE, host);
            (0..8).for_each(|n| day.ask(NINE + 0.1 * f64::from(n), &mut on, 800, 30_000));
        }
        let mut on = day.connect(NINE, names.shared);
        day.person((NINE, NINE + 15.0 * MINUTE), 5.0, &mut on, 900);
        day.ask(NINE + 15.0 * MINUTE, &mut on, 2_000_000, 2_000);
    };
    lay(writes, |told, names| {
        let (depth, minutes) = depth(told, names);
        assert_eq!(depth, "visit", "{minutes}: {told:#}");
        assert!(minutes >= 10, "{minutes}: as much as an agent does");
        assert_eq!(findings(told), [""; 0], "{told:#}");
    });
}
