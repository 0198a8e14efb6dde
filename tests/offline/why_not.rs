//! `saastap why-not` on captures: what was raised, what was kept back and why, and who was not there.

use crate::program::saastap;

const DEMO: &str = "config/demo.toml";
const DAY: &str = "tests/captures/office-day.pcap.gz";

fn ask(client: &str, vendor: &str) -> String {
    saastap(&["--config", DEMO, "why-not", "--client", client, "--vendor", vendor, DAY]).well()
}

#[test]
fn what_was_raised_and_what_was_kept_back_are_told_of_one_client() {
    let told = ask("10.40.0.15", "anydesk");
    assert!(told.contains(" raised unsanctioned_use by first relay contact\n"), "{told}");
    let told_once = "kept unsanctioned_use back as relay: window: told at 2026-03-02T14:05:04Z, next at 2026-03-03T14:05:04Z";
    assert!(told.contains(told_once), "{told}");
    assert!(told.contains("kept first_seen back as relay: learning until 2026-03-16T"), "{told}");
    let args = ["--config", DEMO, "why-not", "--json", "--client", "10.40.0.15"];
    let whole = saastap(&[&args[..], &["--vendor", "anydesk", DAY]].concat()).json();
    assert_eq!(whole["raised"][0]["finding"]["id"], "unsanctioned_use");
    let rows = whole["suppressed"].as_array().unwrap();
    assert!(rows.iter().all(|r| r["client"] == "10.40.0.15" && r["vendor"] == "anydesk"));
    assert!(rows.iter().any(|r| r["finding"] == "first_seen"), "{rows:?}");
}

#[test]
fn who_was_not_there_and_a_vendor_that_is_none_are_said() {
    let told = ask("192.0.2.1", "anydesk");
    assert!(told.starts_with("192.0.2.1 was not seen with anydesk.\n"), "{told}");
    assert!(told.contains("Seen with it, 1 in all: 10.40.0.15\n"), "{told}");
    let args = ["--config", DEMO, "why-not", "--client", "10.40.0.15", "--vendor", "anydsk", DAY];
    let refused = saastap(&args);
    assert_eq!(refused.code, Some(2));
    assert!(refused.err.contains("write `anydesk` if that was meant"), "{}", refused.err);
}
