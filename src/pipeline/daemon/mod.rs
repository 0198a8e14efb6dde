//! The daemon: a source that does not end, the collector, the store and its sinks, and the web.

mod acks;
mod desk;
mod hourly;
mod keep;
mod leases;
mod log;
mod names;
mod watch;

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};

pub use self::keep::kept_usages;
pub use desk::Desk;

use self::acks::Acks;
use self::hourly::Hourly;
use self::log::FlowLog;
use self::names::Names;
use self::watch::Watch;
use super::collector::Collector;
use super::feed::Feed;
use super::offline;
use super::rules::{InForce, Rules};
use crate::alert::Outbox;
use crate::alert::sink::Configured;
use crate::capture::{self, Source};
use crate::config::{Config, StoreOptions};
use crate::count::{Cells, Counted};
use crate::decode::Decoder;
use crate::export::web::{Face, Site, bind, serve};
use crate::export::{Metrics, Sinks};
use crate::identity::load_or_create_key;
use crate::store::{self, Damaged, Store, Writer};
use crate::time::{DAY, Time};
use crate::usage::{Hours, PAST, hour_of};

/// What a daemon is made of.
pub struct Setup {
    pub config: Config,
    /// Read again at a reload; `None`: the defaults, and only signatures are loaded anew.
    pub config_file: Option<PathBuf>,
    pub source: Box<dyn Source>,
    /// The counters that the source writes.
    pub captured: Arc<Cells<capture::Counter>>,
    /// Each flow as a line of JSON, as `read --flows` prints them.
    pub flow_log: Option<PathBuf>,
    /// A file waits for the collector; a live interface never does.
    pub waits: bool,
}

/// A daemon that is ready to run; what could fail has not.
pub struct Daemon {
    runtime: Runtime,
    collector: Collector,
    feed: Feed,
    outbox: Outbox,
    /// For names, which go by no sink.
    writer: Writer,
    names: Names,
    acks: Acks,
    hourly: Hourly,
    watch: Watch,
    desk: Arc<Desk>,
    sinks: Arc<Sinks>,
    captured: Arc<Cells<capture::Counter>>,
    stored: Arc<Cells<store::Counter>>,
    log: Option<FlowLog>,
    beat: Arc<Beat>,
    retention: StoreOptions,
    /// Packet time of the last look for what is too old.
    retired: Time,
    /// Frames come from interfaces, which may be down, and not from a file.
    live: bool,
}

/// What the runtime's tasks tell the collector's loop.
#[derive(Default)]
struct Beat {
    /// Seconds since the start, by the runtime's clock: the collector has none.
    seconds: AtomicU64,
    stop: AtomicBool,
}

/// Updates taken at once from the rings.
const BATCH: usize = 4_096;

/// How long the loop sleeps when there is nothing to take.
const IDLE: Duration = Duration::from_millis(2);

/// Requests that may wait for the store's thread.
const STORE_QUEUE: usize = 1_024;

/// Seconds between two saves of changed usages, and usages saved at once.
const SAVE_SECONDS: u64 = 10;
const SAVED_AT_ONCE: usize = 5_000;

/// Packet time between two looks for what is too old.
const RETIRE_EVERY: Duration = Duration::from_secs(3_600);

/// Seconds between two heartbeats to every sink.
const HEARTBEAT_SECONDS: u64 = 300;

/// Seconds after which sinks that show open cases are shown them again.
const STANDING_SECONDS: u64 = 60;

