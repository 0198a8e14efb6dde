//! Threads from the source to the rings: one that does all, or a reader and several workers.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};

use super::reader::{Taker, read};
use super::ring::{Lane, Merger, RingOutlet, ring};
use super::rules::InForce;
use super::shard::{self, lanes};
use super::update::Update;
use super::worker::{Moment, Worker};
use super::{record, worker};
use crate::capture::{self, Source};
use crate::count::Counted;
use crate::decode::{Decoder, Segment};
use crate::flow::{self, Duplicates, Options};

/// A source being read by threads of its own.
pub struct Feed {
    merger: Merger,
    threads: Vec<JoinHandle<()>>,
    /// Counters of all its threads.
    pub counted: Vec<Arc<dyn Counted>>,
    shared: Arc<Shared>,
}

/// What the reader's thread tells the others.
#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    /// Ticks and octets seen: a supervisor sees by the ticks that the packet loop lives.
    ticks: AtomicU64,
    done: AtomicU64,
    total: AtomicU64,
    told: Mutex<Told>,
}

#[derive(Default)]
struct Told {
    notices: Vec<String>,
    error: Option<capture::Error>,
}

impl Feed {
    /// Starts reading. `waits`: a file waits for room in the rings, a live interface never does.
    pub fn start(
        mut source: Box<dyn Source>,
        mut decoder: Decoder,
        options: &Options,
        rules: &Arc<InForce>,
        workers: usize,
        waits: bool,
    ) -> io::Result<Self> {
        let workers = workers.max(1);
        let shared = Arc::new(Shared::default());
        let mut duplicates = Duplicates::new(options);
        let mut counted: Vec<Arc<dyn Counted>> = decoder.counted().into();
        counted.push(duplicates.cells().clone());
        let mut rings: Vec<Lane> = Vec::with_capacity(workers);
        let mut made = Vec::with_capacity(workers);
        for _ in 0..workers {
            let (outlet, lane) = ring(waits);
            let worker = Worker::new(options, outlet).watching(rules.clone());
            counted.extend(worker.counted());
            rings.push(lane);
            made.push(worker);
        }
        let mut threads = Vec::with_capacity(workers + 1);
        let for_reader = shared.clone();
        let seen = move |source: &mut dyn Source| for_reader.see(source);
        let for_error = shared.clone();
        if workers == 1 {
            let Some(worker) = made.pop() else { return Err(io::Error::other("no worker")) };
            threads.push(Builder::new().name("capture".into()).spawn(move || {
                let mut direct = Direct { worker, since: 0 };
                let stop = &for_error.stop;
                let result =
                    read(source.as_mut(), &mut direct, &mut decoder, &mut duplicates, stop, seen);
                for_error.fail(result.err());
            })?);
        } else {
            let (mut shard, receivers) = lanes(workers);
            for (number, (mut worker, receiver)) in made.into_iter().zip(receivers).enumerate() {
                let name = format!("worker-{number}");
                threads.push(
                    Builder::new()
                        .name(name)
                        .spawn(move || receiver.work(&mut worker, number == 0))?,
                );
            }
            threads.push(Builder::new().name("capture".into()).spawn(move || {
                let stop = &for_error.stop;
                let result =
                    read(source.as_mut(), &mut shard, &mut decoder, &mut duplicates, stop, seen);
                for_error.fail(result.err());
            })?);
        }
        Ok(Self { merger: Merger::new(rings), threads, counted, shared })
    }

    /// Octets that the threads of `workers` workers can hold at most, and the collector for their flows.
    pub fn memory(options: &Options, workers: usize) -> u64 {
        let collected = record::MEMORY + record::CONTACT_MEMORY;
        let one = Worker::<RingOutlet>::memory(options)
            + super::ring::memory()
            + u64::from(options.max_flows) * collected;
        let lanes = if workers > 1 { shard::memory(workers) } else { 0 };
        one * workers.max(1) as u64
            + lanes
            + flow::DUPLICATES_MEMORY
            + super::coverage::MEMORY
            + super::premises::MEMORY
    }

    /// Octets of one live flow, by what it has come to; each is taken beside those before it.
    pub const fn flow_memory() -> [(&'static str, u64); 4] {
        let [slot, looked_at] = worker::flow_memory();
        [
            ("in the flow table", slot),
            ("more while it is read, at most", looked_at),
            ("more once it is reported", record::MEMORY),
            ("more where it is a vendor's", record::CONTACT_MEMORY),
        ]
    }

    /// Gives at most `most` updates, in their order; how many there were.
    pub fn take(&mut self, most: usize, take: impl FnMut(usize, Update)) -> usize {
        self.merger.take(most, take)
    }

    /// Asks the threads to end; what they still have to say must be taken until [`is_over`](Self::is_over).
    pub fn stop(&self) {
        self.shared.stop.store(true, Ordering::Relaxed);
    }

    pub fn is_over(&self) -> bool {
        self.merger.is_over()
    }

    /// Ticks seen so far.
    pub fn ticks(&self) -> u64 {
        self.shared.ticks.load(Ordering::Relaxed)
    }

    /// Octets of files read and in all; both 0 where that is not known.
    pub fn progress(&self) -> (u64, u64) {
        (self.shared.done.load(Ordering::Relaxed), self.shared.total.load(Ordering::Relaxed))
    }

    /// Notices that nobody has taken yet.
    pub fn notices(&self) -> Vec<String> {
        std::mem::take(&mut self.shared.told().notices)
    }

    /// Waits for the threads; the error that ended the reading, if one did.
    pub fn join(self) -> Result<Vec<String>, capture::Error> {
        for thread in self.threads {
            // A thread that panicked has lost its flows; say so instead of ending as if all were well.
            if thread.join().is_err() {
                return Err(capture::Error::new(
                    "a packet thread ended by a fault of the program",
                    "report it with the capture that made it happen",
                ));
            }
        }
        let mut told = self.shared.told();
        match told.error.take() {
            Some(error) => Err(error),
            None => Ok(std::mem::take(&mut told.notices)),
        }
    }
}

impl Shared {
    fn see(&self, source: &mut dyn Source) {
        self.ticks.fetch_add(1, Ordering::Relaxed);
        if let Some((done, total)) = source.progress() {
            self.done.store(done, Ordering::Relaxed);
            self.total.store(total, Ordering::Relaxed);
        }
        let notices = source.notices();
        if !notices.is_empty() {
            self.told().notices.extend(notices);
        }
    }

    fn fail(&self, error: Option<capture::Error>) {
        self.told().error = error;
    }

    fn told(&self) -> std::sync::MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One worker on the reader's thread.
struct Direct {
    worker: Worker<RingOutlet>,
    /// Segments since the last announcement.
    since: u32,
}

/// An announcement costs an atomic store: one for so many segments, and one a tick.
const ANNOUNCE_EVERY: u32 = 64;

impl Taker for Direct {
    fn segment(&mut self, moment: Moment, frame: u64, segment: &Segment<'_>) {
        self.worker.segment(moment, frame, segment);
        self.since += 1;
        if self.since >= ANNOUNCE_EVERY {
            self.since = 0;
            self.worker.announce(moment.ordinal);
        }
    }

    fn tick(&mut self, moment: Moment) {
        self.worker.tick(moment, true);
        self.worker.announce(moment.ordinal);
    }

    fn finish(&mut self, moment: Moment) {
        self.worker.finish(moment);
        self.worker.announce(moment.ordinal);
    }
}
