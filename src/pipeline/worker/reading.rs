//! A worker reads the openings of its flows: what the sniffers are asked, when they are given up, and what they found.

use std::time::Duration;

use super::{Probe, Shed, Worker};
use crate::decode::Segment;
use crate::flow::{Counter, Flow, Placed, Side};
use crate::pipeline::update::{Outlet, Sight, What};
use crate::sniff::{self, Carrier, Evidence, Openings, Progress, Wants};

impl<O: Outlet> Worker<O> {
    pub(super) fn read_stream(&mut self, slot: u32, sender: Side, segment: &Segment<'_>) {
        if segment.payload.is_empty() {
            return;
        }
        let limit = self.table.options().opening_limit();
        let Some(flow) = self.table.flow_mut(slot) else { return };
        if sender == flow.client() && flow.progress.client_is_done() {
            return;
        }
        let Some(openings) = flow.openings_mut() else { return };
        let first = openings.held() == 0;
        let placed = openings.place(segment, sender, limit);
        let certain = openings.of(sender).is_certain();
        if placed == Placed::TooManyHoles {
            self.cells.add(Counter::OpeningHoles, 1);
        }
        if !certain && flow.progress.sight == Sight::Pending {
            // An earlier segment may still come: what was said of a guessed beginning is asked again.
            *flow.progress.reading() = Progress::default();
            flow.progress.guesses = flow.progress.guesses.saturating_add(1);
        }
        let guessing = !certain && flow.progress.guesses < GUESSES;
        let mut wants = Wants::More;
        if placed == Placed::Grew || (certain && placed != Placed::Same) {
            wants = self.sniff(slot, false);
        }
        let flow = self.table.flow(slot);
        let full =
            flow.and_then(Flow::openings).is_some_and(|o| o.of(sender).bytes().len() >= limit);
        self.table.note_openings(slot, 0);
        if first && wants == Wants::More {
            // From now on there is a time after which it is given up.
            self.table.file(slot, self.moment.at);
        }
        self.emit_found(slot);
        match wants {
            Wants::Met => self.close(slot, Sight::Read),
            Wants::Nothing if !guessing => {
                let mid = self.table.flow(slot).is_some_and(Flow::is_mid_stream);
                self.close(slot, if mid { Sight::MidStream } else { Sight::Foreign });
            }
            _ if full => self.give_up(slot, Sight::Incomplete),
            _ => {}
        }
        self.keep_to_the_pool();
    }

    pub(super) fn read_datagram(&mut self, slot: u32, sender: Side, segment: &Segment<'_>) {
        if segment.payload.is_empty() {
            return;
        }
        let Some(flow) = self.table.flow_mut(slot) else { return };
        let from_client = sender == flow.client();
        if !std::mem::replace(&mut flow.progress.spoke, true) {
            let ends = flow.ends();
            if [ends.client.port, ends.server.port].into_iter().any(sniff::dns::is_port) {
                flow.progress.reading().expect_dns();
            }
        }
        let found = &mut self.found;
        let progress = flow.progress.reading();
        let wants = progress.datagram(from_client, segment.payload, &mut |evidence| {
            found.push(evidence);
        });
        progress.counts(|row| self.answers.add(row, 1));
        let (waits, octets) = (progress.is_waiting(), progress.octets());
        let sealed = progress.is_sealed();
        if progress.is_swapped() && flow.swap_ends() {
            flow.progress.swap_sides();
        }
        let at = self.moment.at;
        let begins = wants == Wants::More && waits && flow.look_since(at);
        self.emit_found(slot);
        match wants {
            Wants::More if waits => {
                self.table.note_openings(slot, octets);
                if begins {
                    self.table.file(slot, at);
                }
                self.keep_to_the_pool();
            }
            Wants::More => {}
            Wants::Met => self.close(slot, Sight::Read),
            Wants::Nothing if waits => {
                self.close(slot, if sealed { Sight::QuicSealed } else { Sight::Incomplete })
            }
            Wants::Nothing => self.close(slot, Sight::Foreign),
        }
    }

    /// Several connections may share one socket, and so one flow: the last hello owns what follows.
    pub(super) fn read_connection(&mut self, slot: u32, sender: Side, segment: &Segment<'_>) {
        let at = self.moment.at;
        let Some(flow) = self.table.flow_mut(slot) else { return };
        if !sniff::quic::begins_connection(segment.payload)
            || flow.progress.connections == CONNECTIONS
            || at.since(flow.start) < HANDSHAKE
            || sender != flow.client()
        {
            return;
        }
        let probe = &mut flow.progress;
        probe.connections += 1;
        probe.done = false;
        probe.reading().restart_quic();
        self.read_datagram(slot, sender, segment);
    }

