//! The thread that owns the store, and the way to it: requests wait in a queue, and share a transaction.

use std::sync::Arc;
use std::sync::mpsc::{
    Receiver, Sender, SyncSender, TryRecvError, TrySendError, channel, sync_channel,
};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::rollup::{MAX_ROLLUPS, bound};
use super::schema::{Retention, retire};
use super::{Answer, Batch, Counter, Error, NameRow, Reply, Store, Stored, Trimmed};
use crate::count::Cells;

/// The way to the store's thread; it ends when [`Writer::close`] is called or the last clone is dropped.
#[derive(Clone, Debug)]
pub struct Writer {
    requests: SyncSender<Request>,
    thread: Arc<JoinHandle<()>>,
}

impl Writer {
    /// Hands over one batch without waiting; where the queue is full or the thread has ended the batch comes back.
    pub fn commit(&self, batch: Batch) -> Result<(), Box<Batch>> {
        self.requests.try_send(Request::Commit(Box::new(batch))).map_err(|error| {
            let (TrySendError::Full(back) | TrySendError::Disconnected(back)) = error;
            match back {
                Request::Commit(batch) => batch,
                _ => Box::default(),
            }
        })
    }

    /// Asks for messages of `sink`. False where the queue is full: ask again later.
    pub fn fetch(&self, sink: &str, after: i64, limit: u32, reply: Reply<Vec<Stored>>) -> bool {
        let read = Read::Fetch { sink: sink.into(), after, limit, reply };
        self.requests.try_send(Request::Read(read)).is_ok()
    }

    /// Deletes messages of `sink` that were created before `created_since` (milliseconds since the epoch) or are more than
    /// `keep`, the oldest first. False where the queue is full.
    pub fn trim(&self, sink: &str, keep: u32, created_since: i64, reply: Reply<Trimmed>) -> bool {
        let read = Read::Trim { sink: sink.into(), keep, created_since, reply };
        self.requests.try_send(Request::Read(read)).is_ok()
    }

    /// Asks for rows of `window` whose key begins with `prefix`, after all that was handed over before is committed. False where
    /// the queue is full.
    pub fn windows_under(&self, prefix: &'static str, limit: u32, reply: Reply<Windows>) -> bool {
        self.requests.try_send(Request::Read(Read::Windows { prefix, limit, reply })).is_ok()
    }

    /// These messages were acknowledged. False where the queue is full.
    pub fn delivered(&self, ids: Vec<i64>) -> bool {
        self.requests.try_send(Request::Delivered(ids)).is_ok()
    }

    /// The receiver will never take these messages. False where the queue is full.
    pub fn refused(&self, ids: Vec<i64>) -> bool {
        self.requests.try_send(Request::Refused(ids)).is_ok()
    }

    /// Keeps names, and forgets those that have run out at `now` (seconds since the epoch by packet time). Where the queue is full
    /// or the thread has ended they come back. What cannot be committed is tried again with the next request.
    pub fn keep_names(&self, names: Vec<NameRow>, now: i64) -> Result<(), Vec<NameRow>> {
        self.requests.try_send(Request::Names(names, now)).map_err(|error| {
            let (TrySendError::Full(back) | TrySendError::Disconnected(back)) = error;
            match back {
                Request::Names(names, _) => names,
                _ => Vec::new(),
            }
        })
    }

    /// Deletes what is too old. False where the queue is full: ask again later.
    pub fn retire(&self, retention: Retention) -> bool {
        self.requests.try_send(Request::Read(Read::Retire(retention))).is_ok()
    }

    /// Drops messages for all sinks but these, after all that was handed over before is committed; it is counted and logged.
    /// False where the queue is full: ask again later.
    pub fn keep_sinks(&self, names: Vec<String>) -> bool {
        self.requests.try_send(Request::Read(Read::KeepSinks(names))).is_ok()
    }

    /// These messages were tried in vain. A count that is lost in a full queue is no harm.
    pub fn attempted(&self, ids: Vec<i64>) {
        let _ = self.requests.try_send(Request::Attempted(ids));
    }

