//! What the documents say is so: commands run and print what README shows, its TOML loads, paths and targets exist, and
//! `config/saastap.toml` is the defaults with every key.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use saastap::config::Config;
use serde_json::Value;

/// Commands of README that are only checked for syntax, by how they begin (without `sudo`), and why.
const NOT_RUN: &[(&str, &str)] = &[
    (
        "make",
        "takes minutes; .ci/run runs demo, test and install, and the target is asked for here",
    ),
    (
        "systemd-sysusers",
        "changes the users of the machine; tests/packaging.rs runs it under a root of its own",
    ),
    ("systemd-tmpfiles", "makes directories of the machine"),
    ("systemctl", "needs systemd and an installed unit; tests/packaging.rs has the unit verified"),
    ("chgrp saastap", "needs the user that systemd-sysusers makes"),
    ("setcap", "needs root and a file system with capabilities"),
    ("curl", "needs a running daemon; the port and the path are checked here"),
    ("saastap case", "needs the store of a daemon; its options are checked here"),
    ("saastap usage", "needs the store of a daemon; its options are checked here"),
    ("saastap run", "needs an interface and the right to listen; its options are checked here"),
];

/// Where README puts its files; tests put them elsewhere.
const ETC: &str = "/etc/saastap";

#[test]
fn every_command_of_the_readme_does_what_it_says() {
    let readme = Document::read("README.md");
    let machine = Machine::new(&readme);
    let mut reasons = BTreeSet::new();
    let mut ran = 0;
    for block in readme.blocks(&["sh", "console"]) {
        for (line, command, shown) in block.commands() {
            let at = format!("README.md:{line}: {command}");
            assert!(bash(&["-n", "-c", &command]).status.success(), "{at}: no shell command");
            let plain = command.strip_prefix("sudo ").unwrap_or(&command);
            if let Some((start, _)) = NOT_RUN.iter().find(|(start, _)| plain.starts_with(start)) {
                reasons.insert(*start);
                check_without_running(plain, &at);
                continue;
            }
            assert!(plain.starts_with("saastap "), "{at}: add it to NOT_RUN, with the reason");
            let output = machine.run(plain);
            assert!(output.status.success(), "{at}: {}", said(&output));
            let printed = String::from_utf8(output.stdout).unwrap();
            let printed = printed.replace(machine.folder.path().to_str().unwrap(), ETC);
            if let Err(missing) = shows(&printed, &shown) {
                panic!("{at}\nshould print: {missing}\nbut prints:\n{printed}");
            }
            ran += 1;
        }
    }
    assert!(ran >= 5, "only {ran} commands ran");
    let unused: Vec<_> = NOT_RUN.iter().filter(|(start, _)| !reasons.contains(start)).collect();
    assert!(unused.is_empty(), "README has no such command: {unused:?}");
}

#[test]
fn every_table_of_the_readme_loads_by_itself() {
    let readme = Document::read("README.md");
    let machine = Machine::new(&readme);
    let alone = machine.folder.path().join("alone.toml");
    let mut loaded = 0;
    for block in readme.blocks(&["toml"]) {
        if block.file().is_none_or(|file| file == format!("{ETC}/saastap.toml")) {
            fs::write(&alone, machine.here(&block.text)).unwrap();
            let output = machine.check(&alone);
            assert!(output.status.success(), "README.md:{}: {}", block.line, said(&output));
            loaded += 1;
        }
    }
    assert!(loaded >= 4, "only {loaded} tables loaded");
    fs::write(&alone, "[sensor]\nworker = 1\n").unwrap();
    assert!(!machine.check(&alone).status.success());
}

