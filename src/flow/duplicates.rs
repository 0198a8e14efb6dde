//! Copies that a span port makes: a packet that two mirrored ports, VLANs or switches show is counted once.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use super::Options;
use crate::count::Cells;
use crate::decode::{Segment, Transport};
use crate::time::Time;

/// Packets seen within the window, by what stays the same on every mirror.
///
/// Asked once for every segment, before segments are dealt out to workers, so that the answer is a function of the frames
/// alone. A look costs about as much as a look into the flow table; most span ports make no copies, and pay a tenth of it:
/// while fewer than one packet in [`SHARE`] is a copy, only one in [`SAMPLE`] is looked at, chosen by the packet, so that both
/// copies are chosen or none. So few copies are what networks repeat by themselves, or change no count by half a percent.
/// Each one that is found keeps the watch awake for [`SHARE`] packets more, up to [`WATCH`] in all.
///
/// What is compared: addresses, ports, the identification of IPv4, all of the TCP header but its checksum, the length, and of
/// a datagram the UDP checksum, the first and the last octets. Not compared: link header and VLAN tags, TTL, TOS, IP
/// checksum, for those change from one mirror to the next; nor the addresses of tunnels around the packet.
///
/// A retransmission is no copy: it has another identification (IPv4) or another time stamp (RFC 7323), or comes after the
/// window, for no sender repeats itself in less than a round trip. What is lost where all of them are missing (IPv6 without
/// time stamps, within the window): the octets of a repeated segment, which the opening has already.
pub struct Duplicates {
    buckets: Vec<Bucket>,
    /// Packets that are looked at, whichever they are, before only samples are.
    awake: u32,
    /// In nanoseconds; 0: nothing is a copy.
    window: u64,
    seeds: [u64; 4],
    cells: Arc<Cells<Copies>>,
}

/// The latest packets of one place, newest first: a cache line.
#[derive(Clone, Copy, Default)]
#[repr(align(64))]
struct Bucket([Seen; WAYS]);

#[derive(Clone, Copy, Default)]
struct Seen {
    tag: u64,
    /// Nanoseconds since the epoch; 0: an empty place.
    at: u64,
}

crate::rows! {
    /// What the search for copies counts.
    pub enum Copies {
        Packets => Counter "saastap_flow_duplicate_packets_total"
            "Packets left out because the same one had come before within flow.duplicate_milliseconds: the span port shows it twice.",
        Bytes => Counter "saastap_flow_duplicate_bytes_total"
            "Octets on the wire of the packets left out as duplicates.",
    }
}

/// Places of one bucket. A copy is missed where so many other packets of its bucket came in between.
const WAYS: usize = 4;

/// 256 KiB, which a second-level cache holds: a copy may come 1,000 packets late, and one in 10,000 of those is missed.
const BUCKETS: usize = 4_096;

/// Octets of it.
pub const MEMORY: u64 = (BUCKETS * size_of::<Bucket>()) as u64;

impl Duplicates {
    pub fn new(options: &Options) -> Self {
        let window = u64::from(options.duplicate_milliseconds) * 1_000_000;
        let random = RandomState::new();
        Self {
            buckets: if window == 0 { Vec::new() } else { vec![Bucket::default(); BUCKETS] },
            awake: WATCH,
            window,
            // A sender who knew them could make a packet that is taken for the copy of another, and so is never looked at.
            seeds: [0u8, 1, 2, 3].map(|n| random.hash_one(n)),
            cells: Cells::new(),
        }
    }

    pub const fn cells(&self) -> &Arc<Cells<Copies>> {
        &self.cells
    }

    /// Whether the same packet came before within the window. A copy is counted, and does not make the window longer.
    #[inline]
    pub fn is_copy(&mut self, segment: &Segment<'_>, at: Time) -> bool {
        if self.awake > 0 {
            self.awake -= 1;
        } else if !is_sample(segment) {
            return false;
        }
        self.look(segment, at)
    }

    fn look(&mut self, segment: &Segment<'_>, at: Time) -> bool {
        let Some(print) = Print::of(segment, &self.seeds) else { return false };
        let place = (print.place >> PLACE_SHIFT) as usize;
        let Some(Bucket(seen)) = self.buckets.get_mut(place) else { return false };
        let since = at.nanos().saturating_sub(self.window);
        let copy = |known: &Seen| known.tag == print.tag && known.at >= since && known.at != 0;
        if seen.iter().any(copy) {
            self.awake = (self.awake + SHARE).min(WATCH);
            self.cells.add(Copies::Packets, 1);
            self.cells.add(Copies::Bytes, u64::from(segment.wire_len));
            return true;
        }
        let [first, second, third, _] = *seen;
        *seen = [Seen { tag: print.tag, at: at.nanos() }, first, second, third];
        false
    }
}

