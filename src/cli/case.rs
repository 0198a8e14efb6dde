//! `saastap case`: the open cases that a daemon keeps in its store, and the acknowledgment of one.

use std::collections::BTreeSet;
use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

use serde::Serialize;

use super::{Failure, tables};
use crate::alert::event::{About, Acknowledged, Id, Report, Sensor, What};
use crate::alert::{Cases, LEFT, Severity};
use crate::config::Config;
use crate::count::Cells;
use crate::pipeline::write_ascii;
use crate::store::{Batch, Store};
use crate::time::{DAY, Second, Time};

/// List and show open cases, and acknowledge one, whether the daemon runs or not
#[derive(clap::Args, Debug, Clone)]
pub struct Args {
    #[command(subcommand)]
    deed: Deed,
}

#[derive(clap::Subcommand, Debug, Clone)]
enum Deed {
    /// One line for each open case, the latest first
    List {
        /// JSON Lines, one object for each case
        #[arg(long)]
        json: bool,
    },
    /// All that is known of one case
    Show {
        /// Its uid, or the beginning of it
        id: String,
        /// One JSON object
        #[arg(long)]
        json: bool,
    },
    /// Say that somebody takes care of a case: it sends no updates until that day is over, unless it becomes graver. Its end is
    /// told all the same
    Ack {
        /// Its uid, or the beginning of it
        id: String,
        /// Who takes care of it
        #[arg(long, value_parser = said)]
        owner: Box<str>,
        /// Why it may be quiet
        #[arg(long, value_parser = said)]
        reason: Box<str>,
        /// The last day (UTC) of it, as 2027-03-31; a day that is over takes the acknowledgment back
        #[arg(long, value_name = "DATE", value_parser = day)]
        until: Time,
    },
}

