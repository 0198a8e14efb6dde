//! The catalogue on the command line: exit codes that a build relies on, and a signature from its skeleton to its verdict.

use std::fs;

use crate::program::{DEFAULTS, Ran, saastap};

fn text(ran: &Ran) -> String {
    String::from_utf8_lossy(&ran.out).into_owned()
}

#[test]
fn a_score_below_the_threshold_fails_the_build() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("hosts.tsv");
    fs::write(
        &file,
        "host\tvendor\trole\nacme.zendesk.com\tzendesk\tconsole\na.test\tzendesk\tapi\n",
    )
    .unwrap();
    let file = file.to_str().unwrap();
    let test = |least| {
        saastap(&["--config", DEFAULTS, "catalog", "test", "--min-vendor", least, "--json", file])
    };
    let good = test("50");
    assert_eq!(good.code, Some(0), "{}", good.err);
    let score: serde_json::Value = serde_json::from_slice(&good.out).unwrap();
    assert_eq!((&score["right"], &score["missed"]), (&1.into(), &1.into()));
    assert_eq!(score["disagreements"][0]["host"], "a.test");
    let bad = test("50.1");
    assert_eq!(bad.code, Some(1), "{}", bad.err);
    assert!(bad.err.contains("vendor right: 1 (50.0 %), less than 50.1 %"), "{}", bad.err);
    let none = saastap(&["--config", DEFAULTS, "catalog", "test", "--only", "x", file]);
    assert_eq!(none.code, Some(2), "{}", none.err);
    assert!(none.err.contains("no row to score\n  mend: "), "{}", none.err);
}

#[test]
fn a_vendor_needs_one_file_and_no_compiler() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("own");
    let config = folder.path().join("saastap.toml");
    fs::write(&config, format!("[signatures]\ndirs = [{dir:?}]\n")).unwrap();
    fs::create_dir(&dir).unwrap();
    let config = config.to_str().unwrap();
    let ran = |args: &[&str]| saastap(&[&["--config", config], args].concat());
    let new = ["catalog", "new", "acmedesk", "--domain", "acmedesk.example"];
    let made = ran(&new);
    assert_eq!(made.code, Some(0), "{}", made.err);
    let again = ran(&new);
    assert_eq!(again.code, Some(2), "{}", again.err);
    assert!(again.err.contains("acmedesk.toml is there already\n  mend: "), "{}", again.err);
    let explained = text(&ran(&["explain", "big.acmedesk.example"]));
    assert!(
        explained.contains("acmedesk (acmedesk)") && explained.contains("tenant     big"),
        "{explained}"
    );
    // One positive example is not enough, and the skeleton has one.
    let lint = ran(&["catalog", "lint"]);
    assert_eq!(lint.code, Some(1), "{}", lint.err);
    assert!(text(&lint).contains("acmedesk.toml:1: 1 example shows"), "{}", text(&lint));
    let diff = text(&ran(&["catalog", "diff", dir.to_str().unwrap(), "-"]));
    assert!(!diff.contains("acmedesk") && diff.contains("\n+ zendesk: Zendesk, "), "{diff}");
    let csv = text(&ran(&["catalog", "export", "--format", "csv"]));
    assert!(csv.contains("\nacmedesk,acmedesk,helpdesk,cloud,domain,acmedesk.example,"), "{csv}");
}

#[test]
fn a_log_is_classified() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("proxy.csv");
    fs::write(&log, "url,n\nhttps://acme.zendesk.com/x,1\nhttps://a.test/,2\n").unwrap();
    let log = log.to_str().unwrap();
    let ran = saastap(&["--config", DEFAULTS, "classify", "--column", "url", "--matched", log]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    let wanted = "url,n,vendor,tenant,role,ambiguous,confidence\n\
                  https://acme.zendesk.com/x,1,zendesk,acme,either,true,high\n";
    assert_eq!(text(&ran), wanted);
    assert!(ran.err.contains("2 rows, 1 of 1 vendors, 0 without a host"), "{}", ran.err);
    let missing = saastap(&["--config", DEFAULTS, "classify", "no/such.csv"]);
    assert_eq!(missing.code, Some(2), "{}", missing.err);
    assert!(missing.err.contains("no/such.csv: ") && missing.err.contains("\n  mend: "));
}