/// Packets without a copy that end the watch: a pause of a mirror that is shorter costs no copy when it is over, and a longer
/// one some [`SAMPLE`].
const WATCH: u32 = 1 << 14;

/// The watch sleeps where copies are rarer than one in so many packets: [`WATCH`] packets after more came, or later, the nearer
/// their share comes to this. What goes unseen then is less than half a percent.
const SHARE: u32 = 256;

/// So many copies go unseen on average when a port begins to make them.
const SAMPLE: u64 = 16;

/// Whether a packet is one of those that are always looked at: by what its copies share and most packets differ in.
#[inline]
fn is_sample(segment: &Segment<'_>) -> bool {
    let numbers = match &segment.tcp {
        Some(tcp) => u64::from(tcp.sequence) << 32 | u64::from(tcp.acknowledgment),
        None => u64::from(segment.source.port) << 32,
    };
    let rest = u64::from(segment.id) << 24 ^ u64::from(segment.payload_len);
    (numbers ^ rest).wrapping_mul(PLACE) >> 32 & (SAMPLE - 1) == 0
}

const PLACE_SHIFT: u32 = u64::BITS - BUCKETS.trailing_zeros();

/// What stays the same on every mirror, as two numbers.
struct Print {
    /// Depends on nothing but the packet: which packets share a bucket is the same in every run.
    place: u64,
    /// Depends on the seeds.
    tag: u64,
}

impl Print {
    /// `None` for a segment whose transport header was not captured whole.
    #[inline]
    fn of(segment: &Segment<'_>, seeds: &[u64; 4]) -> Option<Self> {
        let [low, high, chain, last] = *seeds;
        let header: &[u8; 8] = segment.datagram.first_chunk()?;
        let ports = u64::from_le_bytes(*header);
        let size = u64::from(segment.id) << 32 | u64::from(segment.payload_len);
        let (source, destination) = (segment.source.ip.number(), segment.destination.ip.number());
        // The lower halves tell IPv4 addresses apart. The upper ones of two hosts that talk are mixed in after them.
        let ends = (source as u64).rotate_left(32) ^ destination as u64;
        let networks = ((source >> 64) as u64).rotate_left(32) ^ (destination >> 64) as u64;
        let mut tag = folded(ports ^ low, size ^ high);
        tag = folded(tag ^ ends, networks ^ chain);
        let mut place = ports ^ size.rotate_left(24);
        match segment.transport {
            Transport::Tcp => {
                // Offset, flags and window are followed by the checksum and the urgent pointer.
                let rest: &[u8; 8] = segment.datagram.get(8..)?.first_chunk()?;
                let rest = u64::from_le_bytes(*rest);
                place ^= rest;
                tag = folded(tag ^ rest, last);
                let len = usize::from(segment.datagram.get(12)? >> 4) * 4;
                let mut options = segment.datagram.get(20..len).unwrap_or_default();
                while let Some((eight, more)) = options.split_first_chunk() {
                    tag = folded(tag ^ u64::from_le_bytes(*eight), last);
                    options = more;
                }
                if let Some(four) = options.first_chunk() {
                    tag = folded(tag ^ u64::from(u32::from_le_bytes(*four)), last);
                }
            }
            Transport::Udp => {
                let mut head = segment.payload.get(..HEAD).unwrap_or(segment.payload);
                while let Some((eight, more)) = head.split_first_chunk() {
                    tag = folded(tag ^ u64::from_le_bytes(*eight), last);
                    head = more;
                }
                for octet in head {
                    tag = folded(tag ^ u64::from(*octet), last);
                }
                if let Some(tail) = segment.payload.last_chunk() {
                    tag = folded(tag ^ u64::from_le_bytes(*tail), chain);
                }
            }
        }
        Some(Self { place: folded(place, PLACE), tag })
    }
}

/// First octets of a datagram that are compared: message ids, sequence numbers and QUIC connection ids of 20 octets with what
/// follows them.
const HEAD: usize = 32;

/// An odd number with bits as random as those of the golden ratio, which it is.
const PLACE: u64 = 0x9e37_79b9_7f4a_7c15;

