//! The frames of an Initial: what its CRYPTO frames carry (RFC 9000 sections 12.4 and 19).

use crate::sniff::pieces::Pieces;
use crate::sniff::reader::Reader;

/// Puts the pieces of the handshake where they belong, as far as frames that may stand in an Initial go. `crypto` is the
/// number of CRYPTO frames. False where a bound kept a piece out.
pub(super) fn collect(payload: &[u8], crypto: u64, handshake: &mut Pieces) -> bool {
    let mut reader = Reader::new(payload);
    let mut whole = true;
    while let Some(frame) = frame(&mut reader, crypto) {
        if let Frame::Crypto(at, piece) = frame {
            whole &= handshake.add(at, piece);
        }
    }
    whole
}

enum Frame<'a> {
    Crypto(u64, &'a [u8]),
    Other,
}

/// `None` behind the last, at one that does not belong here, or where it is cut.
fn frame<'a>(reader: &mut Reader<'a>, crypto: u64) -> Option<Frame<'a>> {
    match reader.varint()? {
        kind if kind == crypto => {
            let at = reader.varint()?;
            return Some(Frame::Crypto(at, vector(reader)?));
        }
        // A client's Initial is mostly padding: frames of one octet, a thousand of them.
        PADDING => reader.pass_all(0),
        PING => {}
        kind @ (ACK | ACK_ECN) => {
            reader.varint()?; // largest acknowledged
            reader.varint()?; // delay
            let ranges = reader.varint()?;
            reader.varint()?; // first range
            let counts = if kind == ACK_ECN { 3 } else { 0 };
            for _ in 0..ranges.checked_mul(2)?.checked_add(counts)? {
                reader.varint()?;
            }
        }
        CONNECTION_CLOSE => {
            reader.varint()?; // error
            reader.varint()?; // frame type
            vector(reader)?; // reason
        }
        _ => return None,
    }
    Some(Frame::Other)
}

fn vector<'a>(reader: &mut Reader<'a>) -> Option<&'a [u8]> {
    let len = usize::try_from(reader.varint()?).ok()?;
    reader.take(len)
}

const PADDING: u64 = 0x00;
const PING: u64 = 0x01;
const ACK: u64 = 0x02;
const ACK_ECN: u64 = 0x03;
const CONNECTION_CLOSE: u64 = 0x1c;
