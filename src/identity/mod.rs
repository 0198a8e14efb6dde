//! Who an address is: the client behind it, and the name under which it passes the door to `usage`.

pub mod canary;
mod community;
pub mod ech;
mod key;
pub mod lease_file;
pub mod leases;
pub mod names;
mod network;
mod privacy;
mod pseudonym;
pub mod remembered;
mod seal;
#[cfg(test)]
mod tests;
mod vantage;

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use hashbrown::HashMap;
use ring::hmac;
use serde::{Deserialize, Serialize};

use crate::count::Cells;

pub use self::canary::CanaryRow;
pub use self::community::community_id;
pub use self::ech::Ech;
pub use self::key::{KEY_OCTETS, load_key, load_or_create_key, random_key};
pub use self::lease_file::{LeaseFile, LeaseRow, Owner};
pub use self::leases::{Lease, Leases, Mac};
pub use self::network::{Networks, parse as parse_network};
pub use self::privacy::{NeverOptions, Options, Privacy};
use self::pseudonym::Origin;
pub use self::pseudonym::{Marker, is_pseudonym};
pub use self::vantage::{Network, Vantage, VantageKind};

/// How many people may stand behind a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClientKind {
    /// One machine.
    Host,
    /// NAT, VDI, VPN pool, proxy: declared.
    Shared,
    Unknown,
}

impl ClientKind {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Shared => "shared",
            Self::Unknown => "unknown",
        }
    }
}

/// A client as the stages behind this door see it: a pseudonym, an address or nothing, by `privacy.client`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Client {
    pub id: Arc<str>,
    pub kind: ClientKind,
}

crate::rows! {
    pub enum Counter {
        Cleared => Counter "saastap_identity_cache_cleared_total" "Times the cache of client ids was full and was cleared.",
    }
}

/// Gives addresses the names under which they may pass.
pub struct Identity {
    privacy: Privacy,
    key: hmac::Key,
    vantage: Networks<VantageKind>,
    /// Which machine has which address.
    pub leases: Leases,
    pub fronts: ech::Fronts,
    seal: seal::Seal,
    pub canaries: canary::Canaries,
    nobody: Arc<str>,
    /// Only the collector asks: the lock is never contended.
    ids: Mutex<HashMap<Origin, Arc<str>>>,
    cells: Arc<Cells<Counter>>,
}

impl Identity {
    /// The error names a network that two `[[vantage]]` entries claim for different kinds.
    pub fn new(
        options: &Options,
        vantages: &[Vantage],
        key: [u8; KEY_OCTETS],
    ) -> Result<Self, String> {
        let mut vantage = Networks::default();
        for entry in vantages {
            for Network(network) in &entry.networks {
                match vantage.insert(*network, entry.kind) {
                    Err(taken) if *taken != entry.kind => {
                        return Err(format!(
                            "[[vantage]] says of network `{network}` that it is `{taken}` and `{}`: keep one of the two",
                            entry.kind
                        ));
                    }
                    _ => {}
                }
            }
        }
        let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
        let seal = seal::Seal::new(&key).ok_or("the key of the pseudonyms seals nothing")?;
        Ok(Self {
            privacy: options.client,
            key,
            seal,
            vantage,
            leases: Leases::new(),
            fronts: ech::Fronts::new(),
            canaries: canary::Canaries::default(),
            nobody: NOBODY.into(),
            ids: Mutex::default(),
            cells: Cells::new(),
        })
    }

    /// Counts into these cells, so that a reload does not begin again at zero.
    pub fn counting_in(mut self, cells: Arc<Cells<Counter>>) -> Self {
        self.cells = cells;
        self
    }

    pub fn cells(&self) -> &Arc<Cells<Counter>> {
        &self.cells
    }

    pub const fn privacy(&self) -> Privacy {
        self.privacy
    }

    /// The client behind an address. `kind` is what policy or leases know; a declared proxy, NAT or gateway is `shared`
    /// whatever they say, and so is the one client `-` that stands for a whole group. An IPv6 address of a client of
    /// unknown kind counts as its /64, because privacy addresses (RFC 8981) change within a day.
    pub fn client(&self, address: IpAddr, kind: ClientKind) -> Client {
        let address = address.to_canonical();
        let kind = if self.is_shared(address) { ClientKind::Shared } else { kind };
        if self.privacy == Privacy::Group {
            return Client { id: self.nobody.clone(), kind: ClientKind::Shared };
        }
        Client { id: self.cached(Origin::of(address, kind)), kind }
    }

    fn cached(&self, origin: Origin) -> Arc<str> {
        let mut ids = self.ids.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(id) = ids.get(&origin) {
            return id.clone();
        }
        if ids.len() >= CACHED_IDS {
            ids.clear();
            self.cells.add(Counter::Cleared, 1);
        }
        let id: Arc<str> = self.id(&origin).into();
        ids.insert(origin, id.clone());
        id
    }

    /// The client behind an address that a lease or a row of the lease file gives to somebody: one `host`, and the same one
    /// whatever its address is; unless `kind`, which is what policy knows, or a vantage say that many stand behind the
    /// address. The lease file goes before what DHCP was seen to say.
    pub fn machine(
        &self,
        address: IpAddr,
        kind: Option<ClientKind>,
        lease: Option<&Lease>,
        row: Option<&LeaseRow>,
    ) -> Client {
        let (origin, kind) = self.origin(address, kind, lease, row);
        match self.privacy {
            Privacy::Pseudonym => Client { id: self.cached(origin), kind },
            // Where addresses are shown, the client is the address that was seen.
            Privacy::Address | Privacy::Group => self.client(address, kind),
        }
    }

