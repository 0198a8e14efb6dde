//! The configuration file as its user writes it: composes each stage's own options.

use std::path::{Path, PathBuf};
use std::thread;

use serde::{Deserialize, Serialize};
use toml::Spanned;

use crate::fault::{Fault, Faults};
use crate::identity::Vantage;
use crate::policy::{GroupOptions, OwnOptions, RuleOptions};
use crate::store::Store;
use crate::{alert, capture, decode, export, flow, identity, policy, signature, usage};

/// `saastap.toml`. Every key has a default; unknown keys are refused.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    pub sensor: SensorOptions,
    pub capture: capture::Options,
    pub decode: decode::Options,
    pub flow: flow::Options,
    pub signatures: signature::Options,
    pub dns: identity::names::Options,
    pub remembered: identity::remembered::Options,
    pub privacy: identity::Options,
    pub vantage: Vec<Vantage>,
    pub own: OwnOptions,
    pub group: Vec<GroupOptions>,
    pub leases: identity::lease_file::Options,
    pub policy: Vec<Spanned<RuleOptions>>,
    pub usage: usage::Options,
    pub alert: alert::Options,
    pub sink: Vec<alert::sink::Table>,
    pub store: StoreOptions,
    pub metrics: export::metrics::Options,
    pub web: export::web::Options,
    /// Where it was read from and what it said; for the lines of faults found later.
    #[serde(skip)]
    pub file: String,
    #[serde(skip)]
    pub text: String,
}

/// `[sensor]`: who this is, and how much of the machine it takes.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct SensorOptions {
    /// Stands in every event; empty: the host name.
    pub name: String,
    pub site: Option<String>,
    /// Threads that own flows. One carries some millions of packets a second; more than the cores minus one are no use.
    pub workers: usize,
}

impl Default for SensorOptions {
    fn default() -> Self {
        Self { name: String::new(), site: None, workers: 1 }
    }
}

impl SensorOptions {
    /// The name, or the host's.
    pub fn name(&self) -> String {
        if self.name.is_empty() {
            gethostname::gethostname().to_string_lossy().into_owned()
        } else {
            self.name.clone()
        }
    }
}

/// `[store]`: what survives a restart.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct StoreOptions {
    /// Holds `saastap.db` and the key of the pseudonyms.
    pub directory: PathBuf,
    /// Days for which a usage is kept of each client, then as a sum of its group; and messages, delivered or not.
    pub client_days: u32,
    pub sum_days: u32,
    pub alert_days: u32,
}

impl Default for StoreOptions {
    fn default() -> Self {
        let directory = "/var/lib/saastap".into();
        Self { directory, client_days: 30, sum_days: 400, alert_days: 90 }
    }
}

impl StoreOptions {
    pub fn database(&self) -> PathBuf {
        self.directory.join("saastap.db")
    }
}

/// Threads that own flows, at most: each has a table of its own.
pub const MAX_WORKERS: usize = 64;

