//! From a frame to its segment: headers, tunnels within each other, and fragments that wait for the rest.

use std::sync::Arc;

use etherparse::IpNumber;

use super::fragment::{Fragments, Key, Origin, What, Whole};
use super::link::{self, Content, Version};
use super::network::{self, Cut, Packet};
use super::options::MAX_TUNNEL_DEPTH;
use super::tunnel::{self, Carried, Part, Trail};
use super::{
    Counter, Endpoint, Options, Refusal, Rest, Segment, Transport, Tunnel, Tunnels, short,
    transport,
};
use crate::capture::Frame;
use crate::count::{Cells, Counted};
use crate::time::Time;

/// Reads frames of one source; keeps what fragments say until their datagram is whole.
pub struct Decoder {
    tunnel_depth: u8,
    fragments: Fragments,
    /// Datagrams that became whole with the frame at hand.
    spare: [Vec<u8>; SPARE],
    refusals: Arc<Cells<Refusal>>,
    tunnels: Arc<Cells<Tunnel>>,
    cells: Arc<Cells<Counter>>,
}

/// Fragmented datagrams within each other: that of a tunnel, and one that it carries. More is no traffic.
pub(super) const SPARE: usize = 2;

impl Decoder {
    pub fn new(options: &Options) -> Self {
        let cells = Cells::new();
        Self {
            tunnel_depth: options.tunnel_depth.min(MAX_TUNNEL_DEPTH),
            fragments: Fragments::new(options, cells.clone()),
            spare: Default::default(),
            refusals: Cells::new(),
            tunnels: Cells::new(),
            cells,
        }
    }

    /// Its counters, for whoever exports them.
    pub fn counted(&self) -> [Arc<dyn Counted>; 3] {
        [self.refusals.clone(), self.tunnels.clone(), self.cells.clone()]
    }

    /// Reads the headers of one frame, down to a transport's. A frame that gives no segment is counted by its reason.
    ///
    /// Copies and allocates nothing, but for fragments: those are held until their datagram is whole, and the frame that
    /// completes it gives the segment of all. An Ethernet frame in a tunnel is read as one from the wire.
    ///
    /// A frame cut by snaplen gives a segment wherever its ports were captured (for TCP: the 20 fixed octets of the header).
    /// The length fields of IP and UDP say what was on the wire: padding of short Ethernet frames is no payload. A length field
    /// of zero (segmentation offload, jumbograms) and one of UDP that cannot be are replaced by what the frame holds. Of a
    /// datagram with a fragment that was cut, the payload ends there.
    ///
    /// A UDP port leads into a tunnel only where a header follows that a sender of such tunnels writes, and where the
    /// inside can be read; all else on that port is a datagram like any other. The destination port counts; for Teredo,
    /// CAPWAP and L2TP, whose clients take any port, either side.
    #[inline(always)]
    pub fn decode<'a>(&'a mut self, frame: &Frame<'a>) -> Result<Segment<'a>, Refusal> {
        match short::read(frame) {
            Some(segment) => Ok(segment),
            None => self.walk(frame),
        }
    }

    /// The long way, for all that the short one leaves to it.
    #[cold]
    pub(super) fn walk<'a>(&'a mut self, frame: &Frame<'a>) -> Result<Segment<'a>, Refusal> {
        let Self { tunnel_depth, fragments, spare, refusals, tunnels, cells } = self;
        let mut walk = Walk {
            tunnel_depth: *tunnel_depth,
            fragments,
            cells,
            at: frame.time,
            number: frame.number,
            wire_len: frame.wire_len,
            trail: Trail::default(),
        };
        match walk.frame(frame, spare) {
            Ok(segment) => {
                if !segment.tunnels.is_empty() {
                    walk.trail.count(tunnels);
                }
                Ok(segment)
            }
            Err(reason) => {
                refusals.add(reason, 1);
                Err(reason)
            }
        }
    }

