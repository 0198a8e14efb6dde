//! `[[vantage]]`: what declared addresses are on the way of the traffic.

use std::fmt;

use ipnet::IpNet;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::network;

/// One `[[vantage]]` entry.
#[derive(Deserialize, Serialize, Clone, Debug, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Vantage {
    pub kind: VantageKind,
    pub networks: Vec<Network>,
}

/// A network of a `[[vantage]]` entry: one with host bits set is refused when it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network(pub IpNet);

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        network::parse(&text).map(Self).map_err(serde::de::Error::custom)
    }
}

impl Serialize for Network {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// What a declared address is on the way of the traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VantageKind {
    Proxy,
    Nat,
    TlsInspector,
    VpnGateway,
    Resolver,
    Scanner,
    Guest,
}

impl VantageKind {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Proxy => "proxy",
            Self::Nat => "nat",
            Self::TlsInspector => "tls-inspector",
            Self::VpnGateway => "vpn-gateway",
            Self::Resolver => "resolver",
            Self::Scanner => "scanner",
            Self::Guest => "guest",
        }
    }

    /// Many people stand behind such an address.
    pub const fn is_shared(self) -> bool {
        matches!(self, Self::Proxy | Self::Nat | Self::TlsInspector | Self::VpnGateway)
    }

    /// What such a client does is no usage and raises nothing.
    pub const fn is_left_out(self) -> bool {
        matches!(self, Self::Scanner | Self::Guest)
    }

    /// What is said to such a server is meant for others behind it: its address says nothing of them.
    pub const fn passes_on(self) -> bool {
        matches!(self, Self::Proxy | Self::TlsInspector)
    }

    /// What such a client does was counted on its inner leg already: it belongs into visibility, not into usage.
    pub const fn is_second_leg(self) -> bool {
        matches!(self, Self::Proxy | Self::Nat)
    }
}

impl fmt::Display for VantageKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_names_its_mistake() {
        let good: Vantage =
            serde_json::from_str(r#"{"kind": "tls-inspector", "networks": ["10.1.1.10"]}"#)
                .unwrap();
        assert_eq!(good.kind, VantageKind::TlsInspector);
        assert_eq!(good.networks, [Network("10.1.1.10/32".parse().unwrap())]);
        for (text, expected) in [
            (r#"{"kind": "proxy", "networks": ["10.1.1.10/24"]}"#, "`10.1.1.0/24` was meant"),
            (r#"{"kind": "router", "networks": []}"#, "unknown variant `router`, expected one of"),
            (r#"{"kind": "nat", "networks": [], "net": 1}"#, "unknown field `net`"),
            (r#"{"kind": "nat"}"#, "missing field `networks`"),
        ] {
            let error = serde_json::from_str::<Vantage>(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
