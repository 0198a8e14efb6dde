//! `saastap why-not`: what kept findings of a client and a vendor back, on captures.

use std::collections::BTreeSet;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use serde::Serialize;

use super::Failure;
use crate::alert::Event;
use crate::alert::event::What;
use crate::config::Config;
use crate::export::{Metrics, SuppressedRow};
use crate::identity::{Privacy, random_key};
use crate::pipeline::{InForce, Rules, collector, read_files, suppressed_rows, write_ascii};
use crate::policy;
use crate::time::Second;

/// Tell what kept findings back: which threshold, window, learning or policy rule
///
/// The daemon tells the same of what it has seen at /api/v1/suppressed?client=A&vendor=V.
#[derive(clap::Args, Debug, Clone)]
pub struct Args {
    /// Address of the client
    #[arg(long, value_name = "ADDRESS")]
    pub client: String,
    /// Id of the vendor
    #[arg(long)]
    pub vendor: String,
    /// Its instance, where only that is asked for
    #[arg(long)]
    pub tenant: Option<String>,
    /// Captures (pcap, pcapng, gzip of either); `-` is standard input; several are one stream in time
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// One JSON object
    #[arg(long)]
    pub json: bool,
}

pub fn run(args: &Args, mut config: Config) -> Result<ExitCode, Failure> {
    config.privacy.client = Privacy::Address;
    let rules = Rules::load(&config)?;
    if rules.catalog.vendor(&args.vendor).is_none() {
        return Err(Failure::misuse(unknown(&args.vendor, &rules)));
    }
    let rules = Arc::new(InForce::new(rules));
    let metrics = Metrics::new(&config.metrics).map_err(io::Error::other)?;
    let key = random_key().map_err(io::Error::other)?;
    let collector = collector(&config, rules, &metrics, key, false)?;
    let outcome = read_files(&args.files, &config, collector, &mut |_, _| ())?;
    for notice in &outcome.notices {
        eprintln!("saastap: {notice}");
    }
    let collector = &outcome.collector;
    let all = suppressed_rows(collector.cases.suppressed(), &collector.inventory);
    let raised: Vec<&Event> = outcome.events.iter().filter(|event| args.names(event)).collect();
    let of_vendor: Vec<&SuppressedRow> = all.iter().filter(|row| args.asks(row)).collect();
    let kept: Vec<&SuppressedRow> =
        of_vendor.iter().copied().filter(|row| row.client == args.client).collect();
    let mut out = BufWriter::new(io::stdout().lock());
    if args.json {
        write_ascii(&mut out, &Answer { raised, suppressed: kept })?;
    } else if raised.is_empty() && kept.is_empty() {
        writeln!(out, "{} was not seen with {}.", args.client, args.vendor)?;
        let others: BTreeSet<&str> = of_vendor.iter().map(|row| &*row.client).collect();
        let some: Vec<&str> = others.iter().copied().take(OTHERS).collect();
        if !some.is_empty() {
            writeln!(out, "Seen with it, {} in all: {}", others.len(), some.join(" "))?;
        }
    } else {
        for event in raised {
            let What::Finding(report) = &event.what else { continue };
            let (finding, threshold) = (report.finding.id, &report.threshold);
            writeln!(out, "{} raised {finding} by {threshold}", Second(event.time))?;
        }
        for row in kept {
            let SuppressedRow { at, finding, role, reason, .. } = row;
            let tenant = row.tenant.as_deref().map(|t| format!(" {}", t.escape_debug()));
            let tenant = tenant.unwrap_or_default();
            writeln!(out, "{} kept {finding} back{tenant} as {role}: {reason}", Second(*at))?;
        }
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

impl Args {
    fn asks(&self, row: &SuppressedRow) -> bool {
        row.vendor == self.vendor && (self.tenant.is_none() || self.tenant == row.tenant)
    }

    /// Whether the event is of this vendor and lists the client.
    fn names(&self, event: &Event) -> bool {
        let What::Finding(report) = &event.what else { return false };
        let Some(usage) = report.usage() else { return false };
        *usage.vendor.id == *self.vendor
            && (self.tenant.is_none() || self.tenant.as_deref() == usage.tenant.as_deref())
            && usage.clients.listed.iter().any(|client| **client == *self.client)
    }
}

#[derive(Serialize)]
struct Answer<'a> {
    raised: Vec<&'a Event>,
    suppressed: Vec<&'a SuppressedRow>,
}

/// Clients that are named where the one that was asked for is not there.
const OTHERS: usize = 5;

fn unknown(vendor: &str, rules: &Rules) -> String {
    let known: Vec<&str> = rules.catalog.vendors().map(|vendor| &*vendor.id).collect();
    let mend = match policy::nearest(vendor, known) {
        Some(near) => format!("write `{near}` if that was meant; `saastap catalog list` has all"),
        None => "take one of `saastap catalog list`".to_owned(),
    };
    format!("--vendor {}: is not in the catalogue\n  mend: {mend}", vendor.escape_debug())
}
