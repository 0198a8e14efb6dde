//! The outbox: renders an event once for each sink when it is accepted, and carries it until the sink has acknowledged it.
//!
//! The store holds what waits; each sink has a task of its own, so that a dead one slows nobody.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::Receiver;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::runtime::Handle;
use tokio::sync::{Notify, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::case::{Cases, Raised, Row};
use super::event::{Audit, Event, Id, Sensor, What};
use super::finding::Severity;
use super::format::Format;
use super::sink::{Configured, Envelope, Filter, Sink, Written};
use crate::store::{self, Answer, Batch, Letter, Stored, Trimmed, UsageKey, Writer};
use crate::time::Time;

/// The collector's side of delivery.
pub struct Outbox {
    lanes: Vec<Lane>,
    tasks: Vec<JoinHandle<()>>,
    /// Sinks that are left, where the store has not yet been told.
    left: Option<Vec<String>>,
    writer: Writer,
    answers: Receiver<Answer>,
    /// Batches without an event, until they are committed; by token.
    rows: HashMap<u128, Batch>,
    /// Tokens of those that have to be handed over again.
    again: Vec<u128>,
    next: u128,
}

impl Outbox {
    /// Starts one task a sink on `runtime`. What an earlier run left in the store is sent first.
    pub fn start(
        sinks: Vec<Configured>,
        writer: Writer,
        answers: Receiver<Answer>,
        runtime: &Handle,
    ) -> Self {
        let mut lanes = Vec::new();
        let mut tasks = Vec::new();
        for Configured { name, format, max_messages, max_age, filter, built, .. } in sinks {
            let (standing, stands) = watch::channel(Arc::default());
            let stats = Arc::new(Stats::default());
            let news = Arc::new(Notify::new());
            let carrier = Carrier {
                name: name.clone(),
                max_messages,
                max_age,
                writer: writer.clone(),
                news: news.clone(),
                stands,
                stats: stats.clone(),
            };
            tasks.push(runtime.spawn(carrier.run(built.sink)));
            let standing = built.standing.then_some(standing);
            let envelope = built.envelope;
            lanes.push(Lane { name, format, filter, envelope, news, standing, stats });
        }
        let (rows, again) = (HashMap::new(), Vec::new());
        Self { lanes, tasks, left: None, writer, answers, rows, again, next: 1 }
    }

    /// Ends the sinks that are not among these, and drops what waits for them.
    pub fn retain(&mut self, names: &[String]) {
        let gone = |lane: &Lane| !names.contains(&lane.name);
        if !self.lanes.iter().any(gone) {
            return;
        }
        let all = std::mem::take(&mut self.lanes).into_iter().zip(std::mem::take(&mut self.tasks));
        for (lane, task) in all {
            if gone(&lane) {
                tracing::info!(sink = lane.name, "sink is gone from the configuration: it ends");
                task.abort();
            } else {
                self.lanes.push(lane);
                self.tasks.push(task);
            }
        }
        self.left = Some(self.lanes.iter().map(|lane| lane.name.clone()).collect());
        self.tell_left();
    }

    fn tell_left(&mut self) {
        if let Some(left) = &self.left
            && self.writer.keep_sinks(left.clone())
        {
            self.left = None;
        }
    }

    /// Hands an event over, together with the usage it rests on. False where the store's queue is full: tell
    /// [`Cases::refused`].
    pub fn submit(&self, raised: &Raised, usages: Vec<(UsageKey, Option<String>)>) -> bool {
        let Row { key, value } = raised.row.clone();
        let letters = self.letters(&raised.event);
        let token = raised.event.id.value();
        let windows = vec![(key, value)];
        self.writer.commit(Batch { token, windows, usages, letters, ..Batch::default() }).is_ok()
    }

    /// Keeps rows that go with no event: what [`Cases::changed`] gave, and usages. They are tried until they are committed.
    pub fn keep(&mut self, rows: Vec<Row>, usages: Vec<(UsageKey, Option<String>)>) {
        if rows.is_empty() && usages.is_empty() {
            return;
        }
        let windows = rows.into_iter().map(|row| (row.key, row.value)).collect();
        self.hold(Batch { windows, usages, ..Batch::default() });
    }

    /// Keeps `batch` together with messages of `events` for the sinks that want them; it is tried until it is committed, which
    /// [`holds`](Self::holds) tells by the token that is given back.
    pub fn keep_with(&mut self, batch: Batch, events: &[Event]) -> u128 {
        let letters = events.iter().flat_map(|event| self.letters(event)).collect();
        self.hold(Batch { letters, ..batch })
    }

    /// Whether the store has not yet committed what this token was given for.
    pub fn holds(&self, token: u128) -> bool {
        self.rows.contains_key(&token)
    }

    /// Whether a sink wants summaries of each hour.
    pub fn wants_usage(&self) -> bool {
        self.lanes.iter().any(|lane| lane.filter.wants_usage())
    }

    fn hold(&mut self, batch: Batch) -> u128 {
        // Ids of events have the bits of their version set, so that they never meet a count.
        let token = self.next;
        self.next += 1;
        self.rows.insert(token, Batch { token, ..batch });
        self.again.push(token);
        self.hand_over_again();
        token
    }

    /// Whether the store has not yet committed what [`keep`](Self::keep) gave it before: then more is better left where it
    /// is bounded, or a full disk would fill the memory.
    pub fn is_behind(&self) -> bool {
        self.rows.len() >= KEPT_BATCHES
    }

    /// Takes the store's answers: tells `cases` what was accepted, and wakes the sinks.
    pub fn poll(&mut self, cases: &mut Cases) {
        let mut news = false;
        while let Ok(Answer { token, accepted }) = self.answers.try_recv() {
            match (self.rows.contains_key(&token), accepted) {
                (true, true) => {
                    news |= self.rows.remove(&token).is_some_and(|b| !b.letters.is_empty());
                }
                (true, false) => self.again.push(token),
                (false, true) => {
                    news = true;
                    cases.accepted(Id::from_value(token));
                }
                (false, false) => cases.refused(Id::from_value(token)),
            }
        }
        if news {
            self.lanes.iter().for_each(|lane| lane.news.notify_one());
        }
        self.hand_over_again();
        self.tell_left();
    }

    /// Sends a sign of life with counters of the sensor to every sink.
    pub fn heartbeat(&self, sensor: &Sensor, values: BTreeMap<&'static str, u64>) -> bool {
        self.say(sensor, What::Heartbeat { values }, Vec::new())
    }

    /// Tells every sink what somebody did to the sensor, and commits `rows` together with it. False where the store's queue is
    /// full.
    pub fn audit(&self, sensor: &Sensor, audit: Audit, rows: Vec<Row>) -> bool {
        self.say(sensor, What::Audit { audit }, rows)
    }

    /// Whether a sink wants [`stand`](Self::stand) to be called once a minute.
    pub fn wants_standing(&self) -> bool {
        self.lanes.iter().any(|lane| lane.standing.is_some())
    }

    /// Shows all open cases to the sinks that send them again and again; only the latest is kept for each.
    pub fn stand(&self, open: &[Event]) {
        for lane in &self.lanes {
            if let Some(standing) = &lane.standing {
                let wanted = open.iter().filter(|event| lane.filter.wants(event));
                let payloads = wanted.map(|event| lane.envelope.wrap(event, lane.format)).collect();
                standing.send_replace(Arc::new(payloads));
            }
        }
    }

    fn say(&self, sensor: &Sensor, what: What, rows: Vec<Row>) -> bool {
        let event = said_now(sensor, what);
        let letters = self.letters(&event);
        let token = event.id.value();
        let windows = rows.into_iter().map(|row| (row.key, row.value)).collect();
        self.writer.commit(Batch { token, windows, letters, ..Batch::default() }).is_ok()
    }

    /// What each sink has done, for the exporter.
    pub fn stats(&self) -> Vec<SinkStats> {
        let read = |cell: &AtomicU64| cell.load(Ordering::Relaxed);
        let of = |lane: &Lane| SinkStats {
            name: lane.name.clone(),
            up: lane.stats.up.load(Ordering::Relaxed),
            delivered: read(&lane.stats.delivered),
            failures: read(&lane.stats.failures),
            given_up: read(&lane.stats.given_up),
            refused: read(&lane.stats.refused),
            waiting: read(&lane.stats.waiting),
        };
        self.lanes.iter().map(of).collect()
    }

    /// Commits what was handed over, tells `cases`, and wakes the sinks. Blocks for a commit.
    pub fn settle(&mut self, cases: &mut Cases) {
        self.writer.flush();
        self.poll(cases);
    }

    /// Commits what was handed over, tells `cases`, and ends the tasks. What is not acknowledged stays in the store for the
    /// next run. Blocks for a commit.
    pub fn close(mut self, cases: &mut Cases) {
        self.settle(cases);
        self.tasks.iter().for_each(JoinHandle::abort);
        self.writer.close();
    }

    fn letters(&self, event: &Event) -> Vec<Letter> {
        let created = now_millis();
        let letter = |lane: &Lane| Letter {
            sink: lane.name.clone(),
            event: event.id.to_string(),
            payload: lane.envelope.wrap(event, lane.format),
            created,
            spare: matches!(event.what, What::Usage(_)),
        };
        self.lanes.iter().filter(|lane| lane.filter.wants(event)).map(letter).collect()
    }

    fn hand_over_again(&mut self) {
        let (rows, writer) = (&self.rows, &self.writer);
        self.again.retain(|token| {
            rows.get(token).is_some_and(|batch| writer.commit(batch.clone()).is_err())
        });
    }
}

/// An audit event of a program that carries nothing itself, and a message of it for each sink that wants it.
pub fn audit_letters(sinks: &[Configured], sensor: &Sensor, audit: Audit) -> (Event, Vec<Letter>) {
    let event = said_now(sensor, What::Audit { audit });
    let letter = |sink: &Configured| Letter {
        sink: sink.name.clone(),
        event: event.id.to_string(),
        payload: sink.built.envelope.wrap(&event, sink.format),
        created: now_millis(),
        spare: false,
    };
    let letters = sinks.iter().filter(|sink| sink.filter.wants(&event)).map(letter).collect();
    (event, letters)
}

/// An event of the sensor itself, by the wall clock.
fn said_now(sensor: &Sensor, what: What) -> Event {
    let now = now_millis();
    let time = Time::from_nanos(now.unsigned_abs().saturating_mul(1_000_000));
    let (severity, id) = (Severity::Informational, Id::of(&[]));
    let mut event = Event { time, id, severity, sensor: sensor.clone(), what, truncated: false };
    event.id = Id::of(&[event.name(), &sensor.name, &now_nanos().to_string()]);
    event
}

/// A snapshot of one sink: counters but for `up` and `waiting`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SinkStats {
    pub name: String,
    /// The last attempt went well.
    pub up: bool,
    /// Messages that the sink acknowledged.
    pub delivered: u64,
    /// Attempts that broke.
    pub failures: u64,
    /// Messages dropped because they were too many or too old.
    pub given_up: u64,
    /// Messages that the sink will never take; set apart, and tried again at the next start.
    pub refused: u64,
    /// Messages in the outbox for it, when it was last looked at.
    pub waiting: u64,
}

