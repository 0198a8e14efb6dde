//! Tunnels: which IP protocols and UDP ports lead into one, and the way through its header; one file for each header.

mod capwap;
mod geneve;
mod gre;
mod gtp;
mod l2tp;
pub(super) mod mpls;
mod teredo;
mod vxlan;

use etherparse::IpNumber;

use super::link::{Content, ETHER_MPLS, Version};
use super::{Refusal, Rest};
use crate::count::{Cells, Rows};

pub(super) use capwap::{Part, frame_of};

crate::rows! {
    /// What frames and packets are carried in.
    pub enum Tunnel {
        /// RFC 3032; Ethernet pseudowires (RFC 4448) too.
        Mpls => Counter "saastap_decode_tunnel_frames_total" "Frames that gave a segment from inside of such a tunnel." ("tunnel", "mpls"),
        Pppoe => Counter "saastap_decode_tunnel_frames_total" "Frames that gave a segment from inside of such a tunnel." ("tunnel", "pppoe"),
        FabricPath => Counter "saastap_decode_tunnel_frames_total" "Frames that gave a segment from inside of such a tunnel." ("tunnel", "fabricpath"),
        /// IPv4 or IPv6 in IPv4 or IPv6 (RFC 2003, 2473, 4213).
        IpInIp => Counter "saastap_decode_tunnel_frames_total" "Frames that gave a segment from inside of such a tunnel." ("tunnel", "ip_in_ip"),
        /// RFC 2784 and 2890, with IP, Ethernet (NVGRE, gretap), MPLS or a WCCP redirect inside.
        Gre => Counter "saastap_decode_tunnel_frames_total" "Frames that gave a segment from inside of such a tunnel." ("tunnel", "gre"),
        /// GRE version 1 with PPP (RFC 2637).
        Pptp => Counter "saastap_decode_tunnel_frames_total" "Frames that gave a segment from inside of such a tunnel." ("tunnel", "pptp"),
        /// Types I, II and III.
        Erspan => Counter "saastap_decode_tunnel_frames_total" "Frames that gave a segment from inside of such a tunnel." ("tunnel", "erspan"),
        EtherIp => Counter "saastap_decode_tunnel_frames_total" "Frames that gave a segment from inside of such a tunnel." ("tunnel", "etherip"),
        /// RFC 7348, group policy and generic protocol extension too.
        Vxlan => Counter "saastap_decode_tunnel_frames_total" "Frames that gave a segment from inside of such a tunnel." ("tunnel", "vxlan"),
        Geneve => Counter "saastap_decode_tunnel_frames_total" "Frames that gave a segment from inside of such a tunnel." ("tunnel", "geneve"),
        GtpU => Counter "saastap_decode_tunnel_frames_total" "Frames that gave a segment from inside of such a tunnel." ("tunnel", "gtp_u"),
        Teredo => Counter "saastap_decode_tunnel_frames_total" "Frames that gave a segment from inside of such a tunnel." ("tunnel", "teredo"),
        Capwap => Counter "saastap_decode_tunnel_frames_total" "Frames that gave a segment from inside of such a tunnel." ("tunnel", "capwap"),
        L2tp => Counter "saastap_decode_tunnel_frames_total" "Frames that gave a segment from inside of such a tunnel." ("tunnel", "l2tp"),
    }
}

/// Tunnels that something came through, one bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tunnels(u16);

impl Tunnels {
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub const fn has(self, tunnel: Tunnel) -> bool {
        self.0 & tunnel.bit() != 0
    }

    pub const fn add(&mut self, others: Self) {
        self.0 |= others.0;
    }

    /// Those that there are, by the order of [`Tunnel`].
    pub fn iter(self) -> impl Iterator<Item = Tunnel> {
        ALL.into_iter().filter(move |tunnel| self.has(*tunnel))
    }
}

/// What one frame has been carried in so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Trail {
    /// The outermost VLAN of the innermost Ethernet header that names one.
    pub(super) vlan: Option<u16>,
    /// Every kind that was met.
    pub(super) tunnels: Tunnels,
    /// Tunnels over IP or UDP that were entered.
    pub(super) depth: u8,
    /// Frames within frames, of one link header.
    pub(super) nested: u8,
}

impl Trail {
    pub(super) fn pass(&mut self, tunnel: Tunnel) {
        self.tunnels.add(Tunnels(tunnel.bit()));
    }

    /// One level deeper.
    pub(super) fn enter(&mut self, tunnel: Tunnel) {
        self.pass(tunnel);
        self.depth += 1;
        self.nested = 0;
    }

    /// Counts each kind that was met once.
    #[cold]
    pub(super) fn count(self, cells: &Cells<Tunnel>) {
        for tunnel in self.tunnels.iter() {
            cells.add(tunnel, 1);
        }
    }
}

