//! `saastap read FILE...`: the usage table and findings of captures, or their flows.

use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use super::Failure;
use super::tables;
use crate::alert::Event;
use crate::config::{Config, MAX_WORKERS};
use crate::export::web::{self, CandidateRow, InsideServers, VisibilityRow};
use crate::export::{Metrics, UsageRow};
use crate::identity::{CanaryRow, Privacy, random_key};
use crate::pipeline::{
    Collector, Condition, FlowLine, InForce, Rules, collector, read_files, usage_rows, write_ascii,
};

/// Read captures and tell what they show: which SaaS, which instance, by whom, sanctioned or not
#[derive(clap::Args, Debug, Clone)]
pub struct Args {
    /// Captures (pcap, pcapng, gzip of either); `-` is standard input; several are one stream in time
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// One JSON object: coverage, usage, findings, visibility, candidates for a signature
    #[arg(long, conflicts_with = "flows")]
    pub json: bool,
    /// JSON Lines, one object for each flow, in the order in which they end
    #[arg(long)]
    pub flows: bool,
    /// Threads that own flows; the result does not depend on it
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=MAX_WORKERS as u64))]
    pub workers: Option<u64>,
    /// What is shown of clients
    #[arg(long, value_enum, default_value = "address")]
    pub clients: Clients,
}

/// An analyst's own file shows addresses unless told otherwise.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Clients {
    Address,
    Pseudonym,
    Group,
}

/// A smaller capture is read before a bar could be drawn.
const LARGE_FILE: u64 = 64 << 20;

pub fn run(args: &Args, mut config: Config) -> Result<ExitCode, Failure> {
    config.privacy.client = match args.clients {
        Clients::Address => Privacy::Address,
        Clients::Pseudonym => Privacy::Pseudonym,
        Clients::Group => Privacy::Group,
    };
    if let Some(workers) = args.workers {
        config.sensor.workers = workers as usize;
    }
    let rules = Arc::new(InForce::new(Rules::load(&config)?));
    let metrics = Metrics::new(&config.metrics).map_err(io::Error::other)?;
    let key = random_key().map_err(io::Error::other)?;
    let collector = collector(&config, rules.clone(), &metrics, key, args.flows)?;
    let mut out = BufWriter::new(io::stdout().lock());
    let mut bar = Bar::default();
    let mut broken: io::Result<()> = Ok(());
    let outcome = read_files(&args.files, &config, collector, &mut |collector, done| {
        bar.show(done);
        broken =
            std::mem::replace(&mut broken, Ok(())).and_then(|()| print_lines(collector, &mut out));
    })?;
    bar.end();
    for notice in &outcome.notices {
        eprintln!("saastap: {notice}");
    }
    let written = broken.and_then(|()| {
        if args.flows {
            return out.flush();
        }
        let inventory = &outcome.collector.inventory;
        let rows = usage_rows(&inventory.snapshot(), &rules.load(), inventory.crowds());
        let seen = &outcome.collector.seen;
        let (coverage, visibility) = (seen.coverage(), seen.visibility_rows());
        let canaries = outcome.collector.canary_rows();
        let candidates = seen.candidate_rows();
        let inside = outcome.collector.inside_servers();
        if args.json {
            let whole = Whole {
                inside_servers: &inside,
                coverage: &coverage,
                conditions: &outcome.conditions,
                usage: &rows,
                findings: &outcome.events,
                visibility: &visibility,
                canaries: &canaries,
                candidates: &candidates,
            };
            write_ascii(&mut out, &whole)?;
        } else {
            writeln!(out, "{coverage}")?;
            outcome.conditions.iter().try_for_each(|condition| writeln!(out, "{condition}"))?;
            tables::usage(&mut out, &rows)?;
            tables::findings(&mut out, &outcome.events)?;
            tables::visibility(&mut out, &visibility)?;
            tables::canaries(&mut out, &canaries)?;
            tables::candidates(&mut out, &candidates)?;
            tables::inside_servers(&mut out, &inside)?;
        }
        out.flush()
    });
    written?;
    Ok(ExitCode::SUCCESS)
}

#[derive(Serialize)]
struct Whole<'a> {
    coverage: &'a web::Coverage,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    conditions: &'a [Condition],
    usage: &'a [UsageRow],
    findings: &'a [Event],
    visibility: &'a [VisibilityRow],
    /// Whether browsers may hide their questions.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    canaries: &'a [CanaryRow],
    candidates: &'a [CandidateRow],
    inside_servers: &'a InsideServers,
}

fn print_lines(collector: &mut Collector, out: &mut impl Write) -> io::Result<()> {
    let lines: Vec<FlowLine> = std::mem::take(&mut collector.lines);
    lines.iter().try_for_each(|line| write_ascii(out, line))
}

/// A progress bar on a terminal, for large files.
#[derive(Default)]
struct Bar {
    bar: Option<ProgressBar>,
    calls: u32,
}

impl Bar {
    fn show(&mut self, (done, total): (u64, u64)) {
        self.calls = self.calls.wrapping_add(1);
        if total < LARGE_FILE || !self.calls.is_multiple_of(16) {
            return;
        }
        let bar = self.bar.get_or_insert_with(|| {
            if !io::stderr().is_terminal() {
                return ProgressBar::hidden();
            }
            let form = "{bar:40} {bytes}/{total_bytes} {bytes_per_sec} {eta} left";
            let style = ProgressStyle::with_template(form);
            ProgressBar::new(total)
                .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        });
        bar.set_position(done);
    }

    fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
