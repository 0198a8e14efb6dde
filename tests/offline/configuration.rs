//! `tests/config/good/*.toml` are accepted by `saastap check`; `tests/config/bad/*.toml` are refused with the words of their
//! first comments, at the line that ends with `# here`.

use std::fs;
use std::path::{Path, PathBuf};

use crate::program::saastap;

/// Paths of one folder of `tests/config`, as the program is told them.
fn files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new("tests/config").join(folder);
    let mut files: Vec<PathBuf> =
        fs::read_dir(&folder).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    assert!(files.len() > 2, "{files:?}");
    files
}

#[test]
fn good_ones_are_accepted() {
    for file in files("good") {
        let said = saastap(&["--config", file.to_str().unwrap(), "check"]).well();
        assert!(said.contains(&format!("{}: well", file.display())), "{said}");
    }
}

#[test]
fn bad_ones_are_refused_where_they_are_wrong() {
    for file in files("bad") {
        let text = fs::read_to_string(&file).unwrap();
        let ran = saastap(&["--config", file.to_str().unwrap(), "check"]);
        assert_eq!(ran.code, Some(2), "{}: {}", file.display(), ran.err);
        assert!(ran.err.contains("\n  mend: "), "{}", ran.err);
        let words: Vec<&str> = text.lines().map_while(|l| l.strip_prefix("# ")).collect();
        assert!(!words.is_empty(), "{} does not say what is expected", file.display());
        for part in words {
            assert!(ran.err.contains(part), "{}: {part:?} is not in: {}", file.display(), ran.err);
        }
        if let Some(line) = text.lines().position(|l| l.ends_with("# here")) {
            let place = format!("{}:{}: ", file.display(), line + 1);
            assert!(ran.err.contains(&place), "{place} is not in: {}", ran.err);
        }
    }
}

#[test]
fn a_bad_configuration_is_refused_by_whatever_reads_it() {
    let bad = "tests/config/bad/unknown-key.toml";
    for args in [
        &["read", "tests/captures/dns-cname.pcap"][..],
        &["explain", "acme.zendesk.com"],
        &["catalog", "list"],
    ] {
        let ran = saastap(&[&["--config", bad], args].concat());
        assert_eq!(ran.code, Some(2), "{}", ran.err);
        assert!(ran.err.contains("unknown field `max_flow`") && ran.out.is_empty(), "{}", ran.err);
    }
}

#[test]
fn a_configuration_that_is_not_there_is_told() {
    let ran = saastap(&["--config", "no/such.toml", "check"]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.err.contains("no/such.toml: cannot be read: No such file"), "{}", ran.err);
    assert!(ran.err.contains("mend: name a readable file"), "{}", ran.err);
}
