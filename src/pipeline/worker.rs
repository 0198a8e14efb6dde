//! One worker: owns its flows from the segment to the evidence; no lock, no I/O, no clock but the packets'.

mod reading;

use std::collections::VecDeque;
use std::sync::Arc;

use self::reading::begins_request;
use super::ring::{PAUSE, RingOutlet};
use super::rules::InForce;
use super::update::{Ended, Interim, Outlet, Sight, Update, What};
use crate::count::{Cells, Counted};
use crate::decode::{Segment, Transport};
use crate::flow::{self, Counter, Delta, End, Flow, Key, Options, Side, Table};
use crate::sniff::{self, Evidence, Patterns, Progress};
use crate::time::Time;

pub struct Worker<O> {
    table: Table<Probe>,
    pub outlet: O,
    /// What the outlet refused and must not be lost; while it is not empty, counts stay in their flows.
    backlog: VecDeque<Update>,
    /// Octets that the evidence in the backlog holds.
    backlog_octets: usize,
    residue: Delta,
    cells: Arc<Cells<Counter>>,
    shed: Arc<Cells<Shed>>,
    answers: Arc<Cells<sniff::Counter>>,
    /// What signatures look for in bytes, and where a newer catalogue is found.
    patterns: Arc<Patterns>,
    rules: Option<Arc<InForce>>,
    found: Vec<Evidence>,
    moment: Moment,
}

/// The frame or tick being worked on.
#[derive(Clone, Copy, Debug, Default)]
pub struct Moment {
    pub at: Time,
    pub ordinal: u64,
}

/// What a worker keeps of one flow while and after its openings are read.
#[derive(Debug, Default)]
pub struct Probe {
    /// From the first payload until its wants are met: most flows have none for most of their time.
    progress: Option<Box<Progress>>,
    sight: Sight,
    /// Segments with payload that were looked at while the beginning was only guessed.
    guesses: u8,
    /// An HTTP/1 request was read: later ones are looked at where a segment starts with a method.
    http: bool,
    /// Datagrams are not looked at any more.
    done: bool,
    /// A datagram with payload was looked at.
    spoke: bool,
    /// A QUIC hello was read: later ones are looked at where the client begins another connection.
    quic: bool,
    /// How often that was.
    connections: u8,
}

/// Octets of a progress in its box.
const PROGRESS_MEMORY: u64 = (size_of::<Progress>() + flow::MALLOC) as u64;

/// Octets of one flow in the table, and beside it while it is looked at, without the bytes of its opening.
pub const fn flow_memory() -> [u64; 2] {
    [flow::flow_memory::<Probe>(), flow::LOOK_MEMORY + PROGRESS_MEMORY]
}

/// A worker may have hundreds of thousands of live flows: what is of use only while one is looked at lies in boxes.
const _: () = assert!(flow::flow_memory::<Probe>() <= 248);

impl Probe {
    fn reading(&mut self) -> &mut Progress {
        self.progress.get_or_insert_default()
    }

    fn swap_sides(&mut self) {
        if let Some(progress) = &mut self.progress {
            progress.swap_sides();
        }
    }

    fn client_is_done(&self) -> bool {
        self.progress.as_ref().is_some_and(|progress| progress.client_is_done())
    }
}

crate::rows! {
    /// What a worker had to give up because the collector fell behind or a table was full.
    pub enum Shed {
        Evidence => Counter "saastap_worker_evidence_shed_total"
            "Evidence that could not be handed on because the ring and its backlog were full.",
        Evicted => Counter "saastap_worker_flows_evicted_total"
            "Flows evicted to make room for new ones.",
        Delayed => Counter "saastap_worker_updates_delayed_total"
            "Updates that waited because the ring to the collector was full.",
    }
}

/// Updates that wait for room in the ring. Evidence and ends come at most once or twice a flow; 65,536 of some 200 octets
/// bridge a second of 30,000 new flows in 16 MiB.
const BACKLOG: usize = 65_536;

/// Octets of the evidence that waits: DNS messages may hold tens of thousands each.
const BACKLOG_OCTETS: usize = 16 << 20;

/// Waits for a collector that takes nothing before the last updates are given up: ten seconds.
const FINAL_TRIES: u32 = 50_000;

impl Worker<RingOutlet> {
    /// Tells the collector that everything up to `ordinal` was said, unless something still waits for room.
    pub fn announce(&self, ordinal: u64) {
        if self.backlog.is_empty() {
            self.outlet.announce(ordinal);
        }
    }
}