    /// Waits until all that was handed over before is committed and answered. Blocks.
    pub fn flush(&self) {
        let (reply, done) = channel();
        if self.requests.send(Request::Read(Read::Flush(reply))).is_ok() {
            let _ = done.recv();
        }
    }

    /// Commits what was handed over and ends the thread. Blocks.
    pub fn close(self) {
        let _ = self.requests.send(Request::Stop);
        if let Ok(thread) = Arc::try_unwrap(self.thread) {
            let _ = thread.join();
        }
    }
}

impl Store {
    /// Starts the thread that owns the store from now on. `depth` requests may wait for it; each batch is answered through the
    /// receiver, committed or not.
    pub fn start(
        self,
        depth: usize,
        cells: Arc<Cells<Counter>>,
    ) -> Result<(Writer, Receiver<Answer>), Error> {
        let (requests, queue) = sync_channel(depth);
        let (answers, answered) = channel();
        let work = move || self.work(&queue, &answers, &cells);
        let thread = thread::Builder::new().name("store".into()).spawn(work);
        let thread = Arc::new(thread.map_err(Error::Thread)?);
        Ok((Writer { requests, thread }, answered))
    }

    fn work(mut self, queue: &Receiver<Request>, answers: &Sender<Answer>, cells: &Cells<Counter>) {
        self.measure(cells);
        let mut failing = false;
        let mut owed = Owed::default();
        while let Ok(first) = queue.recv() {
            let (names, now) = owed.take();
            let mut group = Group { names, now, ..Group::default() };
            let mut stop = group.take(first);
            if group.writes() {
                thread::sleep(GROUP);
                while !stop && group.batches.len() < GROUP_BATCHES {
                    match queue.try_recv() {
                        Ok(next) => stop = group.take(next),
                        Err(TryRecvError::Empty) => break,
                        Err(TryRecvError::Disconnected) => stop = true,
                    }
                }
                let Group { batches, delivered, attempted, refused, names, now, .. } = &group;
                let names = now.map(|now| (&**names, now));
                let committed = self.commit_group(batches, delivered, attempted, refused, names);
                cells.add(if committed.is_ok() { Counter::Commits } else { Counter::Failures }, 1);
                match &committed {
                    // Told once: it is tried again many times a second, and counted each time.
                    Err(error) if !failing => {
                        tracing::error!(%error, "the store cannot commit; it is tried again until it can");
                    }
                    Ok(()) if failing => tracing::info!("the store commits again"),
                    _ => {}
                }
                failing = committed.is_err();
                if failing {
                    let lost = owed.put(std::mem::take(&mut group.names), group.now);
                    cells.add(Counter::NamesLost, lost as u64);
                }
                for batch in &group.batches {
                    // Nobody listens any more at the end of the process.
                    let _ =
                        answers.send(Answer { token: batch.token, accepted: committed.is_ok() });
                }
                self.measure(cells);
            }
            // What only reads comes after the commit, so that it sees what was asked for before it.
            for read in group.reads {
                self.read(read, cells);
            }
            if stop {
                break;
            }
        }
    }

    fn read(&mut self, read: Read, cells: &Cells<Counter>) {
        match read {
            Read::Retire(retention) => {
                let retired = retire(&self.connection, &retention);
                let crowded = bound(&self.connection, MAX_ROLLUPS);
                for (counter, rows) in [(Counter::Retired, retired), (Counter::Crowded, crowded)] {
                    match rows {
                        Ok(rows) => cells.add(counter, rows as u64),
                        Err(error) => {
                            tracing::warn!(%error, "old rows of the store cannot be deleted");
                        }
                    }
                }
            }
            Read::Fetch { sink, after, limit, reply } => reply(self.fetch(&sink, after, limit)),
            Read::Trim { sink, keep, created_since, reply } => {
                reply(self.trim(&sink, keep, created_since));
            }
            Read::KeepSinks(names) => {
                let names: Vec<&str> = names.iter().map(String::as_str).collect();
                match self.keep_sinks(&names) {
                    Ok(dropped) => tell_orphaned(dropped, cells),
                    Err(error) => tracing::warn!(%error, "messages of sinks that are gone stay"),
                }
                self.measure(cells);
            }
            Read::Windows { prefix, limit, reply } => reply(self.windows_under(prefix, limit)),
            Read::Flush(reply) => {
                let _ = reply.send(());
            }
        }
    }

