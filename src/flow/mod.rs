//! Who talks with whom: canonical keys, the bounded flow table, openings and lazy expiry.

mod delta;
mod duplicates;
mod key;
mod marks;
mod opening;
mod rhythm;
mod state;
mod table;
mod wheel;

use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

pub use delta::{Delta, Tally};
pub use duplicates::{Copies, Duplicates, MEMORY as DUPLICATES_MEMORY};
pub use key::{Key, Side};
pub use opening::{MAX_OPENING, Opening, Placed};
pub use state::{Ends, Flow, LOOK_MEMORY, MALLOC, Openings};
pub use table::{Table, flow_memory};
pub use wheel::Entry;

crate::rows! {
    /// What flows count.
    pub enum Counter {
        Started => Counter "saastap_flows_started_total" "Flows begun.",
        Active => Gauge "saastap_flows_active" "Flows in the table.",
        EndedClosed => Counter "saastap_flows_ended_total" "Flows ended, by reason." ("reason", "closed"),
        EndedIdle => Counter "saastap_flows_ended_total" "Flows ended, by reason." ("reason", "idle"),
        EndedReused => Counter "saastap_flows_ended_total" "Flows ended, by reason." ("reason", "reused"),
        EndedEvicted => Counter "saastap_flows_ended_total" "Flows ended, by reason." ("reason", "evicted"),
        EndedStopped => Counter "saastap_flows_ended_total" "Flows ended, by reason." ("reason", "stopped"),
        EndedTcp => Counter "saastap_flow_tcp_ended_total"
            "TCP flows ended: what saastap_flow_conditions_total is a share of.",
        OneWay => Counter "saastap_flow_conditions_total"
            "Ended TCP flows that tell of the span port: only one direction is seen, VLAN tags in one direction only, begun before the capture."
            ("condition", "one_way"),
        TagAsymmetric => Counter "saastap_flow_conditions_total"
            "Ended TCP flows that tell of the span port: only one direction is seen, VLAN tags in one direction only, begun before the capture."
            ("condition", "tag_asymmetric"),
        MidStream => Counter "saastap_flow_conditions_total"
            "Ended TCP flows that tell of the span port: only one direction is seen, VLAN tags in one direction only, begun before the capture."
            ("condition", "mid_stream"),
        OpeningBytes => Gauge "saastap_flow_opening_bytes" "Octets held by openings.",
        OpeningsShed => Counter "saastap_flow_openings_shed_total"
            "Flows whose sniffing ended early because the pool for openings was used up.",
        OpeningHoles => Counter "saastap_flow_opening_holes_total"
            "Segments left out of an opening that already had its most holes.",
    }
}

/// `[flow]`: bounds and times.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Flows in the table of one worker; when full, one that was silent for long is evicted.
    pub max_flows: u32,
    /// Octets that openings of one worker may hold, in MiB; when used up, the oldest flow still sniffed gives up.
    pub opening_pool_mib: u32,
    /// Octets of one direction that are looked at.
    pub opening_bytes: u32,
    /// Seconds after its first payload in which a flow that tells nothing is looked at.
    pub opening_seconds: u32,
    /// Seconds of silence after which a flow ends: TCP, UDP, TCP without an answer, TCP after FIN or RST.
    pub tcp_idle_seconds: u32,
    pub udp_idle_seconds: u32,
    pub unanswered_seconds: u32,
    pub closed_seconds: u32,
    /// A packet that comes again within so many milliseconds is a copy that the span port made; 0 keeps all. Two mirrors of one
    /// packet differ by queues of switches and by batches of a network card, together some milliseconds at most.
    pub duplicate_milliseconds: u32,
    /// A flow that lives reports so often.
    pub report_seconds: u32,
    /// Networks whose hosts are clients where nothing else tells.
    pub local_networks: Vec<IpNet>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            max_flows: 262_144,
            opening_pool_mib: 64,
            opening_bytes: 16 * 1024,
            opening_seconds: 10,
            tcp_idle_seconds: 900,
            udp_idle_seconds: 120,
            unanswered_seconds: 30,
            closed_seconds: 5,
            duplicate_milliseconds: 10,
            report_seconds: 1,
            local_networks: LOCAL_NETWORKS.iter().filter_map(|n| n.parse().ok()).collect(),
        }
    }
}

/// Private, shared, link-local, unique local and loopback addresses (RFC 1918, 6598, 3927, 4193, 4291).
const LOCAL_NETWORKS: [&str; 9] = [
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "100.64.0.0/10",
    "169.254.0.0/16",
    "127.0.0.0/8",
    "fc00::/7",
    "fe80::/10",
    "::1/128",
];

impl Options {
    /// Octets that one worker's table can hold at most, for a progress of `S` with `boxed` octets elsewhere.
    pub fn memory<S>(&self, boxed: u64) -> u64 {
        u64::from(self.max_flows) * (flow_memory::<S>() + LOOK_MEMORY + boxed)
            + u64::from(self.opening_pool_mib) * 1024 * 1024
    }

    /// Whether an address lies in one of the local networks.
    pub fn is_local(&self, address: IpAddr) -> bool {
        self.local_networks.iter().any(|network| network.contains(&address))
    }

    pub(crate) fn report_every(&self) -> u32 {
        self.report_seconds.max(1)
    }

    /// Nanoseconds of silence that end no flow, whatever its state.
    #[inline]
    pub(crate) fn shortest_silence(&self) -> u64 {
        let idle = self.tcp_idle_seconds.min(self.udp_idle_seconds);
        let seconds = idle.min(self.unanswered_seconds).min(self.closed_seconds);
        u64::from(seconds) * 1_000_000_000
    }

    pub(crate) fn opening_limit(&self) -> usize {
        (self.opening_bytes as usize).min(MAX_OPENING)
    }

    pub(crate) fn opening_time(&self) -> Duration {
        Duration::from_secs(self.opening_seconds.into())
    }
}

/// Why a flow ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// FIN from both ends, or RST.
    Closed,
    Idle,
    /// The same ends began another conversation.
    Reused,
    /// The table was full.
    Evicted,
    /// The capture ended, or the daemon stopped.
    Stopped,
}

impl End {
    pub const fn counter(self) -> Counter {
        match self {
            Self::Closed => Counter::EndedClosed,
            Self::Idle => Counter::EndedIdle,
            Self::Reused => Counter::EndedReused,
            Self::Evicted => Counter::EndedEvicted,
            Self::Stopped => Counter::EndedStopped,
        }
    }
}
