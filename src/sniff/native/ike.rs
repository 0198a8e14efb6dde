//! IKE v1 and v2 (RFC 2408 section 3.1, RFC 7296 section 3.1), and IPsec within UDP (RFC 3948), which IKE announces on the
//! same ports.

use super::native;
use crate::sniff::reader::Reader;
use crate::sniff::{Answer, State};

pub(in crate::sniff) fn step(_: &mut State, _from_client: bool, datagram: &[u8]) -> Answer {
    // RFC 3948 section 2.2: on port 4500, four zeros stand where ESP has its SPI.
    let message = datagram.strip_prefix(&[0; 4]).unwrap_or(datagram);
    // Section 2.3: a keep-alive of one octet may come before anything else.
    if datagram == [0xff] {
        return Answer::NeedMore;
    }
    if is_ike(message).unwrap_or(false) { Answer::Found(native("ike")) } else { Answer::NotMine }
}

/// ```text
///  initiator's SPI, 8 octets | responder's SPI, 8 | next payload | version | exchange | flags | message id, 4 | length, 4
/// ```
fn is_ike(message: &[u8]) -> Option<bool> {
    let mut reader = Reader::new(message);
    let initiator = reader.take(8)?;
    reader.take(8)?;
    let next = reader.u8()?;
    let (version, exchange, flags) = (reader.u8()?, reader.u8()?, reader.u8()?);
    reader.take(4)?;
    let len = u32::from_be_bytes(*reader.take(4)?.first_chunk()?);
    let known = match version >> 4 {
        1 => matches!(exchange, 1..=6 | 32..=34) && flags & !0x07 == 0 && next <= 132,
        2 => matches!(exchange, 34..=44) && flags & !0x38 == 0 && (33..=54).contains(&next),
        _ => false,
    };
    let fits = usize::try_from(len) == Ok(message.len());
    Some(known && fits && initiator.iter().any(|octet| *octet != 0))
}
