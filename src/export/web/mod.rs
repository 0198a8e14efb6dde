//! The web: a page for people, endpoints for Prometheus and supervisors, and JSON; one file per endpoint.

mod chart;
mod findings;
mod guard;
mod healthy;
mod history;
mod landing;
mod metrics;
mod ready;
mod reload;
mod server;
mod suppressed;
mod usage;
mod visibility;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::{get, put};
use serde::{Deserialize, Serialize};

pub use self::history::{HistoryQuery, HistoryRow, MAX_STEPS, Step};
pub use self::landing::{Octets, page};
pub use self::server::{bind, serve};
use super::metrics::{Metrics, Provider, Sample};
use crate::time::{Second, Time};
use crate::usage::{Share, Visibility};
use guard::Refusals;

/// `[web]` of the configuration.
#[derive(Deserialize, Serialize, Clone, Debug, PartialEq, Eq)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Address and port to listen on.
    pub listen: SocketAddr,
    /// Whether `PUT` or `POST /-/reload` reloads. SIGHUP always does.
    pub lifecycle: bool,
    /// Names under which browsers may ask, besides `localhost` and IP addresses. Where it is empty and `listen` is not a
    /// loopback address, every name is taken.
    pub hosts: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), PORT),
            lifecycle: true,
            hosts: Vec::new(),
        }
    }
}

impl Options {
    /// Octets that the connections can hold at most.
    pub const fn memory(&self) -> u64 {
        server::MEMORY
    }
}

/// The default port. 9100 to 9999, where exporters used to be, is allocated to the last port.
pub const PORT: u16 = 19_727;

/// What the web must know of the pipeline. Called on threads that may block; nothing here may wait for packets.
pub trait Face: Send + Sync {
    /// Whether frames are being captured under a loaded policy; else why not.
    fn ready(&self) -> Result<(), String>;
    /// Loads configuration, policy and signatures anew; else the faults, and the old ones stay in force.
    fn reload(&self) -> Result<(), String>;
    fn coverage(&self) -> Coverage;
    /// The usage table under the policy in force, in the order in which it is to be shown.
    fn usage_rows(&self) -> Vec<UsageRow>;
    /// Usage over time; else, in words for a person, why it cannot be told.
    fn history(&self, query: &HistoryQuery) -> Result<Vec<HistoryRow>, String>;
    fn visibility_rows(&self) -> Vec<VisibilityRow>;
    fn candidate_rows(&self) -> Vec<CandidateRow>;
    fn inside_servers(&self) -> InsideServers;
    /// Newest first.
    fn findings(&self) -> Vec<FindingRow>;
    /// What kept findings back; by vendor, tenant, group and client.
    fn suppressed_rows(&self) -> Vec<SuppressedRow>;
    fn health(&self) -> Vec<HealthRow>;
}

/// What the sensor saw, and what share of it has a name: the first line of every page and report.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Coverage {
    pub clients: u64,
    /// Share of bytes, 0 to 1; `None` before there was traffic.
    pub named: Option<f64>,
    pub tunnelled: Option<f64>,
    /// Networks that the policy names and nobody was seen in.
    pub silent_networks: Vec<String>,
    pub from: Option<Time>,
    pub until: Option<Time>,
}

/// `12 clients seen, 91.2 % of bytes named, 0.4 % behind tunnels; never seen: 10.9.0.0/16`
impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.clients == 1 { "" } else { "s" };
        write!(f, "{} client{plural} seen, ", self.clients)?;
        match self.named {
            Some(named) => write!(f, "{:.1} % of bytes named", named * 100.0)?,
            None => f.write_str("no traffic yet")?,
        }
        if let Some(tunnelled) = self.tunnelled {
            write!(f, ", {:.1} % behind tunnels", tunnelled * 100.0)?;
        }
        if !self.silent_networks.is_empty() {
            write!(f, "; networks of the policy never seen: {}", self.silent_networks.join(", "))?;
        }
        if let (Some(from), Some(until)) = (self.from, self.until) {
            write!(f, "; from {} to {}", Second(from), Second(until))?;
        }
        Ok(())
    }
}

/// Traffic by why it has a name, or has none.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct VisibilityRow {
    pub visibility: Visibility,
    #[serde(flatten)]
    pub share: Share,
}

/// A domain that is nobody's signature: a candidate for one.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CandidateRow {
    /// Registrable domain.
    pub domain: String,
    #[serde(flatten)]
    pub share: Share,
    /// Octets that may be those of domains counted in its place before.
    pub excess: u64,
}

