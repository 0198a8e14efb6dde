//! How far the sniffing of one flow has come: which sniffers are still asked, from which offsets, at what depth.

use super::{Answer, Evidence, Kept, NOT_YET, Openings, Over, SNIFFERS, Sniffer, State, dns};
use crate::count::{Kind, Row, Rows};

/// How often sniffing may start again inside what a sniffer found: PROXY, then SOCKS or CONNECT, then STARTTLS.
pub const MAX_DEPTH: u8 = 3;

/// Depths whose server may be late at the same time; the server of a third is not heard. PROXY, the outermost of the usual
/// three, has no answer.
const MAX_WAITING: usize = 2;

/// What the flow is to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wants {
    /// Call again with longer openings, or with the next datagram.
    More,
    /// Evidence is complete.
    Met,
    /// No sniffer knows these bytes.
    Nothing,
}

/// One per flow.
#[derive(Debug, Default)]
pub struct Progress {
    /// Two bits a row of the table: no more asked with the sides as given, no more asked with the sides swapped.
    refused: u64,
    /// Where this depth begins in the openings, by the sides as given; no opening is longer than 16 bits can tell.
    client_at: u16,
    server_at: u16,
    /// Depths at which the server's word is still to come, the outermost first.
    waiting: [Waiting; MAX_WAITING],
    state: State,
    depth: u8,
    /// Row of the sniffer that answered last, and one; 0 for none.
    last: u8,
    /// Answers not yet counted.
    answers: u8,
    marks: u8,
}

/// A depth that was left behind for the sake of the client's next bytes, before the server's were all there.
#[derive(Clone, Copy, Debug, Default)]
struct Waiting {
    /// Where that depth begins in the client's opening.
    client_at: u16,
    /// Row of its sniffer, and one; 0 for none.
    row: u8,
    emitted: bool,
}

impl Progress {
    /// Asks the sniffers over streams. `openings` are the whole openings of the flow each time, whatever was consumed.
    ///
    /// Each side is read as the client's: a capture that began late, or with one direction missing, may have them the wrong
    /// way round. [`Progress::swapped`] then says so.
    pub fn stream(&mut self, openings: &Openings<'_>, out: &mut dyn FnMut(Evidence)) -> Wants {
        self.stream_by(SNIFFERS, openings, out)
    }

    /// Asks the sniffers over datagrams.
    pub fn datagram(
        &mut self,
        from_client: bool,
        datagram: &[u8],
        out: &mut dyn FnMut(Evidence),
    ) -> Wants {
        self.datagram_by(SNIFFERS, from_client, datagram, out)
    }

    /// One of the flow's ports is one of DNS: over datagrams, damage to its messages is forgiven.
    pub const fn expect_dns(&mut self) {
        dns::expect(&mut self.state);
    }

    /// Octets of memory that it holds beside itself.
    pub fn octets(&self) -> usize {
        self.state.kept.as_ref().map_or(0, |kept| kept.octets())
    }

    /// Over datagrams: something began that further datagrams shall complete, and that must not wait for ever.
    pub const fn is_waiting(&self) -> bool {
        self.state.tried > 0 || self.state.dtls || self.state.kept.is_some()
    }

    /// Over datagrams: packets of QUIC were seen, and none of a client was opened.
    pub const fn is_sealed(&self) -> bool {
        self.state.tried > 0 && self.state.kept.is_none()
    }

    /// Over datagrams: what waits is a guess that a stranger may fit by chance. Nothing of it is incomplete where it stays one.
    pub fn is_guess(&self) -> bool {
        self.state.kept.as_ref().is_some_and(|kept| matches!(**kept, Kept::Rtp(_)))
    }

    /// The flow ends, or its time or room for sniffing does: what is certain of bytes that were cut short. `More` is never
    /// answered. Over datagrams `openings` are empty.
    pub fn end(&mut self, openings: &Openings<'_>, out: &mut dyn FnMut(Evidence)) -> Wants {
        self.end_by(SNIFFERS, openings, out)
    }

    /// Whether the evidence came from the side that was given as the server's.
    pub const fn is_swapped(&self) -> bool {
        self.marks & SWAPPED != 0
    }

    /// From now on the sides are given the other way round.
    pub fn swap_sides(&mut self) {
        self.marks ^= SWAPPED;
        std::mem::swap(&mut self.client_at, &mut self.server_at);
        self.refused = (self.refused & STRAIGHT) << 1 | (self.refused >> 1) & STRAIGHT;
    }

    /// Nobody wants to hear more of the client; what the server says may still be wanted.
    pub const fn client_is_done(&self) -> bool {
        const CLIENT: u64 = rows(SNIFFERS, false);
        self.refused & CLIENT == CLIENT
    }

