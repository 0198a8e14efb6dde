//! Puts Ethernet frames into every encapsulation that the decoder opens: for the tests of all stages.

/// One way to carry a frame, or the packet in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wrap {
    Vlan,
    QinQ,
    QinQOld,
    CiscoMetadata,
    Snap,
    FabricPath,
    Pppoe,
    Mpls,
    MplsStack,
    MplsEthernet,
    MplsEthernetBare,
    MplsInUdp,
    Gre,
    GreEveryField,
    GreBridged,
    GreInUdp,
    Wccp,
    Pptp,
    ErspanI,
    ErspanII,
    ErspanIII,
    ErspanIIILong,
    IpIn4,
    IpIn6,
    EtherIp,
    EthernetIn6,
    Vxlan,
    VxlanGroup,
    VxlanGpe,
    VxlanService,
    Geneve,
    GeneveOptions,
    GtpU,
    GtpUExtended,
    Teredo,
    TeredoIndications,
    Capwap,
    CapwapWireless,
    CapwapWirelessSwapped,
    CapwapParts,
    L2tp,
    L2tpEveryField,
    Fragments,
    FragmentsBackwards,
    FragmentsTiny,
    FragmentsTwice,
}

impl Wrap {
    pub(crate) const ALL: [Self; 46] = [
        Self::Vlan,
        Self::QinQ,
        Self::QinQOld,
        Self::CiscoMetadata,
        Self::Snap,
        Self::FabricPath,
        Self::Pppoe,
        Self::Mpls,
        Self::MplsStack,
        Self::MplsEthernet,
        Self::MplsEthernetBare,
        Self::MplsInUdp,
        Self::Gre,
        Self::GreEveryField,
        Self::GreBridged,
        Self::GreInUdp,
        Self::Wccp,
        Self::Pptp,
        Self::ErspanI,
        Self::ErspanII,
        Self::ErspanIII,
        Self::ErspanIIILong,
        Self::IpIn4,
        Self::IpIn6,
        Self::EtherIp,
        Self::EthernetIn6,
        Self::Vxlan,
        Self::VxlanGroup,
        Self::VxlanGpe,
        Self::VxlanService,
        Self::Geneve,
        Self::GeneveOptions,
        Self::GtpU,
        Self::GtpUExtended,
        Self::Teredo,
        Self::TeredoIndications,
        Self::Capwap,
        Self::CapwapWireless,
        Self::CapwapWirelessSwapped,
        Self::CapwapParts,
        Self::L2tp,
        Self::L2tpEveryField,
        Self::Fragments,
        Self::FragmentsBackwards,
        Self::FragmentsTiny,
        Self::FragmentsTwice,
    ];

    /// Whether it carries the packet of a frame, and not the frame.
    pub(crate) const fn needs_ip(self) -> bool {
        matches!(
            self,
            Self::Snap
                | Self::Pppoe
                | Self::Mpls
                | Self::MplsStack
                | Self::MplsInUdp
                | Self::Gre
                | Self::GreEveryField
                | Self::Wccp
                | Self::Pptp
                | Self::IpIn4
                | Self::IpIn6
                | Self::VxlanGpe
                | Self::GeneveOptions
                | Self::GtpU
                | Self::GtpUExtended
                | Self::Teredo
                | Self::TeredoIndications
                | Self::CapwapWireless
                | Self::CapwapWirelessSwapped
                | Self::L2tp
                | Self::L2tpEveryField
        ) || self.cuts()
    }

    /// Whether it makes IP fragments.
    pub(crate) const fn cuts(self) -> bool {
        matches!(
            self,
            Self::Fragments | Self::FragmentsBackwards | Self::FragmentsTiny | Self::FragmentsTwice
        )
    }

