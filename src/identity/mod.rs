//! Who an address is: the client behind it, and the name under which it passes the door to `usage`.

pub mod canary;
mod community;
pub mod ech;
mod key;
pub mod lease_file;
pub mod leases;
pub mod names;
mod network;
pub mod remembered;
mod seal;
mod vantage;

use std::net::{IpAddr, Ipv6Addr};
use std::path::PathBuf;
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

/// `[privacy]`.
#[derive(Deserialize, Serialize, Clone, Debug, PartialEq, Eq)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    pub client: Privacy,
    /// Groups with fewer clients are not named where clients are not shown by their address; 0: all are.
    pub small_groups: usize,
    /// Where the key of the pseudonyms is kept; `None`: beside the store.
    pub key_file: Option<PathBuf>,
    pub never_record: NeverOptions,
}

/// `never_record` of `[privacy]`: what is kept out of usage and findings, and what is kept of it is a count.
#[derive(Deserialize, Serialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(default, deny_unknown_fields)]
pub struct NeverOptions {
    /// Host names; each stands for those below it as well, and `*` for any characters.
    pub names: Vec<String>,
    /// Ids of vendors.
    pub vendors: Vec<String>,
    /// Of clients or servers.
    pub networks: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            client: Privacy::default(),
            small_groups: 5,
            key_file: None,
            never_record: NeverOptions::default(),
        }
    }
}

impl Options {
    /// Groups with fewer clients than these are not named.
    pub const fn unnamed_below(&self) -> usize {
        match self.client {
            Privacy::Address => 0,
            Privacy::Pseudonym | Privacy::Group => self.small_groups,
        }
    }

    /// Octets that leases and the ids in the cache can take.
    pub fn memory(&self) -> u64 {
        ech::MEMORY
            + leases::MEMORY
            + match self.client {
                Privacy::Group => 0,
                Privacy::Pseudonym | Privacy::Address => CACHED_IDS as u64 * CACHED_ID_OCTETS,
            }
    }
}

/// What of a client may pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "lowercase")]
pub enum Privacy {
    /// `c-` and twelve hexadecimal digits: equal for equal addresses under one key.
    #[default]
    Pseudonym,
    Address,
    /// `-`: a whole group is one client.
    Group,
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

    /// Whether a text has the form of a pseudonym.
    pub fn is_pseudonym(text: &str) -> bool {
        let digits = text.strip_prefix("c-").unwrap_or_default();
        let is_digit = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        digits.len() == 2 * ID_OCTETS && digits.bytes().all(is_digit)
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
        let tag = match origin {
            Origin::Address(IpAddr::V4(address)) => hmac::sign(&self.key, &address.octets()),
            Origin::Address(IpAddr::V6(address)) => hmac::sign(&self.key, &address.octets()),
            Origin::Machine(mac) => hmac::sign(&self.key, mac),
            Origin::Name(name) => hmac::sign(&self.key, format!("{NAME}{name}").as_bytes()),
            Origin::Net64(net) => hmac::sign(&self.key, net.octets().split_at(NET64_OCTETS).0),
        };
        let shown = tag.as_ref().split_at_checked(ID_OCTETS).map_or(&[][..], |(shown, _)| shown);
        format!("c-{}", key::hex(shown))
    }
}

/// Hides names of groups under the key of the pseudonyms.
#[derive(Clone)]
pub struct Marker(hmac::Key);

impl Marker {
    /// What stands for a group: who knows the names of all groups does not find it.
    pub fn mark(&self, group: &str) -> String {
        let tag = hmac::sign(&self.0, format!("{GROUP}{group}").as_bytes());
        key::hex(tag.as_ref().get(..MARK_OCTETS).unwrap_or_default())
    }
}

/// What an id is made of. The octets signed differ in number (4, 16, 8, 6, more than 16), so that no two kinds share an id.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Origin {
    Address(IpAddr),
    Net64(Ipv6Addr),
    Machine(Mac),
    /// Of the lease file.
    Name(Arc<str>),
}

