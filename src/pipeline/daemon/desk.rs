//! What the web asks of the daemon: readiness, reload, coverage, usage, findings, health.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::leases::Followed;
use crate::alert::event::{Audit, What};
use crate::alert::sink::Configured;
use crate::alert::{Event, Suppressed};
use crate::capture::Counter;
use crate::config::Config;
use crate::count::Cells;
use crate::export::Metrics;
use crate::export::web::{
    CandidateRow, Coverage, Face, FindingRow, HealthRow, HistoryQuery, HistoryRow, InsideServers,
    SuppressedRow, UsageRow, VisibilityRow,
};
use crate::identity::{self, NeverOptions, lease_file};
use crate::pipeline::collector::Collector;
use crate::pipeline::history::history;
use crate::pipeline::rules::{InForce, Rules};
use crate::pipeline::table::usage_rows;
use crate::pipeline::why::suppressed_rows;
use crate::policy::OwnOptions;
use crate::signature;
use crate::usage::Inventory;

/// Shared by the collector's loop, which writes, and the web, which reads.
pub struct Desk {
    config_file: Option<PathBuf>,
    in_force: Arc<InForce>,
    metrics: Arc<Metrics>,
    inventory: Arc<Inventory>,
    suppressed: Arc<Suppressed>,
    /// The store's file, which knows what was.
    database: PathBuf,
    /// The tables that a reload leaves alone, as they were at the start.
    fixed: String,
    capturing: AtomicBool,
    /// Two reloads at once would race for which is in force.
    reloading: Mutex<Followed>,
    shown: Mutex<Shown>,
}

#[derive(Default)]
struct Shown {
    coverage: Coverage,
    visibility: Vec<VisibilityRow>,
    candidates: Vec<CandidateRow>,
    inside: InsideServers,
    findings: VecDeque<FindingRow>,
    health: Vec<HealthRow>,
    /// What was done and is not yet told to the sinks.
    audits: Vec<Audit>,
    /// Names of the sinks of a configuration that was loaded anew.
    sinks: Option<Vec<String>>,
}

/// Audits that wait for the collector, which looks once a second.
const MAX_AUDITS: usize = 100;

/// Findings that the page shows; the sinks have them all.
const FINDINGS: usize = 200;

impl Desk {
    pub fn new(
        config_file: Option<PathBuf>,
        in_force: Arc<InForce>,
        metrics: Arc<Metrics>,
        inventory: Arc<Inventory>,
        suppressed: Arc<Suppressed>,
        config: &Config,
    ) -> Self {
        let followed = Followed::new(&config.leases, &in_force.load());
        metrics.register(followed.cells().clone());
        Self {
            // What the command line added is in no file, and no change of one.
            fixed: fixed(written(config_file.as_deref()).as_ref().unwrap_or(config)),
            config_file,
            in_force,
            metrics,
            inventory,
            suppressed,
            database: config.store.database(),
            capturing: AtomicBool::new(false),
            reloading: Mutex::new(followed),
            shown: Mutex::default(),
        }
    }

    /// Notes an event that is on its way to the sinks.
    pub fn raised(&self, event: &Event) {
        let What::Finding(report) = &event.what else { return };
        let usage = report.usage();
        let row = FindingRow {
            at: event.time,
            uid: report.finding.uid.to_string(),
            finding: report.finding.id.to_owned(),
            severity: event.severity.name().to_owned(),
            group: usage.map(|u| u.group.to_string()).unwrap_or_default(),
            vendor: report.vendor().map(|v| v.id.to_string()).unwrap_or_default(),
            tenant: usage.and_then(|u| u.tenant.as_deref()).map(str::to_owned),
            clients: usage.map_or(0, |u| u.clients.count),
            summary: match report.lasting() {
                Some(lasting) => format!("{}: {lasting}", report.finding.title),
                None => format!("{} ({})", report.finding.title, report.threshold),
            },
        };
        let mut shown = self.shown();
        // A case is one row, whatever the number of its events.
        shown.findings.retain(|known| known.uid != row.uid);
        shown.findings.push_front(row);
        shown.findings.truncate(FINDINGS);
    }

    /// Takes over what the collector knows now.
    pub fn refresh(&self, collector: &Collector, capturing: bool, captured: &Cells<Counter>) {
        self.capturing.store(capturing, Ordering::Relaxed);
        self.metrics.usage().advance(collector.seen.clock());
        let coverage = collector.seen.coverage();
        let count = |name: &str, row: Counter, well: bool| HealthRow {
            name: name.to_owned(),
            value: captured.get(row).to_string(),
            well,
        };
        let dropped = [Counter::KernelDropped, Counter::InterfaceDropped];
        let health = vec![
            count("frames captured", Counter::Frames, capturing),
            count("dropped by the kernel", dropped[0], captured.get(dropped[0]) == 0),
            count("dropped by the interface", dropped[1], captured.get(dropped[1]) == 0),
        ];
        let mut shown = self.shown();
        shown.coverage = coverage;
        shown.visibility = collector.seen.visibility_rows();
        shown.candidates = collector.seen.candidate_rows();
        shown.inside = collector.inside_servers();
        shown.health = health;
    }

