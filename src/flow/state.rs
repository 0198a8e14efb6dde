//! One flow: its ends, what it has not yet reported, and, while it is looked at, its openings.

use std::num::NonZeroU16;
use std::time::Duration;

use super::delta::{Delta, Unreported};
use super::key::{Key, Side};
use super::marks::Marks;
use super::opening::{Opening, Placed};
use super::rhythm::{MEMORY as BEATS_MEMORY, Rhythm};
use super::wheel::Entry;
use super::{Counter, End, Options};
use crate::count::Cells;
use crate::decode::{Endpoint, Segment, Tcp, Transport, Tunnels};
use crate::time::Time;

/// A conversation between two ends. `S` is the progress of whoever reads its openings.
///
/// A slot of the flow table: what each packet touches lies here, what is of use only while the flow is looked at in boxes that
/// are given back when its wants are met.
#[derive(Debug)]
pub struct Flow<S> {
    pub key: Key,
    /// The number of the frame that began it: unique in a capture, whatever the number of workers.
    pub id: u64,
    pub start: Time,
    pub last: Time,
    client: Side,
    /// The handshake, or what the openings said, settled which end is the client.
    client_settled: bool,
    /// Both ends have sent something.
    answered: bool,
    syn_seen: bool,
    isn_seen: bool,
    /// The sequence number of the client's SYN.
    isn: u32,
    closed: Closed,
    marks: Marks,
    /// The first VLAN of the frames of the low and of the high end.
    vlans: [Option<NonZeroU16>; 2],
    tunnels: Tunnels,
    look: Option<Box<Look>>,
    pub progress: S,
    unreported: Unreported,
    rhythm: Rhythm,
    /// The second in which the wheel's valid entry is due; others of this flow are stale.
    check: u32,
}

/// What a flow is looked at with.
#[derive(Debug, Default)]
struct Look {
    /// None of a flow of datagrams.
    openings: Option<Openings>,
    /// Its first payload. A connection may be silent for long before its client speaks.
    since: Option<Time>,
    /// Octets held for looking at it, as the table's pool has noted them.
    noted: usize,
}

/// The openings of both directions, by side.
#[derive(Debug, Default)]
pub struct Openings {
    low: Opening,
    high: Opening,
}

/// Which end is the client, and what lay around the packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ends {
    pub client: Endpoint,
    pub server: Endpoint,
    pub transport: Transport,
    /// The VLAN in which the client sends, or that of the answers where only these have a tag.
    pub vlan: Option<NonZeroU16>,
    pub tunnels: Tunnels,
}

#[derive(Clone, Copy, Debug, Default)]
struct Closed {
    fin_low: bool,
    fin_high: bool,
    reset: bool,
}

impl Closed {
    const fn is_closed(self) -> bool {
        self.reset || (self.fin_low && self.fin_high)
    }
}

impl<S: Default> Flow<S> {
    pub(super) fn new(
        key: Key,
        sender: Side,
        segment: &Segment<'_>,
        at: Time,
        id: u64,
        options: &Options,
    ) -> Self {
        let (client, client_settled) = client_of(&key, sender, segment, options);
        Self {
            key,
            id,
            start: at,
            last: at,
            client,
            client_settled,
            answered: false,
            syn_seen: segment.tcp.is_some_and(|t| t.syn),
            isn_seen: false,
            isn: 0,
            closed: Closed::default(),
            marks: Marks::default(),
            vlans: [None; 2],
            tunnels: Tunnels::default(),
            look: (key.transport == Transport::Tcp).then(|| Box::new(Look::at_openings())),
            progress: S::default(),
            unreported: Unreported { since: at, ..Unreported::default() },
            rhythm: Rhythm::default(),
            check: 0,
        }
    }
}

