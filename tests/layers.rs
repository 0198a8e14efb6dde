//! The house rules that a compiler does not know: which stage may name which, which crate belongs to which stage, how a file
//! opens and how long it may be. Code under `#[cfg(test)]` is free.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// A stage may name those before it, unless [`ONLY`] or [`NEVER`] says otherwise.
const ORDER: &[&str] = &[
    "time",
    "count",
    "fault",
    "store",
    "capture",
    "decode",
    "flow",
    "sniff",
    "signature",
    "identity",
    "policy",
    "usage",
    "alert",
    "export",
    "config",
    "pipeline",
    "cli",
];

/// Stages that may name nothing but these.
const ONLY: &[(&str, &[&str])] = &[
    ("sniff", &["count"]),
    ("signature", &["sniff", "count", "fault"]),
    ("export", &["time", "count", "usage", "alert"]),
];

/// Stages that must not name these, though they come before.
const NEVER: &[(&str, &[&str])] = &[("flow", &["capture"])];

/// Where each crate of `Cargo.toml` may be named; empty: everywhere.
const CRATES: &[(&str, &[&str])] = &[
    ("arc_swap", &["pipeline"]),
    ("axum", &["export"]),
    ("clap", &["cli"]),
    ("clap_complete", &["cli"]),
    ("clap_mangen", &["cli"]),
    ("comfy_table", &["cli"]),
    ("csv", &["identity", "cli"]),
    ("dashmap", &["usage"]),
    ("der", &["sniff"]),
    ("domain", &["sniff"]),
    ("data_encoding", &["identity", "alert"]),
    ("etherparse", &["decode"]),
    ("flate2", &["capture"]),
    ("gethostname", &["alert", "config", "pipeline", "cli"]),
    ("hashbrown", &["flow", "signature", "identity", "pipeline"]),
    ("http_body_util", &["alert"]),
    ("hyper", &["alert", "export"]),
    ("hyper_util", &["alert", "export"]),
    ("indicatif", &["cli"]),
    ("ipnet", &["flow", "signature", "identity", "policy", "config"]),
    ("jiff", &["time"]),
    ("memchr", &[]),
    ("num_traits", &[]),
    ("pcap", &["capture"]),
    ("prometheus", &["export"]),
    ("psl", &["signature"]),
    ("ring", &["sniff", "identity", "alert"]),
    ("rskafka", &["alert"]),
    ("rtrb", &["pipeline"]),
    ("rusqlite", &["store"]),
    ("rustix", &["capture"]),
    ("rustls_native_certs", &["alert"]),
    ("sd_notify", &["pipeline", "cli"]),
    ("serde", &[]),
    ("serde_json", &[]),
    ("strsim", &["signature"]),
    ("tls_parser", &["sniff"]),
    ("tokio", &["alert", "export", "pipeline", "cli"]),
    ("tokio_rustls", &["alert"]),
    ("toml", &["signature", "policy", "alert", "config"]),
    ("tracing", &[]),
    ("tracing_subscriber", &["cli"]),
    ("unicode_normalization", &["signature"]),
    ("unicode_security", &["signature"]),
];

/// Lines of code of a file, without tests, comments and blank lines.
const LONG: usize = 400;
const TOO_LONG: usize = 600;

#[test]
fn every_file_keeps_the_rules_of_the_house() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&src, &mut files);
    assert!(files.len() > 20, "found only {files:?}");
    let mut faults = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let path = file.strip_prefix(&src).unwrap().to_str().unwrap();
        let code = Code::read(&text);
        if code.lines() > LONG {
            println!("warning: src/{path} has {} lines of code (more than {LONG})", code.lines());
        }
        faults.extend(faults_of(path, &text));
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn every_crate_of_the_package_has_its_place() {
    let manifest =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml")).unwrap();
    let dependencies =
        manifest.split("[dependencies]\n").nth(1).unwrap().split("\n[").next().unwrap();
    let named: BTreeSet<String> = dependencies
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(name, _)| name.trim().replace('-', "_"))
        .collect();
    let placed: BTreeSet<String> = CRATES.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(named, placed, "each dependency needs a row in CRATES, and each row a dependency");
}