impl<O: Outlet> Worker<O> {
    pub fn new(options: &Options, outlet: O) -> Self {
        Self {
            table: Table::new(options.clone()),
            outlet,
            backlog: VecDeque::new(),
            backlog_octets: 0,
            residue: Delta::default(),
            cells: Cells::new(),
            shed: Cells::new(),
            answers: Cells::new(),
            patterns: Arc::default(),
            rules: None,
            found: Vec::new(),
            moment: Moment::default(),
        }
    }

    /// From now on it looks for what the signatures of the rules in force look for.
    pub fn watching(mut self, rules: Arc<InForce>) -> Self {
        self.patterns = rules.load().catalog.patterns();
        self.rules = Some(rules);
        self
    }

    /// Its counters, for whoever exports them.
    pub fn counted(&self) -> [Arc<dyn Counted>; 3] {
        [self.cells.clone(), self.shed.clone(), self.answers.clone()]
    }

    /// Octets that a worker can hold at most.
    pub fn memory(options: &Options) -> u64 {
        options.memory::<Probe>(PROGRESS_MEMORY)
            + (BACKLOG * size_of::<Update>() + BACKLOG_OCTETS) as u64
    }

    /// Takes one segment; `frame` is its number in the capture.
    pub fn segment(&mut self, moment: Moment, frame: u64, segment: &Segment<'_>) {
        self.moment = moment;
        let at = moment.at;
        let (key, sender) = Key::of(segment);
        let slot = match self.table.find(&key) {
            Some(slot) => {
                let over = self
                    .table
                    .flow(slot)
                    .and_then(|flow| flow.is_over(segment, at, self.table.options()));
                match over {
                    Some(end) => {
                        self.end_or_drop(slot, end);
                        self.begin(key, sender, segment, frame)
                    }
                    None => slot,
                }
            }
            None => self.begin(key, sender, segment, frame),
        };
        let every = self.table.options().report_every();
        let Some(flow) = self.table.flow(slot) else { return };
        let next_request = begins_request(flow, sender, segment);
        if next_request || flow.report_due(at, every) {
            self.report(slot);
        }
        let Some(flow) = self.table.flow_mut(slot) else { return };
        let client = flow.client();
        flow.count(segment, sender, at);
        if flow.client() != client {
            flow.progress.swap_sides();
        }
        if next_request {
            flow.open_again(sender, segment, at);
            flow.progress.reading().restart_http();
        }
        match flow.key.transport {
            Transport::Tcp if flow.is_looked_at() => self.read_stream(slot, sender, segment),
            Transport::Udp if !flow.progress.done => self.read_datagram(slot, sender, segment),
            Transport::Udp if flow.progress.quic => self.read_connection(slot, sender, segment),
            _ => {}
        }
    }

    /// Time has passed: silent flows end, living ones report. One worker of all passes the tick on.
    pub fn tick(&mut self, moment: Moment, pass_on: bool) {
        self.moment = moment;
        if let Some(rules) = &self.rules {
            self.patterns = rules.load().catalog.patterns();
        }
        self.push_residue();
        for slot in self.table.take_due(moment.at) {
            self.look_at(slot);
        }
        if pass_on && self.drain_backlog() {
            // After all that happened at this tick; a full ring may lose it, the next is 100 ms away.
            let Moment { at, ordinal } = moment;
            let what = What::Tick;
            let tick = Update { ordinal, at, slot: 0, id: u64::MAX, what };
            let _ = self.outlet.push(tick);
        }
        self.cells.set(Counter::Active, self.table.len() as u64);
        self.cells.set(Counter::OpeningBytes, self.table.opening_bytes() as u64);
    }

    /// The capture is over: every flow ends. Now even a live worker waits for room: nothing comes any more.
    pub fn finish(&mut self, moment: Moment) {
        self.moment = moment;
        for _ in 0..FINAL_TRIES {
            self.push_residue();
            for slot in self.table.all() {
                let over = self.table.flow(slot).is_some_and(Flow::is_closed);
                self.end(slot, if over { End::Closed } else { End::Stopped });
            }
            if self.drain_backlog() && self.table.is_empty() && self.residue.is_empty() {
                break;
            }
            std::thread::sleep(PAUSE);
        }
        self.cells.set(Counter::Active, self.table.len() as u64);
    }

    fn begin(&mut self, key: Key, sender: Side, segment: &Segment<'_>, frame: u64) -> u32 {
        if self.table.is_full()
            && let Some(victim) = self.table.victim()
        {
            self.shed.add(Shed::Evicted, 1);
            self.end_or_drop(victim, End::Evicted);
        }
        self.cells.add(Counter::Started, 1);
        self.table.insert(key, sender, segment, self.moment.at, frame)
    }