impl<S> Flow<S> {
    /// Counts one segment of `sender`: octets, handshake, activity.
    #[inline]
    pub fn count(&mut self, segment: &Segment<'_>, sender: Side, at: Time) {
        self.last = at;
        if let Some(vlan) = segment.vlan {
            self.tagged(sender, vlan);
        }
        self.marks.sent(sender, segment.vlan.is_some());
        if !segment.tunnels.is_empty() {
            // Each direction may come through another one.
            self.tunnels.add(segment.tunnels);
        }
        if let Some(tcp) = &segment.tcp {
            if self.marks.shows_one_side() {
                self.marks.acknowledged(tcp);
            }
            if tcp.syn || tcp.fin || tcp.rst {
                self.shake(tcp, sender);
            }
        }
        let from_client = sender == self.client;
        if !from_client {
            self.answered = true;
        }
        let tally =
            if from_client { &mut self.unreported.sent } else { &mut self.unreported.received };
        tally.count(segment.wire_len, segment.payload_len > 0);
        if segment.payload_len > 0
            && let Some(look) = &mut self.look
            && look.openings.is_some()
        {
            look.since.get_or_insert(at);
        }
        if from_client {
            let activity = self.rhythm.client_sent(at, segment.payload_len);
            // What turns out to be activity only later is taken back, as far as it was not reported yet.
            let quiet = self.unreported.quiet.saturating_add(segment.payload_len.into());
            self.unreported.quiet = quiet.saturating_sub(activity.payload.into());
            if activity.payload > 0 {
                // A minute that could not be reported in time merges into the next: octets are kept, its place is not.
                self.unreported.minute = at.minute();
                self.unreported.minute_payload += u64::from(activity.payload);
                self.unreported.minute_bursts += activity.bursts;
            }
        }
    }

    /// A frame came with a VLAN tag: the first of each end counts.
    #[inline]
    const fn tagged(&mut self, sender: Side, vlan: u16) {
        let [low, high] = &mut self.vlans;
        let known = match sender {
            Side::Low => low,
            Side::High => high,
        };
        if known.is_none() {
            *known = NonZeroU16::new(vlan);
        }
    }

    /// The handshakes at both ends of a connection.
    #[cold]
    fn shake(&mut self, tcp: &Tcp, sender: Side) {
        if tcp.syn {
            self.syn_seen = true;
            if !tcp.ack && !std::mem::replace(&mut self.isn_seen, true) {
                self.isn = tcp.sequence;
            }
            if !self.client_settled {
                self.client_is(if tcp.ack { sender.other() } else { sender });
            }
            if let Some(openings) = self.openings_mut() {
                openings.of_mut(sender).begins_at(tcp.sequence.wrapping_add(1));
                if tcp.ack {
                    // The SYN-ACK acknowledges the client's SYN: it tells where a direction that the tap has not
                    // shown yet begins.
                    let other = openings.of_mut(sender.other());
                    if !other.is_certain() {
                        other.begins_at(tcp.acknowledgment);
                    }
                }
            }
        }
        match sender {
            Side::Low => self.closed.fin_low |= tcp.fin,
            Side::High => self.closed.fin_high |= tcp.fin,
        }
        self.closed.reset |= tcp.rst;
    }

    /// Looks at the stream again, from this segment of `sender` on: the next message of a protocol that tells more.
    pub fn open_again(&mut self, sender: Side, segment: &Segment<'_>, at: Time) {
        let look = self.look.get_or_insert_default();
        let openings = look.openings.insert(Openings::default());
        openings.of_mut(sender).restart(segment.tcp.map_or(0, |t| t.sequence));
        look.since = Some(at);
    }

    /// The openings of a stream that is looked at.
    pub fn openings(&self) -> Option<&Openings> {
        self.look.as_ref()?.openings.as_ref()
    }

    pub fn openings_mut(&mut self) -> Option<&mut Openings> {
        self.look.as_mut()?.openings.as_mut()
    }

    /// A datagram began something that others are to complete: from now on there is a time after which it is given up. False
    /// where there already was.
    pub fn look_since(&mut self, at: Time) -> bool {
        let look = self.look.get_or_insert_default();
        let begins = look.since.is_none();
        look.since.get_or_insert(at);
        begins
    }

    /// Something of it is held, or waited for, until it can be read.
    pub const fn is_looked_at(&self) -> bool {
        self.look.is_some()
    }

    /// Nothing of it is looked at any more; the octets that were noted of it.
    pub(super) fn look_away(&mut self) -> usize {
        self.look.take().map_or(0, |look| look.noted)
    }

    /// Octets held for looking at it, as the table's pool has noted them.
    pub(super) fn noted(&self) -> usize {
        self.look.as_ref().map_or(0, |look| look.noted)
    }

    /// Notes the octets that are held now, of its openings and `more`; those noted before.
    pub(super) fn note(&mut self, more: usize) -> (usize, usize) {
        let Some(look) = &mut self.look else { return (0, 0) };
        let held = look.openings.as_ref().map_or(0, Openings::held) + more;
        (std::mem::replace(&mut look.noted, held), held)
    }

