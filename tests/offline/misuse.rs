//! What a person gets wrong on the command line: the message, the remedy and the exit code.

use std::fs;
use std::process::{Command, Stdio};

use crate::program::{DEFAULTS, Ran, saastap};

/// The run failed with `code`, told `parts` and printed nothing.
fn refused(ran: &Ran, code: i32, parts: &[&str]) {
    assert_eq!(ran.code, Some(code), "{}", ran.err);
    for part in parts {
        assert!(ran.err.contains(part), "{part:?} is not in: {}", ran.err);
    }
    assert!(ran.out.is_empty(), "{}", String::from_utf8_lossy(&ran.out));
}

#[test]
fn captures_that_cannot_be_read() {
    let read = |path: &str| saastap(&["--config", DEFAULTS, "read", path]);
    let missing = read("no/such.pcap");
    refused(&missing, 1, &["no/such.pcap: cannot be read: No such file", "\n  mend: "]);
    refused(&read("tests"), 1, &["saastap: tests: ", "director", "\n  mend: "]);
    let text = read("Cargo.toml");
    refused(&text, 1, &["Cargo.toml: no capture: it is text", "mend: give a capture in pcap"]);
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes, what) in [
        ("shot.pcap", &b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x02\0"[..], "it is a PNG image"),
        ("empty.pcap", b"", "it is empty"),
        ("short.pcap", b"\xd4\xc3\xb2\xa1\x02\0", "cut off within its header"),
    ] {
        let file = folder.path().join(name);
        fs::write(&file, bytes).unwrap();
        let shown = format!("{}: no capture: ", file.display());
        refused(&read(file.to_str().unwrap()), 1, &[&shown, what, "\n  mend: "]);
    }
    let twice = saastap(&["--config", DEFAULTS, "read", "-", "-"]);
    refused(&twice, 1, &["standard input is given twice", "mend: give `-` once"]);
}

#[test]
fn one_bad_capture_of_several_is_named() {
    let args =
        ["--config", DEFAULTS, "read", "--flows", "tests/captures/dns-cname.pcap", "Cargo.toml"];
    refused(&saastap(&args), 1, &["Cargo.toml: no capture"]);
}

#[test]
fn a_reader_who_has_seen_enough_is_no_failure() {
    let log = tempfile::NamedTempFile::new().unwrap();
    fs::write(&log, "host\n".to_owned() + &"acme.zendesk.com\n".repeat(20_000)).unwrap();
    let log = log.path().to_str().unwrap();
    for args in [
        &["catalog", "export", "--format", "csv"][..],
        &["catalog", "list"],
        &["classify", log],
        &["completions", "bash"],
        &["man"],
        &["read", "--flows", "tests/captures/office-day.pcap.gz"],
    ] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_saastap"));
        child.args(args).current_dir(env!("CARGO_MANIFEST_DIR"));
        let mut child = child.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let ran = child.wait_with_output().unwrap();
        let told = String::from_utf8_lossy(&ran.stderr);
        assert_eq!(ran.status.code(), Some(0), "{args:?}: {told}");
        assert!(!told.contains("pipe"), "{args:?}: {told}");
    }
}

#[test]
fn arguments_that_are_no_use() {
    for (args, parts) in [
        (&["read"][..], &["<FILE>", "Usage: saastap read"][..]),
        (&["raed", "x.pcap"], &["unrecognized subcommand 'raed'", "'read'"]),
        (&["read", "--json", "--flows", "x.pcap"], &["cannot be used with"]),
        (&["read", "--workers", "many", "x.pcap"], &["invalid value 'many' for '--workers"]),
        (&["read", "--clients", "names", "x.pcap"], &["possible values: address, pseudonym"]),
        (&["--log-level", "saastap=loud", "check"], &["saastap=loud", "mend: write error, warn"]),
        (&["--log-format", "xml", "check"], &["possible values: text, json"]),
        (&["catalog", "show", "zendsk"], &["no vendor \"zendsk\"", "mend: "]),
        (&["catalog", "list", "--category", "x"], &["no vendor is in category", "mend: use one"]),
        (&["explain"], &["<HOST>"]),
    ] {
        refused(&saastap(args), 2, parts);
    }
}

#[test]
fn help_and_version_are_no_misuse() {
    let version = saastap(&["--version"]).well();
    assert_eq!(version, format!("saastap {}\n", env!("CARGO_PKG_VERSION")));
    assert!(saastap(&["read", "--help"]).well().contains("--flows"));
}
