//! The command line: one file per subcommand.

pub mod catalog;
pub mod explain;

use std::process::ExitCode;

/// Parses the arguments and runs a subcommand.
pub fn main() -> ExitCode {
    ExitCode::SUCCESS
}
