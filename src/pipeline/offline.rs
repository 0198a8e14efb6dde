//! Reads captures from beginning to end: the pipeline of the daemon without store and sinks, the same result every time.

use std::cell::Cell;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;

use super::collector::{Collector, Parts};
use super::condition::{Condition, conditions, sum};
use super::feed::Feed;
use super::premises::Premises;
use super::reader::{Taker, read};
use super::ring::PAUSE;
use super::rules::InForce;
use super::update::{Outlet, Update};
use super::worker::{Moment, Worker};
use crate::alert::event::{About, What};
use crate::alert::{self, Cases, Event, Sensor};
use crate::capture::{self, Source};
use crate::config::Config;
use crate::count::{Cells, Counted};
use crate::decode::{Decoder, Segment};
use crate::export::Metrics;
use crate::fault::{Fault, Faults};
use crate::flow::Duplicates;
use crate::identity::Identity;
use crate::identity::names::Names;
use crate::identity::remembered::Remembered;
use crate::policy::{NeverCounter, SMALL};
use crate::usage::Inventory;

/// What a reading gave.
pub struct Outcome {
    pub collector: Collector,
    pub events: Vec<Event>,
    /// What the capture tells of the span port.
    pub conditions: Vec<Condition>,
    /// What a person should know although the reading went well.
    pub notices: Vec<String>,
}

/// Told between batches: the collector, to print and empty its lines, and octets done and in all.
pub type Progress<'a> = &'a mut dyn FnMut(&mut Collector, (u64, u64));

/// Updates taken at once from the rings.
const BATCH: usize = 4_096;

/// Makes the collector of a configuration.
///
/// # Errors
/// Two vantages that claim one network.
pub fn collector(
    config: &Config,
    rules: Arc<InForce>,
    metrics: &Metrics,
    key: [u8; 32],
    keep_lines: bool,
) -> Result<Collector, Faults> {
    let identity = Identity::new(&config.privacy, &config.vantage, key)
        .map_err(|what| Fault::new(config.file.clone(), what, "keep one of the two entries"))?;
    let names = Names::new(&config.dns);
    metrics.register(names.cells().clone());
    let remembered = Remembered::new(&config.remembered);
    metrics.register(remembered.cells().clone());
    let in_force = rules.load();
    let sensor = Sensor {
        name: config.sensor.name().into(),
        site: config.sensor.site.as_deref().map(Into::into),
        version: env!("CARGO_PKG_VERSION").into(),
        catalog: in_force.catalog.version().into(),
        policy: in_force.policy_version.as_str().into(),
    };
    let cells = Cells::<alert::Counter>::new();
    metrics.register(cells.clone());
    metrics.register(identity.cells().clone());
    metrics.register(identity.leases.cells().clone());
    metrics.register(identity.fronts.cells().clone());
    metrics.register(identity.canaries.cells().clone());
    let few = config.privacy.unnamed_below();
    let inventory = Arc::new(Inventory::new(&config.usage).naming(few, identity.marker()));
    metrics.register(inventory.cells().clone());
    in_force.show(metrics);
    if inventory.crowds().hides() {
        metrics.usage().declare_groups([SMALL]);
    }
    drop(in_force);
    let premises = Premises::new(&config.flow);
    metrics.register(premises.cells().clone());
    let never = Cells::<NeverCounter>::new();
    metrics.register(never.clone());
    let cases = Cases::new(config.alert.clone(), sensor, cells);
    metrics.register(cases.suppressed().cells().clone());
    Ok(Collector::new(Parts {
        rules,
        identity,
        names,
        remembered,
        inventory,
        metrics: metrics.usage().clone(),
        cases,
        premises,
        never,
        workers: config.sensor.workers,
        flow: config.flow.clone(),
        keep_lines,
    }))
}

/// Reads files, as one stream in time, through `collector`.
///
/// # Errors
/// A file that cannot be opened or is no capture. What precedes a damage in a capture is used, and told in the notices.
pub fn read_files(
    paths: &[PathBuf],
    config: &Config,
    collector: Collector,
    progress: Progress<'_>,
) -> Result<Outcome, capture::Error> {
    let captured = Cells::new();
    let source = capture::open_files(paths, &config.capture, captured.clone())?;
    let (mut outcome, mut counted) = if config.sensor.workers > 1 {
        several(source, config, collector, progress)?
    } else {
        inline(source, config, collector, progress)?
    };
    outcome.notices.extend(shortfalls(&counted));
    counted.push(captured);
    outcome.conditions = conditions(&counted);
    Ok(outcome)
}

/// What was read, and the counters of all who read it.
type Read = (Outcome, Vec<Arc<dyn Counted>>);

fn inline(
    mut source: Box<dyn Source>,
    config: &Config,
    collector: Collector,
    progress: Progress<'_>,
) -> Result<Read, capture::Error> {
    let done = Cell::new((0, 0));
    let rules = collector.rules().clone();
    let outlet = Straight { collector, events: Vec::new(), progress, done: &done };
    let worker = Worker::new(&config.flow, outlet).watching(rules);
    let mut decoder = Decoder::new(&config.decode);
    let mut counted: Vec<Arc<dyn Counted>> = decoder.counted().into();
    counted.extend(worker.counted());
    let mut one = Inline { worker };
    let stop = AtomicBool::new(false);
    let mut duplicates = Duplicates::new(&config.flow);
    counted.push(duplicates.cells().clone());
    read(source.as_mut(), &mut one, &mut decoder, &mut duplicates, &stop, |source| {
        done.set(source.progress().unwrap_or(done.get()));
    })?;
    let Straight { mut collector, mut events, progress, .. } = one.worker.outlet;
    progress(&mut collector, done.get());
    let notices = source.notices();
    conclude(&mut collector, &mut events);
    Ok((Outcome { collector, events, conditions: Vec::new(), notices }, counted))
}