    /// What was done since the last call.
    pub fn audits(&self) -> Vec<Audit> {
        std::mem::take(&mut self.shown().audits)
    }

    /// Reads the files of leases again if they have changed.
    pub fn follow_leases(&self) {
        self.reloading.lock().unwrap_or_else(PoisonError::into_inner).follow(&self.in_force);
    }

    /// The sinks of the last reload, once.
    pub fn sinks(&self) -> Option<Vec<String>> {
        self.shown().sinks.take()
    }

    fn load(&self, followed: &mut Followed) -> Result<(), String> {
        let config = written(self.config_file.as_deref())?;
        let rules = Rules::load(&config).map_err(|faults| faults.to_string())?;
        // What only the next start takes up must be sound as well, or that start fails.
        let sinks = Configured::read(&config.sink, &config.file, &config.text);
        let sinks = sinks.map_err(|faults| faults.to_string())?;
        if fixed(&config) != self.fixed {
            tracing::warn!(
                "changes outside [signatures], [own], [[group]], [leases], [[policy]] and never_record take effect at the next start; a sink that is gone ends now"
            );
        }
        rules.show(&self.metrics);
        followed.taken_up(&config.leases, &rules);
        self.in_force.replace(rules);
        self.shown().sinks = Some(sinks.into_iter().map(|sink| sink.name).collect());
        Ok(())
    }

    fn shown(&self) -> MutexGuard<'_, Shown> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The configuration as its file has it.
fn written(file: Option<&Path>) -> Result<Config, String> {
    let config = match file {
        Some(file) => Config::load(file),
        None => Config::parse("defaults", String::new()),
    };
    config.map_err(|faults| faults.to_string())
}

/// All tables but those that a reload takes up.
fn fixed(config: &Config) -> String {
    let reloaded = Config {
        signatures: signature::Options::default(),
        own: OwnOptions::default(),
        group: Vec::new(),
        leases: lease_file::Options::default(),
        policy: Vec::new(),
        privacy: identity::Options {
            never_record: NeverOptions::default(),
            ..config.privacy.clone()
        },
        ..config.clone()
    };
    serde_json::to_string(&reloaded).unwrap_or_default()
}

impl Face for Desk {
    fn ready(&self) -> Result<(), String> {
        if self.capturing.load(Ordering::Relaxed) {
            Ok(())
        } else {
            Err("no interface is up, or none has given a frame or a tick yet".to_owned())
        }
    }

    fn reload(&self) -> Result<(), String> {
        let mut one = self.reloading.lock().unwrap_or_else(PoisonError::into_inner);
        let result = self.load(&mut one);
        self.metrics.reloaded(result.is_ok());
        let outcome = if result.is_ok() { "success" } else { "failure" };
        let detail = result.as_ref().err().map_or("", |faults| faults);
        let audit = Audit { action: "reload", outcome, detail: detail.into() };
        let mut shown = self.shown();
        // Reloads come from people; more than these between two looks of the collector are somebody's loop.
        if shown.audits.len() < MAX_AUDITS {
            shown.audits.push(audit);
        }
        drop(shown);
        match &result {
            Ok(()) => tracing::info!("policy and signatures loaded anew"),
            Err(faults) => tracing::error!("not reloaded, the old rules stay in force: {faults}"),
        }
        result
    }

    fn coverage(&self) -> Coverage {
        self.shown().coverage.clone()
    }

    fn visibility_rows(&self) -> Vec<VisibilityRow> {
        self.shown().visibility.clone()
    }

    fn candidate_rows(&self) -> Vec<CandidateRow> {
        self.shown().candidates.clone()
    }

    fn inside_servers(&self) -> InsideServers {
        self.shown().inside.clone()
    }

    fn usage_rows(&self) -> Vec<UsageRow> {
        usage_rows(&self.inventory.snapshot(), &self.in_force.load(), self.inventory.crowds())
    }

    fn history(&self, query: &HistoryQuery) -> Result<Vec<HistoryRow>, String> {
        history(&self.database, &self.in_force.load(), query)
    }

    fn findings(&self) -> Vec<FindingRow> {
        self.shown().findings.iter().cloned().collect()
    }

    fn suppressed_rows(&self) -> Vec<SuppressedRow> {
        suppressed_rows(&self.suppressed, &self.inventory)
    }

    fn health(&self) -> Vec<HealthRow> {
        self.shown().health.clone()
    }
}