#[test]
fn the_rules_bite() {
    let bad: &[(&str, &str, &str)] = &[
        ("sniff/tls.rs", "use crate::time::Time;", "sniff names time"),
        ("flow/table.rs", "use crate::{count::Cells, capture::Frame};", "flow names capture"),
        ("flow/table.rs", "fn f(x: crate::sniff::Progress) {}", "flow names sniff"),
        (
            "decode/link.rs",
            "use crate::{\n    count::{Cells, Rows},\n    flow,\n};",
            "decode names flow",
        ),
        ("export/web/mod.rs", "use crate::policy;", "export names policy"),
        ("usage/mod.rs", "use saastap::export::Metrics;", "usage names export"),
        ("time.rs", "use crate::{count};", "time names count"),
        ("signature/mod.rs", "use crate::policy::Policy;", "signature names policy"),
        ("signature/mod.rs", "use tokio::net::TcpStream;", "signature uses tokio"),
        ("policy/mod.rs", "fn f() -> ::rusqlite::Result<()> { Ok(()) }", "policy uses rusqlite"),
        ("usage/mod.rs", "use axum as web;", "usage uses axum"),
        ("usage/mod.rs", "use prometheus;", "usage uses prometheus"),
        ("cli/run.rs", "let x = pcap::Capture::from_device(y);", "cli uses pcap"),
        (
            "usage/mod.rs",
            "#[cfg(test)]\nmod tests { use axum::Router; }\nuse axum::Router;",
            "usage uses axum",
        ),
        (
            "usage/mod.rs",
            "const X: &str = \"}\"; #[cfg(test)] use a; use axum::Router;",
            "usage uses axum",
        ),
        ("weather/mod.rs", "", "no stage"),
    ];
    for (path, code, expected) in bad {
        let found = faults_of(path, &format!("//! What it is for.\n{code}\n"));
        assert!(found.iter().any(|f| f.contains(expected)), "{path}: {code}: {found:?}");
        assert_eq!(found.len(), 1, "{path}: {code}: {found:?}");
    }
    assert!(faults_of("time.rs", "use std::fmt;\n")[0].contains("does not open with `//! `"));
    let long = format!("//! Long.\n{}", "fn f() {}\n\n// why\n".repeat(TOO_LONG + 1));
    assert!(faults_of("time.rs", &long)[0].contains("601 lines of code"));
    let padded = format!("//! Short.\n{}", "fn f() {}\n\n// why\n".repeat(TOO_LONG));
    assert_eq!(faults_of("time.rs", &padded), [""; 0]);
}

#[test]
fn the_rules_let_good_files_pass() {
    let good: &[(&str, &str)] = &[
        ("flow/table.rs", "use crate::count::Cells; crate::rows! { enum A {} }"),
        (
            "sniff/tls.rs",
            "// use crate::policy;\n/* use axum; */ const A: &str = \"crate::policy axum::x\";",
        ),
        (
            "sniff/tls.rs",
            "const A: &str = r#\"\" crate::policy::x\"#; const B: char = '\"'; const C: u8 = b'{';",
        ),
        ("sniff/tls.rs", "fn f<'a>(x: &'a str) -> &'a str { x }"),
        (
            "sniff/tls.rs",
            "#[cfg(test)]\nmod tests {\n    use crate::policy::X;\n    use proptest::x;\n}",
        ),
        ("signature/mod.rs", "mod domain;\nuse domain::Index;"),
        ("signature/catalog.rs", "use super::{address, domain};\nfn f() { domain::find() }"),
        (
            "pipeline/mod.rs",
            "use crate::{capture, alert::{Case, Event}, export};\nuse tokio::sync::mpsc;",
        ),
        ("usage/mod.rs", "let toml = 1; let ring = toml; x.domain();"),
    ];
    for (path, code) in good {
        let found = faults_of(path, &format!("//! What it is for.\n{code}\n"));
        assert!(found.is_empty(), "{path}: {code}: {found:?}");
    }
}

