//! The program as its user runs it, on files: what it prints, what it refuses, what it survives and what memory it takes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::disallowed_methods)] // a run that hangs is ended by the clock

mod activity;
mod again;
mod bounds;
mod cases;
mod catalog;
#[path = "../chance/mod.rs"]
mod chance;
mod clients;
mod configuration;
mod days;
#[path = "../doses/mod.rs"]
mod doses;
mod evidence;
mod few;
mod groups;
mod hostile;
mod imitation;
mod laid;
mod mirror;
mod misuse;
mod office;
mod pages;
mod policy;
mod premises;
mod program;
mod streams;
mod uploads;
mod why_not;
