//! The office day (tests/captures/README.md tells it) under the policy of the demo: who is sanctioned, what is found, and
//! what never is.

use std::sync::OnceLock;

use serde_json::Value;

use crate::program::{OFFICE_DAY, saastap};

/// What `saastap read --json` says of the day.
fn day() -> &'static Value {
    static DAY: OnceLock<Value> = OnceLock::new();
    DAY.get_or_init(|| {
        saastap(&["read", "--config", "config/demo.toml", "--json", OFFICE_DAY]).json()
    })
}

/// Usage rows of a vendor and tenant.
fn rows(vendor: &str, tenant: Option<&str>) -> Vec<&'static Value> {
    let all = day()["usage"].as_array().unwrap().iter();
    all.filter(|r| r["vendor"] == vendor && r["tenant"].as_str() == tenant).collect()
}

/// Findings of a kind.
fn findings(id: &str) -> Vec<&'static Value> {
    let all = day()["findings"].as_array().unwrap().iter();
    all.filter(|f| f["finding"]["id"] == id).collect()
}

#[test]
fn the_agents_tenant_is_own_and_sanctioned() {
    let rows = rows("zendesk", Some("acme"));
    assert!(!rows.is_empty());
    for row in &rows {
        assert_eq!((&row["state"], &row["relation"]), (&"sanctioned".into(), &"own".into()));
    }
    let support = rows.iter().find(|r| r["group"] == "support").unwrap();
    assert_eq!(support["clients"], 6);
    assert_eq!(support["engagement"], "use");
}

#[test]
fn the_foreign_console_is_one_finding() {
    let found = findings("unsanctioned_tenant");
    assert_eq!(found.len(), 1, "{found:#?}");
    let report = found[0].to_string();
    assert!(report.contains("kustomer") && report.contains("\"other\""), "{report}");
    assert!(!rows("kustomer", Some("other")).is_empty());
}

#[test]
fn remote_assistance_is_found_within_five_seconds_of_its_first_frame() {
    let flows = saastap(&["read", "--config", "config/demo.toml", "--flows", OFFICE_DAY]).lines();
    let begun = flows
        .iter()
        .filter(|f| f.to_string().contains("anydesk")) // its DNS question is its first frame
        .map(|f| f["start"].as_str().unwrap().to_owned())
        .min()
        .unwrap();
    let found = findings("unsanctioned_use");
    assert_eq!(found.len(), 1, "{found:#?}");
    assert!(found[0].to_string().contains("anydesk"));
    let late = seconds(found[0]["time"].as_str().unwrap()) - seconds(&begun);
    assert!((0.0..=5.0).contains(&late), "{late} s after {begun}");
}

#[test]
fn readers_of_a_suppliers_help_centre_are_shown_as_that_and_found_never() {
    let rows = rows("zendesk", Some("supplier"));
    assert_eq!(rows.iter().map(|r| r["clients"].as_u64().unwrap()).sum::<u64>(), 8);
    for row in rows {
        assert_eq!(row["relation"], "supplier", "{row}");
    }
    assert!(!day()["findings"].to_string().contains("supplier"));
}

#[test]
fn visitors_of_pages_with_a_widget_are_found_never() {
    for vendor in ["zendesk", "intercom"] {
        let widgets = rows(vendor, None);
        let visitors: u64 = widgets
            .iter()
            .filter(|r| r["role"] == "widget")
            .map(|r| r["clients"].as_u64().unwrap())
            .sum();
        assert_eq!(visitors, 10, "{widgets:#?}");
        assert!(widgets.iter().all(|r| r["engagement"] == "glance"), "{widgets:#?}");
    }
    assert!(!rows("zendesk", Some("shopexample")).is_empty());
    for row in rows("zendesk", Some("shopexample")) {
        assert_ne!(row["engagement"], "use", "{row}");
    }
}

#[test]
fn there_is_no_further_finding() {
    let all = day()["findings"].as_array().unwrap();
    let ids: Vec<&str> = all.iter().map(|f| f["finding"]["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["unsanctioned_tenant", "unsanctioned_use", "remote_session"], "{all:#?}");
}

#[test]
fn the_table_for_a_person_tells_the_same() {
    let text = saastap(&["read", "--config", "config/demo.toml", OFFICE_DAY]).well();
    let first = text.lines().next().unwrap();
    assert!(first.contains("clients seen") && first.contains("of bytes named"), "{first}");
    for words in
        [["zendesk", "acme", "sanctioned", "own"], ["zendesk", "supplier", "unreviewed", ""]]
    {
        let line = text.lines().find(|l| words.iter().all(|w| l.contains(w)));
        assert!(line.is_some(), "{words:?}: {text}");
    }
    let findings = text.split("\nFindings\n").nth(1).unwrap();
    let findings = findings.trim().split("\n\n").next().unwrap();
    assert_eq!(findings.lines().count(), 3, "{findings}");
}

/// Seconds of the day in a time such as `2026-03-02T14:05:04.757014Z`.
fn seconds(time: &str) -> f64 {
    let clock = time.split('T').nth(1).unwrap().trim_end_matches('Z');
    clock.split(':').fold(0.0, |sum, part| sum * 60.0 + part.parse::<f64>().unwrap())
}

/// Guests use the same vendors; they count in visibility, whether named or not, and nowhere else.
#[test]
fn guests_are_left_out_of_usage_and_findings() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("guests.toml");
    let demo = std::fs::read_to_string("config/demo.toml").unwrap();
    let guests =
        "[[vantage]]\nkind = \"guest\"\nnetworks = [\"10.40.0.0/24\", \"2001:db8:40::/64\"]\n";
    std::fs::write(&config, format!("{demo}\n{guests}")).unwrap();
    let config = config.to_str().unwrap();
    let day = saastap(&["read", "--config", config, "--json", OFFICE_DAY]).json();
    let groups = day["usage"].as_array().unwrap().iter().map(|r| r["group"].as_str().unwrap());
    assert!(groups.clone().count() > 0 && !groups.into_iter().any(|g| g == "office"));
    let found = day["findings"].to_string();
    assert!(found.contains("kustomer") && !found.contains("anydesk"), "{found}");
    let flows = saastap(&["read", "--config", config, "--flows", OFFICE_DAY]).lines();
    let mut theirs = 0;
    for flow in &flows {
        let guest = flow["client"]["ip"].as_str().unwrap().starts_with("10.40.0.");
        assert_eq!(flow["visibility"] == "excluded", guest || is_guest_v6(flow), "{flow}");
        theirs += u32::from(guest);
    }
    assert!(theirs > 50);
}

fn is_guest_v6(flow: &Value) -> bool {
    flow["client"]["ip"].as_str().unwrap().starts_with("2001:db8:40:")
}
