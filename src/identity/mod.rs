//! Who an address is: the client behind it, and the name under which it passes the door to `usage`.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// How many people may stand behind a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClientKind {
    /// One machine.
    Host,
    /// NAT, VDI, VPN pool, proxy: declared.
    Shared,
    Unknown,
}

/// A client as the stages behind this door see it: a pseudonym, an address or nothing, by `privacy.client`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Client {
    pub id: Arc<str>,
    pub kind: ClientKind,
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