impl Daemon {
    /// Opens store, sinks, web and log, and starts to read the source.
    ///
    /// # Errors
    /// Whatever cannot be opened, with its remedy.
    pub fn start(setup: Setup, rules: Rules) -> Result<Self, Box<dyn std::error::Error>> {
        let Setup { config, config_file, source, captured, flow_log, waits } = setup;
        let sinks = Configured::read(&config.sink, &config.file, &config.text)?;
        let metrics = Arc::new(Metrics::new(&config.metrics)?);
        let in_force = Arc::new(InForce::new(rules));
        prepare(&config)?;
        let key = load_or_create_key(&config.key_file())?;
        let mut collector =
            offline::collector(&config, in_force.clone(), &metrics, key, flow_log.is_some())?;
        let hours = Hours::new(&config.usage);
        metrics.register(hours.cells().clone());
        collector.hours = Some(hours);
        let stored = Cells::<store::Counter>::new();
        metrics.register(stored.clone());
        metrics.register(captured.clone());
        let (writer, answers) = open_store(&config, &sinks, &mut collector, stored.clone())?;
        let listener = bind(&config.web)?;
        let log = flow_log.map(FlowLog::open).transpose()?;

        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(RUNTIME_THREADS)
            .thread_name("control")
            .enable_all()
            .build()?;
        let shown = Sinks::new();
        metrics.provide(shown.clone());
        let outbox = Outbox::start(sinks, writer.clone(), answers, runtime.handle());
        let feed = Feed::start(
            source,
            Decoder::new(&config.decode),
            &config.flow,
            &in_force,
            config.sensor.workers,
            waits,
        )?;
        for cells in &feed.counted {
            metrics.register(cells.clone() as Arc<dyn Counted>);
        }
        let desk = Arc::new(Desk::new(
            config_file,
            in_force,
            metrics.clone(),
            collector.inventory.clone(),
            collector.cases.suppressed().clone(),
            &config,
        ));
        metrics.reloaded(true);
        let hourly = Hourly::new(collector.inventory.clone());
        let retention = config.store.clone();
        let mut counted = feed.counted.clone();
        counted.push(captured.clone());
        let watch = Watch::new(config.alert.loss.clone(), counted);
        let beat = Arc::new(Beat::default());
        let site = Site::new(config.web, metrics, desk.clone());
        runtime.spawn(async move {
            if let Err(error) = serve(listener, site, std::future::pending()).await {
                tracing::error!(%error, "web: no longer served");
            }
        });
        let _in_runtime = runtime.enter();
        spawn_tasks(&runtime, &beat, &desk)?;
        drop(_in_runtime);
        Ok(Self {
            runtime,
            collector,
            feed,
            outbox,
            writer,
            names: Names::default(),
            acks: Acks::default(),
            hourly,
            watch,
            desk,
            sinks: shown,
            captured,
            stored,
            log,
            beat,
            retention,
            retired: Time::ZERO,
            live: !waits,
        })
    }

    /// What the web shows; shared with it.
    pub fn desk(&self) -> Arc<Desk> {
        self.desk.clone()
    }

    /// Runs until a signal, an error of the source, or until `watch`, asked each second, says so.
    ///
    /// # Errors
    /// The source failed, or the flow log could not be written.
    pub fn run(
        mut self,
        mut watch: impl FnMut(u64, &Desk) -> bool,
    ) -> Result<(), Box<dyn std::error::Error>> {
        let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
        let mut second = 0;
        let mut ticks = 0;
        loop {
            // Asked before the rings: what was pushed before the threads left is then taken.
            let over = self.feed.is_over();
            let taken = self.take_batch();
            let now = self.beat.seconds.load(Ordering::Relaxed);
            if now > second {
                second = now;
                let lives = self.feed.ticks() > ticks;
                ticks = self.feed.ticks();
                self.housekeeping(second, lives);
                if !watch(second, &self.desk) {
                    self.beat.stop.store(true, Ordering::Relaxed);
                }
            }
            if self.beat.stop.load(Ordering::Relaxed) {
                self.feed.stop();
            }
            if taken == 0 {
                if over {
                    break;
                }
                thread::sleep(IDLE);
            }
        }
        self.end()
    }

    fn take_batch(&mut self) -> usize {
        self.collector.begin_batch();
        let collector = &mut self.collector;
        let taken = self.feed.take(BATCH, |worker, update| collector.take(worker, update));
        for raised in std::mem::take(&mut self.collector.raised) {
            let usages = keep::usage_of(&raised, &self.collector.inventory);
            if self.outbox.submit(&raised, usages) {
                self.desk.raised(&raised.event);
            } else {
                self.collector.cases.refused(raised.event.id);
            }
        }
        self.outbox.poll(&mut self.collector.cases);
        self.step_hours(false);
        if let Some(log) = &mut self.log {
            log.write(std::mem::take(&mut self.collector.lines));
        }
        taken
    }