#[test]
fn the_event_of_the_readme_is_one_that_the_program_makes() {
    let readme = Document::read("README.md");
    let block = readme.blocks(&["json"]).next().expect("an event");
    let mut shown: Value = serde_json::from_str(&block.text).unwrap();
    let machine = Machine::new(&readme);
    let output = machine
        .run("saastap read --json --config config/demo.toml tests/captures/office-day.pcap.gz");
    let whole: Value = serde_json::from_slice(&output.stdout).unwrap();
    let events = whole["findings"].as_array().unwrap();
    let id = &shown["finding"]["id"];
    let mut made =
        events.iter().find(|e| e["finding"]["id"] == *id).expect("such a finding").clone();
    for event in [&mut shown, &mut made] {
        // These differ with each version of program, catalogue and policy.
        for key in [
            "event_id",
            "sensor.name",
            "sensor.version",
            "sensor.catalog",
            "sensor.policy",
            "finding.uid",
        ] {
            let place = event.pointer_mut(&format!("/{}", key.replace('.', "/"))).expect(key);
            assert!(place.is_string(), "{key}");
            *place = Value::Null;
        }
    }
    assert_eq!(shown, made, "README.md:{}", block.line);
}

#[test]
fn the_scrape_job_of_the_readme_is_the_shipped_one() {
    let readme = Document::read("README.md");
    let block = readme.blocks(&["yaml"]).next().expect("a scrape job");
    let shipped = fs::read_to_string(package().join("config/prometheus/scrape.yml")).unwrap();
    let shipped: String =
        shipped.lines().filter(|l| !l.starts_with('#')).map(|l| format!("{l}\n")).collect();
    assert_eq!(block.text, shipped);
    assert!(shipped.contains(&port()), "{shipped}");
}

