//! `saastap usage`: usage over time by vendor and state, from the store that a daemon keeps.

use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

use clap::ValueEnum;

use super::{Failure, tables};
use crate::config::Config;
use crate::export::web::{HistoryQuery, Step};
use crate::pipeline::{Rules, history, write_ascii};
use crate::time::Time;

/// Usage over time by vendor and state, from the store of a daemon, whether it runs or not
#[derive(clap::Args, Debug, Clone)]
pub struct Args {
    /// What is one row
    #[arg(long, value_enum, default_value = "day")]
    by: By,
    /// The first day (UTC), as 2027-03-31, or moment, as 2027-03-31T08:00:00Z; without it 31 days, or 48 hours, before the end
    #[arg(long, value_name = "TIME", value_parser = moment)]
    from: Option<Time>,
    /// The first day or moment that is not told; without it the end of what is known
    #[arg(long, value_name = "TIME", value_parser = moment)]
    until: Option<Time>,
    /// Only this vendor, by its id
    #[arg(long)]
    vendor: Option<String>,
    /// JSON Lines, one object for each row
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum By {
    Hour,
    Day,
}

pub fn run(args: &Args, config: &Config) -> Result<ExitCode, Failure> {
    let database = config.store.database();
    if !database.exists() {
        return Err(Failure::no_store(config));
    }
    let by = match args.by {
        By::Hour => Step::Hour,
        By::Day => Step::Day,
    };
    let query =
        HistoryQuery { by, from: args.from, until: args.until, vendor: args.vendor.clone() };
    let rules = Rules::load(config)?;
    let rows = history(&database, &rules, &query).map_err(Failure::misuse)?;
    let mut out = BufWriter::new(io::stdout().lock());
    if args.json {
        rows.iter().try_for_each(|row| write_ascii(&mut out, row))?;
    } else {
        tables::history(&mut out, &rows, by)?;
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

fn moment(text: &str) -> Result<Time, String> {
    Time::of_day(text).map_or_else(|| text.parse(), Ok).map_err(|_: String| {
        "write a day as 2027-03-31, or a moment as 2027-03-31T08:00:00Z".into()
    })
}
