//! `saastap demo`: a recorded office day, over and over, through the pipeline of `run`: no root, no span port, no
//! configuration.

use std::fs;
use std::io;
use std::path::Path;
use std::process::ExitCode;

use super::Failure;
use super::tables;
use crate::capture::{self, Replay};
use crate::config::Config;
use crate::count::Cells;
use crate::export::{Face, web};
use crate::pipeline::{Daemon, Rules, Setup};

/// Play a recorded day of a small office through the whole program: usage, web page, metrics, alerts
#[derive(clap::Args, Debug, Clone)]
pub struct Args {
    /// Stop after so many seconds; without it, at Ctrl-C
    #[arg(long, value_name = "N")]
    pub seconds: Option<u64>,
    /// Where to put the capture, the store (begun anew) and the alerts (added to those that are there)
    #[arg(long, value_name = "DIRECTORY")]
    pub directory: Option<std::path::PathBuf>,
    /// Where to serve the page and the metrics, instead of 127.0.0.1:19727
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub listen: Option<std::net::SocketAddr>,
}

/// The day, and the policy of its office.
const DAY: &[u8] = include_bytes!("../../tests/captures/office-day.pcap.gz");
const POLICY: &str = include_str!("../../config/demo.toml");

/// Seconds of packet time in one second: the working day passes in a quarter of a minute.
const SPEED: u32 = 1_800;

/// The table is printed so often.
const TABLE_SECONDS: u64 = 10;

pub fn run(args: &Args) -> Result<ExitCode, Failure> {
    let directory = args.directory.clone().unwrap_or_else(|| {
        std::env::temp_dir().join(format!("saastap-demo-{}", std::process::id()))
    });
    let alerts = directory.join("alerts.jsonl");
    let mut config = Config::parse("config/demo.toml", policy(&alerts))?;
    config.store.directory.clone_from(&directory);
    config.web.listen = args.listen.unwrap_or(config.web.listen);
    // Another demo may run there: asked before anything of its is touched.
    drop(web::bind(&config.web).map_err(with_its_option)?);
    fs::create_dir_all(&directory)?;
    forget(&config.store.database())?;
    let day = directory.join("office-day.pcap.gz");
    fs::write(&day, DAY)?;

    let rules = Rules::load(&config)?;
    let captured = Cells::new();
    let (options, cells) = (config.capture.clone(), captured.clone());
    let open = move || capture::open_files(std::slice::from_ref(&day), &options, cells.clone());
    let source = Box::new(Replay::new(Box::new(open), SPEED)?);
    let listen = config.web.listen;
    let setup = Setup { config, config_file: None, source, captured, flow_log: None, waits: true };
    let daemon = Daemon::start(setup, rules)?;
    println!("A day of a small office, played in a quarter of a minute, again and again.");
    println!("  page     http://{listen}/");
    println!("  metrics  http://{listen}/metrics");
    println!("  alerts   {}", alerts.display());
    let desk = daemon.desk();
    daemon.run(|second, desk| {
        let last = args.seconds.is_some_and(|most| second >= most);
        if !last && second % TABLE_SECONDS == 0 {
            show(desk);
        }
        !last
    })?;
    show(&*desk);
    println!("\nAlerts were written to {}", alerts.display());
    Ok(ExitCode::SUCCESS)
}

/// The demo has no file in which a person could set `listen`.
fn with_its_option(error: io::Error) -> io::Error {
    let words = error.to_string();
    let mend = words.replace("set another `listen` in [web]", "choose another with --listen");
    io::Error::new(error.kind(), mend)
}

/// The same day begins again: what an earlier demo knew of it would be counted twice, and its findings not told anew.
fn forget(database: &Path) -> io::Result<()> {
    for journal in ["", "-wal", "-shm"] {
        let mut file = database.as_os_str().to_owned();
        file.push(journal);
        match fs::remove_file(Path::new(&file)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// The demo's policy, with a sink that writes to `alerts`.
fn policy(alerts: &Path) -> String {
    let path = toml_text(&alerts.to_string_lossy());
    format!("{POLICY}\n[[sink]]\nname = \"alerts\"\nkind = \"file\"\npath = {path}\n")
}

/// A TOML basic string; JSON's escapes are all TOML's too.
fn toml_text(text: &str) -> String {
    serde_json::to_string(text).unwrap_or_default()
}

fn show(desk: &dyn Face) {
    let mut out = io::stdout().lock();
    let findings = desk.findings();
    // A closed pipe ends the show, not the demo.
    let _ = tables::page(&mut out, &desk.coverage(), &desk.usage_rows(), &findings);
}