    /// What tells the clients of a group apart, in memory alone: the pseudonym, also where a whole group is one client.
    pub fn member(
        &self,
        address: IpAddr,
        kind: Option<ClientKind>,
        lease: Option<&Lease>,
        row: Option<&LeaseRow>,
    ) -> Arc<str> {
        self.cached(self.origin(address, kind, lease, row).0)
    }

    fn origin(
        &self,
        address: IpAddr,
        kind: Option<ClientKind>,
        lease: Option<&Lease>,
        row: Option<&LeaseRow>,
    ) -> (Origin, ClientKind) {
        let address = address.to_canonical();
        let owner = row.and_then(|row| row.owner.as_ref());
        if kind == Some(ClientKind::Shared) || self.is_shared(address) {
            return (Origin::of(address, ClientKind::Shared), ClientKind::Shared);
        }
        if lease.is_none() && owner.is_none() {
            let kind = kind.unwrap_or(ClientKind::Unknown);
            return (Origin::of(address, kind), kind);
        }
        let machine = lease.and_then(|lease| lease.mac).map(Origin::Machine);
        let origin = owner.map(Origin::from).or(machine);
        (origin.unwrap_or(Origin::Address(address)), ClientKind::Host)
    }

    /// Makes what stands for groups in ids that leave.
    pub fn marker(&self) -> Marker {
        Marker(self.key.clone())
    }

    /// What `[[vantage]]` says of an address; the longest network wins.
    pub fn vantage(&self, address: IpAddr) -> Option<VantageKind> {
        self.vantage.longest(address).copied()
    }

    /// What stands for a client, a server address and a port in [`remembered`]: a keyed hash of them, or of the last two where
    /// a whole group is one client.
    pub fn place(&self, client: IpAddr, server: IpAddr, port: u16) -> remembered::Place {
        let octets = |address: IpAddr| match address.to_canonical() {
            IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
            IpAddr::V6(v6) => v6.octets(),
        };
        let mut context = hmac::Context::with_key(&self.key);
        if self.privacy != Privacy::Group {
            context.update(&octets(client));
        }
        context.update(&octets(server));
        context.update(&port.to_be_bytes());
        let tag = context.sign();
        let head = tag.as_ref().first_chunk().copied().unwrap_or_default();
        remembered::Place(u128::from_be_bytes(head))
    }

    /// At most `limit` rows of the store for leases that changed, sealed.
    pub fn lease_rows(&mut self, limit: usize) -> Vec<names::Row> {
        let changed = self.leases.take_changed(limit);
        changed.into_iter().filter_map(|ip| self.seal.row(ip, self.leases.of(ip))).collect()
    }

    /// Whether a row of the store is one of a lease.
    pub fn is_lease_row(key: &str) -> bool {
        seal::owns(key)
    }

    /// Every id that who is behind an address can have: as one machine, by its hardware address, and of an IPv6 network.
    pub fn ids_of(&self, address: IpAddr, mac: Option<Mac>) -> Vec<String> {
        let address = address.to_canonical();
        let mut origins = vec![Origin::Address(address), Origin::of(address, ClientKind::Unknown)];
        // Where addresses are shown, a machine has no id of its own.
        origins.extend(mac.filter(|_| self.privacy == Privacy::Pseudonym).map(Origin::Machine));
        origins.iter().map(|origin| self.id(origin)).collect()
    }

    /// The pseudonym of whom a row of the lease file names, or of a machine by its hardware address.
    pub fn id_of(&self, owner: &Owner) -> String {
        self.id(&Origin::from(owner))
    }

    /// What a row of the store says of a lease; `None` where it is none, or was sealed under another key.
    pub fn open_lease(&self, key: &str, value: &str) -> Option<(IpAddr, Lease)> {
        seal::owns(key).then(|| self.seal.open(key, value)).flatten()
    }

    /// Takes rows of leases back, and says how many of them could not be read.
    pub fn restore_leases(&mut self, rows: Vec<(String, String)>) -> usize {
        let mut unread = 0;
        for (key, value) in rows {
            match self.seal.open(&key, &value) {
                Some((address, lease)) => self.leases.restore(address, lease),
                None => unread += 1,
            }
        }
        unread
    }

    /// Scanners and guests: left out of usage and findings.
    pub fn is_left_out(&self, address: IpAddr) -> bool {
        self.vantage(address).is_some_and(VantageKind::is_left_out)
    }

    fn is_shared(&self, address: IpAddr) -> bool {
        self.vantage(address).is_some_and(VantageKind::is_shared)
    }

    fn id(&self, origin: &Origin) -> String {
        if self.privacy == Privacy::Address {
            return match origin {
                Origin::Address(address) => address.to_string(),
                Origin::Net64(net) => format!("{net}/64"),
                Origin::Machine(_) | Origin::Name(_) => NOBODY.to_owned(),
            };
        }
        origin.pseudonym(&self.key)
    }
}

/// The client that stands for everybody where `privacy.client` is `group`.
pub const NOBODY: &str = "-";

/// Ids kept, so that a client costs one HMAC (about 1 us) and not one for each report of a flow. A campus has fewer
/// clients; a scan from spoofed addresses clears the cache and costs no more than that.
const CACHED_IDS: usize = 65_536;

/// Octets of a cached id: the entry, its share of the table, the id and its counts.
const CACHED_ID_OCTETS: u64 = 160;
