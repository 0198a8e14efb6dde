//! RTP (RFC 3550) that no STUN goes before: voice of softphones and gateways, whose ports SIP has agreed on elsewhere. The vendor
//! does not show in it.
//!
//! A first octet of version 2 is one in four by chance. So nothing is believed before both ends have sent several packets, each
//! with its own source all the time, and numbers that go on:
//!
//! ```text
//!  10 | padding | extension | CSRCs, 4 bits    marker | type, 7 bits    sequence, 16 bits
//!  timestamp, 32 bits                          source (SSRC), 32 bits   CSRCs, extension, media
//! ```

use super::native;
use crate::sniff::reader::Reader;
use crate::sniff::{Answer, Kept, State};

/// Steps of the sequence that each end must make, with as many packets and one.
const STEPS: u8 = 4;

/// Numbers that may be left out from one packet to the next: lost ones, and those of a mirror that drops.
const MAX_GAP: u16 = 64;

/// Packets that are looked at until both ends have made their steps: ten seconds of the tones that one end sends before the
/// other is called to the telephone, which is as long as a flow is looked at by default.
const LOOKED_AT: u16 = 500;

/// What was seen of a call so far.
#[derive(Debug, Default)]
pub struct Call {
    client: Option<End>,
    server: Option<End>,
    looked_at: u16,
}

#[derive(Clone, Copy, Debug)]
struct End {
    source: u32,
    sequence: u16,
    timestamp: u32,
    steps: u8,
}

/// Takes a datagram of a flow in which nothing else was found.
pub(in crate::sniff) fn step(state: &mut State, from_client: bool, datagram: &[u8]) -> Answer {
    let mut call = match state.kept.take().map(|kept| *kept) {
        None => Call::default(),
        Some(Kept::Rtp(call)) => call,
        Some(other) => {
            state.kept = Some(Box::new(other));
            return Answer::NotMine;
        }
    };
    let begun = call.looked_at > 0;
    call.looked_at += 1;
    if begun && is_control(datagram) {
        return wait(state, call);
    }
    let Some(now) = head(datagram) else { return Answer::NotMine };
    let end = if from_client { &mut call.client } else { &mut call.server };
    match end {
        None if PLAIN.contains(&datagram.first().copied().unwrap_or_default()) => *end = Some(now),
        None => return Answer::NotMine,
        Some(known) if known.source == now.source => known.follow(now),
        Some(_) => return Answer::NotMine,
    }
    let speaks = |end: Option<End>| end.is_some_and(|end| end.steps >= STEPS);
    if speaks(call.client) && speaks(call.server) {
        return Answer::Found(native("rtp"));
    }
    wait(state, call)
}

fn wait(state: &mut State, call: Call) -> Answer {
    if call.looked_at >= LOOKED_AT {
        return Answer::NotMine;
    }
    state.kept = Some(Box::new(Kept::Rtp(call)));
    Answer::NeedMore
}

impl End {
    /// A late or repeated packet is no step. Tones and pictures take several packets of one timestamp.
    fn follow(&mut self, now: Self) {
        let ahead = now.sequence.wrapping_sub(self.sequence);
        let later = now.timestamp.wrapping_sub(self.timestamp) < 1 << 31;
        if (1..=MAX_GAP).contains(&ahead) && later {
            *self = Self { steps: self.steps.saturating_add(1), ..now };
        } else if (1..u16::MAX - MAX_GAP).contains(&ahead) {
            // A leap, or time that runs the other way: what looked like a sequence was none.
            *self = Self { steps: 0, ..now };
        }
    }
}

