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
        /// More VLAN tags than [`super::link::MAX_TAGS`].
        TooManyTags => Counter "saastap_decode_refused_frames_total" "Frames that gave no segment." ("reason", "too_many_tags"),
        Arp => Counter "saastap_decode_refused_frames_total" "Frames that gave no segment." ("reason", "arp"),
        Mpls => Counter "saastap_decode_refused_frames_total" "Frames that gave no segment." ("reason", "mpls"),
        /// Another EtherType, address family or PPP protocol.
        NotIp => Counter "saastap_decode_refused_frames_total" "Frames that gave no segment." ("reason", "not_ip"),
        /// A version or header length that cannot be.
        BadHeader => Counter "saastap_decode_refused_frames_total" "Frames that gave no segment." ("reason", "bad_header"),
        /// A length field that is less than the header it stands in.
        BadLength => Counter "saastap_decode_refused_frames_total" "Frames that gave no segment." ("reason", "bad_length"),
        /// A fragment without ports.
        Fragment => Counter "saastap_decode_refused_frames_total" "Frames that gave no segment." ("reason", "fragment"),
        /// More extension headers than [`super::network::MAX_EXTENSIONS`].
        TooManyExtensions => Counter "saastap_decode_refused_frames_total" "Frames that gave no segment." ("reason", "too_many_extensions"),
        Icmp => Counter "saastap_decode_refused_frames_total" "Frames that gave no segment." ("reason", "icmp"),
        /// IPsec ESP: nothing inside can be read.
        Esp => Counter "saastap_decode_refused_frames_total" "Frames that gave no segment." ("reason", "esp"),
        /// IP in IP, GRE.
        Tunnel => Counter "saastap_decode_refused_frames_total" "Frames that gave no segment." ("reason", "tunnel"),
        /// Any other IP protocol.
        NotTcpOrUdp => Counter "saastap_decode_refused_frames_total" "Frames that gave no segment." ("reason", "not_tcp_or_udp"),
    }
}
