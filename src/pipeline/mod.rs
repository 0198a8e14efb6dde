//! The only place that connects stages: reader, shard, workers, rings, collector.

pub mod feed;
pub mod reader;
pub mod record;
mod ring;
mod shard;
pub mod update;
pub mod worker;