struct Lane {
    name: String,
    format: &'static Format,
    filter: Filter,
    envelope: Box<dyn Envelope>,
    news: Arc<Notify>,
    standing: Option<watch::Sender<Standing>>,
    stats: Arc<Stats>,
}

/// All open cases, rendered for one sink.
type Standing = Arc<Vec<Vec<u8>>>;

#[derive(Default)]
struct Stats {
    up: AtomicBool,
    delivered: AtomicU64,
    failures: AtomicU64,
    given_up: AtomicU64,
    refused: AtomicU64,
    waiting: AtomicU64,
}

impl Stats {
    /// So many wait no longer; the store is asked for the exact number now and then.
    fn left(&self, count: usize) {
        let waiting = self.waiting.load(Ordering::Relaxed);
        self.waiting.store(waiting.saturating_sub(count as u64), Ordering::Relaxed);
    }
}

/// The task of one sink.
struct Carrier {
    name: String,
    max_messages: u32,
    max_age: Duration,
    writer: Writer,
    news: Arc<Notify>,
    stands: watch::Receiver<Standing>,
    stats: Arc<Stats>,
}

impl Carrier {
    async fn run(mut self, mut sink: Box<dyn Sink>) {
        let mut pause = FIRST_PAUSE;
        loop {
            let before = self.stats.delivered.load(Ordering::Relaxed);
            let error = self.carry(&mut *sink).await;
            if self.stats.delivered.load(Ordering::Relaxed) > before {
                pause = FIRST_PAUSE;
            }
            if self.stats.up.swap(false, Ordering::Relaxed) || pause == FIRST_PAUSE {
                tracing::warn!(sink = self.name, %error, "sink failed; it will be tried again");
            }
            self.stats.failures.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(jitter(pause)).await;
            pause = (pause * 2).min(LAST_PAUSE);
        }
    }

