//! What the decoder counts besides refusals and tunnels: fragments, and where a bound of it bites.

crate::rows! {
    pub enum Counter {
        Reassembled => Counter "saastap_decode_datagrams_reassembled_total" "Fragmented datagrams that became whole.",
        /// Not all fragments came in time.
        Expired => Counter "saastap_decode_datagrams_failed_total" "Fragmented datagrams that never became whole." ("reason", "expired"),
        /// A fragment contradicted an earlier one: other octets in the same place, or another end.
        Overlapping => Counter "saastap_decode_datagrams_failed_total" "Fragmented datagrams that never became whole." ("reason", "overlapping"),
        /// More than [`super::fragment::MAX_PIECES`] fragments.
        TooManyPieces => Counter "saastap_decode_datagrams_failed_total" "Fragmented datagrams that never became whole." ("reason", "too_many_fragments"),
        Evicted => Counter "saastap_decode_datagrams_evicted_total" "Fragmented datagrams given up because the memory for fragments was used up.",
        Repeated => Counter "saastap_decode_fragments_repeated_total" "Fragments that had come before.",
        Waiting => Gauge "saastap_decode_fragment_bytes" "Octets held by fragments.",
        TooDeep => Counter "saastap_decode_tunnels_unopened_total" "Frames with more tunnels within each other than decode.tunnel_depth allows.",
    }
}
