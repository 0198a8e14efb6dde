//! Which machine has an address: the leases that DHCP servers gave, for as long as they last.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::Arc;

use crate::count::Cells;
use crate::sniff::{Dhcp, DhcpEvent};
use crate::time::Time;

/// A hardware address (EUI-48).
pub type Mac = [u8; 6];

crate::rows! {
    pub enum Counter {
        Granted => Counter "saastap_identity_leases_total" "Leases that DHCP servers were seen to give." ("event", "granted"),
        Released => Counter "saastap_identity_leases_total" "Leases that DHCP servers were seen to give." ("event", "released"),
        Held => Gauge "saastap_identity_leases_held" "Addresses whose lease is known.",
        Refused => Counter "saastap_identity_leases_refused_total" "Leases and names that were not kept because the table was full.",
    }
}

/// Bounded tables of addresses and of names.
pub struct Leases {
    by_address: HashMap<IpAddr, Lease>,
    /// Names that machines gave when they asked; the server's answer need not repeat them (RFC 2131 section 4.3.1).
    names: HashMap<Mac, Asked>,
    /// Addresses whose lease the store does not know as it is.
    changed: HashSet<IpAddr>,
    /// When room was last made; not again at once, or a flood would have each message search the whole table.
    swept: Time,
    cells: Arc<Cells<Counter>>,
}

/// One address at one time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    pub mac: Option<Mac>,
    /// Host name, with its domain where the machine gave that.
    pub name: Option<Arc<str>>,
    pub(super) until: Time,
}

#[derive(Debug)]
struct Asked {
    name: Arc<str>,
    until: Time,
}

impl Leases {
    pub fn new() -> Self {
        Self {
            by_address: HashMap::new(),
            names: HashMap::new(),
            changed: HashSet::new(),
            swept: Time::ZERO,
            cells: Cells::new(),
        }
    }

    pub fn cells(&self) -> &Arc<Cells<Counter>> {
        &self.cells
    }

    /// Takes one message.
    pub fn learn(&mut self, message: &Dhcp, at: Time) {
        let told = message.name.as_deref().filter(|name| name.len() <= MAX_HOST).map(Arc::from);
        match message.event {
            DhcpEvent::Asked => {
                if let (Some(mac), Some(name)) = (message.mac, told) {
                    let asked = Asked { name, until: at.plus_secs(ASKED) };
                    self.make_room(at);
                    if !put(&mut self.names, mac, asked) {
                        self.cells.add(Counter::Refused, 1);
                    }
                }
            }
            DhcpEvent::Granted => {
                let asked = message.mac.and_then(|mac| self.names.get(&mac));
                let name = told.or_else(|| asked.map(|asked| asked.name.clone()));
                for (address, seconds) in &message.addresses {
                    self.grant(*address, *seconds, message.mac, name.clone(), at);
                }
            }
            DhcpEvent::Released => {
                for (address, _) in &message.addresses {
                    // Nobody gives back what is another's.
                    let own = self.by_address.get(address).is_some_and(|l| l.mac == message.mac);
                    if own && self.by_address.remove(address).is_some() {
                        self.cells.add(Counter::Released, 1);
                        self.changes(*address);
                    }
                }
            }
        }
    }

    /// At most `limit` addresses whose lease changed.
    pub(super) fn take_changed(&mut self, limit: usize) -> Vec<IpAddr> {
        let taken: Vec<IpAddr> = self.changed.iter().take(limit).copied().collect();
        for address in &taken {
            self.changed.remove(address);
        }
        taken
    }

    /// The lease of an address, whether it has run out or not.
    pub(super) fn of(&self, address: IpAddr) -> Option<&Lease> {
        self.by_address.get(&address)
    }

    /// Takes back what the store has kept.
    pub(super) fn restore(&mut self, address: IpAddr, lease: Lease) {
        put(&mut self.by_address, address, lease);
        self.cells.set(Counter::Held, self.by_address.len() as u64);
    }

    /// Whose the address is at this time.
    pub fn at(&self, address: IpAddr, at: Time) -> Option<&Lease> {
        self.by_address.get(&address.to_canonical()).filter(|lease| lease.until > at)
    }

    fn grant(
        &mut self,
        address: IpAddr,
        seconds: u32,
        mac: Option<Mac>,
        name: Option<Arc<str>>,
        at: Time,
    ) {
        // A lifetime of 0 ends the lease (RFC 8415 section 21.6).
        if seconds == 0 {
            if self.by_address.remove(&address).is_some() {
                self.changes(address);
            }
            return;
        }
        let name = name.or_else(|| {
            let before = self.by_address.get(&address).filter(|before| before.mac == mac);
            before.and_then(|before| before.name.clone())
        });
        self.make_room(at);
        let lease = Lease { mac, name, until: at.plus_secs(seconds) };
        let row = if put(&mut self.by_address, address, lease) {
            self.changes(address);
            Counter::Granted
        } else {
            Counter::Refused
        };
        self.cells.add(row, 1);
        self.cells.set(Counter::Held, self.by_address.len() as u64);
    }