    /// The frames that carry `frame`, an Ethernet frame with IP in it: several where it is cut, none where this way carries no
    /// such frame (Teredo carries IPv6 only, GRE with an IP type no PPPoE).
    pub(crate) fn wrap(self, frame: &[u8]) -> Vec<Vec<u8>> {
        let Packet { head, kind, packet } = Packet::of(frame);
        let four = kind == [8, 0];
        if self.needs_ip() && !four && kind != [0x86, 0xdd] {
            return Vec::new();
        }
        let addresses = &frame[..12];
        let tagged = |tags: &[u8]| [addresses, tags, &frame[12..]].concat();
        let typed =
            |kind: u16, before: &[u8]| [addresses, &kind.to_be_bytes(), before, packet].concat();
        let one = match self {
            Self::Vlan => tagged(&[0x81, 0, 0, 20]),
            Self::QinQ => tagged(&[0x88, 0xa8, 0, 30, 0x81, 0, 0, 20]),
            Self::QinQOld => tagged(&[0x91, 0, 0, 30, 0x81, 0, 0, 20]),
            Self::CiscoMetadata => tagged(&[0x89, 0x09, 1, 1, 0, 1, 0, 7]),
            Self::Snap => {
                if head.len() > 12 || packet.len() + 8 > 1500 {
                    return Vec::new();
                }
                let len = (packet.len() + 8) as u16;
                typed(len, &[&[0xaa, 0xaa, 3, 0, 0, 0], kind].concat())
            }
            Self::FabricPath => {
                [&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x89, 3, 0, 0x60], frame].concat()
            }
            Self::Pppoe => {
                let len = (packet.len() + 2) as u16;
                typed(0x8864, &[&[0x11, 0, 0, 9][..], &len.to_be_bytes(), ppp(four)].concat())
            }
            Self::Mpls => typed(0x8847, &[0, 1, 1, 64]),
            Self::MplsStack => typed(0x8847, &[0, 1, 0, 64, 0, 0, 0x70, 64, 0xff, 0xff, 1, 64]),
            Self::MplsEthernet => {
                [addresses, &[0x88, 0x47, 0, 1, 1, 64, 0, 0, 0, 9], frame].concat()
            }
            Self::MplsEthernetBare => [addresses, &[0x88, 0x47, 0, 1, 1, 64], frame].concat(),
            Self::MplsInUdp => udp(40_000, 6635, &[&[0, 1, 1, 64], packet].concat()),
            Self::Gre => v4(47, &[&[0, 0], kind, packet].concat()),
            Self::GreEveryField => {
                // Checksum, routing, key, sequence; one route, and the end of routes.
                let routes = [0, 8, 0, 4, 192, 0, 2, 9, 0, 0, 0, 0];
                v4(47, &[&[0xf0, 0], kind, &[0; 12], &routes, packet].concat())
            }
            Self::GreBridged => v6(47, &[&[0x20, 0, 0x65, 0x58, 0, 0, 7, 1], frame].concat()),
            Self::GreInUdp => udp(50_000, 4754, &[&[0, 0, 0x65, 0x58], frame].concat()),
            Self::Wccp if four => v4(47, &[&[0, 0, 0x88, 0x3e, 0, 51, 0, 1], packet].concat()),
            Self::Pptp => {
                let len = (packet.len() + 4) as u16;
                let head = [&[0x30, 0x81, 0x88, 0x0b][..], &len.to_be_bytes(), &[0; 10]].concat();
                v4(47, &[&head[..], &[0xff, 3], ppp(four), packet].concat())
            }
            Self::ErspanI => v4(47, &[&[0, 0, 0x88, 0xbe], frame].concat()),
            Self::ErspanII => {
                let head = [0x10, 0, 0x88, 0xbe, 0, 0, 0, 1, 0x10, 7, 0, 5, 0, 0, 0, 9];
                v4(47, &[&head, frame].concat())
            }
            Self::ErspanIII | Self::ErspanIIILong => {
                let more = u8::from(self == Self::ErspanIIILong);
                let mut head = vec![0x10, 0, 0x22, 0xeb, 0, 0, 0, 1];
                head.extend([0x20, 7, 0, 5, 1, 2, 3, 4, 0, 0, 0, 6 | more]);
                head.resize(head.len() + 8 * usize::from(more), 0);
                v4(47, &[&head, frame].concat())
            }
            Self::IpIn4 => v4(if four { 4 } else { 41 }, packet),
            Self::IpIn6 => v6(if four { 4 } else { 41 }, packet),
            Self::EtherIp => v4(97, &[&[0x30, 0], frame].concat()),
            Self::EthernetIn6 => v6(143, frame),
            Self::Vxlan => udp(50_000, 4789, &[&[8, 0, 0, 0, 0, 0, 42, 0], frame].concat()),
            Self::VxlanGroup => udp(50_000, 8472, &[&[0x88, 8, 1, 2, 0, 0, 42, 0], frame].concat()),
            Self::VxlanGpe => {
                let next = if four { 1 } else { 2 };
                udp(50_000, 4790, &[&[0x0c, 0, 0, next, 0, 0, 42, 0], packet].concat())
            }
            Self::VxlanService => {
                let path = [0, 6, 1, 3, 0, 0, 7, 255, 0, 0, 0, 0, 0, 0, 0, 0];
                let path = [&path[..], &[0; 8]].concat();
                udp(50_000, 4790, &[&[0x0c, 0, 0, 4, 0, 0, 42, 0], &path[..], frame].concat())
            }
            Self::Geneve => udp(50_000, 6081, &[&[0, 0, 0x65, 0x58, 0, 0, 42, 0], frame].concat()),
            Self::GeneveOptions => {
                let head = [&[2, 0x40], kind, &[0, 0, 42, 0, 1, 2, 3, 1, 9, 9, 9, 9]].concat();
                udp(50_000, 6081, &[&head, packet].concat())
            }
            Self::GtpU => gtp(0x30, &[], packet),
            Self::GtpUExtended => {
                // A PDU session container (0x85) of one word, then one of two words.
                let more = [0, 1, 0, 0x85, 1, 0, 9, 0xc0, 2, 1, 2, 3, 4, 5, 6, 0];
                gtp(0x36, &more, packet)
            }
            Self::Teredo if !four => udp(50_000, 3544, packet),
            Self::TeredoIndications if !four => {
                let authentication = [&[0, 1, 2, 3][..], &[1; 5], &[2; 8], &[0]].concat();
                let origin = [0, 0, 0xde, 0xad, 1, 2, 3, 4];
                udp(3544, 50_000, &[&authentication, &origin[..], packet].concat())
            }
            Self::Capwap => udp(5247, 40_000, &[&[0, 0x10, 2, 0, 0, 0, 0, 0], frame].concat()),
            Self::CapwapWireless | Self::CapwapWirelessSwapped => {
                let (kind_of, flags) = (0x88, 1);
                let mut inside =
                    if self == Self::CapwapWireless { [kind_of, flags] } else { [flags, kind_of] }
                        .to_vec();
                inside.resize(26, 0);
                inside.extend([0xaa, 0xaa, 3, 0, 0, 0]);
                inside.extend(kind);
                inside.extend(packet);
                let head = [0, 0x20, 3, 0x20, 0, 0, 0, 0, 4, 1, 2, 3, 4, 0, 0, 0];
                udp(40_000, 5247, &[&head, &inside[..]].concat())
            }
            Self::CapwapParts => {
                let id = print(frame).to_be_bytes();
                let parts = cut(frame, 64).into_iter().map(|(start, more, part)| {
                    let flags = if more { 0x80 } else { 0xc0 };
                    let start = (start as u16).to_be_bytes();
                    let head = [0, 0x10, 2, flags, id[0], id[1], start[0], start[1]];
                    udp(40_000, 5247, &[&head, part].concat())
                });
                return parts.collect();
            }
            Self::L2tp => udp(1701, 1701, &[&[0, 2, 0, 1, 0, 2], ppp(four), packet].concat()),
            Self::L2tpEveryField => {
                let len = (packet.len() + 22) as u16;
                let head = [&[0x4a, 2][..], &len.to_be_bytes(), &[0, 1, 0, 2, 0, 3, 0, 4, 0, 4]];
                let head = [&head.concat()[..], &[0; 4], &[0xff, 3], ppp(four)].concat();
                udp(1701, 40_000, &[&head, packet].concat())
            }
            Self::Fragments => return fragments(frame, 128),
            Self::FragmentsBackwards => {
                return fragments(frame, 64).into_iter().rev().collect();
            }
            Self::FragmentsTiny => return fragments(frame, 8),
            Self::FragmentsTwice => {
                return fragments(frame, 256).into_iter().flat_map(|f| [f.clone(), f]).collect();
            }
            Self::Wccp | Self::Teredo | Self::TeredoIndications => return Vec::new(),
        };
        vec![one]
    }
}