    /// Writes and acknowledges from the oldest message on until something breaks.
    async fn carry(&mut self, sink: &mut dyn Sink) -> io::Error {
        let mut cursor = 0;
        let mut flight: VecDeque<(i64, Instant)> = VecDeque::new();
        let mut trimmed: Option<Instant> = None;
        loop {
            if trimmed.is_none_or(|at| at.elapsed() >= TRIM_EVERY) {
                self.trim().await;
                trimmed = Some(instant());
            }
            let letters =
                if flight.len() < MAX_FLIGHT { self.fetch(cursor).await } else { Vec::new() };
            if let Some(last) = letters.last() {
                cursor = last.id;
                if let Err((error, left)) = self.write(sink, &letters, &mut flight).await {
                    let lost = flight.iter().map(|(id, _)| *id);
                    self.writer.attempted(lost.chain(left).collect());
                    return error;
                }
                continue;
            }
            let due = flight.front().map_or_else(|| instant() + TRIM_EVERY, |(_, due)| *due);
            tokio::select! {
                biased;
                error = sink.broken() => {
                    // Without anything under way the receiver may close as it likes: the next write opens anew.
                    if !flight.is_empty() {
                        self.writer.attempted(flight.iter().map(|(id, _)| *id).collect());
                        return error;
                    }
                }
                () = tokio::time::sleep_until(due) => self.acknowledge(&mut flight),
                () = self.news.notified() => {}
                // A sink that does not ask for them has no sender any more: then this never answers.
                true = async { self.stands.changed().await.is_ok() } => {
                    let standing = self.stands.borrow_and_update().clone();
                    if let Err(error) = sink.stand(&standing).await {
                        self.stands.mark_changed();
                        self.writer.attempted(flight.iter().map(|(id, _)| *id).collect());
                        return error;
                    }
                    self.stats.up.store(true, Ordering::Relaxed);
                }
            }
        }
    }