/// Breaches of the rules by one file; `path` counts from `src/`.
fn faults_of(path: &str, text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    if !text.starts_with("//! ") {
        faults.push(format!("src/{path}: does not open with `//! ` and what the file is for"));
    }
    let code = Code::read(text);
    if code.lines() > TOO_LONG {
        faults.push(format!(
            "src/{path}: {} lines of code: split it by reason to change",
            code.lines()
        ));
    }
    let stage = path.split('/').next().unwrap().trim_end_matches(".rs");
    if ["lib", "main"].contains(&stage) {
        return faults;
    }
    let Some(rank) = ORDER.iter().position(|s| *s == stage) else {
        faults.push(format!("src/{path}: no stage of that name; give it a place in ORDER"));
        return faults;
    };
    let before = &ORDER[..=rank];
    let only = ONLY.iter().find(|(s, _)| *s == stage).map(|(_, only)| *only);
    let never = NEVER.iter().find(|(s, _)| *s == stage).map_or(&[][..], |(_, never)| *never);
    for (line, named) in code.stages() {
        let allowed = named == stage
            || (only.map_or(before.contains(&named.as_str()), |o| o.contains(&named.as_str()))
                && !never.contains(&named.as_str()));
        if !allowed {
            faults.push(format!("src/{path}:{line}: {stage} names {named}"));
        }
    }
    for (name, stages) in CRATES {
        if stages.is_empty() || stages.contains(&stage) {
            continue;
        }
        if let Some(line) = code.uses_crate(name) {
            faults.push(format!(
                "src/{path}:{line}: {stage} uses {name}, which belongs to {stages:?}"
            ));
        }
    }
    faults
}

/// Words and marks of a file with their lines, without comments, literals and test code.
struct Code {
    tokens: Vec<(usize, String)>,
}

impl Code {
    fn read(text: &str) -> Self {
        Self { tokens: without_tests(tokens(text)) }
    }

    fn lines(&self) -> usize {
        self.tokens.iter().map(|(line, _)| line).collect::<BTreeSet<_>>().len()
    }

    fn is(&self, at: usize, word: &str) -> bool {
        self.tokens.get(at).is_some_and(|(_, token)| token == word)
    }

    /// Stages named as `crate::stage`, `saastap::stage` or in a group behind either.
    fn stages(&self) -> Vec<(usize, String)> {
        let mut found = Vec::new();
        let mut add = |at: usize| {
            if let Some((line, word)) = self.tokens.get(at)
                && ORDER.contains(&word.as_str())
            {
                found.push((*line, word.clone()));
            }
        };
        for at in 0..self.tokens.len() {
            if !(self.is(at, "crate") || self.is(at, "saastap")) || !self.is(at + 1, "::") {
                continue;
            }
            add(at + 2);
            if !self.is(at + 2, "{") {
                continue;
            }
            let mut depth = 0;
            for inner in at + 2..self.tokens.len() {
                match self.tokens[inner].1.as_str() {
                    "{" => depth += 1,
                    "}" => depth -= 1,
                    _ if depth == 1 && (self.is(inner - 1, "{") || self.is(inner - 1, ",")) => {
                        add(inner)
                    }
                    _ => {}
                }
                if depth == 0 {
                    break;
                }
            }
        }
        found
    }

    /// The first line that names the crate: `name::` or `use name`, unless `name` is a module that the file declares or
    /// imports.
    fn uses_crate(&self, name: &str) -> Option<usize> {
        let mut first = None;
        let mut in_use = false;
        for at in 0..self.tokens.len() {
            if self.is(at, "use") {
                in_use = true;
            } else if self.is(at, ";") {
                in_use = false;
            }
            if !self.is(at, name) {
                continue;
            }
            let before = |word| at > 0 && self.is(at - 1, word);
            let rooted = before("::")
                && (at < 2 || !is_word(&self.tokens[at - 2].1) || self.is(at - 2, "->"));
            let opens = rooted || before("use") || !before("::");
            if before("mod") || (in_use && (!opens || (!before("use") && !rooted))) {
                return None;
            }
            if opens && (self.is(at + 1, "::") || before("use")) && first.is_none() {
                first = Some(self.tokens[at].0);
            }
        }
        first
    }
}

