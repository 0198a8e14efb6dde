//! What `policy explain` says of a contact, and what `policy diff` says another policy would change.

use std::fs;

use crate::program::saastap;

const DEMO: &str = "config/demo.toml";
const DAY: &str = "tests/captures/office-day.pcap.gz";

fn explain(more: &str) -> serde_json::Value {
    let mut args = vec!["--config", DEMO, "policy", "explain", "--json"];
    args.extend(more.split(' '));
    saastap(&args).json()
}

#[test]
fn the_rule_that_decides_is_told_with_those_that_do_not() {
    let told = explain("--client 10.40.0.15 --vendor kustomer --tenant Acme");
    assert_eq!((&told["state"], &told["group"]), (&"tolerated".into(), &"office".into()));
    assert_eq!(told["relation"], "own");
    let rules = told["rules"].as_array().unwrap();
    let fails: Vec<_> = rules.iter().map(|rule| rule["fails"].as_str()).collect();
    assert_eq!(fails, [Some("vendor"), None], "none behind the one that decides");

    let other = explain("--group sales --vendor kustomer --tenant other --role console");
    assert_eq!((&other["state"], other["rule"].as_str()), (&"unreviewed".into(), None));
    assert_eq!(other["rules"][1]["fails"], "tenant");
}

#[test]
fn hours_are_those_of_the_moment_asked_about() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("saastap.toml");
    let rule = "[[policy]]\nvendor = 'zendesk'\nstate = 'sanctioned'\n\
                hours = 'Mon-Fri 08:00-18:00 Europe/Berlin'\n";
    fs::write(&file, rule).unwrap();
    let at = |moment: &str| {
        let file = file.to_str().unwrap();
        let args = ["--config", file, "policy", "explain", "--json", "--vendor", "zendesk", "--at"];
        saastap(&[&args[..], &[moment]].concat()).json()["off_hours"].clone()
    };
    assert_eq!(at("2026-07-20T08:00:00+02:00"), false);
    assert_eq!(at("2026-07-20T07:59:59+02:00"), true);
}

#[test]
fn another_policy_shows_its_verdicts_and_findings() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("new.toml");
    let demo = fs::read_to_string(DEMO).unwrap();
    let new = demo.replace("state = \"unsanctioned\"", "state = \"sanctioned\"");
    assert_ne!(new, demo);
    fs::write(&file, new).unwrap();
    let diff = |file: &str| {
        saastap(&["--config", DEMO, "policy", "diff", "--json", file, "--on", DAY]).json()
    };
    let told = diff(file.to_str().unwrap());
    let verdicts = told["verdicts"].as_array().unwrap();
    assert_eq!(verdicts.len(), 1, "{told:#}");
    assert_eq!(verdicts[0]["vendor"], "anydesk");
    assert_eq!(
        (&verdicts[0]["before"], &verdicts[0]["after"]),
        (&"unsanctioned".into(), &"sanctioned".into())
    );
    let findings = told["findings"].as_array().unwrap();
    assert!(findings.iter().all(|f| f["vendor"] == "anydesk" && f["change"] == "lost"), "{told:#}");
    assert!(findings.iter().any(|f| f["finding"] == "unsanctioned_use"), "{told:#}");
    let same = diff(DEMO);
    assert_eq!(same["verdicts"].as_array().unwrap().len(), 0);
    assert_eq!(same["findings"].as_array().unwrap().len(), 0);
}

#[test]
fn what_is_asked_wrongly_is_told() {
    let refused = |args: &[&str], part: &str| {
        let ran = saastap(&[&["--config", DEMO, "policy"], args].concat());
        assert_eq!(ran.code, Some(2), "{}", ran.err);
        assert!(ran.err.contains(part), "{}", ran.err);
    };
    refused(&["explain", "--vendor", "anydes"], "mend: did you mean `anydesk`?");
    refused(&["explain", "--vendor", "anydesk", "--group", "nobody"], "unknown group `nobody`");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("saastap.toml");
    fs::write(&file, format!("[store]\ndirectory = {:?}\n", folder.path())).unwrap();
    let never_ran = ["--config", file.to_str().unwrap(), "policy", "diff", DEMO, "--on-state"];
    let ran = saastap(&never_ran);
    assert_eq!(ran.code, Some(2), "{}", ran.err);
    assert!(ran.err.contains("mend: name the configuration of the daemon"), "{}", ran.err);
    assert!(!folder.path().join("saastap.db").exists(), "nothing is made");
    refused(&["diff", DEMO], "--on");
}