/// An Ethernet frame in its parts.
struct Packet<'a> {
    /// Up to the EtherType of the packet.
    head: &'a [u8],
    kind: &'a [u8],
    packet: &'a [u8],
}

impl<'a> Packet<'a> {
    fn of(frame: &'a [u8]) -> Self {
        let mut at = 12;
        while matches!(frame[at..at + 2], [0x81, 0] | [0x88, 0xa8] | [0x91, 0]) {
            at += 4;
        }
        let (head, rest) = frame.split_at(at);
        let (kind, packet) = rest.split_at(2);
        Self { head, kind, packet }
    }
}

fn ppp(four: bool) -> &'static [u8] {
    if four { &[0, 0x21] } else { &[0, 0x57] }
}

fn gtp(flags: u8, more: &[u8], packet: &[u8]) -> Vec<u8> {
    let len = ((more.len() + packet.len()) as u16).to_be_bytes();
    udp(2152, 2152, &[&[flags, 255, len[0], len[1], 0, 0, 0, 9], more, packet].concat())
}

/// An underlay of IPv4 over Ethernet.
fn v4(protocol: u8, inside: &[u8]) -> Vec<u8> {
    let len = u16::try_from(20 + inside.len()).unwrap().to_be_bytes();
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0];
    frame.extend([0x45, 0, len[0], len[1], 0, 0, 0, 0, 64, protocol, 0, 0]);
    frame.extend([192, 0, 2, 1, 192, 0, 2, 2]);
    frame.extend(inside);
    frame
}

