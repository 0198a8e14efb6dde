//! `saastap check`: whether configuration, policy and signatures are sound, and what memory they allow for.

use std::process::ExitCode;

use super::Failure;
use super::tables::octets;
use crate::config::Config;
use crate::pipeline::{Feed, Rules};

/// Check configuration, policy and signatures, and print the memory that they allow for
#[derive(clap::Args, Debug, Clone)]
pub struct Args {}

pub fn run(_: &Args, config: &Config) -> Result<ExitCode, Failure> {
    let rules = Rules::load(config)?;
    println!("configuration  {}: well", config.file);
    println!(
        "signatures     {} vendors, version {}: well",
        rules.catalog.vendors().len(),
        rules.catalog.version()
    );
    println!(
        "policy         {} rules, {} groups, version {}: well",
        rules.policy.rules().len(),
        rules.policy.groups().len(),
        rules.policy_version
    );
    println!("\nmemory at most, when every bound is reached");
    let parts = config.memory(Feed::memory(&config.flow, config.sensor.workers));
    for (part, n) in &parts {
        println!("  {part:<32} {:>10}", octets(*n));
    }
    let sum = parts.iter().map(|(_, n)| n).sum();
    println!("  {:<32} {:>10}  ({sum} bytes)", "sum", octets(sum));
    Ok(ExitCode::SUCCESS)
}