    /// A datagram whose fragments did not all come in time, as time has passed: the frame in which it began, and the segment of
    /// what there is of it. To be called until it gives nothing, with every tick and, with [`Time::MAX`], at the end: a capture
    /// filter with a port in it lets first fragments pass only, and they hold what names the flow.
    pub fn overdue(&mut self, at: Time) -> Option<(u64, Result<Segment<'_>, Refusal>)> {
        let Self { tunnel_depth, fragments, spare, tunnels, cells, .. } = self;
        let (part, spare) = spare.split_first_mut()?;
        let (key, found) = fragments.overdue(at, part)?;
        let number = found.origin.number;
        let tunnel_depth = *tunnel_depth;
        let trail = Trail::default();
        let mut walk = Walk { tunnel_depth, fragments, cells, at, number, wire_len: 0, trail };
        let segment = walk.resume(key, found, part, spare);
        if segment.as_ref().is_ok_and(|segment| !segment.tunnels.is_empty()) {
            walk.trail.count(tunnels);
        }
        Some((number, segment))
    }
}

/// Around a segment: VLAN, tunnels, octets on the wire.
type Around = (Option<u16>, Tunnels, u32);

fn segment<'a>(
    packet: &Packet<'a>,
    (ports, tcp, rest): transport::Read<'a>,
    (vlan, tunnels, wire_len): Around,
) -> Segment<'a> {
    Segment {
        source: Endpoint { ip: packet.source, port: ports.0 },
        destination: Endpoint { ip: packet.destination, port: ports.1 },
        transport: if tcp.is_some() { Transport::Tcp } else { Transport::Udp },
        tcp,
        vlan,
        id: packet.id,
        datagram: packet.rest.bytes,
        tunnels,
        payload: rest.bytes,
        payload_len: rest.wire,
        wire_len,
    }
}

/// The way through one frame.
struct Walk<'w> {
    tunnel_depth: u8,
    fragments: &'w mut Fragments,
    cells: &'w Cells<Counter>,
    at: Time,
    number: u64,
    /// Octets on the wire of the frame, or of all that the datagram came in.
    wire_len: u32,
    /// Of the segment that was found.
    trail: Trail,
}

