//! QUIC: the ClientHello in a client's Initials, over any number of packets and frames in any order.
//!
//! Initials are protected with keys that anybody can make who saw the client's first Destination Connection ID. They are made
//! of each new one until they open a packet: then the packet is the client's, whoever spoke first, and its later Initials are
//! opened with them whatever their connection ID. The first hello names the flow; whoever reads it may begin anew where
//! another connection begins between the same ends.

mod frames;
mod google;
mod keys;
mod packet;
mod version;

#[cfg(any(test, fuzzing))]
pub mod sealed;
#[cfg(test)]
mod tests;

use keys::Keys;
use packet::{Initial, Packet};
use version::{Handshake, Version};

use super::pieces::Pieces;
use super::tls::{self, Message};
use super::{Answer, Carrier, Evidence, Kept, State};

/// Takes one datagram of either side.
pub(super) fn step(state: &mut State, from_client: bool, datagram: &[u8]) -> Answer {
    if google::is_plain(datagram) {
        state.tried = state.tried.max(1);
        return match google::find(datagram) {
            Some(hello) => {
                state.swapped = !from_client;
                Answer::Found(Evidence::Tls(hello))
            }
            None => Answer::NeedMore,
        };
    }
    let mut rest = datagram;
    while let Some(packet) = packet::next(&mut rest) {
        state.tried = state.tried.max(1);
        let Packet::Initial(initial) = packet else { continue };
        let answer = read(state, from_client, &initial);
        if !matches!(answer, Answer::NeedMore) {
            return answer;
        }
    }
    if state.tried > 0 { Answer::NeedMore } else { Answer::NotMine }
}

/// Whether a client's datagram may begin a connection, by its header alone: a first connection ID has 8 octets or more
/// (RFC 9000 section 7.2).
pub fn begins_connection(datagram: &[u8]) -> bool {
    datagram.first().is_some_and(|first| packet::is_long(*first))
        && matches!(
            packet::next(&mut &*datagram),
            Some(Packet::Initial(initial)) if initial.dcid.len() >= MIN_FIRST_ID
        )
}

/// A client whose Initials could be opened, until its hello is whole.
#[derive(Debug)]
pub struct Assembly {
    keys: Box<Keys>,
    version: &'static Version,
    /// Of which the keys are made.
    dcid: Box<[u8]>,
    from_client: bool,
    /// Initials of the client that were tried, whether they opened or not.
    initials: u8,
    handshake: Pieces,
}

impl Assembly {
    /// Octets of memory that it takes beside itself.
    pub(super) const fn octets(&self) -> usize {
        size_of::<Keys>() + self.dcid.len() + self.handshake.octets()
    }

    /// What is certain of the hello when nothing more comes, and whether the side given as the client's said it.
    pub(super) fn cut_short(&self) -> (Option<Evidence>, bool) {
        let begun = self.handshake.beginning();
        let evidence = match self.version.handshake {
            Handshake::Tls => tls::message_cut_short(begun, Carrier::Quic),
            Handshake::Google => None,
        };
        (evidence, self.from_client)
    }

    /// The keys of a connection ID that was not seen before, if they open the packet that bears it.
    fn begin(state: &mut State, from_client: bool, initial: &Initial<'_>) -> Option<Self> {
        let mut handshake = Pieces::default();
        let keys = derive(state, initial.version, initial.dcid)?;
        take(state, &keys, initial, &mut handshake)?;
        let (version, dcid) = (initial.version, initial.dcid.into());
        Some(Self { keys, version, dcid, from_client, initials: 1, handshake })
    }

    /// A further Initial of the client.
    fn add(&mut self, state: &mut State, initial: &Initial<'_>) {
        self.initials += 1;
        let known = initial.version == self.version;
        if known && take(state, &self.keys, initial, &mut self.handshake).is_some() {
            return;
        }
        // RFC 9368 section 2.3: the server went on with another version, whose keys are made of the same connection ID.
        if !known
            && let Some(keys) = derive(state, initial.version, &self.dcid)
            && take(state, &keys, initial, &mut self.handshake).is_some()
        {
            (self.keys, self.version) = (keys, initial.version);
            return;
        }
        // After a Retry or version negotiation the client says all again, under a new connection ID.
        if *initial.dcid != *self.dcid
            && let Some(next) = Self::begin(state, self.from_client, initial)
        {
            *self = Self { initials: self.initials, ..next };
        }
    }

    fn message(&self) -> Message {
        match self.version.handshake {
            Handshake::Tls => tls::message(self.handshake.beginning(), Carrier::Quic),
            Handshake::Google => google::message(self.handshake.beginning()),
        }
    }
}

fn read(state: &mut State, from_client: bool, initial: &Initial<'_>) -> Answer {
    let assembly = match state.kept.take().map(|kept| *kept) {
        Some(Kept::Quic(mut assembly)) => {
            if assembly.from_client == from_client {
                assembly.add(state, initial);
            }
            assembly
        }
        _ => match Assembly::begin(state, from_client, initial) {
            Some(assembly) => assembly,
            None if state.tried > MAX_KEYS => return Answer::NotMine,
            None => return Answer::NeedMore,
        },
    };
    state.swapped = !assembly.from_client;
    match assembly.message() {
        Message::Whole(hello) => Answer::Found(Evidence::Tls(hello)),
        Message::Begun if assembly.initials < MAX_INITIALS => {
            state.kept = Some(Box::new(Kept::Quic(assembly)));
            Answer::NeedMore
        }
        Message::Begun => {
            state.limited = true;
            assembly.cut_short().0.map_or(Answer::NotMine, Answer::Found)
        }
        Message::Other => Answer::NotMine,
    }
}

fn derive(state: &mut State, version: &Version, dcid: &[u8]) -> Option<Box<Keys>> {
    if state.tried > MAX_KEYS {
        return None;
    }
    state.tried += 1;
    state.limited |= state.tried > MAX_KEYS;
    Keys::client(version, dcid).map(Box::new)
}

/// Opens an Initial and takes what it carries; `None` where these are not its keys.
fn take(
    state: &mut State,
    keys: &Keys,
    initial: &Initial<'_>,
    handshake: &mut Pieces,
) -> Option<()> {
    let mut bytes = initial.bytes.to_vec();
    let payload = keys.open(&mut bytes, initial.number_at)?;
    state.limited |= !frames::collect(payload, initial.version.crypto, handshake);
    Some(())
}

/// Initials of a client that are tried: a hello of 16 KiB fits into fourteen.
const MAX_INITIALS: u8 = 16;

const MIN_FIRST_ID: usize = 8;

/// Keys made for a flow: for the client's first connection ID and those after a Retry and version negotiation, and before,
/// in vain, for what the server says. `State::tried` counts from 1.
const MAX_KEYS: u8 = 8;
