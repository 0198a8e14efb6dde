//! saastap: a passive network traffic classifier. It answers which SaaS a network uses, which instance of it, by whom, and
//! whether that is sanctioned.
//!
//! The map, in the order in which data flows and imports point (each stage may name earlier ones only; `tests/layers.rs`
//! holds the rules):
//!
//! - [`time`] packet time as a value; [`count`] counter rows; [`fault`] mistakes in files, with line and remedy;
//!   [`store`] the SQLite file.
//! - [`capture`] where frames come from and where time is made.
//! - [`decode`] what a frame says: segments, or a countable reason why not.
//! - [`flow`] who talks with whom: table, openings, expiry.
//! - [`sniff`] what the opening says: TLS, HTTP, DNS.
//! - [`signature`] which vendor that is: the catalogue.
//! - [`identity`] who an address is, and what of it may pass on.
//! - [`policy`] is it sanctioned: groups, rules, own tenants.
//! - [`usage`] who uses what, and how deep.
//! - [`alert`] findings, cases, outbox, formats and sinks.
//! - [`export`] metrics and web.
//! - [`config`] the file as its user writes it.
//! - [`pipeline`] connects the stages: workers, rings, collector, reload.
//! - [`cli`] one file per subcommand.

pub mod count;
pub mod fault;
pub mod store;
pub mod time;

pub mod capture;
pub mod decode;
pub mod flow;
pub mod sniff;

pub mod signature;

pub mod identity;
pub mod policy;
pub mod usage;

pub mod alert;
pub mod export;

pub mod cli;
pub mod config;
pub mod pipeline;
