//! What stands for a client or a group: keyed hashes, which nobody finds who does not have the key.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use ring::hmac;

use super::key::hex;
use super::{ClientKind, Mac, Owner};

/// Hides names of groups under the key of the pseudonyms.
#[derive(Clone)]
pub struct Marker(pub(super) hmac::Key);

impl Marker {
    /// What stands for a group: who knows the names of all groups does not find it.
    pub fn mark(&self, group: &str) -> String {
        let tag = hmac::sign(&self.0, format!("{GROUP}{group}").as_bytes());
        hex(tag.as_ref().get(..MARK_OCTETS).unwrap_or_default())
    }
}

/// What an id is made of. The octets signed differ in number (4, 16, 8, 6, more than 16), so that no two kinds share an id.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) enum Origin {
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
    pub(super) fn of(address: IpAddr, kind: ClientKind) -> Self {
        match (address, kind) {
            (IpAddr::V6(address), ClientKind::Unknown) => {
                Self::Net64(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64))
            }
            _ => Self::Address(address),
        }
    }

    pub(super) fn pseudonym(&self, key: &hmac::Key) -> String {
        let tag = match self {
            Self::Address(IpAddr::V4(address)) => hmac::sign(key, &address.octets()),
            Self::Address(IpAddr::V6(address)) => hmac::sign(key, &address.octets()),
            Self::Machine(mac) => hmac::sign(key, mac),
            Self::Name(name) => hmac::sign(key, format!("{NAME}{name}").as_bytes()),
            Self::Net64(net) => hmac::sign(key, net.octets().split_at(NET64_OCTETS).0),
        };
        let shown = tag.as_ref().split_at_checked(ID_OCTETS).map_or(&[][..], |(shown, _)| shown);
        format!("c-{}", hex(shown))
    }
}

/// Whether a text has the form of a pseudonym.
pub fn is_pseudonym(text: &str) -> bool {
    let digits = text.strip_prefix("c-").unwrap_or_default();
    let is_digit = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    digits.len() == 2 * ID_OCTETS && digits.bytes().all(is_digit)
}

/// Octets of the HMAC that an id shows: 48 bits, so that of 100,000 clients two share an id with odds of 1 in 56,000.
const ID_OCTETS: usize = 6;

const NET64_OCTETS: usize = 8;

/// What is signed before a name, so that it is longer than any address.
const NAME: &str = "name of a lease: ";

/// The same of a group, and how much of the hash stands for it.
const GROUP: &str = "name of a group: ";
const MARK_OCTETS: usize = 16;