fn several(
    source: Box<dyn Source>,
    config: &Config,
    mut collector: Collector,
    progress: Progress<'_>,
) -> Result<Read, capture::Error> {
    let decoder = Decoder::new(&config.decode);
    let mut feed =
        Feed::start(source, decoder, &config.flow, collector.rules(), config.sensor.workers, true)
            .map_err(|error| {
                capture::Error::new(
                    format!("no thread can be started: {error}"),
                    "raise the limit of processes (ulimit -u), or take fewer workers",
                )
            })?;
    let mut events = Vec::new();
    loop {
        let over = feed.is_over();
        collector.begin_batch();
        let taken = feed.take(BATCH, |worker, update| {
            // One by one, as a single worker does: what a case says may not depend on where a batch ends.
            collector.take(worker, update);
            settle(&mut collector, &mut events);
        });
        progress(&mut collector, feed.progress());
        if taken == 0 {
            if over {
                break;
            }
            thread::sleep(PAUSE);
        }
    }
    let counted = std::mem::take(&mut feed.counted);
    let notices = feed.join()?;
    conclude(&mut collector, &mut events);
    Ok((Outcome { collector, events, conditions: Vec::new(), notices }, counted))
}

/// Without a store everything raised is accepted at once.
fn settle(collector: &mut Collector, events: &mut Vec<Event>) {
    for mut raised in std::mem::take(&mut collector.raised) {
        collector.cases.accepted(raised.event.id);
        if let What::Finding(report) = &mut raised.event.what
            && let Some(usage) = report.usage_mut()
        {
            usage.group = raised.group;
        }
        add(raised.event, events);
    }
}

/// The cases as they stand at the end.
fn conclude(collector: &mut Collector, events: &mut Vec<Event>) {
    let clock = collector.seen.clock();
    for event in collector.cases.standing(clock) {
        add(event, events);
    }
    // Nothing was told before the end: the groups count that are small then.
    for event in events {
        if let What::Finding(report) = &mut event.what
            && let Some(usage) = report.usage_mut()
        {
            usage.group = collector.inventory.crowds().shown(&usage.group).into();
        }
    }
}

/// One entry a case: what a later event tells of clients and time is taken into the first.
fn add(event: Event, events: &mut Vec<Event>) {
    let What::Finding(later) = event.what else { return };
    let same = events.iter_mut().find_map(|known| match &mut known.what {
        What::Finding(first) if first.finding.uid == later.finding.uid => {
            Some((first, &mut known.severity))
        }
        _ => None,
    });
    match same {
        Some((first, severity)) => {
            if event.severity > *severity {
                *severity = event.severity;
                first.threshold = later.threshold;
            }
            first.sightings = later.sightings;
            first.last_seen = later.last_seen;
            if let (Some(first), About::Usage(later)) = (first.usage_mut(), later.about) {
                first.clients = later.clients;
                first.evidence = later.evidence;
            }
        }
        None => events.push(Event { what: What::Finding(later), ..event }),
    }
}

/// What was given up because a bound was reached, and which option raises it.
fn shortfalls(counted: &[Arc<dyn Counted>]) -> Vec<String> {
    let told = SHORTFALLS.iter().map(|(name, what)| (sum(counted, name, None), what));
    told.filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect()
}

/// Counters that tell of results lost to a bound, in the words of a notice.
const SHORTFALLS: [(&str, &str); 3] = [
    (
        "saastap_worker_flows_evicted_total",
        "flows were told before they ended, because the flow table was full\n  mend: raise \
         flow.max_flows, or take more workers",
    ),
    (
        "saastap_flow_openings_shed_total",
        "flows were no longer looked at for a name, because the memory for openings was used \
         up\n  mend: raise flow.opening_pool_mib",
    ),
    (
        "saastap_decode_datagrams_evicted_total",
        "fragmented datagrams were given up, because the memory for fragments was used up\n  mend: \
         raise decode.fragment_pool_mib or decode.max_fragmented",
    ),
];

/// One worker and the collector on the reader's thread.
struct Inline<'a> {
    worker: Worker<Straight<'a>>,
}

/// Hands each update to the collector as it is said: none ever waits in memory, however many flows end at once.
struct Straight<'a> {
    collector: Collector,
    events: Vec<Event>,
    progress: Progress<'a>,
    done: &'a Cell<(u64, u64)>,
}

/// Lines that wait to be printed: a capture may hold any number of flows between two ticks.
const LINES: usize = 1_024;

impl Straight<'_> {
    fn tell(&mut self) {
        (self.progress)(&mut self.collector, self.done.get());
    }
}

impl Outlet for Straight<'_> {
    fn push(&mut self, update: Update) -> Result<(), Update> {
        self.collector.take(0, update);
        settle(&mut self.collector, &mut self.events);
        if self.collector.lines.len() >= LINES {
            self.tell();
        }
        Ok(())
    }
}

impl Taker for Inline<'_> {
    fn segment(&mut self, moment: Moment, frame: u64, segment: &Segment<'_>) {
        self.worker.segment(moment, frame, segment);
    }

    fn tick(&mut self, moment: Moment) {
        self.worker.tick(moment, true);
        self.worker.outlet.tell();
    }

    fn finish(&mut self, moment: Moment) {
        self.worker.finish(moment);
    }
}
