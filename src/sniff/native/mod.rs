//! Protocols that are no web: those of remote assistance, and tunnels and media that carry what nobody can name. One file
//! each, and the table of what they are.
//!
//! Each of them asks for several octets that a stranger does not send by chance: a length that fits, a checksum, a zero
//! where the protocol has one, or an answer that repeats what was asked.

pub(super) mod dameware;
pub(super) mod ike;
pub(super) mod openvpn;
pub(super) mod radmin;
pub(super) mod rdp;
pub(super) mod rfb;
pub(super) mod rtp;
pub(super) mod rustdesk;
pub(super) mod stun;
pub(super) mod teamviewer;
pub(super) mod wireguard;

#[cfg(test)]
pub(super) mod tests;

use super::evidence::{Evidence, Native};

/// Every protocol that a sniffer of this folder can answer with.
pub const PROTOCOLS: &[Protocol] = &[
    Protocol::new("dameware", Class::RemoteAssistance, "DameWare Mini Remote Control"),
    Protocol::new("radmin", Class::RemoteAssistance, "Radmin 2 and 3"),
    Protocol::new("rdp", Class::RemoteAssistance, "Remote Desktop Protocol"),
    Protocol::new("rfb", Class::RemoteAssistance, "Remote Framebuffer: every VNC"),
    Protocol::new("rustdesk", Class::RemoteAssistance, "RustDesk's rendezvous and relay"),
    Protocol::new("teamviewer", Class::RemoteAssistance, "TeamViewer's own protocol"),
    Protocol::new("ike", Class::Tunnel, "IKE, and IPsec within UDP"),
    Protocol::new("openvpn", Class::Tunnel, "OpenVPN"),
    Protocol::new("wireguard", Class::Tunnel, "WireGuard"),
    Protocol::new("rtp", Class::Media, "RTP that no STUN goes before"),
    Protocol::new("stun", Class::Media, "STUN and TURN, and the media behind them"),
];

/// One row of [`PROTOCOLS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Protocol {
    /// As evidence and signatures name it.
    pub name: &'static str,
    pub class: Class,
    pub help: &'static str,
}

impl Protocol {
    const fn new(name: &'static str, class: Class, help: &'static str) -> Self {
        Self { name, class, help }
    }
}

/// What a protocol says of a flow that has no name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// A product that gives one person the screen of another; signatures say whose.
    RemoteAssistance,
    /// What it carries cannot be seen.
    Tunnel,
    /// Voice, pictures or data between browsers; the vendor does not show in it.
    Media,
}

/// The class of a protocol by its name.
pub fn class(protocol: &str) -> Option<Class> {
    PROTOCOLS.iter().find(|p| p.name == protocol).map(|p| p.class)
}

const fn native(protocol: &'static str) -> Evidence {
    Evidence::Native(Native { protocol })
}

/// What a sniffer over datagrams remembers, in the one word that all of them share until one of them has found something:
/// under its own mark in the highest octet, so that none takes another's for its own.
fn recall(word: u32, mark: u8) -> Option<u32> {
    let [first, rest @ ..] = word.to_be_bytes();
    let [a, b, c] = rest;
    (first == mark).then(|| u32::from_be_bytes([0, a, b, c]))
}

/// The word for 24 bits of `value` under a mark.
const fn remember(mark: u8, value: u32) -> u32 {
    (mark as u32) << 24 | value & 0x00ff_ffff
}

/// Whether `bytes` begin with `head`; `None` where they end before that is certain.
fn begins(bytes: &[u8], head: &[u8]) -> Option<bool> {
    if bytes.len() >= head.len() {
        Some(bytes.starts_with(head))
    } else {
        (!head.starts_with(bytes)).then_some(false)
    }
}
