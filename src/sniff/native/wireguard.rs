//! WireGuard, by the four messages of its white paper (section 5.4): a type, three zeros, and lengths that never vary.

use super::{native, recall, remember};
use crate::sniff::reader::Reader;
use crate::sniff::{Answer, State};

const INITIATION: usize = 148;
const RESPONSE: usize = 92;
const COOKIE: usize = 64;
/// Of a data message that carries nothing.
const KEEPALIVE: usize = 32;

const MARK: u8 = b'w';

/// Data messages that are enough where the handshake was before the capture.
const ENOUGH: u32 = 4;

/// A handshake's message counts as three of four, so that one more of the same conversation settles it.
const HANDSHAKE: u32 = 3;

pub(in crate::sniff) fn step(state: &mut State, _from_client: bool, datagram: &[u8]) -> Answer {
    let Some(weight) = weight(datagram) else { return Answer::NotMine };
    let seen = recall(state.word, MARK).unwrap_or(0) + weight;
    if seen >= ENOUGH {
        return Answer::Found(native("wireguard"));
    }
    state.word = remember(MARK, seen);
    Answer::NeedMore
}

fn weight(datagram: &[u8]) -> Option<u32> {
    let mut reader = Reader::new(datagram);
    let kind = reader.u8()?;
    if reader.u24()? != 0 {
        return None;
    }
    match (kind, datagram.len()) {
        (1, INITIATION) | (2, RESPONSE) | (3, COOKIE) => Some(HANDSHAKE),
        (4, len) if len >= KEEPALIVE && len % 16 == 0 => {
            reader.take(4)?;
            // The counter is little-endian and begins at 0 with each handshake: its upper half stays empty.
            let counter = u64::from_le_bytes(*reader.take(8)?.first_chunk()?);
            (counter >> 32 == 0).then_some(1)
        }
        _ => None,
    }
}
