//! IEEE 802.11 data frames as access points carry them to their controller: from the frame control to the EtherType.

use super::link::number;
use super::{Refusal, Rest};

/// The EtherType of an unencrypted data frame and what follows it.
///
/// ```text
///  0          1      2         4           10          16          22        24  (26) (30)
/// +----------+------+---------+-----------+-----------+-----------+---------+----+----+---------
/// |type, sub | flags| duration| address 1 | address 2 | address 3 | sequence| A4 | QoS| LLC SNAP
/// +----------+------+---------+-----------+-----------+-----------+---------+----+----+---------
/// ```
///
/// Some access points swap the two octets of the frame control; a data frame can be told either way, as the flags that stand
/// where its type should be would make another type.
pub(super) fn strip(rest: Rest<'_>) -> Result<(u16, Rest<'_>), Refusal> {
    let control: [u8; 2] = *rest.bytes.first_chunk().ok_or(Refusal::TooShort)?;
    let (kind, flags) = match control {
        [kind, flags] if kind & TYPE_AND_VERSION == DATA => (kind, flags),
        [flags, kind] if kind & TYPE_AND_VERSION == DATA => (kind, flags),
        _ => return Err(Refusal::NotIp),
    };
    if kind & NO_DATA != 0 || flags & PROTECTED != 0 {
        return Err(Refusal::NotIp);
    }
    let mut len = 24;
    if flags & BOTH_DISTRIBUTION == BOTH_DISTRIBUTION {
        len += 6;
    }
    if kind & QOS != 0 {
        let control = rest.bytes.get(len).ok_or(Refusal::TooShort)?;
        if control & AGGREGATED != 0 {
            return Err(Refusal::NotIp);
        }
        len += 2;
        if flags & ORDER != 0 {
            len += 4;
        }
    }
    match rest.bytes.get(len..len + 3) {
        Some([0xaa, 0xaa, 3]) => Ok((number(rest.bytes, len + SNAP)?, rest.skip(len + SNAP + 2))),
        Some(_) => Err(Refusal::Llc),
        None => Err(Refusal::TooShort),
    }
}

const TYPE_AND_VERSION: u8 = 0x0f;
const DATA: u8 = 0x08;
/// Subtypes that carry nothing.
const NO_DATA: u8 = 0x40;
const QOS: u8 = 0x80;
/// To and from a distribution system: there is a fourth address.
const BOTH_DISTRIBUTION: u8 = 0x03;
const PROTECTED: u8 = 0x40;
/// With QoS: HT control follows.
const ORDER: u8 = 0x80;
/// In the QoS control: several frames in one (A-MSDU).
const AGGREGATED: u8 = 0x80;
/// LLC (3 octets) and OUI (3).
const SNAP: usize = 6;