    fn changes(&mut self, address: IpAddr) {
        if self.changed.len() < MAX_LEASES {
            self.changed.insert(address);
        }
    }

    fn make_room(&mut self, at: Time) {
        let full = self.by_address.len() >= MAX_LEASES || self.names.len() >= MAX_LEASES;
        if full && self.swept.plus_secs(SWEEP) <= at {
            self.swept = at;
            self.by_address.retain(|_, lease| lease.until > at);
            self.names.retain(|_, asked| asked.until > at);
        }
    }
}

impl Default for Leases {
    fn default() -> Self {
        Self::new()
    }
}

/// False where there is no room for a new key.
fn put<K: Eq + Hash, V>(table: &mut HashMap<K, V>, key: K, value: V) -> bool {
    let room = table.len() < MAX_LEASES || table.contains_key(&key);
    if room {
        table.insert(key, value);
    }
    room
}

/// Leases that are kept: those of a campus. A flood of forged ones finds the table full.
const MAX_LEASES: usize = 65_536;

/// Seconds for which a name waits for its lease.
const ASKED: u32 = 86_400;

/// Seconds between two sweeps of a full table.
const SWEEP: u32 = 60;

/// Octets of a host name (RFC 1035 section 2.3.4).
const MAX_HOST: usize = 255;

/// Octets that both tables can take: entries, tables that may be half empty and grow, names.
pub const MEMORY: u64 = (MAX_LEASES
    * (3 * (size_of::<(IpAddr, Lease)>() + size_of::<(Mac, Asked)>() + size_of::<IpAddr>())
        + MAX_HOST
        + 16)) as u64;

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: Mac = [0x3c, 0x22, 0xfb, 1, 2, 3];

    fn message(event: DhcpEvent, address: &str, seconds: u32, name: Option<&str>) -> Dhcp {
        let addresses = vec![(address.parse().unwrap(), seconds)];
        Dhcp { event, mac: Some(MAC), name: name.map(Into::into), addresses }
    }

    fn at(seconds: u64) -> Time {
        Time::from_secs(1_700_000_000 + seconds)
    }

    #[test]
    fn a_lease_lasts_as_long_as_it_says_and_has_the_name_that_was_asked_with() {
        let mut leases = Leases::new();
        let ip: IpAddr = "10.0.0.7".parse().unwrap();
        leases.learn(&message(DhcpEvent::Asked, "10.0.0.7", 0, Some("desk")), at(0));
        assert_eq!(leases.at(ip, at(1)), None, "asked is not given");
        leases.learn(&message(DhcpEvent::Granted, "10.0.0.7", 100, None), at(1));
        let lease = leases.at(ip, at(100)).unwrap();
        assert_eq!((lease.mac, lease.name.as_deref()), (Some(MAC), Some("desk")));
        assert_eq!(leases.at("::ffff:10.0.0.7".parse().unwrap(), at(100)), Some(lease));
        assert_eq!(leases.at(ip, at(101)), None);
        leases.learn(&message(DhcpEvent::Granted, "10.0.0.7", 100, None), at(90));
        assert!(leases.at(ip, at(189)).is_some(), "renewed");
        let mut other = message(DhcpEvent::Released, "10.0.0.7", 0, None);
        other.mac = Some([2; 6]);
        leases.learn(&other, at(95));
        assert!(leases.at(ip, at(96)).is_some(), "another's");
        leases.learn(&message(DhcpEvent::Released, "10.0.0.7", 0, None), at(95));
        assert_eq!(leases.at(ip, at(96)), None);
        let counted = [Counter::Granted, Counter::Released].map(|row| leases.cells().get(row));
        assert_eq!(counted, [2, 1]);
    }

    #[test]
    fn a_flood_fills_the_table_and_no_more() {
        let mut leases = Leases::new();
        let addresses = |from: u32| (from..).map(|n| (IpAddr::V4(n.into()), 60));
        let flood = |from, count| Dhcp {
            event: DhcpEvent::Granted,
            mac: None,
            name: None,
            addresses: addresses(from).take(count).collect(),
        };
        leases.learn(&flood(0, MAX_LEASES + 10), at(0));
        assert_eq!(leases.by_address.len(), MAX_LEASES);
        assert_eq!(leases.cells().get(Counter::Refused), 10);
        leases.learn(&flood(1 << 20, 5), at(61));
        assert_eq!(leases.by_address.len(), 5, "those that ran out made room");
    }
}
