//! `saastap catalog`: what the catalogue holds, how good it is, and how it goes elsewhere.

mod diff;
mod draft;
mod export;
mod lint;
mod list;
mod score;
mod stats;

use std::io::{self, Write};
use std::process::ExitCode;

use comfy_table::{ColumnConstraint, ContentArrangement, Table, Width, presets};

use super::Failure;
use crate::config::Config;
use crate::pipeline::Rules;
use crate::signature::{Deployment, TenantVisibility};

/// Columns of the tables: the narrowest terminal that people use.
const WIDTH: u16 = 80;

/// List the vendors of the catalogue, or show one; try, check, compare and export it
#[derive(clap::Args, Debug, Clone)]
pub struct Args {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(clap::Subcommand, Debug, Clone)]
pub enum Command {
    /// List all vendors
    List {
        /// Only vendors of this category
        #[arg(long, value_name = "CATEGORY")]
        category: Option<String>,
        /// JSON Lines, one object a vendor
        #[arg(long)]
        json: bool,
    },
    /// Show all that a vendor's signature says
    Show {
        /// Vendor id
        vendor: String,
        /// One JSON object
        #[arg(long)]
        json: bool,
    },
    Test(score::Args),
    Lint(lint::Args),
    /// Count vendors by category, matches by kind and role
    Stats {
        /// One JSON object
        #[arg(long)]
        json: bool,
    },
    Diff(diff::Args),
    /// Print the catalogue as a table for another program
    ///
    /// The lookup and the watchlist have host names alone. Their first row that covers a host names its vendor; labels that
    /// are reserved for all vendors (docs, static ...) have the role of their match there.
    Export {
        #[arg(long, value_enum)]
        format: export::Format,
    },
    New(draft::Args),
}

/// Runs the subcommand.
///
/// # Errors
/// What the person asked for and is not there, files that cannot be read, and standard output that cannot be written.
pub fn run(args: &Args, config: &Config) -> Result<ExitCode, Failure> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    let rules = || Rules::load(config);
    let code = match &args.command {
        Command::List { category, json } => {
            asked(list::list(category.as_deref(), *json, &rules()?.catalog, &mut out)?)?
        }
        Command::Show { vendor, json } => {
            asked(list::show(vendor, *json, &rules()?.catalog, &mut out)?)?
        }
        Command::Test(args) => score::run(args, &rules()?.catalog, &mut out)?,
        Command::Lint(args) => lint::run(args, config, &mut out)?,
        Command::Stats { json } => done(stats::stats(*json, &rules()?.catalog, &mut out)?),
        Command::Diff(args) => done(diff::run(args, config, &mut out)?),
        Command::Export { format } => done(export::export(*format, &rules()?.catalog, &mut out)?),
        Command::New(args) => done(draft::run(args, config, &mut out)?),
    };
    out.flush()?;
    Ok(code)
}

/// What the person asked for that is not there, and what is.
type Misuse = String;

const fn done((): ()) -> ExitCode {
    ExitCode::SUCCESS
}

fn asked(answer: Result<(), Misuse>) -> io::Result<ExitCode> {
    match answer {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(misuse) => {
            writeln!(io::stderr(), "{misuse}")?;
            Ok(ExitCode::from(2))
        }
    }
}

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY);
    table.set_content_arrangement(ContentArrangement::Dynamic).set_width(WIDTH);
    table.set_header(header.to_vec());
    if let Some(first) = table.column_mut(0) {
        // An id or a host broken over lines can be neither read nor copied.
        first.set_constraint(ColumnConstraint::UpperBoundary(Width::Fixed(WIDTH / 2)));
    }
    table
}

fn print(table: &Table, out: &mut impl Write) -> io::Result<()> {
    for line in table.lines() {
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

const fn deployment(deployment: Deployment) -> &'static str {
    match deployment {
        Deployment::Cloud => "cloud",
        Deployment::OnPremise => "on-premise",
        Deployment::Both => "both",
    }
}

const fn visibility(visibility: TenantVisibility) -> &'static str {
    match visibility {
        TenantVisibility::Name => "name",
        TenantVisibility::Dns => "dns",
        TenantVisibility::None => "none",
    }
}
