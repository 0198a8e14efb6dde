//! Why a frame gave no segment: one counter row for each reason.

crate::rows! {
    /// Why a frame gave no segment.
    pub enum Refusal {
        /// No decoder for this LINKTYPE_ value.
        UnknownLink => Counter "saastap_decode_refused_frames_total" "Frames that gave no segment." ("reason", "unknown_link"),
        /// The capture, or the frame itself, ends within a header that is needed.
        TooShort => Counter "saastap_decode_refused_frames_total" "Frames that gave no segment." ("reason", "too_short"),
        /// IEEE 802.3 with LLC other than SNAP: spanning tree, IS-IS ...
        Llc => Counter "saastap_decode_refused_frames_total" "Frames that gave no segment." ("reason", "llc"),
        /// More VLAN tags than [`super::link::MAX_TAGS`], or frames within frames than [`super::link::MAX_NESTED`].
        TooManyTags => Counter "saastap_decode_refused_frames_total" "Frames that gave no segment." ("reason", "too_many_tags"),
        Arp => Counter "saastap_decode_refused_frames_total" "Frames that gave no segment." ("reason", "arp"),
        /// Below the labels is neither IP nor Ethernet.
        Mpls => Counter "saastap_decode_refused_frames_total" "Frames that gave no segment." ("reason", "mpls"),
        /// Another EtherType, address family or PPP protocol.
        NotIp => Counter "saastap_decode_refused_frames_total" "Frames that gave no segment." ("reason", "not_ip"),
        /// A version or header length that cannot be.
        BadHeader => Counter "saastap_decode_refused_frames_total" "Frames that gave no segment." ("reason", "bad_header"),
        /// A length field that is less than the header it stands in.
        BadLength => Counter "saastap_decode_refused_frames_total" "Frames that gave no segment." ("reason", "bad_length"),
        /// A fragment that waits for others, or came before. The last one gives the segment of its datagram.
        Fragment => Counter "saastap_decode_refused_frames_total" "Frames that gave no segment." ("reason", "fragment"),
        /// More extension headers than [`super::network::MAX_EXTENSIONS`].
        TooManyExtensions => Counter "saastap_decode_refused_frames_total" "Frames that gave no segment." ("reason", "too_many_extensions"),
        Icmp => Counter "saastap_decode_refused_frames_total" "Frames that gave no segment." ("reason", "icmp"),
        /// IPsec ESP: nothing inside can be read.
        Esp => Counter "saastap_decode_refused_frames_total" "Frames that gave no segment." ("reason", "esp"),
        /// GRE with something else inside, IP in IP deeper than the decoder may go.
        Tunnel => Counter "saastap_decode_refused_frames_total" "Frames that gave no segment." ("reason", "tunnel"),
        /// Any other IP protocol.
        NotTcpOrUdp => Counter "saastap_decode_refused_frames_total" "Frames that gave no segment." ("reason", "not_tcp_or_udp"),
    }
}

impl Refusal {
    /// Whether the octets were not what the header before them announced, or too few: on a UDP port of tunnels that is a
    /// sign of another protocol.
    pub(super) const fn is_damage(self) -> bool {
        matches!(
            self,
            Self::TooShort
                | Self::TooManyTags
                | Self::Mpls
                | Self::BadHeader
                | Self::BadLength
                | Self::TooManyExtensions
        )
    }
}