#[test]
fn what_documents_point_to_exists() {
    let targets = make_targets();
    let mut faults = Vec::new();
    let mut pointed = 0;
    for name in ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "signatures/README.md"] {
        let document = Document::read(name);
        let folder = package().join(name).parent().unwrap().to_owned();
        let anchors = document.anchors();
        for (line, text) in document.prose() {
            for link in between(text, "](", ")") {
                pointed += 1;
                let there = match link.strip_prefix('#') {
                    Some(anchor) => anchors.contains(anchor),
                    None => link.starts_with("https://") || folder.join(link).exists(),
                };
                if !there {
                    faults.push(format!("{name}:{line}: {link} is not there"));
                }
            }
            for code in between(text, "`", "`") {
                if is_path(code) && !package().join(code).exists() {
                    faults.push(format!("{name}:{line}: {code} is not there"));
                }
                if let Some(target) = code.strip_prefix("make ").and_then(|t| t.split(' ').next()) {
                    pointed += 1;
                    if !targets.contains(target) {
                        faults.push(format!("{name}:{line}: Makefile has no target {target}"));
                    }
                }
            }
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
    assert!(pointed > 20, "only {pointed} links");
}

#[test]
fn the_configuration_is_the_defaults() {
    let text = shipped();
    let given = Config::parse("config/saastap.toml", text.clone()).unwrap();
    let defaults = serde_json::to_value(Config::default()).unwrap();
    assert_eq!(serde_json::to_value(given).unwrap(), defaults);
    // Set to another value, a key is noticed.
    let other = text.replace("max_flows = 262144", "max_flows = 262145");
    let other = Config::parse("x", other).unwrap();
    assert_ne!(serde_json::to_value(other).unwrap(), defaults);
}

#[test]
fn the_configuration_has_every_key() {
    let defaults = serde_json::to_value(Config::default()).unwrap();
    let given: toml::Table = toml::from_str(&shipped()).unwrap();
    let with_examples: toml::Table = toml::from_str(&uncommented()).unwrap();
    let mut missing = Vec::new();
    for (table, keys) in defaults.as_object().unwrap() {
        let Some(keys) = keys.as_object().filter(|_| table != "own") else {
            missing.extend((!with_examples.contains_key(table)).then(|| table.clone()));
            continue;
        };
        for (key, value) in keys {
            // TOML has no null: a key without a default can only be an example.
            let place = if value.is_null() { &with_examples } else { &given };
            if place.get(table).and_then(|t| t.get(key)).is_none() {
                missing.push(format!("{table}.{key}"));
            }
        }
    }
    // Lists are empty by default, so that their keys are written here.
    for (table, keys) in [
        ("own", "domains tenants names servers"),
        ("vantage", "kind networks"),
        ("group", "name networks hosts macs vlans clients"),
        ("policy", "vendor category tenant relation role group deployment state hours exception"),
        (
            "sink",
            "name kind path rotate_megabytes rotate_keep address transport max_octets ack_seconds url secret_file \
             token_file ca_file server_name client_certificate_file client_key_file acknowledge \
             index source sourcetype brokers topic key tls format max_messages max_age_days findings min_severity states heartbeat audit usage",
        ),
    ] {
        let shown: BTreeSet<&str> = match &with_examples[table] {
            toml::Value::Array(all) => {
                all.iter().flat_map(|t| t.as_table().unwrap().keys()).map(|k| &**k).collect()
            }
            one => one.as_table().unwrap().keys().map(|k| &**k).collect(),
        };
        let known: BTreeSet<&str> = keys.split(' ').collect();
        assert_eq!(shown, known, "[[{table}]]");
    }
    assert!(missing.is_empty(), "config/saastap.toml lacks {missing:?}");
}

#[test]
fn the_configuration_has_the_order_of_the_stages() {
    let defaults = serde_json::to_string(&Config::default()).unwrap();
    let known = serde_json::to_value(Config::default()).unwrap();
    let mut order: Vec<&str> = known.as_object().unwrap().keys().map(|k| &**k).collect();
    order.sort_by_key(|table| defaults.find(&format!("\"{table}\":")).unwrap());
    let text = uncommented();
    let mut shown: Vec<&str> = text
        .lines()
        .filter_map(|l| l.strip_prefix('['))
        .map(|l| l.trim_matches(['[', ']']))
        // A part of a table stands right below it.
        .map(|table| table.split('.').next().unwrap())
        .collect();
    shown.dedup();
    assert_eq!(shown, order);
}

#[test]
fn the_examples_of_the_configuration_load() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("saastap.toml");
    let text = uncommented().replace("/etc/saastap/", &format!("{}/", folder.path().display()));
    for secret in ["hook.secret", "hook.token", "splunk.token"] {
        fs::write(folder.path().join(secret), "s3cret\n").unwrap();
    }
    let key = rcgen::KeyPair::generate().unwrap();
    let name = vec!["soar.example".to_owned()];
    let certificate = rcgen::CertificateParams::new(name).unwrap().self_signed(&key).unwrap();
    for (name, pem) in [
        ("ca.pem", certificate.pem()),
        ("client.pem", certificate.pem()),
        ("client.key", key.serialize_pem()),
    ] {
        fs::write(folder.path().join(name), pem).unwrap();
    }
    fs::write(&file, &text).unwrap();
    let output = saastap(&["check", "--config", file.to_str().unwrap()]);
    assert!(output.status.success(), "{}", said(&output));
    assert!(said(&output).contains("4 rules, 2 groups"), "{}", said(&output));
    #[derive(serde::Deserialize)]
    struct Sinks {
        sink: Vec<saastap::alert::sink::Table>,
    }
    let sinks: Sinks = toml::from_str(&text).unwrap();
    let read = saastap::alert::sink::Configured::read(&sinks.sink, "saastap.toml", &text);
    assert_eq!(read.unwrap_or_else(|faults| panic!("{faults}")).len(), 7);
}

/// What README's reader has: the files that it tells to write.
struct Machine {
    folder: tempfile::TempDir,
}

impl Machine {
    /// Blocks with `file=` are written; those of one file follow each other in it.
    fn new(readme: &Document) -> Self {
        let machine = Self { folder: tempfile::tempdir().unwrap() };
        let mut files = 0;
        for block in readme.blocks(&["toml"]) {
            let Some(file) = block.file() else { continue };
            let path = PathBuf::from(machine.here(file));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            let before = fs::read_to_string(&path).unwrap_or_default();
            fs::write(&path, format!("{before}{}\n", machine.here(&block.text))).unwrap();
            files += 1;
        }
        assert!(files >= 3, "only {files} blocks with a file");
        machine
    }

    /// The same text, with this folder for `/etc/saastap`.
    fn here(&self, text: &str) -> String {
        text.replace(ETC, self.folder.path().to_str().unwrap())
    }