    /// Files it for a look at `check`.
    pub(super) fn file(&mut self, check: Time) {
        self.check = u32::try_from(check.secs()).unwrap_or(u32::MAX);
    }

    /// Whether the second for which it was filed is over.
    pub(super) fn is_due(&self, now: Time) -> bool {
        u64::from(self.check) < now.secs()
    }

    /// Whether a report is due before a segment at `at` is counted: its time has come, or another minute begins.
    pub fn report_due(&self, at: Time, every_seconds: u32) -> bool {
        !self.unreported.is_empty()
            && (at >= self.unreported.since.plus_secs(every_seconds)
                || (self.unreported.minute_payload > 0 && self.unreported.minute != at.minute()))
    }

    /// What was not yet reported; the caller calls [`reported`](Self::reported) once it is safely on its way.
    pub fn unreported(&self) -> Delta {
        self.unreported.delta()
    }

    pub fn reported(&mut self, at: Time) {
        self.unreported = Unreported { since: at, ..Unreported::default() };
    }

    pub const fn ends(&self) -> Ends {
        let [low, high] = self.vlans;
        let (own, other) = match self.client {
            Side::Low => (low, high),
            Side::High => (high, low),
        };
        Ends {
            client: self.key.end(self.client),
            server: self.key.end(self.client.other()),
            transport: self.key.transport,
            vlan: if own.is_some() { own } else { other },
            tunnels: self.tunnels,
        }
    }

    pub const fn client(&self) -> Side {
        self.client
    }

    /// No SYN was seen: the flow is older than the capture, or its beginning was lost.
    pub fn is_mid_stream(&self) -> bool {
        self.key.transport == Transport::Tcp && !self.syn_seen
    }

    /// What an ended flow counts for: its end, and what it tells of the span port.
    pub fn count_end(&self, end: End, cells: &Cells<Counter>) {
        cells.add(end.counter(), 1);
        if self.key.transport != Transport::Tcp {
            return;
        }
        cells.add(Counter::EndedTcp, 1);
        let conditions = [
            (self.marks.is_one_way(), Counter::OneWay),
            (self.marks.is_tag_asymmetric(), Counter::TagAsymmetric),
            (self.is_mid_stream(), Counter::MidStream),
        ];
        for (_, row) in conditions.into_iter().filter(|(holds, _)| *holds) {
            cells.add(row, 1);
        }
    }

    /// What the openings said shows that client and server were taken for each other; false where the handshake says
    /// otherwise.
    pub fn swap_ends(&mut self) -> bool {
        let guessed = !self.client_settled;
        if guessed {
            self.client_is(self.client.other());
        }
        guessed
    }

    /// Settles which end is the client. Where the other was taken for it, what it sent was received, and the rhythm was not
    /// the client's.
    fn client_is(&mut self, client: Side) {
        self.client_settled = true;
        if client == self.client {
            return;
        }
        self.client = client;
        let delta = &mut self.unreported;
        std::mem::swap(&mut delta.sent, &mut delta.received);
        (delta.minute, delta.minute_payload, delta.minute_bursts) = (0, 0, 0);
        delta.quiet = 0;
        self.answered |= !delta.received.is_empty();
        self.rhythm = Rhythm::default();
    }

    /// Whether `segment` belongs to another conversation between the same ends: a SYN after the end, or after the time in
    /// which silence ends a flow.
    #[inline]
    pub fn is_over(&self, segment: &Segment<'_>, at: Time, options: &Options) -> Option<End> {
        let silent = at.nanos().saturating_sub(self.last.nanos());
        let soon = silent < options.shortest_silence();
        if soon && segment.tcp.as_ref().is_none_or(|tcp| !tcp.syn) {
            return None;
        }
        self.ends_before(segment, at, options)
    }

    fn ends_before(&self, segment: &Segment<'_>, at: Time, options: &Options) -> Option<End> {
        if at >= self.deadline(options) {
            return Some(if self.closed.is_closed() { End::Closed } else { End::Idle });
        }
        let syn = segment.tcp.filter(|t| t.syn && !t.ack)?;
        if self.closed.is_closed() {
            return Some(End::Closed);
        }
        // A SYN in the midst of an answered conversation begins another, unless it is a late copy of the first.
        let copy = if self.isn_seen {
            self.isn == syn.sequence
        } else {
            at.since(self.start) <= SYN_COPIES
        };
        (self.is_answered() && !copy).then_some(End::Reused)
    }

