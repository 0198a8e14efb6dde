//! The command line: one file per subcommand.

mod case;
mod catalog;
mod check;
mod classify;
mod demo;
mod explain;
mod flow;
mod forget;
mod policy;
mod read;
mod reveal;
mod run;
mod tables;
mod trace;
mod usage;
mod why_not;

use std::io::{self, IsTerminal, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand, ValueEnum};
use tracing_subscriber::filter::{ParseError, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::Config;
use crate::fault::Faults;
use crate::pipeline::Rules;

/// Which SaaS a network uses, which instance of it, by whom, and whether that is sanctioned: a passive classifier of
/// network traffic
#[derive(Parser, Debug)]
#[command(name = "saastap", version, propagate_version = true, max_term_width = 100)]
pub struct Cli {
    /// Configuration file; without it /etc/saastap/saastap.toml where that exists, else the defaults
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// What is logged to standard error: error, warn, info, debug, trace, or a filter such as `saastap::capture=debug`
    #[arg(long, global = true, value_name = "LEVEL", default_value = "info")]
    log_level: String,
    #[arg(long, global = true, value_enum, default_value = "text")]
    log_format: LogFormat,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    Read(read::Args),
    Run(run::Args),
    Demo(demo::Args),
    Check(check::Args),
    Explain(explain::Args),
    Usage(usage::Args),
    Case(case::Args),
    WhyNot(why_not::Args),
    Catalog(catalog::Args),
    Policy(policy::Args),
    Classify(classify::Args),
    Forget(forget::Args),
    Reveal(reveal::Args),
    /// Print a completion script for a shell
    Completions {
        shell: clap_complete::Shell,
    },
    /// Print the manual page, or write those of all subcommands into a directory
    Man {
        #[arg(long, value_name = "DIRECTORY")]
        directory: Option<PathBuf>,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

/// Where the configuration of an installed sensor lies.
const CONFIG_FILE: &str = "/etc/saastap/saastap.toml";

/// Parses the arguments and runs a subcommand: 0 well, 1 failed, 2 misused.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are no misuse; clap knows, and writes to the right stream.
            let _ = error.print();
            return if error.use_stderr() { ExitCode::from(2) } else { ExitCode::SUCCESS };
        }
    };
    if let Err(fault) = start_log(&cli.log_level, cli.log_format) {
        eprintln!("saastap: {fault}");
        return ExitCode::from(2);
    }
    match run(cli) {
        Ok(code) => code,
        // `saastap man | head` has seen enough.
        Err(failure) if failure.closed_pipe => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("saastap: {}", failure.words);
            // A supervisor need not try again what only a person can mend.
            if failure.misuse { ExitCode::from(2) } else { ExitCode::FAILURE }
        }
    }
}

fn run(cli: Cli) -> Result<ExitCode, Failure> {
    let config = || configuration(config_file(cli.config.as_deref()).as_deref());
    match cli.command {
        Command::Read(args) => read::run(&args, config()?),
        Command::Run(args) => {
            let file = config_file(cli.config.as_deref());
            run::run(&args, configuration(file.as_deref())?, file)
        }
        Command::Demo(args) => demo::run(&args),
        Command::Check(args) => check::run(&args, &config()?),
        Command::Explain(args) => match args.flow {
            Some(id) => flow::run(id, &args.captures(), config()?, args.json),
            None => Ok(explain::run(&args, &Rules::load(&config()?)?)?),
        },
        Command::WhyNot(args) => why_not::run(&args, config()?),
        Command::Usage(args) => usage::run(&args, &config()?),
        Command::Case(args) => case::run(&args, &config()?),
        Command::Catalog(args) => catalog::run(&args, &config()?),
        Command::Classify(args) => classify::run(&args, &Rules::load(&config()?)?.catalog),
        Command::Policy(args) => policy::run(&args, config),
        Command::Forget(args) => forget::run(&args, &config()?),
        Command::Reveal(args) => reveal::run(&args, &config()?),
        Command::Completions { shell } => {
            // It panics where it cannot write, as to a pipe that was closed.
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "saastap", &mut script);
            io::stdout().write_all(&script)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Man { directory } => {
            match directory {
                Some(directory) => clap_mangen::generate_to(Cli::command(), directory)?,
                None => {
                    clap_mangen::Man::new(Cli::command()).section("8").render(&mut io::stdout())?;
                }
            }
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Why a subcommand failed, in the words that a person reads.
#[derive(Debug)]
pub struct Failure {
    words: String,
    /// Arguments or configuration are wrong.
    misuse: bool,
    /// Whoever read the output has closed it.
    closed_pipe: bool,
}

impl Failure {
    fn misuse(words: impl Into<String>) -> Self {
        Self { words: words.into(), misuse: true, closed_pipe: false }
    }

    /// Where the store of a sensor is asked for, and none ever ran with this configuration.
    fn no_store(config: &Config) -> Self {
        Self::misuse(format!(
            "{}: there is no store\n  mend: name the configuration of the daemon with --config; its [store] directory counts",
            config.store.database().display()
        ))
    }
}

impl From<Faults> for Failure {
    fn from(faults: Faults) -> Self {
        Self::misuse(faults.to_string())
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        let closed_pipe = error.kind() == io::ErrorKind::BrokenPipe;
        Self { words: error.to_string(), misuse: false, closed_pipe }
    }
}

impl From<csv::Error> for Failure {
    fn from(error: csv::Error) -> Self {
        let words = error.to_string();
        match error.into_kind() {
            // Its own way to an I/O error forgets of which kind that was.
            csv::ErrorKind::Io(error) => error.into(),
            _ => Self { words, misuse: false, closed_pipe: false },
        }
    }
}

impl From<crate::capture::Error> for Failure {
    fn from(error: crate::capture::Error) -> Self {
        Self { words: error.to_string(), misuse: false, closed_pipe: false }
    }
}

impl From<Box<dyn std::error::Error>> for Failure {
    fn from(error: Box<dyn std::error::Error>) -> Self {
        let (words, misuse) = (error.to_string(), error.is::<Faults>());
        Self { words, misuse, closed_pipe: false }
    }
}

/// The file that was named, or that of an installed sensor where there is one.
fn config_file(named: Option<&Path>) -> Option<PathBuf> {
    let installed = || Some(PathBuf::from(CONFIG_FILE)).filter(|file| file.exists());
    named.map(Path::to_owned).or_else(installed)
}

fn configuration(file: Option<&Path>) -> Result<Config, Faults> {
    match file {
        Some(file) => Config::load(file),
        None => Config::parse("defaults", String::new()),
    }
}

fn start_log(level: &str, format: LogFormat) -> Result<(), String> {
    let refused = |why: String| {
        format!("--log-level {level}: {why}\n  mend: write error, warn, info, debug or trace")
    };
    // A lone word would be taken for the name of a module, and silence everything.
    if !level.contains('=') && level.parse::<tracing::Level>().is_err() {
        return Err(refused("is no level".to_owned()));
    }
    let filter: Targets = level.parse().map_err(|error: ParseError| refused(error.to_string()))?;
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal());
    let log = tracing_subscriber::registry().with(filter);
    match format {
        LogFormat::Text => log.with(lines.with_target(false)).init(),
        LogFormat::Json => log.with(lines.json()).init(),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }
}