impl Tunnel {
    /// As it is called in metrics and in lines of flows.
    pub fn name(self) -> &'static str {
        Self::ROWS.get(self.index()).and_then(|row| row.label).map_or("", |(_, name)| name)
    }

    const fn bit(self) -> u16 {
        1 << self as u16
    }
}

/// What a packet of this protocol carries; `None` where it is a transport's.
///
/// # Errors
/// A tunnel whose header or content cannot be read.
pub(super) fn over_ip(
    protocol: IpNumber,
    rest: Rest<'_>,
) -> Result<Option<(Tunnel, Content<'_>)>, Refusal> {
    let found = match protocol {
        IpNumber::IPV4 => (Tunnel::IpInIp, Content::Packet(Version::V4, rest)),
        IpNumber::IPV6 => (Tunnel::IpInIp, Content::Packet(Version::V6, rest)),
        IpNumber::GRE => gre::open(rest)?,
        // RFC 4023 section 3
        MPLS => (Tunnel::Mpls, Content::Typed(ETHER_MPLS, rest)),
        // RFC 3378 section 3: version 3, then zeroes.
        ETHER_IP => match rest.bytes.first_chunk() {
            Some([0x30, 0]) => (Tunnel::EtherIp, Content::Ethernet(rest.skip(2))),
            Some(_) => return Err(Refusal::Tunnel),
            None => return Err(Refusal::TooShort),
        },
        // RFC 8986 section 10.1: Ethernet at the end of an SRv6 path.
        ETHERNET => (Tunnel::EtherIp, Content::Ethernet(rest)),
        _ => return Ok(None),
    };
    Ok(Some(found))
}

/// Whether a datagram between these ports may carry a tunnel. Where the port is that of a receiver, only the destination
/// counts: the sender's port is any, and that of an ordinary client may happen to be the same number.
#[inline]
pub(super) const fn is_port(source: u16, destination: u16) -> bool {
    matches!(
        destination,
        VXLAN | VXLAN_LINUX | VXLAN_GPE | GENEVE | GTP_U | MPLS_IN_UDP | GRE_IN_UDP
    ) || is_of_either(destination)
        || is_of_either(source)
}

/// Ports of the servers of tunnels whose clients take any.
#[inline]
const fn is_of_either(port: u16) -> bool {
    matches!(port, TEREDO | CAPWAP_DATA | L2TP)
}

/// What a datagram carries, if its header is one that a sender of such tunnels writes.
pub(super) fn over_udp(source: u16, destination: u16, rest: Rest<'_>) -> Option<Carried<'_>> {
    let (tunnel, content) = match destination {
        VXLAN | VXLAN_LINUX => (Tunnel::Vxlan, vxlan::open(rest)?),
        VXLAN_GPE => (Tunnel::Vxlan, vxlan::open_generic(rest)?),
        GENEVE => (Tunnel::Geneve, geneve::open(rest)?),
        GTP_U => (Tunnel::GtpU, gtp::open(rest)?),
        MPLS_IN_UDP => (Tunnel::Mpls, Content::Typed(ETHER_MPLS, rest)),
        GRE_IN_UDP => gre::open(rest).ok()?,
        _ => match if is_of_either(destination) { destination } else { source } {
            TEREDO => (Tunnel::Teredo, teredo::open(rest)?),
            CAPWAP_DATA => return capwap::open(rest),
            L2TP => (Tunnel::L2tp, l2tp::open(rest)?),
            _ => return None,
        },
    };
    Some(Carried::Whole(tunnel, content))
}

/// What a datagram of a tunnel holds.
pub(super) enum Carried<'a> {
    Whole(Tunnel, Content<'a>),
    /// A part of a frame that CAPWAP has cut.
    Part(Part<'a>),
}

const ALL: [Tunnel; 14] = [
    Tunnel::Mpls,
    Tunnel::Pppoe,
    Tunnel::FabricPath,
    Tunnel::IpInIp,
    Tunnel::Gre,
    Tunnel::Pptp,
    Tunnel::Erspan,
    Tunnel::EtherIp,
    Tunnel::Vxlan,
    Tunnel::Geneve,
    Tunnel::GtpU,
    Tunnel::Teredo,
    Tunnel::Capwap,
    Tunnel::L2tp,
];

const ETHER_IP: IpNumber = IpNumber(97);
const MPLS: IpNumber = IpNumber(137);
const ETHERNET: IpNumber = IpNumber(143);

// IANA; VXLAN_LINUX is what the kernel used before there was a number, and still does unless told otherwise.
const L2TP: u16 = 1701;
const GTP_U: u16 = 2152;
const TEREDO: u16 = 3544;
const GRE_IN_UDP: u16 = 4754;
const VXLAN: u16 = 4789;
const VXLAN_GPE: u16 = 4790;
const CAPWAP_DATA: u16 = 5247;
const GENEVE: u16 = 6081;
const MPLS_IN_UDP: u16 = 6635;
const VXLAN_LINUX: u16 = 8472;

#[cfg(test)]
mod tests;
