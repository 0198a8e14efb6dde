//! Where frames come from, and where time is made: files and live interfaces behind one [`Source`].

use crate::time::Time;

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

/// Why a source cannot be opened or read: what, where, and how to mend it.
#[derive(Debug)]
pub struct Error {
    pub what: String,
    pub mend: String,
}
