//! The only place that connects stages: reader, shard, workers, rings, collector.

mod claim;
mod collector;
mod condition;
mod coverage;
mod daemon;
mod dns_line;
mod domain_records;
mod feed;
mod history;
mod judge;
#[cfg(test)]
mod matrix;
mod name;
mod offline;
mod premises;
mod reader;
mod record;
mod ring;
mod rules;
mod shard;
mod table;
mod update;
mod why;
mod worker;

pub use collector::Collector;
pub use condition::Condition;
pub use daemon::{Daemon, Desk, Setup, kept_usages};
pub use feed::Feed;
pub use history::history;
pub use offline::{Outcome, collector, read_files};
pub use record::{FlowLine, write_ascii};
pub use rules::{InForce, Rules};
pub use table::usage_rows;
pub use why::suppressed_rows;
