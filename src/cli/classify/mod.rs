//! `saastap classify FILE`: a proxy or DNS log with the vendors of its host names.

mod host;
mod table;
mod text;

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::ValueEnum;

use super::Failure;
use crate::signature::{Catalog, Verdict};

/// Vendors of the summary.
const TOP: usize = 10;

/// What is added to each row.
const COLUMNS: [&str; 5] = ["vendor", "tenant", "role", "ambiguous", "confidence"];

/// Add vendor, tenant, role, ambiguous and confidence to the rows of a proxy or DNS log
///
/// Reads and writes row by row, whatever the length. The host may stand alone, in a URL, or with a port or a trailing dot.
/// A summary is written to standard error.
#[derive(clap::Args, Debug, Clone)]
pub struct Args {
    /// Log; `-` reads standard input
    file: PathBuf,
    /// Where the host stands: the name of a column, or its number from 1; in JSON a key, or keys parted by dots
    #[arg(long, value_name = "COLUMN")]
    column: Option<String>,
    /// What the log is; without it told by the file's name, else by its first line
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// CSV and TSV: the first line is no header; --column is a number
    #[arg(long)]
    no_header: bool,
    /// Put before the names of the columns that are added
    #[arg(long, value_name = "TEXT", default_value = "")]
    prefix: String,
    /// Write only rows whose host has a vendor
    #[arg(long)]
    matched: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Comma-separated values, with a header
    Csv,
    /// Tab-separated values, with a header
    Tsv,
    /// Lines of words parted by blanks, as Squid's: what is added follows after tabs
    Plain,
    /// JSON Lines, one object a line
    Json,
}

pub fn run(args: &Args, catalog: &Catalog) -> Result<ExitCode, Failure> {
    let name = args.file.to_string_lossy().into_owned();
    let input: Box<dyn BufRead> = if args.file == Path::new("-") {
        Box::new(BufReader::new(io::stdin()))
    } else {
        let opened = File::open(&args.file);
        Box::new(BufReader::new(opened.map_err(|error| {
            Failure::misuse(format!("{name}: {error}\n  mend: name a log, or - for standard input"))
        })?))
    };
    let out = io::BufWriter::new(io::stdout().lock());
    let tally = classify(args, &name, catalog, input, out)?;
    tally.print(&mut io::stderr())?;
    Ok(ExitCode::SUCCESS)
}

fn classify(
    args: &Args,
    name: &str,
    catalog: &Catalog,
    mut input: impl BufRead,
    mut out: impl Write,
) -> Result<Tally, Failure> {
    let format = match args.format {
        Some(format) => format,
        None => Format::guess(&args.file, input.fill_buf()?),
    };
    let mut log = Log { args, name, catalog, tally: Tally::default() };
    match format {
        Format::Csv => log.table(b',', input, &mut out)?,
        Format::Tsv => log.table(b'\t', input, &mut out)?,
        Format::Plain => log.plain(input, &mut out)?,
        Format::Json => log.json(input, &mut out)?,
    }
    out.flush()?;
    Ok(log.tally)
}

impl Format {
    fn guess(file: &Path, start: &[u8]) -> Self {
        match file.extension().and_then(|e| e.to_str()) {
            Some("csv") => return Self::Csv,
            Some("tsv") => return Self::Tsv,
            Some("json" | "jsonl" | "ndjson") => return Self::Json,
            _ => {}
        }
        let line = start.split(|b| *b == b'\n').next().unwrap_or_default();
        if line.trim_ascii_start().first() == Some(&b'{') {
            Self::Json
        } else if line.contains(&b'\t') {
            Self::Tsv
        } else if line.contains(&b',') {
            Self::Csv
        } else {
            Self::Plain
        }
    }
}

/// A log on its way through.
struct Log<'a> {
    args: &'a Args,
    name: &'a str,
    catalog: &'a Catalog,
    tally: Tally,
}

impl Log<'_> {
    /// The verdict on what stands in a host column; `None` also where it is no host. Counts the row.
    fn judge(&mut self, field: &str) -> Option<Verdict> {
        self.tally.rows += 1;
        let Some(host) = host::of(field) else {
            self.tally.no_host += 1;
            return None;
        };
        let verdict = self.catalog.host(host)?;
        self.tally.named += 1;
        let vendors = &mut self.tally.vendors;
        if let Some(n) = vendors.get_mut(&*verdict.vendor.id) {
            *n += 1;
        } else {
            vendors.insert(verdict.vendor.id.to_string(), 1);
        }
        Some(verdict)
    }

    fn titles(&self) -> [String; 5] {
        COLUMNS.map(|column| format!("{}{column}", self.args.prefix))
    }

    /// Two columns of one name would leave it to the reader which is meant.
    fn refuse_taken(&self, line: u64, taken: impl Fn(&str) -> bool) -> Result<(), Failure> {
        let Some(title) = self.titles().into_iter().find(|title| taken(title)) else {
            return Ok(());
        };
        let what = format!("the log has a column `{title}` of its own");
        Err(self.wrong(line, &what, "choose how those that are added begin, as --prefix saas_"))
    }

    fn wrong(&self, line: u64, what: &str, mend: &str) -> Failure {
        Failure::misuse(format!("{}:{line}: {what}\n  mend: {mend}", self.name))
    }
}

/// In the order of [`COLUMNS`]; empty without a vendor.
fn fields(verdict: Option<&Verdict>) -> [&str; 5] {
    let Some(verdict) = verdict else { return [""; 5] };
    [
        &verdict.vendor.id,
        verdict.tenant.as_deref().unwrap_or_default(),
        verdict.role.name(),
        if verdict.ambiguous { "true" } else { "false" },
        verdict.confidence.name(),
    ]
}

/// What the summary tells. Bounded by the vendors of the catalogue.
#[derive(Debug, Default)]
struct Tally {
    rows: u64,
    named: u64,
    /// The column held no host name.
    no_host: u64,
    vendors: HashMap<String, u64>,
}

impl Tally {
    fn print(&self, out: &mut impl Write) -> io::Result<()> {
        let Self { rows, named, no_host, vendors } = self;
        writeln!(
            out,
            "{rows} rows, {named} of {} vendors, {no_host} without a host",
            vendors.len()
        )?;
        let mut top: Vec<(&String, &u64)> = vendors.iter().collect();
        top.sort_by_key(|(name, n)| (std::cmp::Reverse(**n), *name));
        for (name, n) in top.into_iter().take(TOP) {
            writeln!(out, "  {name:<24} {n:>10}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
