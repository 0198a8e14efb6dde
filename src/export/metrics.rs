//! `/metrics`: a collector of our own over the counter cells of all stages, in the text format 0.0.4.
//!
//! Workers write plain cells; they are summed only here, when somebody scrapes. Label values come from the catalogue, the
//! policy file and fixed lists: never an address, host, user, or a tenant that was merely seen.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use prometheus::core::{Collector, Desc};
use prometheus::proto::{Counter, Gauge, LabelPair, Metric, MetricFamily, MetricType};
use prometheus::{Encoder, Registry, TextEncoder};
use serde::{Deserialize, Serialize};

use super::process;
use super::usage::UsageMetrics;
use crate::count::{Counted, Kind};

/// `[metrics]` of the configuration.
#[derive(Deserialize, Serialize, Clone, Debug, PartialEq, Eq)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Series that the usage families (by vendor, role, group) may hold; what comes later counts as `other`.
    pub max_series: usize,
}

impl Default for Options {
    fn default() -> Self {
        // A Prometheus server gives a second thought to targets above 10,000 series; other families need some hundreds.
        Self { max_series: 5_000 }
    }
}

impl Options {
    /// Octets that the metrics can hold at most.
    pub const fn memory(&self) -> u64 {
        UsageMetrics::memory(self.max_series)
    }
}

/// One series at one moment, from somebody whose label values are known only at run time (names of sinks, findings).
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    pub name: &'static str,
    pub help: &'static str,
    pub kind: Kind,
    pub labels: Vec<(&'static str, String)>,
    pub value: f64,
}

/// Gives samples when scraped. Must be quick and never wait for the disk or the network.
pub trait Provider: Send + Sync {
    fn samples(&self, out: &mut Vec<Sample>);
}

/// All that `/metrics` shows. One per process; shared by `Arc`.
pub struct Metrics {
    registry: Registry,
    sources: Arc<Sources>,
}

impl Metrics {
    pub fn new(options: &Options) -> Result<Self, prometheus::Error> {
        let sources = Arc::new(Sources {
            counted: Mutex::default(),
            providers: Mutex::default(),
            usage: Arc::new(UsageMetrics::new(options.max_series)),
            catalog: Mutex::default(),
            policy: Mutex::default(),
            reload_successful: AtomicU64::new(1),
            reload_success_at: AtomicI64::new(0),
            refused: AtomicU64::new(0),
            started: wall_seconds(),
        });
        let registry = Registry::new();
        registry.register(Box::new(AllStages(Arc::clone(&sources))))?;
        Ok(Self { registry, sources })
    }

    /// Adds the cells of one more thread. They stay registered for good: a counter never goes back.
    pub fn register(&self, cells: Arc<dyn Counted>) {
        locked(&self.sources.counted).push(cells);
    }

    pub fn provide(&self, provider: Arc<dyn Provider>) {
        locked(&self.sources.providers).push(provider);
    }

    pub fn usage(&self) -> &Arc<UsageMetrics> {
        &self.sources.usage
    }

    /// The catalogue in force; `None` until one is loaded.
    pub fn catalog(&self, version: &str) {
        *locked(&self.sources.catalog) = Some(version.to_owned());
    }

    /// The policy in force: how many rules it has, and its exceptions.
    pub fn policy(&self, rules: usize, exceptions: Vec<ExceptionEnd>) {
        *locked(&self.sources.policy) = PolicyFacts { rules, exceptions };
    }

    /// What became of the last attempt to load configuration, policy and signatures. The first load counts.
    pub fn reloaded(&self, successful: bool) {
        self.sources.reload_successful.store(u64::from(successful), Ordering::Relaxed);
        if successful {
            self.sources.reload_success_at.store(wall_seconds() as i64, Ordering::Relaxed);
        }
    }

    /// The exposition, text format 0.0.4.
    pub fn text(&self) -> Result<String, prometheus::Error> {
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        String::from_utf8(text).map_err(|error| prometheus::Error::Msg(error.to_string()))
    }
}

/// The `Content-Type` of [`Metrics::text`].
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// When the exception of a rule ends.
#[derive(Clone, Debug)]
pub struct ExceptionEnd {
    /// `policy[3]`.
    pub rule: String,
    pub owner: String,
    /// Seconds since the epoch.
    pub ends: u64,
}

#[derive(Clone, Debug, Default)]
struct PolicyFacts {
    rules: usize,
    exceptions: Vec<ExceptionEnd>,
}