/// An underlay of IPv6 over Ethernet.
fn v6(next: u8, inside: &[u8]) -> Vec<u8> {
    let len = u16::try_from(inside.len()).unwrap().to_be_bytes();
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x86, 0xdd];
    frame.extend([0x60, 0, 0, 0, len[0], len[1], next, 64]);
    frame.extend([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    frame.extend([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]);
    frame.extend(inside);
    frame
}

fn udp(source: u16, destination: u16, inside: &[u8]) -> Vec<u8> {
    let len = u16::try_from(8 + inside.len()).unwrap();
    let head = [source, destination, len, 0].map(u16::to_be_bytes).concat();
    v4(17, &[&head, inside].concat())
}

/// The packet of a frame in fragments of at most `most` octets of its datagram.
fn fragments(frame: &[u8], most: usize) -> Vec<Vec<u8>> {
    let Packet { head, kind, packet } = Packet::of(frame);
    let id = print(frame);
    let build = |ip: &[u8], part: &[u8]| [head, kind, ip, part].concat();
    if kind == [8, 0] {
        let header = usize::from(packet[0] & 15) * 4;
        let total = usize::from(u16::from_be_bytes([packet[2], packet[3]]));
        let (ip, datagram) = packet[..total].split_at(header);
        let parts = cut(datagram, most).into_iter().map(|(start, more, part)| {
            let mut ip = ip.to_vec();
            ip[2..4].copy_from_slice(&((header + part.len()) as u16).to_be_bytes());
            ip[4..6].copy_from_slice(&id.to_be_bytes()[2..]);
            let field = (start / 8) as u16 | u16::from(more) << 13;
            ip[6..8].copy_from_slice(&field.to_be_bytes());
            build(&ip, part)
        });
        return parts.collect();
    }
    let total = usize::from(u16::from_be_bytes([packet[4], packet[5]]));
    let (ip, datagram) = packet[..40 + total].split_at(40);
    let parts = cut(datagram, most).into_iter().map(|(start, more, part)| {
        let mut ip = ip.to_vec();
        ip[4..6].copy_from_slice(&((8 + part.len()) as u16).to_be_bytes());
        let field = (start as u16 | u16::from(more)).to_be_bytes();
        let next = std::mem::replace(&mut ip[6], 44);
        ip.extend([next, 0, field[0], field[1]]);
        ip.extend(id.to_be_bytes());
        build(&ip, part)
    });
    parts.collect()
}

/// Place, whether more follows, and octets of each part.
fn cut(bytes: &[u8], most: usize) -> Vec<(usize, bool, &[u8])> {
    let parts = bytes.chunks(most).enumerate();
    parts.map(|(n, part)| (n * most, n * most + part.len() < bytes.len(), part)).collect()
}

/// An identification that frames with other octets do not share by accident.
fn print(frame: &[u8]) -> u32 {
    frame.iter().fold(0x811c_9dc5, |sum, octet| (sum ^ u32::from(*octet)).wrapping_mul(0x0100_0193))
}
