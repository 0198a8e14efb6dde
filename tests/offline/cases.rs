//! `tests/cases/<name>`: `saastap read --flows input.pcap` gives `expected.jsonl`, octet for octet. `UPDATE=1` writes them
//! anew; what the README of a case says must then still be seen in it.

use std::fs;
use std::path::Path;

use crate::program::{DEFAULTS, saastap};

#[test]
fn every_case_gives_what_is_expected() {
    let mut wrong = Vec::new();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut cases: Vec<_> = fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    cases.sort();
    assert!(cases.len() >= 13, "{cases:?}");
    for case in cases {
        let input = case.join("input.pcap");
        let got =
            saastap(&["--config", DEFAULTS, "read", "--flows", input.to_str().unwrap()]).well();
        let file = case.join("expected.jsonl");
        if std::env::var_os("UPDATE").is_some() {
            fs::write(&file, &got).unwrap();
        }
        let wanted = fs::read_to_string(&file).unwrap_or_default();
        if got != wanted {
            let lost = wanted.lines().filter(|l| !got.lines().any(|g| g == *l));
            let gained = got.lines().filter(|l| !wanted.lines().any(|w| w == *l));
            let changes: Vec<String> =
                lost.map(|l| format!("- {l}")).chain(gained.map(|l| format!("+ {l}"))).collect();
            wrong.push(format!("{}\n{}", file.display(), changes.join("\n")));
        }
    }
    assert!(wrong.is_empty(), "{}\n(UPDATE=1 takes what came)", wrong.join("\n\n"));
}
