//! The `[decode]` section of the configuration: how deep tunnels are opened, and bounds of reassembly.

use serde::{Deserialize, Serialize};

use super::decoder::SPARE;
use super::fragment::{DATAGRAM, LONGEST};

#[derive(Deserialize, Serialize, Clone, Debug, PartialEq, Eq)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Tunnels within each other that are opened (0 to 8). What a deeper one carries is not read; with 0 the ends of a flow
    /// are those of the tunnel, where it runs over UDP.
    pub tunnel_depth: u8,
    /// Fragmented datagrams that are remembered; when there are more, the oldest is given up.
    pub max_fragmented: u32,
    /// Octets that fragments may hold while they wait for others, in MiB; when used up, the oldest datagram is given up.
    pub fragment_pool_mib: u32,
    /// Seconds of packet time in which all fragments of a datagram must come.
    pub fragment_seconds: u32,
}

impl Options {
    /// Octets that a decoder can hold at most.
    pub fn memory(&self) -> u64 {
        u64::from(self.max_fragmented) * DATAGRAM
            + u64::from(self.fragment_pool_mib) * 1024 * 1024
            + (SPARE * 2 * LONGEST) as u64
    }
}

impl Default for Options {
    fn default() -> Self {
        Self { tunnel_depth: 4, max_fragmented: 8_192, fragment_pool_mib: 16, fragment_seconds: 5 }
    }
}

/// What [`Options::tunnel_depth`] may be at most: each level costs a little stack.
pub const MAX_TUNNEL_DEPTH: u8 = 8;
