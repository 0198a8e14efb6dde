//! Where frames come from, and where time is made: files and live interfaces behind one [`Source`].

mod clock;
mod file;
mod link;
mod live;
mod options;
mod replay;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use crate::count::Cells;
use crate::time::Time;

pub use clock::TICK;
pub use options::Options;
pub use replay::Replay;

/// A LINKTYPE_ value of the pcap registry (1 Ethernet, 101 raw IP, 113 Linux cooked v1, 276 Linux cooked v2 ...).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Link(pub u16);

/// Bytes from the wire: what was captured of one frame.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// Packet time; never earlier than that of the frame or tick before it.
    pub time: Time,
    /// Counts from 1 over the whole source, whatever the number of files or interfaces.
    pub number: u64,
    pub link: Link,
    /// Index of the interface (live) or of the interface block (file).
    pub interface: u16,
    /// Octets that the frame had on the wire; `bytes` may be shorter (snaplen).
    pub wire_len: u32,
    pub bytes: &'a [u8],
}

impl Frame<'_> {
    fn count(&self, counts: &Cells<Counter>) {
        counts.add(Counter::Frames, 1);
        counts.add(Counter::Bytes, u64::from(self.wire_len));
        if self.bytes.len() < self.wire_len as usize {
            counts.add(Counter::Truncated, 1);
        }
    }
}

/// What a source yields.
#[derive(Debug)]
pub enum Next<'a> {
    Frame(Frame<'a>),
    /// Time has passed: sent once when packet time enters another 100 ms, before the frame that shows it, and on silent
    /// live links.
    Tick(Time),
    /// Files only: nothing more will come.
    End,
}

/// A stream of frames and ticks in time order.
pub trait Source: Send {
    /// The next frame or tick. A live source returns within about 100 ms, if need be with a tick.
    fn next(&mut self) -> Result<Next<'_>, Error>;

    /// Things a person should know that did not end the capture (a record cut off at the end ...), each told once.
    fn notices(&mut self) -> Vec<String>;

    /// Octets of the files read so far and in all, where that is known.
    fn progress(&self) -> Option<(u64, u64)>;
}

/// Opens capture files (pcap, pcapng, either of them in gzip; `-` is standard input) as one stream in time. What is in a
/// file is found from its first octets, never from its name. Fails where one cannot be opened or is no capture.
pub fn open_files(
    paths: &[PathBuf],
    options: &Options,
    counts: Arc<Cells<Counter>>,
) -> Result<Box<dyn Source>, Error> {
    let _ = options; // nothing in it concerns files yet; a filter for files would be libpcap's
    Ok(Box::new(file::Files::open(paths, counts)?))
}

/// Opens all interfaces of `options` as one stream. Fails where one does not exist or may not be opened; one that goes
/// away later is waited for.
pub fn open_live(options: &Options, counts: Arc<Cells<Counter>>) -> Result<Box<dyn Source>, Error> {
    Ok(Box::new(live::Live::open(options, counts)?))
}

/// Why a source cannot be opened or read: what, where, and how to mend it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    pub what: String,
    pub mend: String,
}

impl Error {
    pub(crate) fn new(what: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { what: what.into(), mend: mend.into() }
    }
}

/// What is wrong and, indented below it, the remedy.
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.what)?;
        if self.mend.is_empty() { Ok(()) } else { write!(f, "\n  mend: {}", self.mend) }
    }
}

impl std::error::Error for Error {}

crate::rows! {
    /// What the capture stage counts.
    pub enum Counter {
        Frames => Counter "saastap_capture_packets_total" "Frames taken from files or interfaces.",
        Bytes => Counter "saastap_capture_bytes_total" "Octets that the captured frames had on the wire.",
        Truncated => Counter "saastap_capture_truncated_packets_total" "Frames of which less was captured than was on the wire (snaplen).",
        Ticks => Counter "saastap_capture_ticks_total" "Times at which packet time entered another 100 milliseconds.",
        CutOff => Counter "saastap_capture_records_failed_total" "Records of capture files that could not be used." ("reason", "cut_off"),
        Bad => Counter "saastap_capture_records_failed_total" "Records of capture files that could not be used." ("reason", "damaged"),
        Clamped => Counter "saastap_capture_time_corrections_total" "Timestamps that did not become packet time as they were." ("reason", "backwards"),
        Skewed => Counter "saastap_capture_time_corrections_total" "Timestamps that did not become packet time as they were." ("reason", "skewed"),
        JumpRefused => Counter "saastap_capture_time_corrections_total" "Timestamps that did not become packet time as they were." ("reason", "lone_jump"),
        JumpConfirmed => Counter "saastap_capture_time_jumps_total" "Jumps of packet time by more than a day that the next frame confirmed.",
        ClockSteps => Counter "saastap_capture_clock_steps_total" "Times that the system clock was set back by more than a second during live capture.",
        KernelReceived => Counter "saastap_capture_kernel_received_packets_total" "Frames that the kernel offered to the capture socket, as the kernel counts them.",
        KernelDropped => Counter "saastap_capture_kernel_dropped_packets_total" "Frames lost because the kernel's capture buffer was full.",
        InterfaceDropped => Counter "saastap_capture_interface_dropped_packets_total" "Frames lost by the network interface or its driver.",
        InterfaceDown => Counter "saastap_capture_interface_downs_total" "Times that an interface went down or vanished.",
        InterfaceReopened => Counter "saastap_capture_interface_reopens_total" "Times that an interface came back and was opened again.",
        InterfacesUp => Gauge "saastap_capture_interfaces_up" "Interfaces that are open now.",
    }
}