    fn housekeeping(&mut self, second: u64, lives: bool) {
        for notice in self.feed.notices() {
            tracing::warn!("{notice}");
        }
        if second.is_multiple_of(SAVE_SECONDS) && !self.outbox.is_behind() {
            let changed = self.collector.inventory.take_changed(SAVED_AT_ONCE);
            self.outbox.keep(self.collector.cases.changed(), keep::rows(changed));
            self.step_hours(true);
            self.keep_names();
            self.retire();
        }
        if second.is_multiple_of(HEARTBEAT_SECONDS) || second == 1 {
            self.heartbeat();
        }
        if second.is_multiple_of(STANDING_SECONDS) && self.outbox.wants_standing() {
            self.outbox.stand(&self.collector.cases.open(self.collector.seen.clock()));
        }
        self.watch.look(&mut self.collector);
        if let Some(names) = self.desk.sinks() {
            self.outbox.retain(&names);
        }
        for audit in self.desk.audits() {
            self.outbox.audit(self.collector.cases.sensor(), audit, Vec::new());
        }
        self.acks.take(&mut self.collector.cases, &self.outbox);
        self.acks.ask(&self.writer);
        self.sinks.set(self.outbox.stats());
        let up = !self.live || self.captured.get(capture::Counter::InterfacesUp) > 0;
        self.desk.refresh(&self.collector, up && self.feed.ticks() > 0, &self.captured);
        if lives {
            // The packet loop and this one are both alive: only then the supervisor hears of it.
            let _ = sd_notify::notify(&[sd_notify::NotifyState::Watchdog]);
        }
    }

    fn step_hours(&mut self, save: bool) {
        let rules = self.collector.rules().load();
        let Collector { hours, cases, seen, .. } = &mut self.collector;
        if let Some(hours) = hours {
            self.hourly.step(hours, &mut self.outbox, (cases, &rules), seen.clock(), save);
        }
    }

    /// How many rows went to the store; `None` where it has no room for them now.
    fn keep_names(&mut self) -> Option<usize> {
        let now = self.collector.seen.clock().secs() as i64;
        let collector = &mut self.collector;
        self.names.keep(&self.writer, now, || keep::names(collector.changed_names(SAVED_AT_ONCE)))
    }

    /// Once an hour of packet time: what is too old to be kept goes.
    fn retire(&mut self) {
        let now = self.collector.seen.clock();
        if now < self.retired.plus(RETIRE_EVERY) {
            return;
        }
        self.retired = now;
        let before = |days: u32| now.minus(DAY.saturating_mul(days));
        let [clients, sums, alerts] =
            [self.retention.client_days, self.retention.sum_days, self.retention.alert_days]
                .map(before);
        let retired = self.collector.inventory.retire(clients, sums);
        self.collector.inventory.crowds().expire(clients);
        self.outbox.keep(Vec::new(), keep::retired(&retired));
        self.writer.retire(store::Retention {
            clients: clients.to_string(),
            sums: sums.to_string(),
            sum: PAST,
            alerts: i64::try_from(alerts.nanos() / 1_000_000).unwrap_or(i64::MAX),
            summaries: i64::try_from(clients.nanos() / 1_000_000).unwrap_or(i64::MAX),
            rollups: hour_of(sums),
        });
    }

    fn heartbeat(&self) {
        let count = |row| self.captured.get(row);
        let coverage = self.collector.seen.coverage();
        let percent = |share: Option<f64>| (share.unwrap_or_default() * 100.0).round() as u64;
        let waiting = self.outbox.stats().iter().map(|sink| sink.waiting).sum();
        let values = BTreeMap::from([
            ("frames", count(capture::Counter::Frames)),
            ("kernel_dropped", count(capture::Counter::KernelDropped)),
            ("interface_dropped", count(capture::Counter::InterfaceDropped)),
            ("clients_seen", coverage.clients),
            ("named_bytes_percent", percent(coverage.named)),
            ("tunnelled_bytes_percent", percent(coverage.tunnelled)),
            ("usages", self.collector.inventory.len() as u64),
            ("messages_waiting", waiting),
        ]);
        self.outbox.heartbeat(self.collector.cases.sensor(), values);
    }

