//! OpenVPN (its manual, "The OpenVPN protocol"), over UDP, and over TCP with a length before each packet: the client resets,
//! and the server's reset repeats the client's session.
//!
//! ```text
//!  opcode, 5 bits; key, 3 bits | session, 8 octets | [HMAC | packet id, 4 | time, 4] | acknowledgements | packet id, 4
//! ```

use super::{native, recall, remember};
use crate::sniff::reader::Reader;
use crate::sniff::{Answer, Evidence, Openings, State};

/// P_CONTROL_HARD_RESET_CLIENT_V2 and _V3, P_CONTROL_HARD_RESET_SERVER_V2, each with key 0.
const CLIENT: [u8; 2] = [7 << 3, 10 << 3];
const SERVER: u8 = 8 << 3;

const MARK: u8 = b'o';

/// Octets of the HMAC of `--tls-auth`, by the digests that people use (none, MD5, SHA-1, SHA-256, SHA-384, SHA-512).
const HMACS: [usize; 6] = [0, 16, 20, 32, 48, 64];

/// Octets of a reset at most; one of `--tls-crypt-v2` brings a wrapped key along.
const MAX_RESET: usize = 1_400;

pub(in crate::sniff) fn step(state: &mut State, from_client: bool, datagram: &[u8]) -> Answer {
    if let Some(session) = client_reset(datagram) {
        // The same again is the client that heard nothing.
        state.word = remember(MARK, session);
        return Answer::NeedMore;
    }
    let asked = recall(state.word, MARK);
    match asked.filter(|_| !from_client).map(|session| answers(datagram, session)) {
        Some(true) => Answer::Found(native("openvpn")),
        _ => Answer::NotMine,
    }
}

pub(in crate::sniff) fn sniff(openings: &Openings<'_>) -> Answer {
    let client = match packet(openings.client) {
        Ok(packet) => packet,
        Err(answer) => return answer,
    };
    let Some(session) = client_reset(client) else { return Answer::NotMine };
    match packet(openings.server) {
        Ok(server) if answers(server, session) => Answer::Found(native("openvpn")),
        Ok(_) => Answer::NotMine,
        Err(answer) => answer,
    }
}

pub(in crate::sniff) const fn cut_short(_: &Openings<'_>) -> Option<Evidence> {
    None
}

/// The first packet of a stream.
fn packet(opening: &[u8]) -> Result<&[u8], Answer> {
    let mut reader = Reader::new(opening);
    let Some(len) = reader.u16().map(usize::from) else { return Err(Answer::NeedMore) };
    if len > MAX_RESET {
        return Err(Answer::NotMine);
    }
    let opcode = reader.rest().first();
    if opcode.is_some_and(|o| !CLIENT.contains(o) && *o != SERVER) {
        return Err(Answer::NotMine);
    }
    reader.take(len).ok_or(Answer::NeedMore)
}

/// Bits of the session of a client's reset.
fn client_reset(packet: &[u8]) -> Option<u32> {
    let mut reader = Reader::new(packet);
    if !CLIENT.contains(&reader.u8()?) || packet.len() > MAX_RESET {
        return None;
    }
    let session = reader.take(8)?;
    // No acknowledgement, packet id 0.
    let plain = |rest: &[u8]| rest == [0; 5];
    let rest = reader.rest();
    let good = HMACS.iter().any(|hmac| authenticated(rest, *hmac).is_some_and(plain))
        || is_crypted(rest, 5);
    good.then(|| bits(session)).flatten()
}

/// Whether the packet is a server's reset of the session.
fn answers(packet: &[u8], session: u32) -> bool {
    // One acknowledgement, of packet 0, with the session acknowledged; then packet id 0.
    let plain = |rest: &[u8]| match rest.split_at_checked(5) {
        Some(([1, 0, 0, 0, 0], rest)) => {
            rest.get(8..) == Some(&[0; 4]) && rest.get(..8).and_then(bits) == Some(session)
        }
        _ => false,
    };
    let mut reader = Reader::new(packet);
    if reader.u8() != Some(SERVER) || reader.take(8).is_none() {
        return false;
    }
    let rest = reader.rest();
    HMACS.iter().any(|hmac| authenticated(rest, *hmac).is_some_and(plain)) || is_crypted(rest, 17)
}

/// What stands behind an HMAC of this length, its packet id and its time.
fn authenticated(rest: &[u8], hmac: usize) -> Option<&[u8]> {
    if hmac == 0 {
        return Some(rest);
    }
    let rest = rest.get(hmac..)?;
    let (id, rest) = rest.split_at_checked(8)?;
    // The first packets of a connection.
    let early = matches!(id, [0, 0, 0, 1..=8, ..]);
    early.then_some(rest)
}

/// `--tls-crypt`: packet id, time, a tag of 32 octets, and so much that is encrypted; with v2, an offer of six octets more,
/// a packet id that says so in its upper half, and a wrapped key behind the client's.
fn is_crypted(rest: &[u8], body: usize) -> bool {
    let early = matches!(rest, [0, 0, 0, 1..=8, ..] | [0x0a | 0x0f, _, 0, 1..=8, ..]);
    let whole = 8 + 32 + body;
    early && (rest.len() == whole || rest.len() == whole + 6 || rest.len() > whole + WRAPPED_KEY)
}

/// Octets of the client's key, its metadata and the tag over both, at least.
const WRAPPED_KEY: usize = 256;

/// 24 bits that depend on all octets of a session (Fibonacci hashing).
fn bits(session: &[u8]) -> Option<u32> {
    let hash = u64::from_be_bytes(*session.first_chunk()?).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    u32::try_from(hash >> 40).ok()
}