    fn measure(&self, cells: &Cells<Counter>) {
        let count = self.connection.query_row("SELECT count(*) FROM outbox", [], |r| r.get(0));
        if let Ok(count) = count {
            let count: i64 = count;
            cells.set(Counter::Outbox, count.unsigned_abs());
        }
    }
}

/// Counts and logs messages whose sink is gone.
pub fn tell_orphaned(dropped: usize, cells: &Cells<Counter>) {
    cells.add(Counter::Orphaned, dropped as u64);
    if dropped > 0 {
        tracing::warn!(dropped, "messages of sinks that are no longer configured were dropped");
    }
}

enum Request {
    Commit(Box<Batch>),
    Delivered(Vec<i64>),
    Attempted(Vec<i64>),
    Refused(Vec<i64>),
    Names(Vec<NameRow>, i64),
    Read(Read),
    Stop,
}

/// Rows of `window`: key and value.
pub type Windows = Vec<(String, String)>;

enum Read {
    Fetch { sink: String, after: i64, limit: u32, reply: Reply<Vec<Stored>> },
    Trim { sink: String, keep: u32, created_since: i64, reply: Reply<Trimmed> },
    Retire(Retention),
    KeepSinks(Vec<String>),
    Windows { prefix: &'static str, limit: u32, reply: Reply<Windows> },
    Flush(Sender<()>),
}

/// Requests that share one transaction, and what is to be read after it.
#[derive(Default)]
struct Group {
    batches: Vec<Batch>,
    delivered: Vec<i64>,
    attempted: Vec<i64>,
    refused: Vec<i64>,
    names: Vec<NameRow>,
    /// Where names are written: what has run out by then goes.
    now: Option<i64>,
    reads: Vec<Read>,
}

impl Group {
    /// True where the thread shall end.
    fn take(&mut self, request: Request) -> bool {
        match request {
            Request::Commit(batch) => self.batches.push(*batch),
            Request::Delivered(ids) => self.delivered.extend(ids),
            Request::Attempted(ids) => self.attempted.extend(ids),
            Request::Refused(ids) => self.refused.extend(ids),
            Request::Names(names, now) => {
                self.names.extend(names);
                self.now = self.now.max(Some(now));
            }
            Request::Read(read) => self.reads.push(read),
            Request::Stop => return true,
        }
        false
    }

    const fn writes(&self) -> bool {
        let none = self.batches.is_empty() && self.delivered.is_empty();
        let answered = !self.attempted.is_empty() || !self.refused.is_empty();
        !none || answered || self.now.is_some()
    }
}

/// Names that could not be committed, for the next transaction.
#[derive(Default)]
struct Owed {
    names: Vec<NameRow>,
    now: Option<i64>,
}

impl Owed {
    fn take(&mut self) -> (Vec<NameRow>, Option<i64>) {
        (std::mem::take(&mut self.names), self.now.take())
    }

    /// How many had to be given up: of too many the oldest.
    fn put(&mut self, mut names: Vec<NameRow>, now: Option<i64>) -> usize {
        let lost = names.len().saturating_sub(MAX_OWED);
        names.drain(..lost);
        (self.names, self.now) = (names, now);
        lost
    }
}

/// Rows of some 200 octets: 4 MiB, and 40 seconds of the most that the daemon saves.
pub(super) const MAX_OWED: usize = 20_000;

/// How long the first request of a group waits for others; with the commit itself it stays under 200 ms.
const GROUP: Duration = Duration::from_millis(50);
/// Batches of one transaction: a long one would keep the first waiting.
const GROUP_BATCHES: usize = 1_000;
