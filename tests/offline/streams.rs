//! Captures from standard input, in gzip and cut off; and what output is like.

use std::fs;
use std::io::Write;

use crate::program::{DEFAULTS, Ran, captures, saastap, saastap_fed};

const CAPTURE: &str = "tests/captures/tls12-openssl.pcap";

fn fed(form: &str, bytes: &[u8]) -> Ran {
    // A program that refuses its input closes it before all is written.
    saastap_fed(&["--config", DEFAULTS, "read", form, "-"], |stdin| {
        let _ = stdin.write_all(bytes);
    })
}

fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packer.write_all(bytes).unwrap();
    packer.finish().unwrap()
}

#[test]
fn standard_input_and_gzip_give_what_the_file_gives() {
    let bytes = fs::read(CAPTURE).unwrap();
    let wanted = saastap(&["--config", DEFAULTS, "read", "--flows", CAPTURE]).well();
    assert!(wanted.contains("secure.helpscout.net"), "{wanted}");
    assert_eq!(fed("--flows", &bytes).well(), wanted);
    assert_eq!(fed("--flows", &packed(&bytes)).well(), wanted);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("capture.pcap.gz");
    fs::write(&file, packed(&bytes)).unwrap();
    let args = ["--config", DEFAULTS, "read", "--flows", file.to_str().unwrap()];
    assert_eq!(saastap(&args).well(), wanted);
}

#[test]
fn what_precedes_a_cut_is_used_and_the_cut_is_told() {
    let bytes = fs::read(CAPTURE).unwrap();
    for bytes in [bytes[..bytes.len() - 9].to_vec(), {
        let whole = packed(&bytes);
        whole[..whole.len() - 300].to_vec()
    }] {
        let ran = fed("--flows", &bytes);
        assert!(ran.err.starts_with("saastap: "), "{}", ran.err);
        assert!(ran.err.contains("cut off") || ran.err.contains("damaged"), "{}", ran.err);
        assert!(ran.well().contains("secure.helpscout.net"));
    }
}

#[test]
fn output_is_ascii_whatever_the_wire_says() {
    // A Host of UTF-8, of Latin-1 and of a control character.
    let host = "Host: caf\u{e9}.example\r\n";
    let mut requests = vec![format!("GET / HTTP/1.1\r\n{host}\r\n").into_bytes()];
    requests.push(b"GET / HTTP/1.1\r\nHost: caf\xe9.example\r\n\r\n".to_vec());
    requests.push(b"GET / HTTP/1.1\r\nHost: a\x7fb.example\r\n\r\n".to_vec());
    for request in requests {
        let ran = fed("--flows", &crate::bounds::conversation(&request));
        assert!(ran.out.is_ascii(), "{}", String::from_utf8_lossy(&ran.out));
        assert_eq!(ran.lines().len(), 1);
    }
    for capture in captures() {
        let capture = capture.to_str().unwrap();
        for form in ["--flows", "--json"] {
            let ran = saastap(&["--config", DEFAULTS, "read", form, capture]);
            assert!(ran.out.is_ascii(), "{capture} {form}");
            assert!(!ran.lines().is_empty());
        }
    }
}

#[test]
fn a_reader_that_has_seen_enough_ends_the_program_without_a_word() {
    let office = crate::program::OFFICE_DAY;
    let script = format!("{} read --flows {office} | head -n 1", env!("CARGO_BIN_EXE_saastap"));
    let ran = std::process::Command::new("sh")
        .args(["-c", &script])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert_eq!(ran.stdout.iter().filter(|b| **b == b'\n').count(), 1);
    assert_eq!(String::from_utf8_lossy(&ran.stderr), "");
}

#[test]
fn explain_reads_hosts_from_standard_input() {
    let args = ["--config", DEFAULTS, "explain", "--json", "-"];
    let hosts = b"acme.zendesk.com\nnobody.example\nwww.zendesk.com\n";
    let lines = saastap_fed(&args, |stdin| stdin.write_all(hosts).unwrap()).lines();
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert_eq!((&lines[0]["vendor"], &lines[0]["tenant"]), (&"zendesk".into(), &"acme".into()));
    assert_eq!(lines[0]["role"], "either");
    assert_eq!((&lines[1]["host"], &lines[1]["vendor"]), (&"nobody.example".into(), &().into()));
    // A reserved label is nobody's tenant.
    assert_eq!((&lines[2]["vendor"], &lines[2]["tenant"]), (&"zendesk".into(), &().into()));
    for line in &lines {
        for key in ["host", "vendor", "role", "tenant", "ambiguous", "signature"] {
            assert!(line.get(key).is_some(), "{key}: {line}");
        }
    }
}
