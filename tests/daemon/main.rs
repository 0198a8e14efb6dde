//! Live capture, and the daemon as its user has it: the program itself on veth pairs made here, with its web, sinks, signals and store.
//! What needs a privilege or a program that is missing is skipped, and says so.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::disallowed_methods)] // a test of a daemon waits by the clock

mod acks;
mod alerts;
#[path = "../chance/mod.rs"]
mod chance;
mod demo;
mod dictionary;
mod disk;
#[path = "../doses/mod.rs"]
mod doses;
mod faulty;
mod hours;
mod kills;
mod latency;
mod life;
mod live;
mod privacy;
mod refusals;
mod reload;
mod replay;
mod restart;
mod sensor;
mod visibility;
mod wire;
mod withdrawn;
