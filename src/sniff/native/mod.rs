//! Protocols that are no web: those of remote assistance, and tunnels and media that carry what nobody can name. One file
//! each, and the table of what they are.

/// Every protocol that a sniffer of this folder can answer with.
pub const PROTOCOLS: &[Protocol] = &[
    Protocol::new("anydesk", Class::RemoteAssistance, "AnyDesk's search for others on the LAN"),
    Protocol::new("dameware", Class::RemoteAssistance, "DameWare Mini Remote Control"),
    Protocol::new("radmin", Class::RemoteAssistance, "Radmin 2 and 3"),
    Protocol::new("rdp", Class::RemoteAssistance, "Remote Desktop Protocol"),
    Protocol::new("rfb", Class::RemoteAssistance, "Remote Framebuffer: every VNC"),
    Protocol::new("rustdesk", Class::RemoteAssistance, "RustDesk's rendezvous"),
    Protocol::new("teamviewer", Class::RemoteAssistance, "TeamViewer's own protocol"),
    Protocol::new("ike", Class::Tunnel, "IKE, and IPsec within UDP"),
    Protocol::new("openvpn", Class::Tunnel, "OpenVPN"),
    Protocol::new("wireguard", Class::Tunnel, "WireGuard"),
    Protocol::new("rtp", Class::Media, "RTP media of a call that STUN opened"),
    Protocol::new("stun", Class::Media, "STUN and TURN"),
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
