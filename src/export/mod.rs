//! What others read: metrics for Prometheus and the web endpoints.
//!
//! Everything is served from memory. State, role and group come as strings, so that this stage needs no word of policy.

mod clients;
pub mod metrics;
mod process;
pub mod sinks;
pub mod usage;
pub mod web;

pub use metrics::{Metrics, Provider, Sample};
pub use sinks::Sinks;
pub use usage::UsageMetrics;
pub use web::{Coverage, Face, FindingRow, HealthRow, Site, SuppressedRow, UsageRow};