fn is_word(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphanumeric() || c == '_')
}

fn tokens(text: &str) -> Vec<(usize, String)> {
    let chars: Vec<char> = text.chars().collect();
    let get = |at: usize| chars.get(at).copied().unwrap_or('\0');
    let (mut at, mut line, mut out) = (0, 1, Vec::new());
    while at < chars.len() {
        let start = at;
        let c = get(at);
        if c == '/' && get(at + 1) == '/' {
            while at < chars.len() && get(at) != '\n' {
                at += 1;
            }
        } else if c == '/' && get(at + 1) == '*' {
            at += 2;
            while at < chars.len() && !(get(at) == '*' && get(at + 1) == '/') {
                at += 1;
            }
            at += 2;
        } else if let Some(end) = raw_string(&chars, at) {
            at = end;
        } else if c == '"' {
            at += 1;
            while at < chars.len() && get(at) != '"' {
                at += if get(at) == '\\' { 2 } else { 1 };
            }
            at += 1;
            out.push((line, "\"\"".to_owned()));
        } else if c == '\'' {
            if get(at + 1) == '\\' {
                at += 3;
                while at < chars.len() && get(at) != '\'' {
                    at += 1;
                }
                at += 1;
            } else if get(at + 2) == '\'' {
                at += 3;
            } else {
                at += 1; // a lifetime
            }
        } else if c.is_alphanumeric() || c == '_' {
            while get(at).is_alphanumeric() || get(at) == '_' {
                at += 1;
            }
            out.push((line, chars[start..at].iter().collect()));
        } else if c == ':' && get(at + 1) == ':' {
            at += 2;
            out.push((line, "::".to_owned()));
        } else {
            at += 1;
            if !c.is_whitespace() {
                out.push((line, c.to_string()));
            }
        }
        line += chars[start..at.min(chars.len())].iter().filter(|c| **c == '\n').count();
    }
    out
}

/// The end of a raw string (`r"..."`, `br#"..."#`) that starts here.
fn raw_string(chars: &[char], start: usize) -> Option<usize> {
    let within_word = start > 0 && (chars[start - 1].is_alphanumeric() || chars[start - 1] == '_');
    let mut at = start + usize::from(chars.get(start) == Some(&'b'));
    if within_word || chars.get(at) != Some(&'r') {
        return None;
    }
    at += 1;
    let hashes = chars[at..].iter().take_while(|c| **c == '#').count();
    at += hashes;
    if chars.get(at) != Some(&'"') {
        return None;
    }
    at += 1;
    while at < chars.len() {
        if chars[at] == '"'
            && chars[at + 1..].iter().take(hashes).filter(|c| **c == '#').count() == hashes
        {
            return Some(at + 1 + hashes);
        }
        at += 1;
    }
    Some(at)
}

/// Leaves out each item that stands under `#[cfg(test)]`.
fn without_tests(tokens: Vec<(usize, String)>) -> Vec<(usize, String)> {
    let word = |at: usize| tokens.get(at).map_or("", |(_, token)| token.as_str());
    let marks = ["#", "[", "cfg", "(", "test", ")", "]"];
    let (mut at, mut out) = (0, Vec::new());
    while at < tokens.len() {
        if !marks.iter().enumerate().all(|(i, mark)| word(at + i) == *mark) {
            out.push(tokens[at].clone());
            at += 1;
            continue;
        }
        at += marks.len();
        let mut depth = 0;
        while at < tokens.len() {
            match word(at) {
                "{" | "(" | "[" => depth += 1,
                "}" | ")" | "]" => depth -= 1,
                _ => {}
            }
            let ends = depth == 0 && (word(at) == ";" || (word(at) == "}"));
            at += 1;
            if ends {
                break;
            }
        }
    }
    out
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|e| e == "rs") {
            files.push(path);
        }
    }
}