    /// Begins anew at a later request of an HTTP/1 connection: `stream` then takes openings that begin there, and asks HTTP
    /// alone.
    pub fn restart_http(&mut self) {
        let http = SNIFFERS.iter().position(|sniffer| sniffer.name == "http").unwrap_or_default();
        let refused = !(straight(http) | rows(SNIFFERS, true) & STRAIGHT);
        *self = Self { refused, answers: self.answers, ..Self::default() };
    }

    /// Begins anew at a later connection of a QUIC flow: `datagram` then asks QUIC alone.
    pub fn restart_quic(&mut self) {
        let quic = SNIFFERS.iter().position(|sniffer| sniffer.name == "quic").unwrap_or_default();
        let refused = !both(straight(quic));
        *self = Self { refused, answers: self.answers, ..Self::default() };
    }

    /// Hands over what is to be counted since the last call.
    pub fn counts(&mut self, mut add: impl FnMut(Counter)) {
        if self.answers == 0 && self.marks & (DEPTH | LIMITED) == 0 {
            return;
        }
        for _ in 0..std::mem::take(&mut self.answers) {
            if let Some(row) = self.last.checked_sub(1) {
                add(Counter(usize::from(row)));
            }
        }
        if self.marks & DEPTH != 0 {
            add(Counter::DEPTH);
        }
        if self.marks & LIMITED != 0 {
            add(Counter::LIMITED);
        }
        self.marks &= !(DEPTH | LIMITED);
    }