impl From<&Owner> for Origin {
    fn from(owner: &Owner) -> Self {
        match owner {
            Owner::Machine(mac) => Self::Machine(*mac),
            Owner::Name(name) => Self::Name(name.clone()),
        }
    }
}

impl Origin {
    fn of(address: IpAddr, kind: ClientKind) -> Self {
        match (address, kind) {
            (IpAddr::V6(address), ClientKind::Unknown) => {
                Self::Net64(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64))
            }
            _ => Self::Address(address),
        }
    }
}

/// The client that stands for everybody where `privacy.client` is `group`.
pub const NOBODY: &str = "-";

/// Octets of the HMAC that an id shows: 48 bits, so that of 100,000 clients two share an id with odds of 1 in 56,000.
const ID_OCTETS: usize = 6;

const NET64_OCTETS: usize = 8;

/// What is signed before a name, so that it is longer than any address.
const NAME: &str = "name of a lease: ";

/// The same of a group, and how much of the hash stands for it.
const GROUP: &str = "name of a group: ";
const MARK_OCTETS: usize = 16;

/// Ids kept, so that a client costs one HMAC (about 1 us) and not one for each report of a flow. A campus has fewer
/// clients; a scan from spoofed addresses clears the cache and costs no more than that.
const CACHED_IDS: usize = 65_536;