/// Inside servers that clients outside reached and whose software nothing showed. What is not here was not seen; it may be
/// there all the same.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct InsideServers {
    /// Flows seen from clients outside to servers inside, of known software or not. Where there is none, this sensor does not
    /// see what comes in.
    pub flows_from_outside: u64,
    /// Flows to further servers, for which there was no room.
    pub left_out: u64,
    /// Those with most flows first.
    pub unknown: Vec<InsideServerRow>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct InsideServerRow {
    /// Its address, or what stands for it by `privacy.client`.
    pub server: String,
    pub transport: &'static str,
    pub port: u16,
    pub flows: u64,
    /// Octets both ways.
    pub bytes: u64,
    pub last_seen: Time,
}

/// One line of the usage table: a vendor's tenant in a role, used by a group.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct UsageRow {
    /// Vendor id, and its name as people know it.
    pub vendor: String,
    pub vendor_name: String,
    pub tenant: Option<String>,
    pub relation: String,
    pub role: String,
    /// `cloud`, `on-premise`; `both` where it is not settled, or not the same for all.
    pub deployment: String,
    pub group: String,
    /// Distinct clients.
    pub clients: u64,
    pub engagement: String,
    pub state: String,
    pub flows: u64,
    /// Flows of remote assistance or media in which somebody was connected.
    pub sessions: u64,
    /// Octets, client to server and back.
    pub sent: u64,
    pub received: u64,
    pub active_minutes: u64,
    pub first_seen: Time,
    pub last_seen: Time,
}

/// One finding as people read it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FindingRow {
    pub at: Time,
    /// Stable over the life of the case.
    pub uid: String,
    pub finding: String,
    pub severity: String,
    pub group: String,
    pub vendor: String,
    pub tenant: Option<String>,
    /// Exact count of distinct clients.
    pub clients: u64,
    pub summary: String,
}

/// Why a finding was not raised for a contact, by its last sighting.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SuppressedRow {
    pub finding: String,
    pub vendor: String,
    pub tenant: Option<String>,
    pub group: String,
    /// As `privacy.client` lets it be shown.
    pub client: String,
    pub role: String,
    pub at: Time,
    pub reason: String,
}

/// One line of the sensor's health: what, how much, and whether that is well.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HealthRow {
    pub name: String,
    pub value: String,
    pub well: bool,
}

/// All that the endpoints need. One per process.
pub struct Site {
    options: Options,
    metrics: Arc<Metrics>,
    face: Arc<dyn Face>,
    refusals: Arc<Refusals>,
}

impl Site {
    pub fn new(options: Options, metrics: Arc<Metrics>, face: Arc<dyn Face>) -> Arc<Self> {
        let refusals = Arc::new(Refusals::default());
        metrics.provide(Arc::clone(&refusals) as Arc<dyn Provider>);
        Arc::new(Self { options, metrics, face, refusals })
    }

    /// Every endpoint behind its guards.
    fn router(self: &Arc<Self>) -> Router {
        Router::new()
            .route("/", get(landing::answer))
            .route("/metrics", get(metrics::answer))
            .route("/-/healthy", get(healthy::answer))
            .route("/-/ready", get(ready::answer))
            .route("/-/reload", put(reload::answer).post(reload::answer))
            .route("/api/v1/usage", get(usage::answer))
            .route("/api/v1/usage/history", get(history::answer))
            .route("/api/v1/findings", get(findings::answer))
            .route("/api/v1/visibility", get(visibility::answer))
            .route("/api/v1/suppressed", get(suppressed::answer))
            .layer(axum::middleware::from_fn_with_state(Arc::clone(self), guard::guarded))
            .with_state(Arc::clone(self))
    }

    /// Asks the pipeline on a thread that may block: a table of many rows must not hold up the other endpoints.
    async fn ask<T: Send + 'static>(
        self: Arc<Self>,
        question: impl FnOnce(&Self) -> T + Send + 'static,
    ) -> Result<T, StatusCode> {
        tokio::task::spawn_blocking(move || question(&self))
            .await
            .map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coverage_reads_as_a_sentence() {
        let mut coverage = Coverage { clients: 1, ..Coverage::default() };
        assert_eq!(coverage.to_string(), "1 client seen, no traffic yet");
        coverage.clients = 12;
        coverage.named = Some(0.9123);
        coverage.tunnelled = Some(0.0);
        coverage.silent_networks = vec!["10.9.0.0/16".into(), "10.8.0.0/16".into()];
        assert_eq!(
            coverage.to_string(),
            "12 clients seen, 91.2 % of bytes named, 0.0 % behind tunnels; \
             networks of the policy never seen: 10.9.0.0/16, 10.8.0.0/16"
        );
    }
}