pub fn run(args: &Args, config: &Config) -> Result<ExitCode, Failure> {
    let mut out = BufWriter::new(io::stdout().lock());
    let open = Open::load(config)?;
    match &args.deed {
        Deed::List { json: true } => {
            open.cases.iter().try_for_each(|case| write_ascii(&mut out, case))?;
        }
        Deed::List { json: false } => tables::cases(&mut out, &open.cases)?,
        Deed::Show { id, json } => {
            let case = open.find(id)?;
            if *json {
                write_ascii(&mut out, case)?;
            } else {
                show(&mut out, case)?;
            }
        }
        Deed::Ack { id, owner, reason, until } => {
            let case = open.find(id)?;
            // What the list shows of a day is its last moment; the first of the next one ends it.
            let until = until.plus(DAY);
            let known = Acknowledged { owner: owner.clone(), reason: reason.clone(), until };
            leave(config, case.report.finding.uid, &known)?;
            writeln!(
                out,
                "case {} is acknowledged by {owner}: no updates until {}",
                case.report.finding.uid,
                Second(until)
            )?;
        }
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

/// An open case as its row keeps it.
#[derive(Debug, Serialize)]
pub struct Shown {
    pub severity: Severity,
    #[serde(flatten)]
    pub report: Report,
    /// Somebody acknowledged it, and no daemon ran since to take that over.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub waits: bool,
}

struct Open {
    /// The latest first.
    cases: Vec<Shown>,
}

impl Open {
    fn load(config: &Config) -> Result<Self, Failure> {
        let path = config.store.database();
        if !path.exists() {
            return Err(Failure::no_store(config));
        }
        let rows = Store::read_only(&path).and_then(|store| store.windows());
        let rows = rows.map_err(|error| not_usable(config, &error))?;
        let mut cases = Cases::new(config.alert.clone(), Sensor::default(), Cells::new());
        for key in cases.restore(&rows) {
            eprintln!("saastap: the case `{}` cannot be read and is left out", key.escape_debug());
        }
        let left: Vec<_> = rows.into_iter().filter(|(key, _)| key.starts_with(LEFT)).collect();
        cases.acknowledge(&left);
        let waits: BTreeSet<_> = left.iter().map(|(key, _)| key.strip_prefix(LEFT)).collect();
        let shown = cases.open(Time::ZERO).into_iter().filter_map(|event| match event.what {
            What::Finding(report) => {
                let waits = waits.contains(&Some(report.finding.uid.to_string().as_str()));
                Some(Shown { severity: event.severity, report: *report, waits })
            }
            _ => None,
        });
        let mut cases: Vec<Shown> = shown.collect();
        cases.sort_by_key(|case| std::cmp::Reverse((case.report.last_seen, case.report.opened)));
        Ok(Self { cases })
    }

    /// The case whose uid begins so.
    fn find(&self, id: &str) -> Result<&Shown, Failure> {
        let id = id.to_ascii_lowercase();
        let begins = |case: &&Shown| case.report.finding.uid.to_string().starts_with(&id);
        let mut found = self.cases.iter().filter(begins);
        match (found.next(), found.next()) {
            (Some(case), None) if !id.is_empty() => Ok(case),
            (None, _) => Err(Failure::misuse(format!(
                "no open case has an id that begins with `{}`\n  mend: take one of `saastap case list`; a case that \
                 was closed has sent its end to the sinks",
                id.escape_debug()
            ))),
            _ => Err(Failure::misuse(format!(
                "several cases have an id that begins with `{}`\n  mend: write more of it, as `saastap case list --json` \
                 shows it in finding.uid",
                id.escape_debug()
            ))),
        }
    }
}

/// Leaves the acknowledgment in the store, where the daemon finds it within seconds, or when it starts.
fn leave(config: &Config, uid: Id, known: &Acknowledged) -> Result<(), Failure> {
    let row = known.left(uid);
    let batch = Batch { windows: vec![(row.key, row.value)], ..Batch::default() };
    Store::beside(&config.store.database())
        .and_then(|mut store| store.commit(&[batch]))
        .map_err(|error| not_usable(config, &error))
}

fn show(out: &mut impl Write, case: &Shown) -> io::Result<()> {
    let report = &case.report;
    let plain = |text: &str| text.escape_debug().to_string();
    let mut line = |name: &str, value: String| writeln!(out, "{name:<13} {value}");
    line("case", report.finding.uid.to_string())?;
    line("finding", format!("{} ({})", report.finding.id, case.severity.name()))?;
    line("title", report.finding.title.to_owned())?;
    if let Some(vendor) = report.vendor() {
        line("vendor", format!("{} ({})", plain(&vendor.name), vendor.id))?;
    }
    if let Some(usage) = report.usage() {
        if let Some(tenant) = &usage.tenant {
            line("tenant", format!("{} ({})", plain(tenant), usage.relation.name()))?;
        }
        if let Some(server) = &usage.server {
            line("server", plain(server))?;
        }
        line("role", usage.role.to_string())?;
        line("group", plain(&usage.group))?;
    }
    if let Some(state) = report.state() {
        line("state", state.to_string())?;
    }
    match &report.about {
        About::Usage(usage) => {
            line("rule", usage.rule.as_deref().unwrap_or("none matched").to_owned())?;
        }
        About::Lasting(lasting) => line("what", plain(&lasting.to_string()))?,
    }
    line("decided by", report.threshold.to_string())?;
    line("opened", Second(report.opened).to_string())?;
    line("last seen", Second(report.last_seen).to_string())?;
    if let Some(usage) = report.usage() {
        let least = if usage.clients.exact { "" } else { "at least " };
        line("clients", format!("{least}{}", usage.clients.count))?;
        for client in &usage.clients.listed {
            line("", plain(client))?;
        }
        if let Some(flow) = &usage.flow {
            let (at, name) = (Second(flow.time), plain(&flow.name));
            line("last flow", format!("{at} {name} ({})", flow.via))?;
        }
    }
    if let Some(known) = &report.acknowledged {
        let until = Second(known.until);
        line("acknowledged", format!("by {} until {until}", plain(&known.owner)))?;
        line("", plain(&known.reason))?;
        if case.waits {
            line("", "the daemon has not taken it over yet".to_owned())?;
        }
    }
    Ok(())
}

fn not_usable(config: &Config, error: &crate::store::Error) -> Failure {
    let path = config.store.database();
    Failure::from(io::Error::other(format!(
        "{}: {error}\n  mend: run this as the user of the daemon; a damaged store is set aside when the daemon starts",
        path.display()
    )))
}

/// A word of a person, in one line.
fn said(text: &str) -> Result<Box<str>, String> {
    let text = text.trim();
    if text.is_empty() || text.len() > LONGEST || text.chars().any(char::is_control) {
        return Err(format!("write one line of up to {LONGEST} octets"));
    }
    Ok(text.into())
}

/// Octets of a name or a reason: every sink has room for them.
const LONGEST: usize = 200;

fn day(text: &str) -> Result<Time, String> {
    Time::of_day(text).ok_or_else(|| "write a day as 2027-03-31".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_words_are_what_they_should_be() {
        assert_eq!(day("2027-03-31").unwrap().to_string(), "2027-03-31T00:00:00.000000Z");
        for wrong in ["2027-02-30", "tomorrow", "", "2027-03-31T12:00:00Z", "1200-01-01"] {
            assert!(day(wrong).is_err(), "{wrong}");
        }
        assert_eq!(&*said(" ada ").unwrap(), "ada");
        for wrong in ["", " ", "a\nb", &"a".repeat(201)] {
            assert!(said(wrong).is_err(), "{wrong}");
        }
    }
}