    /// The other end was seen to send, or is acknowledged where the capture does not show it.
    const fn is_answered(&self) -> bool {
        self.answered || self.marks.is_one_way()
    }

    /// When silence ends this flow.
    pub fn deadline(&self, options: &Options) -> Time {
        let seconds = if self.closed.is_closed() {
            options.closed_seconds
        } else if self.key.transport == Transport::Udp {
            options.udp_idle_seconds
        } else if !self.is_answered() {
            options.unanswered_seconds
        } else {
            options.tcp_idle_seconds
        };
        self.last.plus_secs(seconds)
    }

    /// Both ends said FIN, or one RST.
    pub const fn is_closed(&self) -> bool {
        self.closed.is_closed()
    }

    pub const fn end_by_silence(&self) -> End {
        if self.is_closed() { End::Closed } else { End::Idle }
    }

    /// When this flow wants to be looked at next, whatever comes.
    pub fn check_at(&self, options: &Options) -> Time {
        let mut check = self.deadline(options);
        if !self.unreported.is_empty() {
            check = check.min(self.unreported.since.plus_secs(options.report_every()));
        }
        if let Some(late) = self.opening_deadline(options) {
            check = check.min(late);
        }
        check
    }

    /// When it is no longer looked at, whatever is missing: some time after the first payload.
    pub fn opening_deadline(&self, options: &Options) -> Option<Time> {
        Some(self.look.as_ref()?.since?.plus(options.opening_time()))
    }
}

/// Retransmitted SYNs come within a minute (RFC 6298 back-off: 1, 2, 4, 8, 16 s).
const SYN_COPIES: Duration = Duration::from_secs(60);

/// Octets of a flow beside its slot: with what it is looked at, without the bytes of its openings; its place among those who hold
/// such; the beats of its client.
pub const LOOK_MEMORY: u64 =
    (size_of::<Look>() + MALLOC + 2 * size_of::<Entry>()) as u64 + BEATS_MEMORY + MALLOC as u64;

/// Bookkeeping of the allocator for one boxed value.
pub const MALLOC: usize = 16;

impl Look {
    fn at_openings() -> Self {
        Self { openings: Some(Openings::default()), ..Self::default() }
    }
}

impl Openings {
    pub const fn of(&self, side: Side) -> &Opening {
        match side {
            Side::Low => &self.low,
            Side::High => &self.high,
        }
    }

    pub const fn of_mut(&mut self, side: Side) -> &mut Opening {
        match side {
            Side::Low => &mut self.low,
            Side::High => &mut self.high,
        }
    }

    pub fn held(&self) -> usize {
        self.low.held() + self.high.held()
    }

    /// Places a segment's payload; keeps at most `limit` octets of the direction.
    pub fn place(&mut self, segment: &Segment<'_>, sender: Side, limit: usize) -> Placed {
        let Some(tcp) = segment.tcp else { return Placed::Same };
        let first = if tcp.syn { tcp.sequence.wrapping_add(1) } else { tcp.sequence };
        self.of_mut(sender).place(first, segment.payload, limit)
    }
}

/// The client end, and whether the handshake settled it. Else ports tell, then local networks, then who spoke first; never
/// the interface: on a mirror all packets are received.
fn client_of(key: &Key, sender: Side, segment: &Segment<'_>, options: &Options) -> (Side, bool) {
    if let Some(tcp) = segment.tcp.filter(|t| t.syn) {
        return (if tcp.ack { sender.other() } else { sender }, true);
    }
    let ends = [Side::Low, Side::High].map(|side| key.end(side));
    let [low, high] = ends.map(|end| end.port < SERVICE_PORTS);
    if low != high {
        return (if low { Side::High } else { Side::Low }, false);
    }
    if key.transport == Transport::Tcp {
        let [low, high] = ends.map(|end| options.is_local(end.ip.ip()));
        if low != high {
            return (if low { Side::Low } else { Side::High }, false);
        }
    }
    (sender, false)
}

/// System ports (RFC 6335 section 6): services listen there, clients do not call from there.
const SERVICE_PORTS: u16 = 1024;