struct Sources {
    counted: Mutex<Vec<Arc<dyn Counted>>>,
    providers: Mutex<Vec<Arc<dyn Provider>>>,
    usage: Arc<UsageMetrics>,
    catalog: Mutex<Option<String>>,
    policy: Mutex<PolicyFacts>,
    reload_successful: AtomicU64,
    /// Seconds since the epoch; 0 before the first success.
    reload_success_at: AtomicI64,
    refused: AtomicU64,
    started: f64,
}

impl Sources {
    fn samples(&self) -> Vec<Sample> {
        let mut out = Vec::new();
        for cells in locked(&self.counted).iter() {
            for (index, row) in cells.rows().iter().enumerate() {
                out.push(Sample {
                    name: row.name,
                    help: row.help,
                    kind: row.kind,
                    labels: row.label.iter().map(|(k, v)| (*k, (*v).to_owned())).collect(),
                    value: cells.value(index) as f64,
                });
            }
        }
        for provider in locked(&self.providers).iter() {
            provider.samples(&mut out);
        }
        self.usage.samples(&mut out);
        process::samples(self.started, &mut out);
        self.own_samples(&mut out);
        out
    }

    fn own_samples(&self, out: &mut Vec<Sample>) {
        let mut push = |name, help, kind, labels, value| {
            out.push(Sample { name, help, kind, labels, value });
        };
        let build = vec![
            ("revision", option_env!("SAASTAP_REVISION").unwrap_or("unknown").to_owned()),
            ("version", env!("CARGO_PKG_VERSION").to_owned()),
        ];
        push("saastap_build_info", "The program that runs.", Kind::Gauge, build, 1.0);
        if let Some(version) = locked(&self.catalog).clone() {
            push(
                "saastap_catalog_info",
                "The signature catalogue in force.",
                Kind::Gauge,
                vec![("version", version)],
                1.0,
            );
        }
        let PolicyFacts { rules, exceptions } = locked(&self.policy).clone();
        let help = "Rules of the policy in force.";
        push("saastap_policy_rules", help, Kind::Gauge, Vec::new(), rules as f64);
        for ExceptionEnd { rule, owner, ends } in exceptions {
            push(
                "saastap_policy_exception_expiry_timestamp_seconds",
                "When the exception of a rule ends.",
                Kind::Gauge,
                vec![("owner", owner), ("rule", rule)],
                ends as f64,
            );
        }
        push(
            "saastap_config_last_reload_successful",
            "Whether the last load of configuration, policy and signatures succeeded.",
            Kind::Gauge,
            Vec::new(),
            self.reload_successful.load(Ordering::Relaxed) as f64,
        );
        push(
            "saastap_config_last_reload_success_timestamp_seconds",
            "When configuration, policy and signatures were last loaded with success.",
            Kind::Gauge,
            Vec::new(),
            self.reload_success_at.load(Ordering::Relaxed) as f64,
        );
        push(
            "saastap_metric_samples_refused_total",
            "Samples left out of a scrape: name or label not valid, or at odds with its family.",
            Kind::Counter,
            Vec::new(),
            self.refused.load(Ordering::Relaxed) as f64,
        );
    }
}

/// The one collector in the registry. Its families are known only when scraped, so it describes none.
struct AllStages(Arc<Sources>);

impl Collector for AllStages {
    fn desc(&self) -> Vec<&Desc> {
        Vec::new()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let mut families = BTreeMap::<&'static str, Family>::new();
        let mut refused = 0;
        for sample in self.0.samples() {
            let family = families.entry(sample.name).or_insert_with(|| Family {
                help: sample.help,
                kind: sample.kind,
                series: BTreeMap::new(),
            });
            let fits = family.kind == sample.kind
                && is_metric_name(sample.name)
                && sample.labels.iter().all(|(name, _)| is_label_name(name));
            if fits {
                // Cells of several workers have the same rows: one series shows their sum.
                *family.series.entry(sample.labels).or_default() += sample.value;
            } else {
                refused += 1;
            }
        }
        self.0.refused.fetch_add(refused, Ordering::Relaxed);
        // The encoder gives up on the whole scrape when it meets a family without a series.
        families.retain(|_, family| !family.series.is_empty());
        families.into_iter().map(|(name, family)| family.exposed(name)).collect()
    }
}