    pub(super) fn stream_by(
        &mut self,
        table: &[Sniffer],
        openings: &Openings<'_>,
        out: &mut dyn FnMut(Evidence),
    ) -> Wants {
        self.catch_up(table, openings);
        'depth: loop {
            let mut open = false;
            for swapped in [false, true] {
                for (row, sniffer) in self.asked(table, swapped) {
                    let (sniff, reply) = match sniffer.over {
                        Over::Stream { sniff, .. } => (sniff, false),
                        Over::Reply(sniff) => (sniff, true),
                        Over::Datagrams(_) => continue,
                    };
                    let bit = if swapped { straight(row) << 1 } else { straight(row) };
                    let view = self.view(openings, swapped);
                    match sniff(&view) {
                        Answer::NotMine => self.refused |= bit,
                        // Where nobody knows the stream, a server that is silent is not waited for.
                        Answer::NeedMore => {
                            open |= !reply || self.last != 0 || !view.server.is_empty();
                        }
                        Answer::Emit(evidence, client, server) if client + server > 0 && !reply => {
                            self.answered(row, swapped);
                            out(evidence);
                            self.advance(swapped, client, server);
                            self.marks |= EMITTED;
                            self.refused |= rows(table, false) & !bit | other_way(swapped);
                            continue 'depth;
                        }
                        // What emits nothing but promises would be asked for ever.
                        Answer::Found(evidence) | Answer::Emit(evidence, ..) => {
                            self.answered(row, swapped);
                            self.marks |= if evidence.is_limited() { LIMITED } else { 0 };
                            out(evidence);
                            let done = if reply { both(bit) } else { rows(table, false) };
                            self.refused |= done | other_way(swapped);
                            continue 'depth;
                        }
                        Answer::Inside(evidence, client, server) => {
                            self.answered(row, swapped);
                            if let Some(evidence) = evidence {
                                out(evidence);
                            }
                            if self.depth == MAX_DEPTH {
                                self.marks |= DEPTH;
                                return Wants::Met;
                            }
                            // A server that is heard alone has moved on within this depth.
                            self.depth += u8::from(client > 0 || server == 0);
                            if server == NOT_YET {
                                self.wait(row, swapped);
                            }
                            self.advance(
                                swapped,
                                client,
                                if server == NOT_YET { 0 } else { server },
                            );
                            self.marks &= !EMITTED;
                            // The same octets of the server have the same to say.
                            let same = if server == 0 { rows(table, true) } else { 0 };
                            self.refused = self.refused & same | other_way(swapped);
                            continue 'depth;
                        }
                    }
                }
            }
            return if open { Wants::More } else { self.given_up() };
        }
    }

    fn datagram_by(
        &mut self,
        table: &[Sniffer],
        from_client: bool,
        datagram: &[u8],
        out: &mut dyn FnMut(Evidence),
    ) -> Wants {
        let mut open = false;
        for (row, sniffer) in table.iter().enumerate() {
            let Over::Datagrams(step) = sniffer.over else { continue };
            if self.refused & straight(row) != 0 {
                continue;
            }
            let answer = step(&mut self.state, from_client, datagram);
            if std::mem::take(&mut self.state.limited) {
                self.marks |= LIMITED;
            }
            let swapped = std::mem::take(&mut self.state.swapped);
            match answer {
                Answer::NotMine => self.refused |= both(straight(row)),
                Answer::NeedMore => open = true,
                Answer::Found(evidence) => {
                    self.answered(row, swapped);
                    self.state.kept = None;
                    out(evidence);
                    return Wants::Met;
                }
                Answer::Emit(evidence, ..) => {
                    self.answered(row, swapped);
                    self.state.kept = None;
                    (self.state.tried, self.state.dtls) = (0, false);
                    self.refused = !both(straight(row));
                    out(evidence);
                    return Wants::More;
                }
                Answer::Inside(evidence, ..) => {
                    self.answered(row, swapped);
                    self.state.kept = None;
                    if let Some(evidence) = evidence {
                        out(evidence);
                    }
                    return Wants::Met;
                }
            }
        }
        if open { Wants::More } else { self.given_up() }
    }

    pub(super) fn end_by(
        &mut self,
        table: &[Sniffer],
        openings: &Openings<'_>,
        out: &mut dyn FnMut(Evidence),
    ) -> Wants {
        if let Some(kept) = self.state.kept.take()
            && let (Some(evidence), from_client) = kept.cut_short()
        {
            let row = table.iter().position(|row| row.name == kept.sniffer()).unwrap_or_default();
            self.answered(row, !from_client);
            out(evidence);
            return Wants::Met;
        }
        'client: for swapped in [false, true] {
            for (row, sniffer) in self.asked(table, swapped) {
                let Over::Stream { cut_short, .. } = sniffer.over else { continue };
                if let Some(evidence) = cut_short(&self.view(openings, swapped)) {
                    self.answered(row, swapped);
                    out(evidence);
                    self.refused |= rows(table, false) | other_way(swapped);
                    break 'client;
                }
            }
        }
        self.end_replies(table, &Openings { ended: true, ..*openings }, out);
        self.given_up()
    }

    fn end_replies(
        &mut self,
        table: &[Sniffer],
        openings: &Openings<'_>,
        out: &mut dyn FnMut(Evidence),
    ) {
        for swapped in [false, true] {
            for (row, sniffer) in self.asked(table, swapped) {
                let Over::Reply(sniff) = sniffer.over else { continue };
                if let Answer::Found(evidence) = sniff(&self.view(openings, swapped)) {
                    self.answered(row, swapped);
                    self.marks |= if evidence.is_limited() { LIMITED } else { 0 };
                    self.refused |= other_way(swapped);
                    out(evidence);
                }
            }
        }
    }

    /// The rows still asked with the sides as given, or swapped; as it stands now. Most of them are refused by the first
    /// segment, and later ones are not to look through the table for the few that are left.
    fn asked<'a>(
        &self,
        table: &'a [Sniffer],
        swapped: bool,
    ) -> impl Iterator<Item = (usize, &'a Sniffer)> + use<'a> {
        let mut left = !(self.refused >> u32::from(swapped)) & STRAIGHT;
        std::iter::from_fn(move || {
            let row = left.trailing_zeros() as usize / 2;
            left &= left.wrapping_sub(1);
            Some((row, table.get(row)?))
        })
    }

    fn view<'a>(&self, openings: &Openings<'a>, swapped: bool) -> Openings<'a> {
        let client = from(openings.client, self.client_at);
        let server = from(openings.server, self.server_at);
        let (client, server) = if swapped { (server, client) } else { (client, server) };
        // What the server has said belongs to a depth further out.
        let server = if self.server_is_late() { &[] } else { server };
        let emitted = self.marks & EMITTED != 0;
        Openings { client, server, emitted, ..*openings }
    }

    const fn server_is_late(&self) -> bool {
        matches!(self.waiting, [Waiting { row: 1.., .. }, ..])
    }

    /// The client went on before the server's part of this depth was there.
    fn wait(&mut self, row: usize, swapped: bool) {
        let at = if swapped { self.server_at } else { self.client_at };
        if let Some(free) = self.waiting.iter_mut().find(|waiting| waiting.row == 0) {
            let (row, emitted) = (to_u8(row + 1), self.marks & EMITTED != 0);
            *free = Waiting { client_at: at, row, emitted };
        }
    }

    /// Asks those that were left behind how much of the server's opening is theirs.
    fn catch_up(&mut self, table: &[Sniffer], openings: &Openings<'_>) {
        while let [Waiting { client_at, row: row @ 1.., emitted }, ..] = self.waiting {
            let swapped = self.is_swapped();
            let (client, server, server_at) = if swapped {
                (openings.server, openings.client, self.client_at)
            } else {
                (openings.client, openings.server, self.server_at)
            };
            let (client, server) = (from(client, client_at), from(server, server_at));
            let view = Openings { client, server, emitted, ..*openings };
            let sniffer = table.get(usize::from(row - 1)).map(|sniffer| sniffer.over);
            let Some(Over::Stream { sniff, .. }) = sniffer else { return };
            match sniff(&view) {
                Answer::NeedMore | Answer::Inside(_, _, NOT_YET) => return,
                Answer::Inside(_, _, server) => self.advance(swapped, 0, server),
                // The server refused; what the client sent all the same has no answer of its own.
                Answer::NotMine | Answer::Found(_) | Answer::Emit(..) => {}
            }
            self.waiting.rotate_left(1);
            let [.., last] = &mut self.waiting;
            *last = Waiting::default();
        }
    }

    fn advance(&mut self, swapped: bool, client: usize, server: usize) {
        let (client, server) = if swapped { (server, client) } else { (client, server) };
        let at = |before: u16, more: usize| {
            before.saturating_add(u16::try_from(more).unwrap_or(u16::MAX))
        };
        self.client_at = at(self.client_at, client);
        self.server_at = at(self.server_at, server);
    }

    fn answered(&mut self, row: usize, swapped: bool) {
        self.last = to_u8(row + 1);
        self.answers = self.answers.saturating_add(1);
        self.marks |= if swapped { SWAPPED } else { 0 };
    }

    /// Nobody is left to ask: that is complete where something was found on the way.
    fn given_up(&self) -> Wants {
        if self.last == 0 { Wants::Nothing } else { Wants::Met }
    }
}

