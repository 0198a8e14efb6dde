//! What a worker tells the collector: evidence, counts and ends of flows, in an order that no number of workers changes.

use crate::flow::{Delta, End, Ends};
use crate::sniff::Evidence;
use crate::time::Time;

/// One message of a worker.
#[derive(Debug)]
pub struct Update {
    /// The frame or tick, counted from 1 by the source, at which this was said. With `id` it orders the updates of all
    /// workers as one worker would have said them.
    pub ordinal: u64,
    pub at: Time,
    /// Where the collector keeps what it knows of the flow.
    pub slot: u32,
    /// The number of the frame that began the flow: no other in its slot has the same.
    pub id: u64,
    pub what: What,
}

#[derive(Debug)]
pub enum What {
    Evidence(Box<(Ends, Evidence)>),
    Counts(Box<Interim>),
    Ended(Box<Ended>),
    /// Bytes of flows that had to be dropped before they could be reported.
    Residue(Delta),
    Tick,
}

impl Update {
    /// Octets of the evidence in it.
    pub fn octets(&self) -> usize {
        match &self.what {
            What::Evidence(both) => both.1.octets(),
            What::Counts(_) | What::Ended(_) | What::Residue(_) | What::Tick => 0,
        }
    }
}

/// What a flow that goes on did since it last told.
#[derive(Debug)]
pub struct Interim {
    pub ends: Ends,
    pub delta: Delta,
    pub start: Time,
    pub sight: Sight,
}

#[derive(Debug)]
pub struct Ended {
    pub ends: Ends,
    pub delta: Delta,
    pub start: Time,
    pub last: Time,
    pub end: End,
    pub sight: Sight,
}

/// How far the openings of a flow could be read, where nothing named it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Sight {
    /// Still being looked at.
    #[default]
    Pending,
    /// A sniffer found what it wants.
    Read,
    /// The flow is older than the capture.
    MidStream,
    /// The openings were cut off, too long or given up.
    Incomplete,
    /// QUIC, of which no packet could be opened.
    QuicSealed,
    /// Nothing that any sniffer knows.
    Foreign,
    /// It never carried payload.
    Empty,
}

/// Where a worker's updates go. A refused update comes back: nothing is lost in a full ring.
pub trait Outlet {
    fn push(&mut self, update: Update) -> Result<(), Update>;
}

/// One worker on one thread: the collector takes the updates between two frames.
impl Outlet for Vec<Update> {
    fn push(&mut self, update: Update) -> Result<(), Update> {
        Self::push(self, update);
        Ok(())
    }
}
