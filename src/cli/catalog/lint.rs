//! `saastap catalog lint`: what is amiss in signature files that load.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use crate::cli::Failure;
use crate::config::Config;
use crate::signature;

/// Check signature files beyond what loading asks for
///
/// Loading refuses unknown keys, bare public suffixes, names claimed twice, matches without a source and examples that fail.
/// Beyond that: matches that say what a shorter one says, reserved labels and keys that change nothing, files out of order,
/// fewer than two positive examples. Exit 1 where something is amiss.
#[derive(clap::Args, Debug, Clone)]
pub struct Args {
    /// A folder of signatures, loaded beside the shipped ones; without it, those and the folders of `signatures.dirs`
    dir: Option<PathBuf>,
}

pub fn run(args: &Args, config: &Config, out: &mut impl Write) -> Result<ExitCode, Failure> {
    let faults = signature::lint(&config.signatures, args.dir.as_deref())?;
    if faults.0.is_empty() {
        writeln!(out, "nothing amiss")?;
        return Ok(ExitCode::SUCCESS);
    }
    writeln!(out, "{faults}")?;
    out.flush()?;
    writeln!(io::stderr(), "{} amiss", faults.0.len())?;
    Ok(ExitCode::FAILURE)
}