    /// Writes all letters; after an error the ids of those that were not written.
    async fn write(
        &self,
        sink: &mut dyn Sink,
        letters: &[Stored],
        flight: &mut VecDeque<(i64, Instant)>,
    ) -> Result<(), (io::Error, Vec<i64>)> {
        let ids = |letters: &[Stored]| letters.iter().map(|l| l.id).collect::<Vec<_>>();
        let mut left = letters;
        while !left.is_empty() {
            let count = match sink.write(left).await {
                Ok(Written::Taken(count)) => {
                    let due = instant() + sink.acknowledges_after();
                    flight.extend(left.iter().take(count).map(|l| (l.id, due)));
                    count
                }
                Ok(Written::Refused(count, why)) => {
                    self.refuse(left.get(..count).unwrap_or(left), &why).await;
                    count
                }
                Err(error) => return Err((error, ids(left))),
            };
            left = left.get(count..).unwrap_or_default();
            self.stats.up.store(true, Ordering::Relaxed);
            self.acknowledge(flight);
        }
        Ok(())
    }

    async fn refuse(&self, letters: &[Stored], why: &str) {
        let events: Vec<&str> = letters.iter().map(|l| &*l.event).collect();
        tracing::error!(
            sink = self.name,
            ?events,
            why,
            "the sink refuses messages for good; they are set apart"
        );
        self.stats.refused.fetch_add(letters.len() as u64, Ordering::Relaxed);
        while !self.writer.refused(letters.iter().map(|l| l.id).collect()) {
            tokio::time::sleep(FULL_PAUSE).await;
        }
        self.stats.left(letters.len());
    }

