//! `saastap catalog test FILE`: how often the catalogue is right on a file of labelled host names.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde::Serialize;

use crate::cli::Failure;
use crate::signature::{Catalog, Role};

/// Octets of a labelled file at most: what is larger is not one.
const MAX_FILE: u64 = 256 << 20;

/// Roles that label files seldom know, because a name does not show them. They count as right under the lenient rule,
/// where no row of the file has them.
const FINER: [Role; 3] = [Role::Portal, Role::Either, Role::Download];

/// Score the catalogue on a file of labelled host names
///
/// FILE is tab-separated with a header: `host`, `vendor` (or `vendor_id`), `role`, and perhaps `source`. A vendor of `-` or
/// nothing means that the name must be nobody's; a role of `-` or nothing is not scored.
///
/// Roles are counted where the vendor is right. Strict: the same word. Lenient: also a verdict of portal, either or download
/// where no row of the file has that word, so that its author could not have written it. Ambiguous: the catalogue says that
/// the name alone does not tell; such rows are left out of the last line. --min-role is held against its lenient number.
#[derive(clap::Args, Debug, Clone)]
pub struct Args {
    /// Labelled host names; `-` reads standard input
    file: PathBuf,
    /// Score only rows whose source has this text in it
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// List this many disagreements
    #[arg(long, value_name = "N", default_value_t = 0)]
    show: usize,
    /// Exit 1 where fewer per cent of the rows with a vendor have the right one, or a row without one has any
    #[arg(long, value_name = "PERCENT")]
    min_vendor: Option<f64>,
    /// Exit 1 where fewer per cent of the roles that are not ambiguous are right by the lenient rule
    #[arg(long, value_name = "PERCENT")]
    min_role: Option<f64>,
    /// One JSON object, with every disagreement
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args, catalog: &Catalog, out: &mut impl Write) -> Result<ExitCode, Failure> {
    let name = args.file.to_string_lossy().into_owned();
    let rows = if args.file == Path::new("-") {
        read(&name, io::stdin().lock())
    } else {
        let file = File::open(&args.file).map_err(|error| {
            Failure::misuse(format!("{name}: {error}\n  mend: name a file of host, vendor, role"))
        })?;
        read(&name, file)
    }
    .map_err(Failure::misuse)?;
    let score = Score::of(&rows, args.only.as_deref(), catalog);
    if score.positives + score.negatives == 0 {
        let mend = "mend: leave out --only, or write rows below the header";
        return Err(Failure::misuse(format!("{name}: no row to score\n  {mend}")));
    }
    if args.json {
        serde_json::to_writer(&mut *out, &score).map_err(io::Error::from)?;
        writeln!(out)?;
    } else {
        writeln!(out, "{name}: {} rows, catalogue {}\n", score.rows(), catalog.version())?;
        score.print(args.show, out)?;
    }
    let failed = score.failures(args.min_vendor, args.min_role);
    out.flush()?;
    for failure in &failed {
        writeln!(io::stderr(), "{name}: {failure}")?;
    }
    Ok(if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A labelled name.
#[derive(Debug, PartialEq, Eq)]
struct Row {
    host: String,
    /// `None`: nobody's.
    vendor: Option<String>,
    role: Option<Role>,
    source: String,
}

/// How often the catalogue said what the file says.
#[derive(Debug, Default, Serialize)]
struct Score {
    positives: usize,
    right: usize,
    wrong: usize,
    missed: usize,
    negatives: usize,
    /// Negatives that got a vendor.
    false_vendors: usize,
    roles: Roles,
    roles_not_ambiguous: Roles,
    /// Roles that the lenient rule forgives in this file.
    forgiven: Vec<Role>,
    /// Role of the file, role of the verdict, rows.
    #[serde(serialize_with = "cells")]
    matrix: BTreeMap<(Role, Role), usize>,
    /// Vendors of the file that the catalogue does not have.
    unknown_vendors: Vec<String>,
    disagreements: Vec<Disagreement>,
}

/// Rows whose vendor and role are known, and how many roles are right.
#[derive(Debug, Default, Serialize, PartialEq, Eq)]
struct Roles {
    rows: usize,
    strict: usize,
    lenient: usize,
}

#[derive(Debug, Serialize, PartialEq, Eq)]
struct Disagreement {
    kind: Amiss,
    host: String,
    expected: String,
    got: String,
    /// What decided.
    signature: Option<String>,
    source: String,
}

#[derive(Clone, Copy, Debug, Serialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "lowercase")]
enum Amiss {
    /// Nobody's name got a vendor.
    False,
    Wrong,
    Missed,
    Role,
}

impl Score {
    fn of(rows: &[Row], only: Option<&str>, catalog: &Catalog) -> Self {
        let known = |role: &Role| rows.iter().any(|row| row.role == Some(*role));
        let forgiven = FINER.into_iter().filter(|role| !known(role)).collect();
        let mut score = Self { forgiven, ..Self::default() };
        for row in rows.iter().filter(|row| only.is_none_or(|text| row.source.contains(text))) {
            score.add(row, catalog);
        }
        score.disagreements.sort_by_key(|d| d.kind);
        score.unknown_vendors.sort();
        score.unknown_vendors.dedup();
        score
    }

    fn add(&mut self, row: &Row, catalog: &Catalog) {
        let verdict = catalog.host(&row.host);
        let say = |vendor: &str, role: Option<Role>| {
            role.map_or_else(|| vendor.to_owned(), |role| format!("{vendor} as {role}"))
        };
        let came = verdict
            .as_ref()
            .map_or_else(|| "nobody".to_owned(), |v| say(&v.vendor.id, Some(v.role)));
        let amiss = |kind, expected: &str| Disagreement {
            kind,
            host: row.host.clone(),
            expected: say(expected, row.role),
            got: came.clone(),
            signature: verdict.as_ref().map(|v| v.signature.to_string()),
            source: row.source.clone(),
        };
        let Some(vendor) = &row.vendor else {
            self.negatives += 1;
            if verdict.is_some() {
                self.false_vendors += 1;
                self.disagreements.push(amiss(Amiss::False, "nobody"));
            }
            return;
        };
        self.positives += 1;
        if catalog.vendor(vendor).is_none() {
            self.unknown_vendors.push(vendor.clone());
        }
        let Some(verdict) = &verdict else {
            self.missed += 1;
            return self.disagreements.push(amiss(Amiss::Missed, vendor));
        };
        if *verdict.vendor.id != **vendor {
            self.wrong += 1;
            return self.disagreements.push(amiss(Amiss::Wrong, vendor));
        }
        self.right += 1;
        let Some(role) = row.role else { return };
        let strict = role == verdict.role;
        let lenient = strict || self.forgiven.contains(&verdict.role);
        self.roles.add(strict, lenient);
        if !verdict.ambiguous {
            self.roles_not_ambiguous.add(strict, lenient);
        }
        *self.matrix.entry((role, verdict.role)).or_default() += 1;
        if !lenient {
            self.disagreements.push(amiss(Amiss::Role, vendor));
        }
    }

    const fn rows(&self) -> usize {
        self.positives + self.negatives
    }

    fn print(&self, show: usize, out: &mut impl Write) -> io::Result<()> {
        let share = |part, whole| Share { part, whole };
        writeln!(out, "vendor            rows            right    wrong   missed")?;
        let right = share(self.right, self.positives).to_string();
        let (wrong, missed) = (self.wrong, self.missed);
        writeln!(out, "  of a vendor   {:>6} {right:>16} {wrong:>8} {missed:>8}", self.positives)?;
        let right = share(self.negatives - self.false_vendors, self.negatives).to_string();
        let wrong = self.false_vendors;
        writeln!(out, "  nobody's      {:>6} {right:>16} {wrong:>8}        -", self.negatives)?;
        writeln!(out, "\nrole              rows           strict          lenient")?;
        for (name, roles) in [("all", &self.roles), ("not ambiguous", &self.roles_not_ambiguous)] {
            let strict = share(roles.strict, roles.rows).to_string();
            let lenient = share(roles.lenient, roles.rows).to_string();
            writeln!(out, "  {name:<13} {:>6} {strict:>16} {lenient:>16}", roles.rows)?;
        }
        if !self.forgiven.is_empty() && !self.matrix.is_empty() {
            let names: Vec<&str> = self.forgiven.iter().map(|role| role.name()).collect();
            writeln!(out, "  lenient: a verdict of {} is right, for", names.join(", "))?;
            writeln!(out, "  no row of the file has that word")?;
        }
        self.print_matrix(out)?;
        if !self.unknown_vendors.is_empty() {
            writeln!(out, "\nvendors that the catalogue does not have")?;
            for vendor in &self.unknown_vendors {
                writeln!(out, "  {vendor}")?;
            }
        }
        let all = self.disagreements.len();
        if all > 0 {
            writeln!(out, "\n{} of {all} disagreements", all.min(show))?;
        }
        for amiss in self.disagreements.iter().take(show) {
            let host = amiss.host.escape_debug();
            let signature = amiss.signature.as_deref().map(|s| format!(" ({s})"));
            let signature = signature.unwrap_or_default();
            writeln!(out, "  {host}")?;
            writeln!(out, "    expected {}, got {}{signature}", amiss.expected, amiss.got)?;
        }
        Ok(())
    }

    fn print_matrix(&self, out: &mut impl Write) -> io::Result<()> {
        if self.matrix.is_empty() {
            return Ok(());
        }
        let got = |role: &Role| self.matrix.keys().any(|(_, got)| got == role);
        let columns: Vec<Role> = Role::ALL.into_iter().filter(got).collect();
        write!(out, "\nrole of the file, by that of the catalogue\n            ")?;
        for column in &columns {
            write!(out, "{:>5}", short(*column))?;
        }
        writeln!(out)?;
        for row in Role::ALL {
            if !self.matrix.keys().any(|(of, _)| *of == row) {
                continue;
            }
            write!(out, "  {:<10}", row.name())?;
            for column in &columns {
                match self.matrix.get(&(row, *column)) {
                    Some(n) => write!(out, "{n:>5}")?,
                    None => write!(out, "{:>5}", ".")?,
                }
            }
            writeln!(out)?;
        }
        Ok(())
    }

    /// Thresholds that are not reached.
    fn failures(&self, min_vendor: Option<f64>, min_role: Option<f64>) -> Vec<String> {
        let mut failures = Vec::new();
        let mut below = |what: &str, share: Share, min: f64| {
            if share.percent() < min {
                failures.push(format!("{what} right: {share}, less than {min} %"));
            }
        };
        if let Some(min) = min_vendor {
            below("vendor", Share { part: self.right, whole: self.positives }, min);
        }
        if let Some(min) = min_role {
            let roles = &self.roles_not_ambiguous;
            below("role", Share { part: roles.lenient, whole: roles.rows }, min);
        }
        if min_vendor.is_some() && self.false_vendors > 0 {
            failures.push(format!("{} names of nobody have a vendor", self.false_vendors));
        }
        failures
    }
}

impl Roles {
    fn add(&mut self, strict: bool, lenient: bool) {
        self.rows += 1;
        self.strict += usize::from(strict);
        self.lenient += usize::from(lenient);
    }
}

/// `1304 (92.3 %)`. Cut, not rounded: 99.96 % is not all.
#[derive(Clone, Copy)]
struct Share {
    part: usize,
    whole: usize,
}

impl Share {
    /// Of nothing, all is right.
    fn percent(self) -> f64 {
        if self.whole == 0 { 100.0 } else { self.part as f64 * 100.0 / self.whole as f64 }
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = (self.percent() * 10.0).floor() / 10.0;
        write!(f, "{} ({percent:.1} %)", self.part)
    }
}

const fn short(role: Role) -> &'static str {
    match role {
        Role::Console => "cons",
        Role::Portal => "port",
        Role::Either => "eith",
        Role::Api => "api",
        Role::Widget => "widg",
        Role::Cdn => "cdn",
        Role::Mail => "mail",
        Role::Relay => "relay",
        Role::Download => "down",
        Role::Telemetry => "tele",
        Role::Marketing => "mark",
        Role::Platform => "plat",
    }
}

fn cells<S: serde::Serializer>(
    matrix: &BTreeMap<(Role, Role), usize>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Cell {
        expected: Role,
        got: Role,
        rows: usize,
    }
    serializer.collect_seq(matrix.iter().map(|((expected, got), rows)| Cell {
        expected: *expected,
        got: *got,
        rows: *rows,
    }))
}

/// All rows; else what is wrong, where, and the remedy.
fn read(name: &str, input: impl Read) -> Result<Vec<Row>, String> {
    let mut input = input.take(MAX_FILE);
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(b'\t')
        .quoting(false)
        .flexible(true)
        .from_reader(&mut input);
    let unreadable = |error: csv::Error| {
        format!("{name}: {error}\n  mend: write UTF-8 text, one row a line, columns parted by tabs")
    };
    let header = reader.headers().map_err(unreadable)?.clone();
    let column = |names: &[&str]| header.iter().position(|h| names.contains(&h.trim()));
    let needed = |names: &[&str]| {
        column(names).ok_or_else(|| {
            let shown = names.join(" or ");
            let mend = "mend: open the file with a line of host, vendor, role, parted by tabs";
            format!("{name}:1: no column {shown}\n  {mend}")
        })
    };
    let host = needed(&["host"])?;
    let vendor = needed(&["vendor", "vendor_id"])?;
    let role = needed(&["role"])?;
    let source = column(&["source"]);
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(unreadable)?;
        let line = record.position().map_or(0, csv::Position::line);
        let cell = |at: usize| record.get(at).map(str::trim).filter(|text| !text.is_empty());
        let given = |at| cell(at).filter(|text| *text != "-");
        let Some(host) = cell(host) else {
            return Err(format!("{name}:{line}: no host\n  mend: write one, or remove the line"));
        };
        let role = given(role).map(|text| {
            Role::ALL.into_iter().find(|role| role.name() == text).ok_or_else(|| {
                let all = Role::ALL.map(Role::name).join(", ");
                format!("{name}:{line}: no role {text:?}\n  mend: write one of {all}, or -")
            })
        });
        rows.push(Row {
            host: host.to_owned(),
            vendor: given(vendor).map(str::to_owned),
            role: role.transpose()?,
            source: source.and_then(cell).unwrap_or_default().to_owned(),
        });
    }
    if input.limit() == 0 {
        return Err(format!("{name}: more than {MAX_FILE} octets\n  mend: split the file"));
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::super::WIDTH;
    use super::*;
    use crate::signature::sample::{ZENDESK, sheet};

    const HOSTS: &str = "host\tvendor_id\trole\tsource\n\
        acme.zendesk.com\tzendesk\tconsole\t[seen]\n\
        x.zdassets.com\tzendesk\twidget\t[seen]\n\
        y.zdassets.com\tzendesk\tcdn\t-\n\
        www.zendesk.com\tzendesk\t-\n\
        a.rival.example\tzendesk\tconsole\n\
        zopim.com\tzendesk\twidget\n\
        a.nobody.test\t-\t-\n\
        zendesk.com\t\t\t[shop]\n\
        b.absent.test\tabsent\tapi\n";

    fn catalog() -> Catalog {
        let rival = sheet("rival", "rival.example");
        let texts = [("helpdesk/zendesk.toml", ZENDESK), ("helpdesk/rival.toml", &rival)];
        Catalog::load_texts(&texts).unwrap()
    }

    fn score(only: Option<&str>) -> Score {
        Score::of(&read("hosts.tsv", HOSTS.as_bytes()).unwrap(), only, &catalog())
    }

    #[test]
    fn everything_is_counted_once() {
        let score = score(None);
        let vendors = (score.positives, score.right, score.wrong, score.missed);
        assert_eq!(vendors, (7, 4, 1, 2));
        assert_eq!((score.negatives, score.false_vendors), (2, 1));
        assert_eq!(score.roles, Roles { rows: 3, strict: 1, lenient: 2 });
        assert_eq!(score.roles_not_ambiguous, Roles { rows: 2, strict: 1, lenient: 1 });
        assert_eq!(score.unknown_vendors, ["absent"]);
        let kinds: Vec<Amiss> = score.disagreements.iter().map(|d| d.kind).collect();
        use Amiss::{False, Missed, Role, Wrong};
        assert_eq!(kinds, [False, Wrong, Missed, Missed, Role]);
    }

    #[test]
    fn the_lenient_rule_needs_a_file_without_the_word() {
        let with = format!("{HOSTS}portal.zendesk.com\tzendesk\teither\n");
        let score = Score::of(&read("x", with.as_bytes()).unwrap(), None, &catalog());
        assert_eq!(score.forgiven, [Role::Portal, Role::Download]);
        assert_eq!(score.roles, Roles { rows: 4, strict: 2, lenient: 2 });
    }

    #[test]
    fn rows_are_chosen_by_source() {
        let score = score(Some("[seen"));
        assert_eq!((score.positives, score.right, score.negatives), (2, 2, 0));
    }

    #[test]
    fn tables_fit_the_terminal() {
        let mut out = Vec::new();
        let mut score = score(None);
        score.matrix.extend(Role::ALL.into_iter().flat_map(|a| Role::ALL.map(|b| ((a, b), 99999))));
        score.print(9, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(text.lines().all(|l| l.chars().count() <= usize::from(WIDTH)), "{text}");
        for part in [
            "  of a vendor        7       4 (57.1 %)        1        2\n",
            "  nobody's           2       1 (50.0 %)        1        -\n",
            "\n5 of 5 disagreements\n",
            "  y.zdassets.com\n    expected zendesk as cdn, got zendesk as widget (zdassets.com)\n",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }

    #[test]
    fn thresholds_fail_the_run() {
        let score = score(None);
        assert_eq!(score.failures(None, None), [""; 0]);
        assert_eq!(score.failures(None, Some(50.0)), [""; 0]);
        let failures = score.failures(Some(57.2), Some(50.1));
        assert_eq!(failures.len(), 3, "{failures:?}");
        assert_eq!(failures[0], "vendor right: 4 (57.1 %), less than 57.2 %");
    }

    #[test]
    fn a_broken_file_is_told_with_its_line() {
        for (text, told) in [
            ("name\tvendor\trole\n", "x.tsv:1: no column host"),
            ("host\trole\n", "x.tsv:1: no column vendor or vendor_id"),
            ("host\tvendor\trole\na.example\tv\tagents\n", "x.tsv:2: no role \"agents\""),
            ("host\tvendor\trole\na.example\t-\t-\n\t-\t-\n", "x.tsv:3: no host"),
            ("", "x.tsv:1: no column host"),
        ] {
            let got = read("x.tsv", text.as_bytes()).unwrap_err();
            assert!(got.starts_with(told) && got.contains("\n  mend: "), "{got}");
        }
        assert!(read("x.tsv", &b"host\tvendor\trole\n\xff\tv\tapi\n"[..]).is_err());
    }
}