impl Walk<'_> {
    fn frame<'a>(
        &mut self,
        frame: &Frame<'a>,
        spare: &'a mut [Vec<u8>],
    ) -> Result<Segment<'a>, Refusal> {
        let mut trail = Trail::default();
        let inner = link::strip(frame, &mut trail)?;
        let packet = network::read(inner.version, inner.rest)?;
        match packet.cut {
            None => self.whole(packet, trail, spare),
            Some(cut) => self.fragment(cut, &packet, trail, spare),
        }
    }

    /// A packet that is no fragment, or has become whole.
    fn whole<'a>(
        &mut self,
        packet: Packet<'a>,
        trail: Trail,
        spare: &'a mut [Vec<u8>],
    ) -> Result<Segment<'a>, Refusal> {
        if !matches!(packet.protocol, IpNumber::TCP | IpNumber::UDP)
            && let Some((tunnel, content)) = tunnel::over_ip(packet.protocol, packet.rest)?
        {
            if self.is_too_deep(trail) {
                return Err(Refusal::Tunnel);
            }
            return self.inside(tunnel, content, trail, spare);
        }
        let (ports, tcp, rest) = transport::read(packet.protocol, packet.rest)?;
        self.trail = trail;
        let around = (trail.vlan, trail.tunnels, self.wire_len);
        let segment = segment(&packet, (ports, tcp, rest), around);
        if tcp.is_none() && tunnel::is_port(ports.0, ports.1) {
            return self.datagram(segment, rest, trail, spare);
        }
        Ok(segment)
    }

    /// A datagram to or from a port of tunnels: what it carries, or itself.
    fn datagram<'a>(
        &mut self,
        segment: Segment<'a>,
        rest: Rest<'a>,
        trail: Trail,
        spare: &'a mut [Vec<u8>],
    ) -> Result<Segment<'a>, Refusal> {
        let ports = (segment.source.port, segment.destination.port);
        let Some(carried) = tunnel::over_udp(ports.0, ports.1, rest) else { return Ok(segment) };
        if self.is_too_deep(trail) {
            return Ok(segment);
        }
        let found = match carried {
            Carried::Whole(tunnel, content) => self.inside(tunnel, content, trail, spare),
            Carried::Part(part) => self.part(&segment, &part, trail, spare),
        };
        match found {
            Err(reason) if reason.is_damage() => {
                self.trail = trail;
                Ok(segment)
            }
            found => found,
        }
    }

    fn inside<'a>(
        &mut self,
        tunnel: Tunnel,
        content: Content<'a>,
        mut trail: Trail,
        spare: &'a mut [Vec<u8>],
    ) -> Result<Segment<'a>, Refusal> {
        trail.enter(tunnel);
        let inner = link::open(content, &mut trail)?;
        let packet = network::read(inner.version, inner.rest)?;
        match packet.cut {
            None => self.whole(packet, trail, spare),
            Some(cut) => self.fragment(cut, &packet, trail, spare),
        }
    }

    fn fragment<'a>(
        &mut self,
        cut: Cut,
        packet: &Packet<'a>,
        trail: Trail,
        spare: &'a mut [Vec<u8>],
    ) -> Result<Segment<'a>, Refusal> {
        let what = match cut.version {
            Version::V4 => What::V4(cut.next),
            Version::V6 => What::V6,
        };
        let (source, destination) = (packet.source, packet.destination);
        let key = Key { source, destination, id: cut.id, what, depth: trail.depth };
        self.reassemble(key, cut, packet.rest, trail, spare)
    }

    /// A part of a frame between an access point and its controller.
    fn part<'a>(
        &mut self,
        segment: &Segment<'a>,
        part: &Part<'a>,
        trail: Trail,
        spare: &'a mut [Vec<u8>],
    ) -> Result<Segment<'a>, Refusal> {
        let (source, destination) = (segment.source.ip, segment.destination.ip);
        let (id, depth) = (part.id.into(), trail.depth);
        let key = Key { source, destination, id, what: What::Capwap, depth };
        self.reassemble(key, part.cut(), part.rest, trail, spare)
    }

    /// Goes on with the datagram that a fragment completes.
    fn reassemble<'a>(
        &mut self,
        key: Key,
        cut: Cut,
        rest: Rest<'_>,
        trail: Trail,
        spare: &'a mut [Vec<u8>],
    ) -> Result<Segment<'a>, Refusal> {
        let Some((buffer, spare)) = spare.split_first_mut() else { return Err(Refusal::Fragment) };
        let origin = (Origin { number: self.number, trail }, self.wire_len);
        let found = self
            .fragments
            .add(self.at, key, (cut, rest), origin, buffer)?
            .ok_or(Refusal::Fragment)?;
        self.resume(key, found, buffer, spare)
    }

    fn resume<'a>(
        &mut self,
        key: Key,
        found: Whole,
        bytes: &'a [u8],
        spare: &'a mut [Vec<u8>],
    ) -> Result<Segment<'a>, Refusal> {
        self.wire_len = found.frames;
        let trail = found.origin.trail;
        let next = IpNumber(found.next);
        let rest = Rest { bytes, wire: found.wire };
        let (protocol, rest) = match key.what {
            What::V4(_) => network::after_v4(next, rest)?,
            What::V6 => match network::extensions(next, rest)? {
                (protocol, rest, None) => (protocol, rest),
                (_, _, Some(_)) => return Err(Refusal::BadHeader),
            },
            What::Capwap => {
                let content = tunnel::frame_of(found.next, rest);
                return self.inside(Tunnel::Capwap, content, trail, spare);
            }
        };
        let Key { source, destination, id, what, .. } = key;
        // That of IPv4 has 16 bits, that of the other is none of a packet.
        let id = if what == What::V6 { 0 } else { id as u16 };
        self.whole(Packet { source, destination, protocol, rest, id, cut: None }, trail, spare)
    }

    fn is_too_deep(&self, trail: Trail) -> bool {
        let deep = trail.depth >= self.tunnel_depth;
        if deep {
            self.cells.add(Counter::TooDeep, 1);
        }
        deep
    }
}