struct Family {
    help: &'static str,
    kind: Kind,
    series: BTreeMap<Vec<(&'static str, String)>, f64>,
}

impl Family {
    fn exposed(self, name: &str) -> MetricFamily {
        let mut exposed = MetricFamily::default();
        exposed.set_name(name.to_owned());
        exposed.set_help(self.help.to_owned());
        exposed.set_field_type(match self.kind {
            Kind::Counter => MetricType::COUNTER,
            Kind::Gauge => MetricType::GAUGE,
        });
        let metrics = self.series.into_iter().map(|(labels, value)| {
            let mut metric = Metric::from_label(labels.into_iter().map(label_pair).collect());
            match self.kind {
                Kind::Counter => {
                    let mut counter = Counter::default();
                    counter.set_value(value);
                    metric.set_counter(counter);
                }
                Kind::Gauge => {
                    let mut gauge = Gauge::default();
                    gauge.set_value(value);
                    metric.set_gauge(gauge);
                }
            }
            metric
        });
        exposed.set_metric(metrics.collect());
        exposed
    }
}

fn label_pair((name, value): (&'static str, String)) -> LabelPair {
    let mut pair = LabelPair::default();
    pair.set_name(name.to_owned());
    pair.set_value(value);
    pair
}

/// `[a-zA-Z_][a-zA-Z0-9_]*`: colons are for recording rules.
fn is_metric_name(name: &str) -> bool {
    !name.starts_with(|c: char| c.is_ascii_digit())
        && !name.is_empty()
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

fn is_label_name(name: &str) -> bool {
    is_metric_name(name) && !name.starts_with("__")
}

pub(super) fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // Nobody leaves these values half written, so a panic elsewhere does not spoil them.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[allow(clippy::disallowed_methods)] // start and reload times are wall-clock facts of this process, not packet time
fn wall_seconds() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::count::Cells;

    crate::rows! {
        enum Row {
            Seen => Counter "saastap_test_frames_total" "Frames seen." ("reason", "seen"),
            Live => Gauge "saastap_test_live" "Live things.",
        }
    }

    fn line<'a>(text: &'a str, start: &str) -> &'a str {
        text.lines()
            .find(|l| l.starts_with(start))
            .unwrap_or_else(|| panic!("{start} not in {text}"))
    }

    #[test]
    fn cells_of_workers_are_one_series() {
        let metrics = Metrics::new(&Options::default()).unwrap();
        let (first, second) = (Cells::<Row>::new(), Cells::<Row>::new());
        metrics.register(first.clone());
        metrics.register(second.clone());
        first.add(Row::Seen, 2);
        second.add(Row::Seen, 3);
        second.set(Row::Live, 4);
        let text = metrics.text().unwrap();
        assert_eq!(
            line(&text, "saastap_test_frames_total"),
            "saastap_test_frames_total{reason=\"seen\"} 5"
        );
        assert_eq!(line(&text, "saastap_test_live"), "saastap_test_live 4");
        assert!(text.contains("# HELP saastap_test_frames_total Frames seen.\n"));
        assert!(text.contains("# TYPE saastap_test_frames_total counter\n"));
        assert!(text.ends_with('\n'));
    }

    struct Odd;
    impl Provider for Odd {
        fn samples(&self, out: &mut Vec<Sample>) {
            let sample = |name, label, value: &str| Sample {
                name,
                help: "Odd.",
                kind: Kind::Counter,
                labels: vec![(label, value.to_owned())],
                value: 1.0,
            };
            out.push(sample("saastap_good_total", "sink", "a\"b\\c\nd"));
            out.push(sample("saastap bad", "sink", ""));
            out.push(sample("saastap_good_total", "bad-label", ""));
            out.push(Sample { kind: Kind::Gauge, ..sample("saastap_good_total", "sink", "x") });
        }
    }

    #[test]
    fn what_would_spoil_a_scrape_is_left_out_and_counted() {
        let metrics = Metrics::new(&Options::default()).unwrap();
        metrics.provide(Arc::new(Odd));
        let text = metrics.text().unwrap();
        assert!(text.contains(r#"saastap_good_total{sink="a\"b\\c\nd"} 1"#), "{text}");
        assert_eq!(text.matches("saastap_good_total{").count(), 1);
        assert!(!text.contains("bad"));
        let text = metrics.text().unwrap();
        assert_eq!(
            line(&text, "saastap_metric_samples_refused"),
            "saastap_metric_samples_refused_total 3"
        );
    }

    #[test]
    fn a_failed_reload_shows_and_keeps_the_time_of_the_last_success() {
        let metrics = Metrics::new(&Options::default()).unwrap();
        metrics.reloaded(true);
        metrics.catalog("2026.11");
        let good = metrics.text().unwrap();
        metrics.reloaded(false);
        let bad = metrics.text().unwrap();
        let name = "saastap_config_last_reload_success_timestamp_seconds ";
        assert_eq!(line(&good, name), line(&bad, name));
        assert!(!line(&bad, name).ends_with(" 0"));
        assert!(good.contains("saastap_config_last_reload_successful 1\n"));
        assert!(bad.contains("saastap_config_last_reload_successful 0\n"));
        assert!(bad.contains("saastap_catalog_info{version=\"2026.11\"} 1\n"));
    }
}