/// The head of a packet with something behind it.
fn head(datagram: &[u8]) -> Option<End> {
    let mut reader = Reader::new(datagram);
    let (first, second) = (reader.u8()?, reader.u8()?);
    if first >> 6 != VERSION || !is_assigned(second & 0x7f) {
        return None;
    }
    let sequence = reader.u16()?;
    let (timestamp, source) = (reader.u32()?, reader.u32()?);
    reader.take(4 * usize::from(first & 0x0f))?;
    if first & EXTENSION != 0 {
        reader.u16()?;
        let words = reader.u16()?;
        reader.take(4 * usize::from(words))?;
    }
    let media = reader.rest();
    let padding = if first & PADDING != 0 { usize::from(*media.last()?) } else { 0 };
    let whole = media.len() > padding && (first & PADDING == 0 || padding > 0);
    whole.then_some(End { source, sequence, timestamp, steps: 0 })
}

/// Payload types that there are (RFC 3551 section 6): those that stand for one encoding, and those that are agreed on.
const fn is_assigned(kind: u8) -> bool {
    matches!(kind, 0..=34 | 96..=127)
}

/// RTCP on the same ports (RFC 5761 section 4): its types stand where RTP has marker and type.
fn is_control(datagram: &[u8]) -> bool {
    matches!(datagram, [first, second, ..] if first >> 6 == VERSION && CONTROL.contains(second))
}