impl Config {
    /// Reads a file.
    ///
    /// # Errors
    /// A file that cannot be read or is no configuration: what, in which line, and how to mend it.
    pub fn load(path: &Path) -> Result<Self, Faults> {
        let file = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|error| {
            Fault::new(
                file.clone(),
                format!("cannot be read: {error}"),
                "name a readable file with --config, or leave --config away for the defaults",
            )
        })?;
        Self::parse(&file, text)
    }

    /// Reads the text of a configuration that is called `file` in faults.
    pub fn parse(file: &str, text: String) -> Result<Self, Faults> {
        let parsed: Result<Self, toml::de::Error> = toml::from_str(&text);
        match parsed {
            Ok(config) => {
                let config = Self { file: file.to_owned(), text, ..config };
                config.check()?;
                Ok(config)
            }
            Err(error) => {
                let what = error.message().lines().collect::<Vec<_>>().join(" ");
                let fault = Fault::new(file, what.clone(), remedy(&what));
                Err(match error.span() {
                    Some(span) => fault.at_offset(&text, span.start),
                    None => fault,
                }
                .into())
            }
        }
    }

    /// The tables that `policy` reads.
    pub fn policy_options(&self) -> policy::Options {
        policy::Options {
            own: self.own.clone(),
            group: self.group.clone(),
            policy: self.policy.clone(),
        }
    }

    /// Where the key of the pseudonyms is kept.
    pub fn key_file(&self) -> PathBuf {
        self.privacy.key_file.clone().unwrap_or_else(|| self.store.directory.join("pseudonym.key"))
    }

    /// Octets each stage can hold at most, in the order of the stages.
    pub fn memory(&self, workers: u64) -> Vec<(&'static str, u64)> {
        vec![
            ("capture buffers (kernel)", self.capture.memory()),
            ("fragments", self.decode.memory()),
            ("flow tables, openings, rings", workers),
            ("catalogue, twice for a reload", self.signatures.memory()),
            ("names from DNS", self.dns.memory()),
            ("remembered verdicts", self.remembered.memory()),
            ("client names", self.privacy.memory()),
            ("rows of the lease files", self.leases.memory()),
            ("usage inventory", self.usage.memory()),
            ("hours of usage", self.usage.hours_memory()),
            ("cases and outbox", self.alert.memory()),
            ("store's cache", Store::MEMORY),
            ("metric series", self.metrics.memory()),
            ("web connections", self.web.memory()),
        ]
    }

    fn check(&self) -> Result<(), Faults> {
        let mut faults = Vec::new();
        let mut refuse = |key: &str, what: String, mend: &str| {
            faults.push(Fault::new(self.file.clone(), what, mend).at_key(&self.text, key));
        };
        if self.sensor.workers == 0 || self.sensor.workers > MAX_WORKERS {
            let cores = thread::available_parallelism().map_or(1, usize::from);
            refuse(
                "workers",
                format!("workers = {} is not between 1 and {MAX_WORKERS}", self.sensor.workers),
                &format!("write a number up to {cores}, the cores of this machine"),
            );
        }
        if self.flow.max_flows == 0 {
            refuse(
                "max_flows",
                "max_flows = 0 leaves no room for any flow".into(),
                "write at least 1; the default is 262144",
            );
        }
        if self.decode.tunnel_depth > decode::MAX_TUNNEL_DEPTH {
            refuse(
                "tunnel_depth",
                format!(
                    "tunnel_depth = {} is more than {}",
                    self.decode.tunnel_depth,
                    decode::MAX_TUNNEL_DEPTH
                ),
                "write a number from 0 to 8; the default is 4",
            );
        }
        if self.decode.max_fragmented == 0 {
            refuse(
                "max_fragmented",
                "max_fragmented = 0 leaves no room for any datagram".into(),
                "write at least 1; the default is 8192",
            );
        }
        let window = self.usage.use_window_days;
        if self.store.client_days < window {
            refuse(
                "client_days",
                format!(
                    "client_days = {} is less than use_window_days = {window} of [usage]",
                    self.store.client_days
                ),
                "keep what is judged: write at least use_window_days; the default is 30",
            );
        }
        if self.store.sum_days < self.store.client_days || self.store.alert_days == 0 {
            refuse(
                "sum_days",
                format!(
                    "sum_days = {} and alert_days = {} keep less than clients themselves, or nothing",
                    self.store.sum_days, self.store.alert_days
                ),
                "write sum_days of at least client_days, and alert_days of at least 1",
            );
        }
        if faults.is_empty() { Ok(()) } else { Err(Faults(faults)) }
    }
}

impl Fault {
    /// At the first line of `text` that sets `key`.
    fn at_key(self, text: &str, key: &str) -> Self {
        let sets = |line: &str| {
            line.trim_start().strip_prefix(key).is_some_and(|r| r.trim_start().starts_with('='))
        };
        match text.lines().position(sets) {
            Some(line) => self.at_line(line + 1),
            None => self,
        }
    }
}

/// The remedy for a message of the TOML reader.
fn remedy(message: &str) -> &'static str {
    if message.contains("unknown field") || message.contains("unknown variant") {
        "write one of the names that are expected there; config/saastap.toml shows every key"
    } else if message.contains("invalid type") || message.contains("invalid value") {
        "write a value of the type that is expected there; config/saastap.toml shows every key"
    } else if message.contains("was meant") || message.contains("network") {
        "write the network as it is meant: its first address and the length of its prefix"
    } else if message.contains("missing field") {
        "add the key; config/saastap.toml shows every table"
    } else {
        "mend the TOML syntax in this line"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_file_is_the_defaults() {
        let config = Config::parse("x.toml", String::new()).unwrap();
        assert_eq!(config.sensor.workers, 1);
        assert_eq!(config.file, "x.toml");
    }

    #[test]
    fn faults_name_file_line_and_remedy() {
        for (text, line, word) in [
            ("[flow]\n\nmax_flow = 3\n", 3, "unknown field `max_flow`"),
            ("[flow]\nmax_flows = 'many'\n", 2, "invalid type"),
            ("\n[sensor]\nworkers = 0\n", 3, "workers = 0"),
            ("[flow\n", 1, ""),
            ("[store]\nclient_days = 7\n", 2, "client_days = 7 is less than use_window_days = 14"),
            ("[store]\nsum_days = 20\n", 2, "sum_days = 20"),
            ("[[vantage]]\nkind = 'toaster'\nnetworks = []\n", 2, "toaster"),
        ] {
            let faults = Config::parse("x.toml", text.to_owned()).unwrap_err().to_string();
            assert!(faults.starts_with(&format!("x.toml:{line}: ")), "{faults}");
            assert!(faults.contains(word) && faults.contains("\n  mend: "), "{faults}");
        }
    }
}