    fn look_at(&mut self, slot: u32) {
        let now = self.moment.at;
        let Some(flow) = self.table.flow(slot) else { return };
        let options = self.table.options();
        let every = options.report_every();
        let late = flow.opening_deadline(options).is_some_and(|late| late <= now);
        if flow.deadline(options) <= now {
            let end = flow.end_by_silence();
            if !self.end(slot, end) {
                self.table.file(slot, now);
            }
            return;
        }
        if late {
            self.give_up(slot, Sight::Incomplete);
        }
        if self.table.flow(slot).is_some_and(|f| f.report_due(now, every)) {
            self.report(slot);
        }
        self.table.file(slot, now);
    }

    /// Reports what a flow did; it clears its deltas only when they are on their way.
    fn report(&mut self, slot: u32) {
        if !self.drain_backlog() {
            return;
        }
        let Some(flow) = self.table.flow(slot).filter(|f| !f.unreported().is_empty()) else {
            return;
        };
        let what = What::Counts(Box::new(Interim {
            ends: flow.ends(),
            delta: flow.unreported(),
            start: flow.start,
            sight: flow.progress.sight,
        }));
        let Some(update) = self.update(slot, what) else { return };
        match self.outlet.push(update) {
            Ok(()) => {
                let at = self.moment.at;
                if let Some(flow) = self.table.flow_mut(slot) {
                    flow.reported(at);
                }
            }
            Err(_) => self.shed.add(Shed::Delayed, 1),
        }
    }

    /// Ends a flow; false, and the flow stays, where its end cannot be handed on yet.
    fn end(&mut self, slot: u32, end: End) -> bool {
        if self.backlog.len() >= BACKLOG && !self.drain_backlog() {
            return false;
        }
        if self.table.flow(slot).is_some_and(Flow::is_looked_at) {
            self.give_up(slot, Sight::Incomplete);
        }
        let Some(flow) = self.table.flow(slot) else { return true };
        let ended = Ended {
            ends: flow.ends(),
            delta: flow.unreported(),
            start: flow.start,
            last: flow.last,
            end,
            sight: match flow.progress.sight {
                Sight::Pending if flow.progress.spoke => Sight::Foreign,
                Sight::Pending => Sight::Empty,
                sight => sight,
            },
        };
        let update = self.update(slot, What::Ended(Box::new(ended)));
        if let Some(update) = update
            && !self.push_or_keep(update)
        {
            return false;
        }
        if let Some(flow) = self.table.remove(slot) {
            flow.count_end(end, &self.cells);
        }
        true
    }

    /// Ends a flow whose slot or key is needed now.
    fn end_or_drop(&mut self, slot: u32, end: End) {
        if self.end(slot, end) {
            return;
        }
        // The collector is behind as well: the octets are kept, the flow is not.
        if let Some(flow) = self.table.remove(slot) {
            self.residue.add(&flow.unreported());
            flow.count_end(end, &self.cells);
        }
    }

    fn update(&self, slot: u32, what: What) -> Option<Update> {
        let flow = self.table.flow(slot)?;
        Some(Update { ordinal: self.moment.ordinal, at: self.moment.at, slot, id: flow.id, what })
    }

    fn push_or_keep(&mut self, update: Update) -> bool {
        let update = if self.drain_backlog() {
            match self.outlet.push(update) {
                Ok(()) => return true,
                Err(update) => update,
            }
        } else {
            update
        };
        self.shed.add(Shed::Delayed, 1);
        let octets = update.octets();
        let room = self.backlog.len() < BACKLOG && self.backlog_octets + octets <= BACKLOG_OCTETS;
        if room {
            self.backlog_octets += octets;
            self.backlog.push_back(update);
        }
        room
    }

    fn drain_backlog(&mut self) -> bool {
        while let Some(update) = self.backlog.pop_front() {
            let octets = update.octets();
            if let Err(update) = self.outlet.push(update) {
                self.backlog.push_front(update);
                return false;
            }
            self.backlog_octets = self.backlog_octets.saturating_sub(octets);
        }
        true
    }

    fn push_residue(&mut self) {
        if self.residue.is_empty() || !self.drain_backlog() {
            return;
        }
        let Moment { at, ordinal } = self.moment;
        let what = What::Residue(self.residue);
        let update = Update { ordinal, at, slot: u32::MAX, id: 0, what };
        if self.outlet.push(update).is_ok() {
            self.residue = Delta::default();
        }
    }
}

#[cfg(test)]
mod tests;