/// The counters of this stage: a row for each sniffer, then the bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counter(usize);

impl Counter {
    pub const DEPTH: Self = Self(SNIFFERS.len());
    pub const LIMITED: Self = Self(SNIFFERS.len() + 1);
}

impl Rows for Counter {
    const ROWS: &'static [Row] = &ROWS;

    fn index(self) -> usize {
        self.0
    }
}

const ROWS: [Row; SNIFFERS.len() + 2] = {
    let mut rows = [Row {
        kind: Kind::Counter,
        name: "saastap_sniff_limited_total",
        help: "Answers of sniffers that a bound cut short.",
        label: Some(("bound", "depth")),
    }; SNIFFERS.len() + 2];
    let mut left: &[Sniffer] = SNIFFERS;
    let (mut unset, _) = rows.split_at_mut(SNIFFERS.len());
    while let ([sniffer, others @ ..], [row, more @ ..]) = (left, unset) {
        *row = Row {
            kind: Kind::Counter,
            name: "saastap_sniff_answers_total",
            help: "Answers of sniffers that named or described a flow.",
            label: Some(("sniffer", sniffer.name)),
        };
        (left, unset) = (others, more);
    }
    let [.., row] = &mut rows;
    row.label = Some(("bound", "answers"));
    rows
};

/// The table has room for half as many rows as `Progress::refused` has bits.
const _: () = assert!(SNIFFERS.len() <= 32);
const _: () = assert!(size_of::<Progress>() <= 40);

const fn straight(row: usize) -> u64 {
    1 << (row * 2)
}

/// The bits of all rows with the sides as given.
const STRAIGHT: u64 = 0x5555_5555_5555_5555;

/// A row's bits both ways, by one of them.
const fn both(bit: u64) -> u64 {
    bit | (bit & STRAIGHT) << 1 | (bit & !STRAIGHT) >> 1
}

/// The bits of all rows with the sides the other way round: evidence has settled who is the client.
const fn other_way(swapped: bool) -> u64 {
    if swapped { STRAIGHT } else { !STRAIGHT }
}

/// The bits, both ways, of the rows that listen to the server, or of all others.
const fn rows(mut table: &[Sniffer], replies: bool) -> u64 {
    let (mut bits, mut row) = (0, 0);
    while let [sniffer, rest @ ..] = table {
        if matches!(sniffer.over, Over::Reply(_)) == replies {
            bits |= both(straight(row));
        }
        (table, row) = (rest, row + 1);
    }
    bits
}

fn to_u8(row: usize) -> u8 {
    u8::try_from(row).unwrap_or(u8::MAX)
}

fn from(opening: &[u8], at: u16) -> &[u8] {
    opening.get(usize::from(at)..).unwrap_or_default()
}

// Bits of `Progress::marks`.
const SWAPPED: u8 = 1;
const DEPTH: u8 = 2;
const LIMITED: u8 = 4;
/// The row that is asked has emitted a message at this depth.
const EMITTED: u8 = 8;
