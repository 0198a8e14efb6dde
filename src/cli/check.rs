//! `saastap check`: whether configuration, policy and signatures are sound, and what memory they allow for.

use std::io::{self, Write};
use std::process::ExitCode;

use super::Failure;
use crate::alert::sink::Configured;
use crate::config::Config;
use crate::export::web::Octets;
use crate::identity::{Identity, KEY_OCTETS};
use crate::pipeline::{Feed, Rules};

/// Check configuration, policy and signatures, and print the memory that they allow for
#[derive(clap::Args, Debug, Clone)]
pub struct Args {}

pub fn run(_: &Args, config: &Config) -> Result<ExitCode, Failure> {
    let rules = Rules::load(config)?;
    let sinks = Configured::read(&config.sink, &config.file, &config.text)?;
    Identity::new(&config.privacy, &config.vantage, [0; KEY_OCTETS]).map_err(Failure::misuse)?;
    let mut out = io::stdout().lock();
    writeln!(out, "configuration  {}: well", config.file)?;
    writeln!(
        out,
        "signatures     {} vendors, version {}: well",
        rules.catalog.vendors().len(),
        rules.catalog.version()
    )?;
    writeln!(
        out,
        "policy         {} rules, {} groups, version {}: well",
        rules.policy.rules().len(),
        rules.policy.groups().len(),
        rules.policy_version
    )?;
    if rules.leases.files() > 0 {
        let (rows, files) = (rules.leases.len(), rules.leases.files());
        writeln!(out, "leases         {rows} rows in {files} files: well")?;
    }
    let names = sinks.iter().map(|s| format!("{} ({}, {})", s.name, s.kind, s.format.name));
    writeln!(out, "sinks          {}: well", list(names.collect()))?;
    for sink in &sinks {
        if let Some(note) = sink.note {
            writeln!(out, "note           {}: {note}", sink.name)?;
        }
    }
    writeln!(out, "interfaces     {}", list(config.capture.interfaces.clone()))?;
    writeln!(out, "\nmemory at most, when every bound is reached")?;
    let parts = config.memory(Feed::memory(&config.flow, config.sensor.workers));
    for (part, n) in &parts {
        writeln!(out, "  {part:<32} {:>10}", Octets(*n).to_string())?;
    }
    let sum = parts.iter().map(|(_, n)| n).sum();
    writeln!(out, "  {:<32} {:>10}  ({sum} bytes)", "sum", Octets(sum).to_string())?;
    writeln!(out, "\nmemory of one live flow")?;
    for (part, n) in Feed::flow_memory() {
        writeln!(out, "  {part:<32} {n:>8} B")?;
    }
    Ok(ExitCode::SUCCESS)
}

fn list(names: Vec<String>) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}