const VERSION: u8 = 2;
/// What a call begins with: no padding, and nobody has mixed it.
const PLAIN: [u8; 2] = [0x80, 0x80 | EXTENSION];
const PADDING: u8 = 0x20;
const EXTENSION: u8 = 0x10;
const CONTROL: std::ops::RangeInclusive<u8> = 192..=223;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sniff::{Evidence, Progress, Wants};

    /// Packet `n` of the voice of `source`: G.711, 20 ms each.
    fn voice(source: u32, n: u16) -> Vec<u8> {
        let mut packet = vec![0x80, 0];
        packet.extend(65_530u16.wrapping_add(n).to_be_bytes());
        packet.extend((u32::MAX - 300).wrapping_add(160 * u32::from(n)).to_be_bytes());
        packet.extend(source.to_be_bytes());
        packet.extend([0xff; 160]);
        packet
    }

    /// How many datagrams it took to find RTP; `None` where it was not found.
    fn found(all: &[(bool, Vec<u8>)]) -> Option<usize> {
        let mut progress = Progress::default();
        for (n, (from_client, datagram)) in all.iter().enumerate() {
            let mut native = None;
            let wants = progress.datagram(*from_client, datagram, &mut |evidence| {
                native = Some(evidence);
            });
            match native {
                Some(Evidence::Native(seen)) if seen.protocol == "rtp" => return Some(n + 1),
                Some(other) => panic!("{other:?}"),
                None if wants == Wants::More => {}
                None => return None,
            }
        }
        None
    }

    fn call(packets: u16) -> Vec<(bool, Vec<u8>)> {
        (0..packets).flat_map(|n| [(true, voice(7, n)), (false, voice(8, n))]).collect()
    }

    #[test]
    fn voice_both_ways_is_media() {
        assert_eq!(found(&call(20)), Some(2 * (usize::from(STEPS) + 1)));
        assert_eq!(found(&call(u16::from(STEPS))), None, "not sustained");
        let mut control = call(20);
        let report = [&[0x80, 200, 0, 6][..], &[7; 24]].concat();
        control.insert(3, (true, report.clone()));
        assert!(found(&control).is_some());
        assert_eq!(found(&[(true, report)]), None, "reports alone have ports of their own");
        let mut rich = call(20);
        for (_, packet) in &mut rich {
            // A CSRC, an extension of one word, and padding.
            packet[0] = 0xb1;
            packet.splice(12..12, [0, 0, 0, 9, 0xbe, 0xde, 0, 1, 1, 2, 3, 4]);
            packet.extend([0, 0, 0, 4]);
        }
        assert_eq!(found(&rich), None, "no call begins so");
        rich.splice(..2, call(1));
        assert!(found(&rich).is_some());
    }

    #[test]
    fn one_end_may_wait_for_the_other() {
        let mut tones: Vec<_> = (0..300).map(|n| (true, voice(7, n))).collect();
        tones.extend((300..320).flat_map(|n| [(true, voice(7, n)), (false, voice(8, n))]));
        assert_eq!(found(&tones), Some(300 + 2 * (usize::from(STEPS) + 1)));
    }

    #[test]
    fn loss_and_other_order_do_no_harm() {
        let mut late = call(20);
        late.swap(2, 4);
        assert!(found(&late).is_some());
        let twice: Vec<_> =
            call(20).into_iter().flat_map(|packet| [packet.clone(), packet]).collect();
        assert!(found(&twice).is_some());
        let gaps: Vec<_> = (0..20)
            .flat_map(|n| [(true, voice(7, n * MAX_GAP)), (false, voice(8, n * MAX_GAP))])
            .collect();
        assert!(found(&gaps).is_some());
    }

    #[test]
    fn one_end_alone_or_numbers_that_do_not_go_on_are_nobodys() {
        let mut progress = Progress::default();
        let wants: Vec<Wants> = (0..LOOKED_AT)
            .map(|n| progress.datagram(true, &voice(7, n), &mut |evidence| panic!("{evidence:?}")))
            .collect();
        let (last, before) = wants.split_last().unwrap();
        assert!(*last == Wants::Nothing && before.iter().all(|wants| *wants == Wants::More));
        let another = |n: u16| (n.is_multiple_of(2), voice(u32::from(n), n));
        assert_eq!(found(&(0..50).map(another).collect::<Vec<_>>()), None, "a source each");
        let leaps = |n: u16| (n.is_multiple_of(2), voice(7, n.wrapping_mul(10 * MAX_GAP)));
        assert_eq!(found(&(0..90).map(leaps).collect::<Vec<_>>()), None, "leaps");
        let still: Vec<_> = (0..90).map(|n| (n % 2 == 0, voice(7, 5))).collect();
        assert_eq!(found(&still), None, "the same number");
        let mut back = call(20);
        for (n, (_, packet)) in back.iter_mut().enumerate() {
            packet[4..8].copy_from_slice(&(1_000_000 - 160 * n as u32).to_be_bytes());
        }
        assert_eq!(found(&back), None, "time runs backwards");
    }

    #[test]
    fn heads_that_are_cut_or_damaged_are_nobodys() {
        for cut in 0..=12 {
            let mut short = call(20);
            short.iter_mut().for_each(|(_, packet)| packet.truncate(cut));
            assert_eq!(found(&short), None, "{cut}");
        }
        for first in [0x00, 0x40, 0xc0, 0x9f, 0xa0] {
            let mut damaged = call(20);
            damaged.iter_mut().for_each(|(_, packet)| packet[0] = first);
            // 0x9f wants fifteen CSRCs and an extension longer than the packet, 0xa0 padding of 255 octets.
            assert_eq!(found(&damaged), None, "{first:x}");
        }
        for kind in [35, 72, 76, 95, 200, 223] {
            let mut control = call(20);
            control.iter_mut().for_each(|(_, packet)| packet[1] = kind);
            assert_eq!(
                found(&control),
                None,
                "no payload has type {kind}, and reports are no media"
            );
        }
    }

    proptest! {
        #[test]
        fn noise_with_the_version_of_rtp_is_nobodys(
            noise in prop::collection::vec((any::<bool>(), prop::collection::vec(any::<u8>(), 1..60)), 1..120),
        ) {
            let mut progress = Progress::default();
            for (from_client, mut datagram) in noise {
                datagram[0] = 0x80 | datagram[0] & 0x3f;
                let mut found = Vec::new();
                let wants = progress.datagram(from_client, &datagram, &mut |e| found.push(e));
                prop_assert!(found.is_empty(), "{:?}", found);
                if wants != Wants::More {
                    break;
                }
            }
        }
    }
}
