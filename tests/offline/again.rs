//! The same captures give the same octets of output: a second time, with more workers, and as several files at once.

use crate::program::{DEFAULTS, OFFICE_DAY, captures, saastap};

/// What `files` give with one worker; the same must come with two, three, and one again.
pub fn same_for_any_workers(files: &[&str], form: &str) {
    let read = |workers: &str| {
        let mut args = vec!["--config", "config/demo.toml", "read", form, "--workers", workers];
        args.extend_from_slice(files);
        saastap(&args).well()
    };
    let one = read("1");
    assert!(one.len() > 100, "{files:?} show nothing: {one}");
    for workers in ["1", "2", "3"] {
        let other = read(workers);
        if other != one {
            let differs = one.lines().zip(other.lines()).find(|(a, b)| a != b);
            panic!("{files:?} {form} with {workers} workers: {differs:#?}");
        }
    }
}

#[test]
fn the_office_day_is_the_same_for_one_two_and_three_workers() {
    same_for_any_workers(&[OFFICE_DAY], "--flows");
    same_for_any_workers(&[OFFICE_DAY], "--json");
}

#[test]
fn each_capture_is_the_same_for_one_two_and_three_workers() {
    for capture in captures() {
        same_for_any_workers(&[capture.to_str().unwrap()], "--flows");
    }
}

#[test]
fn several_files_are_one_stream_in_time_for_any_workers() {
    let captures = captures();
    let files: Vec<&str> = captures.iter().map(|c| c.to_str().unwrap()).collect();
    same_for_any_workers(&files, "--flows");
    same_for_any_workers(&files, "--json");
}

#[test]
fn captures_that_follow_one_another_may_be_named_in_any_order() {
    let (first, second) = ("tests/captures/tls12-openssl.pcap", "tests/captures/dns-cname.pcap");
    let one = saastap(&["--config", DEFAULTS, "read", "--flows", first, second]).well();
    let other = saastap(&["--config", DEFAULTS, "read", "--flows", second, first]).well();
    assert_eq!(one, other);
    assert!(one.contains("secure.helpscout.net") && one.contains("help.shop.example"), "{one}");
}
