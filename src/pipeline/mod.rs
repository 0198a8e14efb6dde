//! The only place that connects stages: worker, shard, collector and reload.
