//! `saastap policy diff NEW.toml`: the verdicts and findings that another policy would change, on captures or on what the
//! sensor has kept.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use serde::Serialize;

use crate::alert::event::What;
use crate::cli::Failure;
use crate::config::Config;
use crate::export::{Metrics, UsageRow};
use crate::identity::{Privacy, random_key};
use crate::pipeline::{
    InForce, Rules, collector, kept_usages, read_files, usage_rows, write_ascii,
};
use crate::usage::Crowds;

#[derive(clap::Args, Debug, Clone)]
pub struct Args {
    /// The configuration whose [own], [[group]], [leases] and [[policy]] may become those of this one
    #[arg(value_name = "NEW.toml")]
    new: PathBuf,
    /// Captures that both policies judge: verdicts and findings
    #[arg(long, value_name = "CAPTURE", num_args = 1.., required_unless_present = "on_state", conflicts_with = "on_state")]
    on: Vec<PathBuf>,
    /// Judge what the sensor has kept, in [store]: verdicts alone, by the groups of that time
    #[arg(long)]
    on_state: bool,
    /// One JSON object
    #[arg(long)]
    json: bool,
}

/// # Errors
/// A policy with mistakes, and captures or a store that cannot be read.
pub fn run(args: &Args, old: Config) -> Result<ExitCode, Failure> {
    let written = Config::load(&args.new)?;
    // All else stays as it is, so that nothing but the policy makes a difference. Faults are told in the file they stand in.
    let new = Config {
        own: written.own,
        group: written.group,
        leases: written.leases,
        policy: written.policy,
        file: written.file,
        text: written.text,
        ..old.clone()
    };
    let (before, after) = if args.on_state {
        (of_state(&old)?, of_state(&new)?)
    } else {
        (of_captures(old, &args.on)?, of_captures(new, &args.on)?)
    };
    let change = Change::between(&before, &after);
    let mut out = BufWriter::new(io::stdout().lock());
    if args.json {
        write_ascii(&mut out, &change)?;
    } else {
        change.print(&mut out)?;
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

/// What one policy makes of the same traffic.
#[derive(Default)]
struct Judged {
    verdicts: BTreeMap<Place, String>,
    findings: BTreeSet<Told>,
}

/// Vendor, tenant, role, group.
type Place = (String, Option<String>, String, String);
/// Finding, vendor, tenant, group.
type Told = (String, String, Option<String>, String);

impl Judged {
    fn add(&mut self, rows: &[UsageRow]) {
        for row in rows {
            let tenant = row.tenant.clone();
            let place = (row.vendor.clone(), tenant, row.role.clone(), row.group.clone());
            self.verdicts.insert(place, row.state.clone());
        }
    }
}

fn of_captures(mut config: Config, files: &[PathBuf]) -> Result<Judged, Failure> {
    config.privacy.client = Privacy::Pseudonym;
    // What is compared is told to whoever has both policies.
    config.privacy.small_groups = 0;
    let rules = Arc::new(InForce::new(Rules::load(&config)?));
    let metrics = Metrics::new(&config.metrics).map_err(io::Error::other)?;
    let key = random_key().map_err(io::Error::other)?;
    let collector = collector(&config, rules.clone(), &metrics, key, false)?;
    let outcome = read_files(files, &config, collector, &mut |_, _| {})?;
    let mut judged = Judged::default();
    judged.add(&usage_rows(
        &outcome.collector.inventory.snapshot(),
        &rules.load(),
        &Crowds::default(),
    ));
    for event in &outcome.events {
        let What::Finding(report) = &event.what else { continue };
        let Some(usage) = report.usage() else { continue };
        let tenant = usage.tenant.as_deref().map(str::to_owned);
        let (vendor, group) = (usage.vendor.id.to_string(), usage.group.to_string());
        judged.findings.insert((report.finding.id.to_owned(), vendor, tenant, group));
    }
    Ok(judged)
}

fn of_state(config: &Config) -> Result<Judged, Failure> {
    let rules = Rules::load(config)?;
    let database = config.store.database();
    if !database.exists() {
        return Err(Failure::no_store(config));
    }
    let usages = kept_usages(&database).map_err(io::Error::other)?;
    let mut judged = Judged::default();
    judged.add(&usage_rows(&usages, &rules, &Crowds::default()));
    Ok(judged)
}

#[derive(Serialize)]
struct Change {
    verdicts: Vec<Verdict>,
    findings: Vec<Finding>,
    /// Usages that both policies judge alike.
    unchanged: usize,
}

#[derive(Serialize)]
struct Verdict {
    vendor: String,
    tenant: Option<String>,
    role: String,
    group: String,
    /// `None` where one policy puts the clients into another group.
    before: Option<String>,
    after: Option<String>,
}

#[derive(Serialize)]
struct Finding {
    change: &'static str,
    finding: String,
    vendor: String,
    tenant: Option<String>,
    group: String,
}

impl Change {
    fn between(before: &Judged, after: &Judged) -> Self {
        let places: BTreeSet<&Place> =
            before.verdicts.keys().chain(after.verdicts.keys()).collect();
        let mut verdicts = Vec::new();
        let mut unchanged = 0;
        for place in places {
            let (old, new) = (before.verdicts.get(place), after.verdicts.get(place));
            if old == new {
                unchanged += 1;
                continue;
            }
            let (vendor, tenant, role, group) = place.clone();
            let (before, after) = (old.cloned(), new.cloned());
            verdicts.push(Verdict { vendor, tenant, role, group, before, after });
        }
        let told = |change, (finding, vendor, tenant, group): &Told| Finding {
            change,
            finding: finding.clone(),
            vendor: vendor.clone(),
            tenant: tenant.clone(),
            group: group.clone(),
        };
        let lost = before.findings.difference(&after.findings).map(|f| told("lost", f));
        let gained = after.findings.difference(&before.findings).map(|f| told("gained", f));
        Self { verdicts, findings: lost.chain(gained).collect(), unchanged }
    }

    fn print(&self, out: &mut impl Write) -> io::Result<()> {
        let instance = |vendor: &str, tenant: &Option<String>| match tenant {
            Some(tenant) => format!("{vendor}/{tenant}").escape_debug().to_string(),
            None => vendor.to_owned(),
        };
        let none = || "-".to_owned();
        for v in &self.verdicts {
            let (before, after) = (&v.before, &v.after);
            writeln!(
                out,
                "verdict  {} as {}, group {}: {} -> {}",
                instance(&v.vendor, &v.tenant),
                v.role,
                v.group,
                before.clone().unwrap_or_else(none),
                after.clone().unwrap_or_else(none)
            )?;
        }
        for f in &self.findings {
            let instance = instance(&f.vendor, &f.tenant);
            writeln!(out, "{:<8} {} {instance}, group {}", f.change, f.finding, f.group)?;
        }
        writeln!(
            out,
            "{} verdicts change, {} stay; {} findings change",
            self.verdicts.len(),
            self.unchanged,
            self.findings.len()
        )
    }
}
