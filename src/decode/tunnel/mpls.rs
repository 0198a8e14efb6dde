//! MPLS label stacks (RFC 3032), and what may be at their bottom: IP, or an Ethernet pseudowire (RFC 4448).

use crate::decode::link::{Content, Version, is_usual, number};
use crate::decode::{Refusal, Rest};

/// Labels of one stack. Four are many; entropy labels (RFC 6790) and segment routing make more.
const MAX_LABELS: usize = 16;

/// Nothing in the stack says what is below it: the first four bits must tell (RFC 4928 section 2). A pseudowire without a
/// control word begins with a MAC address, whose bits are any; then lengths and EtherTypes that can be true decide. A control
/// word begins with two zero octets.
pub(in crate::decode) fn open(mut rest: Rest<'_>) -> Result<Content<'_>, Refusal> {
    let mut labels = 0;
    loop {
        let [_, _, bottom, _] = *rest.bytes.first_chunk().ok_or(Refusal::TooShort)?;
        labels += 1;
        rest = rest.skip(4);
        if bottom & 1 != 0 {
            break;
        }
        if labels == MAX_LABELS {
            return Err(Refusal::TooManyTags);
        }
    }
    let ethernet = |skip: usize| {
        let rest = rest.skip(skip);
        number(rest.bytes, 12).is_ok_and(|kind| is_usual(kind, rest.wire))
    };
    let [first, second] = *rest.bytes.first_chunk().ok_or(Refusal::TooShort)?;
    match first >> 4 {
        4 if fits(number(rest.bytes, 2)?, 0, rest) || !ethernet(0) => {
            Ok(Content::Packet(Version::V4, rest))
        }
        6 if fits(number(rest.bytes, 4)?, 40, rest) || !ethernet(0) => {
            Ok(Content::Packet(Version::V6, rest))
        }
        0 if first | second == 0 && ethernet(CONTROL_WORD) => {
            Ok(Content::Ethernet(rest.skip(CONTROL_WORD)))
        }
        _ if ethernet(0) => Ok(Content::Ethernet(rest)),
        _ if rest.bytes.len() < CONTROL_WORD + 14 => Err(Refusal::TooShort),
        // An associated channel (RFC 5586), PPP, HDLC, ATM ...
        _ => Err(Refusal::Mpls),
    }
}

/// Whether `len` and a header of `more` octets beside it leave room for themselves.
fn fits(len: u16, more: u32, rest: Rest<'_>) -> bool {
    u32::from(len) + more <= rest.wire && (more > 0 || len == 0 || len >= 20)
}

/// Octets of the control word (RFC 4385): four zero bits, flags, length, sequence.
const CONTROL_WORD: usize = 4;