    fn acknowledge(&self, flight: &mut VecDeque<(i64, Instant)>) {
        let now = instant();
        let due = flight.iter().take_while(|(_, due)| *due <= now).count();
        let ids: Vec<i64> = flight.iter().take(due).map(|(id, _)| *id).collect();
        // Where the store's queue is full they stay in flight and are acknowledged a moment later.
        if due > 0 && self.writer.delivered(ids) {
            flight.drain(..due);
            self.stats.delivered.fetch_add(due as u64, Ordering::Relaxed);
            self.stats.left(due);
        }
    }

    async fn fetch(&self, after: i64) -> Vec<Stored> {
        self.ask(|reply| self.writer.fetch(&self.name, after, BATCH, reply))
            .await
            .unwrap_or_default()
    }

    async fn trim(&self) {
        let age = i64::try_from(self.max_age.as_millis()).unwrap_or(i64::MAX);
        let since = now_millis().saturating_sub(age);
        let trimmed: Option<Trimmed> =
            self.ask(|reply| self.writer.trim(&self.name, self.max_messages, since, reply)).await;
        if let Some(Trimmed { given_up, depth }) = trimmed {
            self.stats.given_up.fetch_add(given_up, Ordering::Relaxed);
            self.stats.waiting.store(depth, Ordering::Relaxed);
        }
    }

    async fn ask<T: Send + 'static>(&self, ask: impl FnOnce(store::Reply<T>) -> bool) -> Option<T> {
        let (sender, answer) = oneshot::channel();
        let asked = ask(Box::new(move |value| {
            let _ = sender.send(value);
        }));
        if !asked {
            tokio::time::sleep(FULL_PAUSE).await;
            return None;
        }
        match answer.await {
            Ok(Ok(value)) => Some(value),
            Ok(Err(error)) => {
                tracing::error!(sink = self.name, %error, "the outbox cannot be read");
                tokio::time::sleep(FIRST_PAUSE).await;
                None
            }
            Err(_) => None,
        }
    }
}

/// Batches of rows that wait for the store. One is the rule, as it commits within a second.
const KEPT_BATCHES: usize = 4;
/// Messages taken from the store at a time, and at most written without an acknowledgment.
const BATCH: u32 = 256;
const MAX_FLIGHT: usize = 2_048;
/// Pauses before a sink is tried again: doubled from the first to the last.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LAST_PAUSE: Duration = Duration::from_secs(60);
/// How long to wait where the store's queue is full.
const FULL_PAUSE: Duration = Duration::from_millis(100);
/// How often a backlog is measured and cut to its bounds.
const TRIM_EVERY: Duration = Duration::from_secs(30);

/// From half to the whole of `pause`: sensors that lost one receiver together do not come back together.
fn jitter(pause: Duration) -> Duration {
    let half = pause / 2;
    let spread = u64::try_from(half.as_nanos()).unwrap_or(u64::MAX).max(1);
    half + Duration::from_nanos(now_nanos() % spread)
}

fn now_millis() -> i64 {
    i64::try_from(now_nanos() / 1_000_000).unwrap_or(i64::MAX)
}

// Age of a backlog, retries and acknowledgments are matters of the transport, not of the packets.
#[allow(clippy::disallowed_methods)]
fn now_nanos() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

fn instant() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::count::Cells;
    use crate::store::Store;

    #[test]
    fn rows_that_the_store_has_not_taken_hold_up_what_comes_after() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (writer, answers) = Store::memory().unwrap().start(16, Cells::new()).unwrap();
        let mut outbox = Outbox::start(Vec::new(), writer.clone(), answers, runtime.handle());
        let row = || vec![Row { key: "known/x".into(), value: Some("{}".into()) }];
        for _ in 0..KEPT_BATCHES {
            assert!(!outbox.is_behind());
            outbox.keep(row(), Vec::new());
        }
        assert!(outbox.is_behind());
        writer.flush();
        let sensor = Sensor::default();
        let mut cases = Cases::new(super::super::Options::default(), sensor, Cells::new());
        outbox.poll(&mut cases);
        assert!(!outbox.is_behind());
    }
}