    fn end(mut self) -> Result<(), Box<dyn std::error::Error>> {
        let _ = sd_notify::notify(&[sd_notify::NotifyState::Stopping]);
        for _ in 0..LAST_SAVES {
            match self.keep_names() {
                Some(0) => break,
                Some(_) => {}
                None => self.writer.flush(),
            }
        }
        let result = self.feed.join();
        loop {
            let changed = self.collector.inventory.take_changed(SAVED_AT_ONCE);
            if changed.is_empty() {
                break;
            }
            self.outbox.keep(self.collector.cases.changed(), keep::rows(changed));
        }
        let rules = self.collector.rules().load();
        let Collector { hours, cases, seen, .. } = &mut self.collector;
        if let Some(hours) = hours {
            self.hourly.finish(hours, &mut self.outbox, (cases, &rules), seen.clock());
        }
        // The outbox waits for the store's thread only where nobody else can still write.
        drop(self.writer);
        // Sinks that are up get what was raised last; what they do not take in time stays in the store.
        self.outbox.settle(&mut self.collector.cases);
        for _ in 0..LAST_LOOKS {
            self.outbox.poll(&mut self.collector.cases);
            if self.stored.get(store::Counter::Outbox) == 0 {
                break;
            }
            thread::sleep(LAST_LOOK);
        }
        self.outbox.close(&mut self.collector.cases);
        self.runtime.shutdown_timeout(Duration::from_secs(1));
        if let Some(log) = self.log {
            log.close()?;
        }
        for notice in result? {
            tracing::warn!("{notice}");
        }
        Ok(())
    }
}

/// Saves of a stop, and waits for room: all that can wait to be saved, twice.
const LAST_SAVES: u32 = 64;

/// How long a stop waits for sinks: two seconds.
const LAST_LOOKS: u32 = 100;
const LAST_LOOK: Duration = Duration::from_millis(20);

/// Threads for the web and the sinks: they wait more than they work.
const RUNTIME_THREADS: usize = 2;

/// The directory of the store, made where it is missing.
fn prepare(config: &Config) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    let directory = &config.store.directory;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(|error| {
        io::Error::other(format!(
            "{}: cannot be made: {error}\n  mend: name a directory that may be written in [store] directory",
            directory.display()
        ))
    })
}

fn open_store(
    config: &Config,
    sinks: &[Configured],
    collector: &mut Collector,
    cells: Arc<Cells<store::Counter>>,
) -> Result<(Writer, std::sync::mpsc::Receiver<store::Answer>), Box<dyn std::error::Error>> {
    let path = config.store.database();
    let (mut store, damaged) = Store::open(&path)
        .map_err(|error| format!("{}: {error}\n  mend: see [store] directory", path.display()))?;
    if let Some(Damaged { aside, saved }) = damaged {
        tracing::error!(
            "{} was damaged: it lies now at {}, and a new one was begun with the {saved} rows that could be read",
            path.display(),
            aside.display()
        );
    }
    let names: Vec<&str> = sinks.iter().map(|sink| &*sink.name).collect();
    store::tell_orphaned(store.keep_sinks(&names)?, &cells);
    for key in collector.cases.restore(&store.windows()?) {
        tracing::warn!("store: the case `{key}` cannot be read and is left out");
    }
    collector.inventory.restore(keep::usages(&store.usages()?));
    if let Some(hours) = &mut collector.hours {
        hourly::restore(hours, &store)?;
    }
    let unread = collector.restore_names(store.names()?);
    if unread > 0 {
        tracing::warn!("store: {unread} names cannot be read");
    }
    Ok(store.start(STORE_QUEUE, cells)?)
}

/// How often it is looked whether the files of leases have changed.
const LEASES_EVERY: Duration = Duration::from_secs(1);

fn spawn_tasks(runtime: &Runtime, beat: &Arc<Beat>, desk: &Arc<Desk>) -> io::Result<()> {
    let seconds = beat.clone();
    runtime.spawn(async move {
        let mut every = tokio::time::interval(Duration::from_secs(1));
        loop {
            every.tick().await;
            seconds.seconds.fetch_add(1, Ordering::Relaxed);
        }
    });
    for kind in [SignalKind::terminate(), SignalKind::interrupt()] {
        let mut signals = signal(kind)?;
        let stop = beat.clone();
        runtime.spawn(async move {
            signals.recv().await;
            tracing::info!("stopping");
            stop.stop.store(true, Ordering::Relaxed);
        });
    }
    let followed = desk.clone();
    runtime.spawn(async move {
        let mut every = tokio::time::interval(LEASES_EVERY);
        loop {
            every.tick().await;
            let followed = followed.clone();
            // As a reload: the outcome is logged and counted where it happens.
            let _ = tokio::task::spawn_blocking(move || followed.follow_leases()).await;
        }
    });
    let mut hangup = signal(SignalKind::hangup())?;
    let desk = desk.clone();
    runtime.spawn(async move {
        while hangup.recv().await.is_some() {
            let desk = desk.clone();
            // Reading files blocks; the outcome is logged and counted where it happens.
            let _ = tokio::task::spawn_blocking(move || desk.reload()).await;
        }
    });
    Ok(())
}
