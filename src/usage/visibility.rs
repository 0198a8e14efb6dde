//! What share of the traffic has a name, and for the rest one reason each why not.

use serde::Serialize;

/// Why traffic has a name, or has none. Each flow and each octet has exactly one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Visibility {
    /// A vendor of the catalogue.
    Named,
    /// Named, but nobody's signature.
    UnknownName,
    /// The name is encrypted (Encrypted ClientHello).
    Ech,
    /// A TLS handshake without a server name.
    NoSni,
    /// Older than the sensor, or its beginning was lost.
    MidStream,
    /// The beginning was cut off, too long, or given up.
    Incomplete,
    /// QUIC whose first packets could not be opened: cut by the snaplen, of an unknown version, or not all there.
    QuicSealed,
    EncryptedDns,
    /// Name service, address assignment, time, address discovery: what every network needs.
    Infrastructure,
    /// No payload at all: connections that were refused, scans.
    Empty,
    /// None of the protocols that are read.
    NotTls,
    /// IPsec, WireGuard, OpenVPN, iCloud Private Relay: what is inside cannot be seen.
    Tunnel,
    /// The outer leg of a declared proxy or NAT: counted on the inner one.
    SecondLeg,
    /// Declared scanners and guests.
    Excluded,
    /// Given up because the sensor was too slow or a table was full.
    Overload,
}

impl Visibility {
    pub const ALL: [Self; 15] = [
        Self::Named,
        Self::UnknownName,
        Self::Ech,
        Self::NoSni,
        Self::MidStream,
        Self::Incomplete,
        Self::QuicSealed,
        Self::EncryptedDns,
        Self::Infrastructure,
        Self::Empty,
        Self::NotTls,
        Self::Tunnel,
        Self::SecondLeg,
        Self::Excluded,
        Self::Overload,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Named => "named",
            Self::UnknownName => "unknown_name",
            Self::Ech => "ech",
            Self::NoSni => "no_sni",
            Self::MidStream => "mid_stream",
            Self::Incomplete => "incomplete",
            Self::QuicSealed => "quic_sealed",
            Self::EncryptedDns => "encrypted_dns",
            Self::Infrastructure => "infrastructure",
            Self::Empty => "empty",
            Self::NotTls => "not_tls",
            Self::Tunnel => "tunnel",
            Self::SecondLeg => "second_leg",
            Self::Excluded => "excluded",
            Self::Overload => "overload",
        }
    }

    /// Whether a name was seen, be it in the catalogue or not.
    pub const fn has_name(self) -> bool {
        matches!(self, Self::Named | Self::UnknownName)
    }
}

/// Flows and octets, of both directions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Share {
    pub flows: u64,
    pub bytes: u64,
}

/// The sums of all flows, by visibility.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shares([Share; Visibility::ALL.len()]);

impl Shares {
    pub fn add(&mut self, visibility: Visibility, flows: u64, bytes: u64) {
        if let Some(share) = self.0.get_mut(visibility as usize) {
            share.flows += flows;
            share.bytes += bytes;
        }
    }

    pub fn of(&self, visibility: Visibility) -> Share {
        self.0.get(visibility as usize).copied().unwrap_or_default()
    }

    /// Flows and octets of all.
    pub fn all(&self) -> Share {
        self.0.iter().fold(Share::default(), |all, share| Share {
            flows: all.flows + share.flows,
            bytes: all.bytes + share.bytes,
        })
    }

    pub fn iter(&self) -> impl Iterator<Item = (Visibility, Share)> {
        Visibility::ALL.into_iter().zip(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_its_own_place_and_all_is_their_sum() {
        let mut shares = Shares::default();
        for (n, visibility) in (1..).zip(Visibility::ALL) {
            shares.add(visibility, n, 10 * n);
        }
        for (n, (visibility, share)) in (1..).zip(shares.iter()) {
            assert_eq!(share, Share { flows: n, bytes: 10 * n });
            assert_eq!(shares.of(visibility), share);
            let text = serde_json::to_string(&visibility).unwrap();
            assert_eq!(text, format!("\"{}\"", visibility.name()));
        }
        assert_eq!(shares.all(), Share { flows: 120, bytes: 1_200 });
    }
}