    /// Without `--config` the program reads what README has put into its place.
    fn run(&self, command: &str) -> Output {
        let config = if command.contains("--config") {
            String::new()
        } else {
            format!("--config {ETC}/saastap.toml")
        };
        let command = command.replacen("saastap", &format!("{} {config}", binary()), 1);
        bash(&["-c", &self.here(&command)])
    }

    fn check(&self, file: &Path) -> Output {
        saastap(&["check", "--config", file.to_str().unwrap()])
    }
}

/// A Markdown file of the package.
struct Document {
    text: String,
}

/// A fenced block.
struct Block {
    /// Of its first line in the file, from 1.
    line: usize,
    info: String,
    text: String,
}

impl Document {
    fn read(name: &str) -> Self {
        Self { text: fs::read_to_string(package().join(name)).expect(name) }
    }

    /// The blocks of these languages.
    fn blocks(&self, languages: &[&str]) -> impl Iterator<Item = Block> {
        let mut all: Vec<Block> = Vec::new();
        let mut inside = false;
        for (line, text) in self.text.lines().enumerate() {
            if let Some(info) = text.strip_prefix("```") {
                inside = !inside;
                if inside {
                    all.push(Block { line: line + 2, info: info.into(), text: String::new() });
                }
            } else if inside {
                let block = all.last_mut().unwrap();
                block.text.push_str(text);
                block.text.push('\n');
            }
        }
        assert!(!inside, "a block without an end");
        all.retain(|b| languages.contains(&b.info.split(' ').next().unwrap()));
        all.into_iter()
    }

    /// Lines outside of blocks, numbered from 1.
    fn prose(&self) -> impl Iterator<Item = (usize, &str)> {
        let mut inside = false;
        self.text.lines().enumerate().filter_map(move |(line, text)| {
            let fence = text.starts_with("```");
            inside ^= fence;
            (!inside && !fence).then_some((line + 1, text))
        })
    }

    /// Of its headings, as GitHub makes them.
    fn anchors(&self) -> BTreeSet<String> {
        let headings = self.prose().filter(|(_, text)| text.starts_with('#'));
        headings
            .map(|(_, text)| {
                let words = text.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
                words.chars().filter(|c| c.is_alphanumeric() || *c == '-').collect()
            })
            .collect()
    }
}

impl Block {
    /// Where the reader puts it: ```` ```toml file=/etc/... ````.
    fn file(&self) -> Option<&str> {
        self.info.split(' ').find_map(|word| word.strip_prefix("file="))
    }

    /// Line, command and the lines that it prints: `$ command` and its output in `console`, a command a line in `sh`.
    fn commands(&self) -> Vec<(usize, String, Vec<String>)> {
        let mut all: Vec<(usize, String, Vec<String>)> = Vec::new();
        for (line, text) in self.text.lines().enumerate() {
            let line = self.line + line;
            match text.strip_prefix("$ ") {
                Some(command) => all.push((line, command.into(), Vec::new())),
                None if self.info == "sh" => {
                    let command = text.split(" #").next().unwrap().trim_end();
                    all.push((line, command.into(), Vec::new()));
                }
                None => all.last_mut().expect("output before a command").2.push(text.into()),
            }
        }
        all
    }
}

/// Whether the lines are printed in this order. `...` stands for any lines, and at the end of a line for any words; how wide
/// the gaps between words are depends on other rows.
fn shows(printed: &str, lines: &[String]) -> Result<(), String> {
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut rest = printed.lines().map(words).filter(|l| !l.is_empty()).peekable();
    let mut skips = false;
    for line in lines.iter().map(|l| words(l)).filter(|l| !l.is_empty()) {
        if line == "..." {
            skips = true;
            continue;
        }
        let is = |got: &String| match line.strip_suffix("...") {
            Some(start) => got.starts_with(start),
            None => *got == line,
        };
        let found =
            if skips { rest.any(|got| is(&got)) } else { rest.next().is_some_and(|g| is(&g)) };
        if !found {
            return Err(line);
        }
        skips = false;
    }
    if lines.is_empty() || skips || rest.peek().is_none() {
        Ok(())
    } else {
        Err(format!("nothing more than {:?}", lines.last()))
    }
}