    /// What was held longest is given up while more is held than may be.
    fn keep_to_the_pool(&mut self) {
        while let Some(victim) = self.table.pool_victim() {
            self.cells.add(Counter::OpeningsShed, 1);
            self.give_up(victim, Sight::Incomplete);
        }
    }

    /// Asks the sniffers; `last` where no more bytes will come.
    fn sniff(&mut self, slot: u32, last: bool) -> Wants {
        let Some(flow) = self.table.flow_mut(slot) else { return Wants::Met };
        let client = flow.client();
        // What is read stands in one box of the flow and how far in another: taken out, both can be borrowed.
        let mut progress = flow.progress.progress.take().unwrap_or_default();
        let openings = flow.openings();
        let of = |side| openings.map_or(&[][..], |openings| openings.of(side).bytes());
        let (client, server) = (of(client), of(client.other()));
        let both = Openings::new(client, server, &self.patterns);
        let mut out = |evidence| self.found.push(evidence);
        let wants =
            if last { progress.end(&both, &mut out) } else { progress.stream(&both, &mut out) };
        progress.counts(|row| self.answers.add(row, 1));
        if progress.is_swapped() && flow.swap_ends() {
            progress.swap_sides();
        }
        flow.progress.progress = Some(progress);
        wants
    }

    /// No more can be expected: what a part of an opening says is better than nothing.
    pub(super) fn give_up(&mut self, slot: u32, sight: Sight) {
        if !self.table.flow(slot).is_some_and(Flow::is_looked_at) {
            return;
        }
        let progress = self.table.flow(slot).and_then(|flow| flow.progress.progress.as_ref());
        let sealed = progress.is_some_and(|progress| progress.is_sealed());
        let guess = progress.is_some_and(|progress| progress.is_guess());
        self.sniff(slot, true);
        self.emit_found(slot);
        let Some(flow) = self.table.flow(slot) else { return };
        let empty = flow.openings().is_some_and(|o| o.held() == 0);
        let mid = flow.is_mid_stream();
        let sight = match sight {
            _ if empty => Sight::Empty,
            _ if mid => Sight::MidStream,
            _ if sealed => Sight::QuicSealed,
            _ if guess => Sight::Foreign,
            sight => sight,
        };
        self.close(slot, sight);
    }

    fn close(&mut self, slot: u32, sight: Sight) {
        self.table.close_openings(slot);
        let Some(flow) = self.table.flow_mut(slot) else { return };
        flow.progress.progress = None;
        flow.progress.done = true;
        if flow.progress.sight == Sight::Pending {
            flow.progress.sight = sight;
        }
    }

    fn emit_found(&mut self, slot: u32) {
        if self.found.is_empty() {
            return;
        }
        let mut found = std::mem::take(&mut self.found);
        for evidence in found.drain(..) {
            let Some(flow) = self.table.flow_mut(slot) else { break };
            flow.progress.sight = Sight::Read;
            flow.progress.http |= matches!(evidence, Evidence::Http(_));
            flow.progress.quic |=
                matches!(&evidence, Evidence::Tls(hello) if hello.carrier == Carrier::Quic);
            let what = What::Evidence(Box::new((flow.ends(), evidence)));
            let update = self.update(slot, what);
            if let Some(update) = update
                && !self.push_or_keep(update)
            {
                self.shed.add(Shed::Evidence, 1);
            }
        }
        self.found = found;
    }
}

/// A later request of an HTTP/1 connection: only where a segment starts with a method.
#[inline]
pub(super) fn begins_request(flow: &Flow<Probe>, sender: Side, segment: &Segment<'_>) -> bool {
    flow.progress.http
        && (flow.openings().is_none() || flow.progress.client_is_done())
        && sender == flow.client()
        && sniff::http::begins_with_method(segment.payload)
}

/// Segments looked at where the beginning of the stream is only guessed: reordering on a span port spans a few frames.
const GUESSES: u8 = 8;

/// What looks like another connection this soon is most likely the rest of the first one's handshake.
const HANDSHAKE: Duration = Duration::from_secs(2);

/// Connections looked for in one flow after its first: each costs some microseconds, whether it is one or not.
const CONNECTIONS: u8 = 64;
