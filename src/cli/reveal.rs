//! `saastap reveal`: which address of a plan has a pseudonym; needs the key, and leaves a trace.

use std::collections::BTreeSet;
use std::io::{self, BufRead, Write as _};
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use super::Failure;
use super::trace::trace;
use crate::config::Config;
use crate::fault::Faults;
use crate::identity::lease_file::parse_mac;
use crate::identity::{
    Identity, LeaseFile, Mac, Options, Owner, is_pseudonym, load_key, parse_network,
};
use crate::store::Store;

/// Find the addresses that have a pseudonym: needs the key file, and writes an audit event
#[derive(clap::Args, Debug, Clone)]
pub struct Args {
    /// As `c-0f30512374f4`
    #[arg(value_name = "ID")]
    pub id: String,
    /// The key of the pseudonyms, instead of that of the configuration
    #[arg(long, value_name = "FILE")]
    pub key: Option<PathBuf>,
    /// Networks to search; without them, addresses and hardware addresses are read from standard input, one a line
    #[arg(long, value_name = "NETWORK", num_args = 1.., value_delimiter = ',')]
    pub networks: Vec<String>,
}

pub fn run(args: &Args, config: &Config) -> Result<ExitCode, Failure> {
    if !is_pseudonym(&args.id) {
        let words = "is no pseudonym\n  mend: write it as events show it, `c-` and twelve digits";
        return Err(Failure::misuse(format!("`{}` {words}", args.id)));
    }
    let key = load_key(args.key.as_ref().unwrap_or(&config.key_file())).map_err(Failure::misuse)?;
    // What the sensor shows now says nothing of what it showed then.
    let identity =
        Identity::new(&Options::default(), &config.vantage, key).map_err(Failure::misuse)?;
    let plan = if args.networks.is_empty() { given()? } else { within(&args.networks)? };
    let database = config.store.database();
    let (mut store, _) = Store::open(&database).map_err(|error| {
        let shown = database.display();
        Failure::misuse(format!(
            "{shown}: {error}\n  mend: a reveal leaves a trace in the store; run it where the sensor runs"
        ))
    })?;
    let mut found = BTreeSet::new();
    for (address, mac) in plan {
        let is_it = match (address, mac) {
            (Some(address), mac) => identity.ids_of(address, mac).contains(&args.id),
            (None, Some(mac)) => identity.id_of(&Owner::Machine(mac)) == args.id,
            (None, None) => false,
        };
        if is_it {
            found.extend(address.map(|a| a.to_string()).or(mac.map(shown)));
        }
    }
    // Machines are known by their hardware address: what has a lease is told by the address that it has now.
    for (key, value) in store.names().map_err(|e| io::Error::other(e.to_string()))? {
        if let Some((address, lease)) = identity.open_lease(&key, &value)
            && identity.ids_of(address, lease.mac).contains(&args.id)
        {
            found.insert(address.to_string());
        }
    }
    let rows = LeaseFile::read(&config.leases, |_| Ok(())).map_err(Faults::from)?;
    for owner in rows.owners() {
        if identity.id_of(owner) == args.id {
            found.insert(match owner {
                Owner::Machine(mac) => shown(*mac),
                Owner::Name(name) => name.to_string(),
            });
        }
    }
    // The trace comes first: without it nothing is told.
    let detail = format!("{}: {} found", args.id, found.len());
    trace(config, "reveal", &detail, &mut store)?;
    let mut out = io::stdout();
    for one in &found {
        writeln!(out, "{one}")?;
    }
    if found.is_empty() {
        eprintln!("saastap: no address of the plan has the pseudonym {}", args.id);
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

/// What may have the pseudonym.
type Plan = Vec<(Option<IpAddr>, Option<Mac>)>;

fn given() -> Result<Plan, Failure> {
    let mut plan = Vec::new();
    for line in io::stdin().lock().lines() {
        let line = line?;
        let word = line.trim();
        if word.is_empty() {
            continue;
        }
        match (word.parse().ok(), parse_mac(word)) {
            (None, None) => {
                let words =
                    "is neither an address nor a hardware address\n  mend: write one a line";
                return Err(Failure::misuse(format!("`{word}` {words}")));
            }
            both => plan.push(both),
        }
    }
    Ok(plan)
}

fn within(networks: &[String]) -> Result<Plan, Failure> {
    let mut plan = Vec::new();
    for text in networks {
        let network = parse_network(text).map_err(Failure::misuse)?;
        // An IPv6 client of unknown kind is its /64.
        let wide = network.addr().is_ipv6() && network.prefix_len() <= 64;
        let whole = if wide { 64 } else { network.max_prefix_len() };
        if whole - network.prefix_len() > MOST_BITS {
            return Err(Failure::misuse(format!(
                "`{text}` has more than 2^{MOST_BITS} addresses\n  \
                 mend: name smaller networks, or give the addresses on standard input"
            )));
        }
        let parts =
            network.subnets(whole).map_err(|e| Failure::misuse(format!("`{text}`: {e}")))?;
        plan.extend(parts.map(|part| (Some(part.addr()), None)));
    }
    Ok(plan)
}

fn shown(mac: Mac) -> String {
    mac.map(|octet| format!("{octet:02x}")).join(":")
}

/// A /12 of IPv4: a second for each million.
const MOST_BITS: u8 = 20;
