//! `saastap run`: the daemon.

use std::path::PathBuf;
use std::process::ExitCode;

use super::Failure;
use crate::capture;
use crate::config::Config;
use crate::count::Cells;
use crate::pipeline::{Daemon, Rules, Setup};

/// Listen on interfaces until stopped: count usage, serve metrics, send alerts
#[derive(clap::Args, Debug, Clone)]
pub struct Args {
    /// Interface to listen on, instead of those of the configuration; may be given several times
    #[arg(short, long, value_name = "NAME")]
    pub interface: Vec<String>,
    /// Write each flow that ends to this file, as a line of JSON like those of `read --flows`; it holds addresses, whatever
    /// `[privacy]` says
    #[arg(long, value_name = "FILE")]
    pub flows: Option<PathBuf>,
}

pub fn run(
    args: &Args,
    mut config: Config,
    config_file: Option<PathBuf>,
) -> Result<ExitCode, Failure> {
    if !args.interface.is_empty() {
        config.capture.interfaces.clone_from(&args.interface);
    }
    if config.capture.interfaces.is_empty() {
        return Err(Failure::misuse(
            "no interface is given\n  mend: name one with --interface, or in `interfaces` of [capture]",
        ));
    }
    let rules = Rules::load(&config)?;
    let captured = Cells::new();
    let source = capture::open_live(&config.capture, captured.clone())?;
    let listen = config.web.listen;
    let interfaces = config.capture.interfaces.join(", ");
    let flow_log = args.flows.clone();
    let setup = Setup { config, config_file, source, captured, flow_log, waits: false };
    let daemon = Daemon::start(setup, rules)?;
    tracing::info!("listening on {interfaces}; http://{listen}/ shows what is used");
    daemon.run(|_, _| true)?;
    Ok(ExitCode::SUCCESS)
}