/// Octets of a cached id: the entry, its share of the table, the id and its counts.
const CACHED_ID_OCTETS: u64 = 160;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sniff::{Dhcp, DhcpEvent};

    fn identity(client: Privacy, vantages: &[Vantage]) -> Identity {
        let options = Options { client, ..Options::default() };
        Identity::new(&options, vantages, [7; 32]).unwrap()
    }

    fn vantage(kind: VantageKind, network: &str) -> Vantage {
        Vantage { kind, networks: vec![Network(network.parse().unwrap())] }
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_pseudonym_is_stable_under_its_key_and_hides_the_address() {
        let one = identity(Privacy::Pseudonym, &[]);
        let client = one.client(ip("10.0.0.1"), ClientKind::Host);
        // HMAC-SHA256 with a key of 32 octets 07 over 0a 00 00 01, computed with openssl.
        assert_eq!(&*client.id, "c-0f30512374f4");
        assert_eq!(client, one.client(ip("::ffff:10.0.0.1"), ClientKind::Host));
        assert_ne!(client.id, one.client(ip("10.0.0.2"), ClientKind::Host).id);
        let other = Identity::new(&Options::default(), &[], [8; 32]).unwrap();
        assert_ne!(client.id, other.client(ip("10.0.0.1"), ClientKind::Host).id);
    }

    #[test]
    fn an_unknown_ipv6_client_is_its_64() {
        let shown = identity(Privacy::Address, &[]);
        let one = shown.client(ip("2001:db8:1:2:3::4"), ClientKind::Unknown);
        assert_eq!(&*one.id, "2001:db8:1:2::/64");
        assert_eq!(one, shown.client(ip("2001:db8:1:2:ffff::"), ClientKind::Unknown));
        let host = shown.client(ip("2001:db8:1:2:3::4"), ClientKind::Host);
        assert_eq!(&*host.id, "2001:db8:1:2:3::4");
        assert_eq!(&*shown.client(ip("10.0.0.1"), ClientKind::Unknown).id, "10.0.0.1");

        let hidden = identity(Privacy::Pseudonym, &[]);
        let net = hidden.client(ip("2001:db8:1:2:3::4"), ClientKind::Unknown);
        assert_eq!(net, hidden.client(ip("2001:db8:1:2::"), ClientKind::Unknown));
        assert_ne!(net.id, hidden.client(ip("2001:db8:1:2::"), ClientKind::Host).id);
    }

    #[test]
    fn a_machine_keeps_its_pseudonym_whatever_its_address() {
        let mut identity =
            identity(Privacy::Pseudonym, &[vantage(VantageKind::Nat, "10.9.0.0/16")]);
        let at = crate::time::Time::from_secs(1_700_000_000);
        let lease = |address: &str, mac| Dhcp {
            event: DhcpEvent::Granted,
            mac,
            name: None,
            addresses: vec![(ip(address), 600)],
        };
        let mac = Some([0x3c, 0x22, 0xfb, 1, 2, 3]);
        for (address, mac) in
            [("10.0.0.1", mac), ("2001:db8::7", mac), ("10.9.0.1", mac), ("2001:db8::8", None)]
        {
            identity.leases.learn(&lease(address, mac), at);
        }
        let client = |address: &str, kind| {
            let address = ip(address);
            identity.machine(address, kind, identity.leases.at(address, at), None)
        };
        let one = client("10.0.0.1", None);
        assert_eq!((one.kind, &one), (ClientKind::Host, &client("2001:db8::7", None)));
        let bare = identity.client(ip("10.0.0.1"), ClientKind::Host);
        assert_ne!(one.id, bare.id);
        // Many stand behind it, as declared; no lease; a lease that shows no hardware address.
        assert_eq!(client("10.0.0.1", Some(ClientKind::Shared)).kind, ClientKind::Shared);
        assert_eq!(client("10.9.0.1", None).kind, ClientKind::Shared);
        assert_eq!(client("10.0.0.2", None).kind, ClientKind::Unknown);
        let exact = identity.client(ip("2001:db8::8"), ClientKind::Host);
        assert_eq!(client("2001:db8::8", None), exact);
    }

    #[test]
    fn whom_the_lease_file_names_is_one_client_at_every_address() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("leases.csv");
        let rows = "address,from,to,identity,group\n10.8.0.7,,,alice,\n10.8.0.8,,,Alice,\n\
                    10.8.0.9,,,3c:22:fb:01:02:03,\n10.8.0.10,,,,vpn\n10.9.0.1,,,alice,\n";
        std::fs::write(&path, rows).unwrap();
        let options = lease_file::Options { files: vec![path], ..Default::default() };
        let file = LeaseFile::read(&options, |_| Ok(())).unwrap();
        let hidden = identity(Privacy::Pseudonym, &[vantage(VantageKind::Nat, "10.9.0.0/16")]);
        let lease = Lease { mac: Some([7; 6]), name: None, until: crate::time::Time::MAX };
        let known = Lease { mac: Some([0x3c, 0x22, 0xfb, 1, 2, 3]), ..lease.clone() };
        let at = crate::time::Time::from_secs(1_700_000_000);
        let client = |identity: &Identity, address: &str, lease| {
            let address = ip(address);
            identity.machine(address, None, lease, file.at(address, at))
        };
        let alice = client(&hidden, "10.8.0.7", None);
        assert_eq!(alice.kind, ClientKind::Host);
        assert_eq!(alice, client(&hidden, "10.8.0.8", Some(&lease)), "before what DHCP says");
        assert_eq!(*alice.id, hidden.id_of(&Owner::read(" ALICE ").unwrap()));
        assert!(Identity::is_pseudonym(&alice.id));
        assert_ne!(alice.id, hidden.client(ip("10.8.0.7"), ClientKind::Host).id);
        let machine = client(&hidden, "10.8.0.9", None);
        assert_eq!(machine, client(&hidden, "10.8.0.20", Some(&known)), "as DHCP knows it");
        assert_eq!(client(&hidden, "10.8.0.10", None).kind, ClientKind::Unknown, "no identity");
        assert_eq!(client(&hidden, "10.9.0.1", None).kind, ClientKind::Shared, "declared");
        let shown = client(&identity(Privacy::Address, &[]), "10.8.0.7", None);
        assert_eq!(shown, Client { id: "10.8.0.7".into(), kind: ClientKind::Host });
    }

    #[test]
    fn a_place_is_a_client_a_server_and_a_port_and_tells_none_of_them() {
        let (hidden, group) = (identity(Privacy::Pseudonym, &[]), identity(Privacy::Group, &[]));
        let [one, other, server] = ["10.0.0.1", "10.0.0.2", "192.0.2.1"].map(ip);
        let place = hidden.place(one, server, 443);
        assert_eq!(place, hidden.place(ip("::ffff:10.0.0.1"), server, 443));
        assert_ne!(place, hidden.place(other, server, 443));
        assert_ne!(place, hidden.place(one, other, 443));
        assert_ne!(place, hidden.place(one, server, 80));
        assert_eq!(group.place(one, server, 443), group.place(other, server, 443));
        let another = Identity::new(&Options::default(), &[], [8; 32]).unwrap();
        assert_ne!(place, another.place(one, server, 443));
    }

    #[test]
    fn a_group_is_one_shared_client() {
        let identity = identity(Privacy::Group, &[]);
        let client = identity.client(ip("10.0.0.1"), ClientKind::Host);
        assert_eq!(client, Client { id: "-".into(), kind: ClientKind::Shared });
        assert_eq!(client, identity.client(ip("2001:db8::1"), ClientKind::Unknown));
    }

    #[test]
    fn vantage_decides_the_kind_and_who_is_left_out() {
        let identity = identity(
            Privacy::Address,
            &[
                vantage(VantageKind::Proxy, "10.1.1.0/24"),
                vantage(VantageKind::Scanner, "10.1.1.10/32"),
                vantage(VantageKind::Guest, "192.168.0.0/16"),
                vantage(VantageKind::Resolver, "10.1.2.53/32"),
                vantage(VantageKind::Nat, "198.51.100.1/32"),
                vantage(VantageKind::TlsInspector, "10.1.3.1/32"),
                vantage(VantageKind::VpnGateway, "10.1.4.1/32"),
            ],
        );
        for shared in ["10.1.1.1", "198.51.100.1", "10.1.3.1", "10.1.4.1"] {
            let kind = identity.client(ip(shared), ClientKind::Host).kind;
            assert_eq!(kind, ClientKind::Shared, "{shared}");
        }
        assert_eq!(identity.client(ip("10.1.1.10"), ClientKind::Host).kind, ClientKind::Host);
        assert_eq!(identity.client(ip("10.1.2.53"), ClientKind::Host).kind, ClientKind::Host);
        assert!(identity.is_left_out(ip("10.1.1.10")));
        assert!(identity.is_left_out(ip("192.168.3.4")));
        assert!(!identity.is_left_out(ip("10.1.1.1")));
        assert_eq!(identity.vantage(ip("10.1.2.53")), Some(VantageKind::Resolver));
        assert_eq!(identity.vantage(ip("10.9.9.9")), None);
    }

    #[test]
    fn one_network_is_not_two_kinds() {
        let twice = [
            vantage(VantageKind::Nat, "10.1.1.10/32"),
            vantage(VantageKind::Nat, "10.1.1.10/32"),
            vantage(VantageKind::Guest, "10.1.1.10/32"),
        ];
        let error = Identity::new(&Options::default(), &twice, [0; 32]).err().unwrap();
        assert_eq!(
            error,
            "[[vantage]] says of network `10.1.1.10/32` that it is `nat` and `guest`: keep one of the two"
        );
        assert!(Identity::new(&Options::default(), &twice[..2], [0; 32]).is_ok());
    }

    #[test]
    fn the_cache_is_bounded_and_counted() {
        let identity = identity(Privacy::Address, &[]);
        for i in 0..=u32::try_from(CACHED_IDS).unwrap() {
            identity.client(IpAddr::V4(i.into()), ClientKind::Host);
        }
        assert_eq!(identity.cells().get(Counter::Cleared), 1);
        assert_eq!(identity.ids.lock().unwrap().len(), 1);
    }

    #[test]
    fn options_refuse_unknown_keys_and_modes() {
        let options: Options =
            serde_json::from_str(r#"{"client": "group", "key_file": "/k"}"#).unwrap();
        assert_eq!(options.client, Privacy::Group);
        for (text, expected) in [
            (
                r#"{"client": "name"}"#,
                "unknown variant `name`, expected one of `pseudonym`, `address`, `group`",
            ),
            (
                r#"{"clients": "group"}"#,
                "unknown field `clients`, expected one of `client`, `small_groups`, `key_file`, `never_record`",
            ),
        ] {
            let error = serde_json::from_str::<Options>(text).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
        }
    }
}
