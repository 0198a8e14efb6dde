//! `saastap forget`: erases a client from the store of a sensor that is stopped.

use std::collections::BTreeSet;
use std::io::{self, Write as _};
use std::net::IpAddr;
use std::process::ExitCode;

use super::Failure;
use super::trace::trace;
use crate::config::Config;
use crate::identity::{Identity, Owner, Privacy, is_pseudonym, load_key};
use crate::store::{Error, Store};

/// Erase a client from the store: usage, leases, its name in cases, and messages about it that no sink has taken yet
#[derive(clap::Args, Debug, Clone)]
pub struct Args {
    /// Pseudonym, as `c-0f30512374f4`, or address; a machine with a DHCP lease is found by both
    #[arg(long, value_name = "ID|ADDRESS", required_unless_present = "identity")]
    pub client: Option<String>,
    /// User or host name, as the files of [leases] write it
    #[arg(long, value_name = "NAME", conflicts_with = "client")]
    pub identity: Option<String>,
}

pub fn run(args: &Args, config: &Config) -> Result<ExitCode, Failure> {
    if config.privacy.client == Privacy::Group {
        let words = "`client = \"group\"` in [privacy] keeps no client, so there is none to forget";
        return Err(Failure::misuse(words));
    }
    let client = args.client.as_deref().unwrap_or_default();
    let address = client.parse::<IpAddr>().ok();
    let owner = args.identity.as_deref().and_then(Owner::read);
    if address.is_none() && owner.is_none() && !is_pseudonym(client) {
        return Err(Failure::misuse(format!(
            "`{client}` is no client\n  mend: write a pseudonym as events show it, or an address",
        )));
    }
    if owner.is_some() && config.privacy.client == Privacy::Address {
        let words = "clients are kept by address\n  mend: name it with --client";
        return Err(Failure::misuse(words));
    }
    let mut store = Store::open_alone(&config.store.database()).map_err(|error| match error {
        Error::Missing => Failure::no_store(config),
        Error::InUse => Failure::misuse(
            "a sensor runs on this store and would write the client again\n  \
             mend: stop it first (`systemctl stop saastap`), and start it afterwards",
        ),
        error => other(error),
    })?;
    let key = load_key(&config.key_file()).map_err(Failure::misuse)?;
    let identity = Identity::new(&config.privacy, &config.vantage, key).map_err(Failure::misuse)?;

    let mut ids: BTreeSet<String> = args.client.clone().into_iter().collect();
    ids.extend(owner.iter().map(|owner| identity.id_of(owner)));
    ids.extend(address.into_iter().flat_map(|address| identity.ids_of(address, None)));
    let mut rows = BTreeSet::new();
    for (key, value) in store.names().map_err(other)? {
        let Some((leased, lease)) = identity.open_lease(&key, &value) else { continue };
        let all = identity.ids_of(leased, lease.mac);
        if Some(leased) == address || all.iter().any(|id| ids.contains(id)) {
            ids.extend(all);
            rows.insert(key);
        }
    }
    let (ids, rows) = (Vec::from_iter(ids), Vec::from_iter(rows));
    let erased = store.forget(&ids, &rows).map_err(other)?;
    // Who it was is not said: that is what was asked for.
    trace(config, "forget", &format!("{erased} rows of one client"), &mut store)?;
    writeln!(io::stdout(), "forgotten: {erased} rows")?;
    Ok(ExitCode::SUCCESS)
}

fn other(error: Error) -> Failure {
    io::Error::other(error.to_string()).into()
}