/// Both halves of the product, each bit of which depends on most bits below it.
#[inline]
const fn folded(a: u64, b: u64) -> u64 {
    let product = a as u128 * b as u128;
    product as u64 ^ (product >> 64) as u64
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use etherparse::PacketBuilder;

    use super::*;
    use crate::capture::{Frame, Link};
    use crate::decode::{self, Decoder};

    const START: Time = Time::from_secs(1_700_000_000);

    /// A TCP segment over IPv4 in Ethernet: what tells it from others may be changed in the octets.
    fn tcp(payload: &[u8]) -> Vec<u8> {
        let builder = PacketBuilder::ethernet2([1; 6], [2; 6])
            .ipv4([10, 0, 0, 1], [192, 0, 2, 1], 64)
            .tcp(40_000, 443, 7, 1024)
            .ack(9)
            .options_raw(&[1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2])
            .unwrap();
        let mut bytes = Vec::new();
        builder.write(&mut bytes, payload).unwrap();
        bytes
    }

    fn udp6(payload: &[u8]) -> Vec<u8> {
        let builder =
            PacketBuilder::ethernet2([1; 6], [2; 6]).ipv6([1; 16], [2; 16], 64).udp(40_000, 443);
        let mut bytes = Vec::new();
        builder.write(&mut bytes, payload).unwrap();
        bytes
    }

    fn is_copy(duplicates: &mut Duplicates, at: Time, bytes: &[u8]) -> bool {
        let wire_len = bytes.len() as u32;
        let frame = Frame { time: at, number: 1, link: Link(1), interface: 0, wire_len, bytes };
        let mut decoder = Decoder::new(&decode::Options::default());
        duplicates.is_copy(&decoder.decode(&frame).unwrap(), at)
    }

    fn fresh() -> Duplicates {
        Duplicates::new(&Options::default())
    }

    /// `packet` comes, then `other` at once.
    fn second_is_copy(packet: &[u8], other: &[u8]) -> bool {
        let mut duplicates = fresh();
        assert!(!is_copy(&mut duplicates, START, packet));
        is_copy(&mut duplicates, START, other)
    }

    #[test]
    fn a_copy_may_differ_in_all_that_a_way_through_switches_changes() {
        for packet in [tcp(b"hello"), udp6(b"hello, this is more than eight octets")] {
            assert!(second_is_copy(&packet, &packet));
            let mut other = packet.clone();
            other[..12].fill(9); // other switches
            if other[12] == 8 {
                other[15] = 0x28; // TOS
                other[22] -= 1; // TTL
                other[24] ^= 0x55; // and so its checksum
            } else {
                other[21] -= 1; // hop limit
            }
            assert!(second_is_copy(&packet, &other));
            let tagged = [&other[..12], &[0x81, 0, 0, 7], &other[12..]].concat();
            assert!(second_is_copy(&packet, &tagged));
            assert!(second_is_copy(&tagged, &packet));
            let padded = [&packet[..], &[0; 20]].concat();
            assert!(second_is_copy(&packet, &padded));
        }
    }

    #[test]
    fn the_checksum_of_tcp_may_be_left_to_the_card() {
        let packet = tcp(b"hello");
        let mut offloaded = packet.clone();
        offloaded[14 + 20 + 16] ^= 0xff;
        assert!(second_is_copy(&packet, &offloaded));
    }

    #[test]
    fn every_other_octet_of_a_header_tells_packets_apart() {
        let (packet, ip) = (tcp(b"hello"), 14);
        let identification = ip + 4..ip + 6;
        let addresses = ip + 12..ip + 20;
        let header = (ip + 20..ip + 36).chain(ip + 40..ip + 52);
        for at in identification.chain(addresses).chain(header) {
            let mut other = packet.clone();
            // The offset of the payload must stay true.
            other[at] ^= 1;
            assert!(!second_is_copy(&packet, &other), "octet {at}");
        }
        assert!(!second_is_copy(&packet, &tcp(b"hell")), "length");
        let packet = udp6(b"a question with its own id");
        for at in (14 + 8..14 + 44).chain(14 + 46..packet.len()) {
            let mut other = packet.clone();
            other[at] ^= 1;
            assert!(!second_is_copy(&packet, &other), "octet {at}");
        }
    }

    #[test]
    fn a_retransmission_is_kept() {
        let packet = tcp(b"hello");
        let mut duplicates = fresh();
        assert!(!is_copy(&mut duplicates, START, &packet));
        let mut again = packet.clone();
        again[14 + 5] += 1; // another identification
        assert!(!is_copy(&mut duplicates, START, &again));
        let mut again = packet.clone();
        again[14 + 20 + 27] += 1; // another time stamp
        assert!(!is_copy(&mut duplicates, START, &again));
        let window = Duration::from_millis(Options::default().duplicate_milliseconds.into());
        let late = START.plus(window).plus(Duration::from_nanos(1));
        assert!(is_copy(&mut duplicates, START.plus(window), &packet));
        assert!(!is_copy(&mut duplicates, late, &packet), "a copy makes the window no longer");
        let cells = duplicates.cells();
        assert_eq!(cells.get(Copies::Packets), 1);
        assert_eq!(cells.get(Copies::Bytes), packet.len() as u64);
    }

    #[test]
    fn nothing_is_a_copy_where_it_is_turned_off() {
        let options = Options { duplicate_milliseconds: 0, ..Options::default() };
        let mut duplicates = Duplicates::new(&options);
        let packet = tcp(b"hello");
        assert!(!is_copy(&mut duplicates, START, &packet));
        assert!(!is_copy(&mut duplicates, START, &packet));
        assert!(!is_copy(&mut duplicates, START, &packet));
    }

    /// Two mirrors, the second one a batch of a network card behind: nearly all copies are found, and the same ones in every
    /// run, whatever the seeds.
    #[test]
    fn batches_of_two_cards_are_told_apart_from_their_copies() {
        let packet = |n: u32| {
            let mut bytes = tcp(b"hello");
            bytes[14 + 24..14 + 28].copy_from_slice(&(n * 1_448).to_be_bytes());
            bytes
        };
        let run = || -> Vec<bool> {
            let mut duplicates = fresh();
            let mut copies = Vec::new();
            for batch in 0..40u32 {
                for _ in 0..2 {
                    let packets = (batch * 1_000..(batch + 1) * 1_000).map(packet);
                    copies.extend(packets.map(|p| is_copy(&mut duplicates, START, &p)));
                }
            }
            copies
        };
        let copies = run();
        let found = copies.iter().filter(|c| **c).count();
        assert!((39_900..=40_000).contains(&found), "{found}");
        assert_eq!(copies, run());
    }

    /// `n`-th segment of a stream.
    fn nth(n: u32) -> Vec<u8> {
        let mut bytes = tcp(b"hello");
        bytes[14 + 4..14 + 6].copy_from_slice(&(n as u16).to_be_bytes());
        bytes[14 + 24..14 + 28].copy_from_slice(&(n * 1_448).to_be_bytes());
        bytes
    }

    /// Of `packets` more packets from the `from`-th on, one in `every` comes twice: how many copies were found.
    fn found(duplicates: &mut Duplicates, from: u32, packets: u32, every: u32) -> u32 {
        let mut decoder = Decoder::new(&decode::Options::default());
        let mut bytes = tcp(b"hello");
        let mut found = 0;
        for n in from..from + packets {
            bytes[14 + 24..14 + 28].copy_from_slice(&(n * 1_448).to_be_bytes());
            let wire_len = bytes.len() as u32;
            let (time, link) = (START, Link(1));
            let frame = Frame { time, number: 1, link, interface: 0, wire_len, bytes: &bytes };
            let segment = decoder.decode(&frame).unwrap();
            assert!(!duplicates.is_copy(&segment, START));
            found += u32::from(n % every == 0 && duplicates.is_copy(&segment, START));
        }
        found
    }

    #[test]
    fn rare_repeats_let_the_watch_sleep_and_a_doubled_vlan_does_not() {
        let mut duplicates = fresh();
        found(&mut duplicates, 0, 2 * WATCH, 1_000);
        let rare = found(&mut duplicates, 2 * WATCH, 4 * WATCH, 1_000);
        assert!(rare < 20, "{rare} of 65 found: the watch did not sleep");
        let mut duplicates = fresh();
        let all = found(&mut duplicates, 0, 9 * WATCH, 100);
        assert_eq!(all, (9 * WATCH).div_ceil(100), "each in a hundred is watched");
    }

    #[test]
    fn a_port_without_copies_is_only_sampled_until_it_makes_some() {
        let mut duplicates = fresh();
        for n in 0..WATCH {
            assert!(!is_copy(&mut duplicates, START, &nth(n)));
        }
        let (mut unseen, mut found) = (0, 0);
        for n in WATCH..WATCH + 2_000 {
            assert!(!is_copy(&mut duplicates, START, &nth(n)));
            match is_copy(&mut duplicates, START, &nth(n)) {
                true => found += 1,
                false if found == 0 => unseen += 1,
                false => panic!("after the first that was found, {n} was not"),
            }
        }
        assert!(unseen < 100 && found > 1_900, "{unseen}, {found}");
    }
}