#[test]
fn output_is_compared_line_by_line() {
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    let printed = "a  1\nb 2\n\nc 3 x\n";
    for good in ["a 1\nb   2\nc ...", "...\nc 3 x", "a 1\n...", "a 1\n...\nc 3 x", ""] {
        shows(printed, &lines(good)).unwrap();
    }
    for bad in ["a 1\nb 2", "b 2\n...", "a 1\nc 3 x", "...\nb 3\n...", "...\nc 3 x\n...\na 1"] {
        shows(printed, &lines(bad)).unwrap_err();
    }
}

fn check_without_running(command: &str, at: &str) {
    let words: Vec<&str> = command.split_whitespace().collect();
    match words[0] {
        "make" => {
            let asked =
                Command::new("make").current_dir(package()).arg("-n").arg(words[1]).output();
            assert!(asked.unwrap().status.success(), "{at}: no such target");
            assert!(make_targets().contains(words[1]), "{at}: no such target");
        }
        "curl" => {
            let address = words.last().unwrap().strip_prefix("http://127.0.0.1:").expect(at);
            let (given, path) = address.split_once('/').expect(at);
            assert_eq!(given, port(), "{at}");
            let web = fs::read_to_string(package().join("src/export/web/mod.rs")).unwrap();
            assert!(web.contains(&format!(".route(\"/{path}\"")), "{at}: nobody serves /{path}");
        }
        "saastap" => {
            let depth = if words[1] == "case" { 3 } else { 2 };
            let help = said(&saastap(&[&words[1..depth], &["--help"]].concat()));
            let usage = format!("Usage: {}", words[..depth].join(" "));
            assert!(help.contains(&usage), "{at}: {help}");
            for option in words.iter().filter(|w| w.starts_with("--")) {
                assert!(help.contains(option), "{at}: {option} is not in\n{help}");
            }
        }
        _ => {}
    }
}

/// `config/saastap.toml`.
fn shipped() -> String {
    fs::read_to_string(package().join("config/saastap.toml")).unwrap()
}

/// The same with its examples: `#key` and `#[table]` become lines, `# text` stays a comment.
fn uncommented() -> String {
    let line = |line: &str| {
        let example = line
            .strip_prefix('#')
            .filter(|l| l.starts_with(|c: char| c == '[' || c.is_alphabetic()));
        format!("{}\n", example.unwrap_or(line))
    };
    shipped().lines().map(line).collect()
}

fn make_targets() -> BTreeSet<String> {
    let makefile = fs::read_to_string(package().join("Makefile")).unwrap();
    let phony = makefile.lines().find_map(|l| l.strip_prefix(".PHONY: ")).unwrap();
    phony.split(' ').map(str::to_owned).collect()
}

/// Whether a word in backticks names one file or folder of this package.
fn is_path(code: &str) -> bool {
    let roots = ["src/", "tests/", "config/", "systemd/", "signatures/", ".ci/"];
    let pattern = code.contains(['<', '*', '{', ' ']);
    roots.iter().any(|root| code.starts_with(root)) && !pattern
}

fn between<'a>(text: &'a str, open: &str, close: &str) -> Vec<&'a str> {
    let mut all = Vec::new();
    let mut rest = text;
    while let Some((_, behind)) = rest.split_once(open) {
        let Some((inside, behind)) = behind.split_once(close) else { break };
        all.push(inside);
        rest = behind;
    }
    all
}

fn port() -> String {
    saastap::export::web::PORT.to_string()
}

fn package() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn binary() -> &'static str {
    env!("CARGO_BIN_EXE_saastap")
}

fn saastap(arguments: &[&str]) -> Output {
    Command::new(binary()).current_dir(package()).args(arguments).output().unwrap()
}

fn bash(arguments: &[&str]) -> Output {
    Command::new("bash").current_dir(package()).args(arguments).output().unwrap()
}

fn said(output: &Output) -> String {
    let text = [&output.stdout[..], &output.stderr[..]].concat();
    String::from_utf8_lossy(&text).into_owned()
}
