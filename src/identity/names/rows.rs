//! What of the names survives a restart: rows for the store, and back. No client is in them.

use std::net::IpAddr;
use std::sync::Arc;

use hashbrown::HashSet;
use serde::{Deserialize, Serialize};

use super::addresses::Held;
use super::links::End;
use super::{Names, answer};
use crate::time::Time;

/// One row. Its key is `address/` and the address, or `cname/` and the owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub key: String,
    pub value: String,
    /// After that it is worth nothing.
    pub until: Time,
}

/// Whether an address can be a client's by its range: private, shared, link-local, unique local, loopback (RFC 6890).
pub fn is_inside(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let shared = v4.octets().first() == Some(&100) && v4.to_bits() >> 22 & 3 == 1;
            v4.is_private() || v4.is_loopback() || v4.is_link_local() || shared
        }
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local(),
    }
}

/// What changed since it was last taken.
#[derive(Debug, Default)]
pub struct Changed {
    addresses: HashSet<IpAddr>,
    links: HashSet<Arc<str>>,
}

/// Changes that wait to be saved; what comes then is saved when it changes again.
pub(super) const MAX_CHANGED: usize = 32_768;

impl Changed {
    /// False where too many wait already.
    pub fn address(&mut self, address: IpAddr) -> bool {
        let room = self.addresses.len() < MAX_CHANGED || self.addresses.contains(&address);
        if room {
            self.addresses.insert(address);
        }
        room
    }

    /// False where too many wait already.
    pub fn link(&mut self, owner: &Arc<str>) -> bool {
        let room = self.links.len() < MAX_CHANGED || self.links.contains(owner);
        if room {
            self.links.insert(owner.clone());
        }
        room
    }
}

#[derive(Serialize, Deserialize)]
struct HeldRow {
    name: Arc<str>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    chain: Vec<Arc<str>>,
    until: u64,
    #[serde(default)]
    for_all: bool,
}

#[derive(Serialize, Deserialize)]
struct LinkRow {
    target: Arc<str>,
    seen: u64,
    until: u64,
}

impl Names {
    /// At most `limit` rows for what changed. `public` says of an address that it is no client's: a name of a machine inside
    /// would tell who it is.
    pub fn take_changed(
        &mut self,
        limit: usize,
        at: Time,
        public: impl Fn(IpAddr) -> bool,
    ) -> Vec<Row> {
        let mut rows = Vec::new();
        // Those that are not worth a row make room for others.
        while rows.len() < limit && !self.changed.addresses.is_empty() {
            for address in take(&mut self.changed.addresses, limit - rows.len()) {
                let (held, _) = self.servers.names(&address, at);
                let until = held.iter().map(|held| held.expires).max().unwrap_or(Time::ZERO);
                if !public(address) || until < at.plus(WORTH_KEEPING) {
                    continue;
                }
                let held: Vec<HeldRow> = held.into_iter().map(HeldRow::from).collect();
                rows.extend(row(format!("{ADDRESS}{address}"), &held, until));
            }
        }
        for owner in take(&mut self.changed.links, limit.saturating_sub(rows.len())) {
            let ends = self.links.targets(&owner);
            let until = ends.first().map_or(Time::ZERO, |end| end.seen.plus(self.remember()));
            let ends: Vec<LinkRow> = ends.iter().map(LinkRow::from).collect();
            rows.extend(row(format!("{LINK}{owner}"), &ends, until));
        }
        rows
    }

    /// Takes rows back, and says how many of them could not be read. What has run out is dropped when it is asked for.
    pub fn restore(&mut self, rows: impl IntoIterator<Item = (String, String)>) -> usize {
        let mut unread = 0;
        for (key, value) in rows {
            unread += usize::from(self.restore_one(&key, &value).is_none());
        }
        unread
    }

    fn restore_one(&mut self, key: &str, value: &str) -> Option<()> {
        if let Some(address) = key.strip_prefix(ADDRESS) {
            let address: IpAddr = address.parse().ok()?;
            let rows: Vec<HeldRow> = serde_json::from_str(value).ok()?;
            for row in rows.into_iter().rev() {
                let held = Held {
                    name: answer::host(&row.name)?,
                    chain: row.chain.into(),
                    since: Time::ZERO,
                    expires: Time::from_secs(row.until),
                    for_all: row.for_all,
                };
                self.servers.learn(address, held, Time::ZERO);
            }
        } else {
            let owner = answer::host(key.strip_prefix(LINK)?)?;
            let rows: Vec<LinkRow> = serde_json::from_str(value).ok()?;
            for row in rows.into_iter().rev() {
                let end = End {
                    name: answer::host(&row.target)?,
                    seen: Time::from_secs(row.seen),
                    expires: Time::from_secs(row.until),
                };
                self.links.learn(&owner, end);
            }
        }
        Some(())
    }
}

impl From<&Held> for HeldRow {
    fn from(held: &Held) -> Self {
        Self {
            name: held.name.clone(),
            chain: held.chain.to_vec(),
            until: held.expires.secs(),
            for_all: held.for_all,
        }
    }
}

impl From<&End> for LinkRow {
    fn from(end: &End) -> Self {
        Self { target: end.name.clone(), seen: end.seen.secs(), until: end.expires.secs() }
    }
}

fn row(key: String, value: &impl Serialize, until: Time) -> Option<Row> {
    Some(Row { key, value: serde_json::to_string(value).ok()?, until })
}

fn take<T: Clone + Eq + std::hash::Hash>(set: &mut HashSet<T>, limit: usize) -> Vec<T> {
    let taken: Vec<T> = set.iter().take(limit).cloned().collect();
    for item in &taken {
        set.remove(item);
    }
    taken
}

const ADDRESS: &str = "address/";
const LINK: &str = "cname/";

/// Names of addresses that run out sooner are learned again before a restart is over.
const WORTH_KEEPING: std::time::Duration = std::time::Duration::from_secs(300);
