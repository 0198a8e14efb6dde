//! Rows of leases for the store: sealed, because they say whose machine has which address.

use std::borrow::Cow;
use std::net::IpAddr;

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};
use serde::{Deserialize, Serialize};

use super::key::{from_digits, hex};
use super::leases::{Lease, Mac};
use super::names::Row;
use crate::time::Time;

/// Seals under a key made of that of the pseudonyms: who has the store alone learns how many leases there are, and how long
/// they last.
pub(super) struct Seal {
    key: LessSafeKey,
    /// Gives a row its key without telling the address.
    index: hmac::Key,
    random: SystemRandom,
}

impl Seal {
    /// `None` where the library refuses the key, which has the length that it asks for.
    pub(super) fn new(pseudonyms: &hmac::Key) -> Option<Self> {
        let [cipher, index] = [&b"lease"[..], b"lease index"].map(|l| hmac::sign(pseudonyms, l));
        let key = UnboundKey::new(&CHACHA20_POLY1305, cipher.as_ref()).ok()?;
        Some(Self {
            key: LessSafeKey::new(key),
            index: hmac::Key::new(hmac::HMAC_SHA256, index.as_ref()),
            random: SystemRandom::new(),
        })
    }

    /// The row of an address; without a lease, one that has run out.
    ///
    /// ```text
    /// lease/<HMAC of the address>   <12 octets nonce> <sealed JSON> <16 octets tag>
    /// ```
    pub(super) fn row(&self, address: IpAddr, lease: Option<&Lease>) -> Option<Row> {
        let key = self.key_of(address);
        let Some(lease) = lease else {
            return Some(Row { key, value: String::new(), until: Time::ZERO });
        };
        let name = lease.name.as_deref().map(Cow::from);
        let plain = Plain { address, mac: lease.mac, name, until: lease.until };
        let mut octets = serde_json::to_vec(&plain).ok()?;
        let mut nonce = [0; NONCE_LEN];
        self.random.fill(&mut nonce).ok()?;
        let bound = Aad::from(key.as_bytes());
        let once = Nonce::assume_unique_for_key(nonce);
        self.key.seal_in_place_append_tag(once, bound, &mut octets).ok()?;
        let value = hex(&nonce) + &hex(&octets);
        Some(Row { key, value, until: lease.until })
    }

    /// What a row says; `None` where it was sealed under another key, or is damaged.
    pub(super) fn open(&self, key: &str, value: &str) -> Option<(IpAddr, Lease)> {
        let mut octets = from_digits(value)?;
        let (nonce, sealed) = octets.split_at_mut_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let plain = self.key.open_in_place(nonce, Aad::from(key.as_bytes()), sealed).ok()?;
        let Plain { address, mac, name, until } = serde_json::from_slice(plain).ok()?;
        Some((address, Lease { mac, name: name.as_deref().map(Into::into), until }))
    }

    fn key_of(&self, address: IpAddr) -> String {
        let tag = hmac::sign(&self.index, address.to_string().as_bytes());
        format!("{KEY}{}", hex(tag.as_ref().get(..KEY_OCTETS).unwrap_or_default()))
    }
}

/// Whether a row of the store is one of these.
pub(super) fn owns(key: &str) -> bool {
    key.starts_with(KEY)
}

#[derive(Serialize, Deserialize)]
struct Plain<'a> {
    address: IpAddr,
    mac: Option<Mac>,
    name: Option<Cow<'a, str>>,
    until: Time,
}

const KEY: &str = "lease/";

/// Octets of the HMAC of an address in the key of its row.
const KEY_OCTETS: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    fn seal(key: u8) -> Seal {
        Seal::new(&hmac::Key::new(hmac::HMAC_SHA256, &[key; 32])).unwrap()
    }

    #[test]
    fn a_row_tells_nothing_but_to_its_own_key() {
        let address: IpAddr = "10.0.0.7".parse().unwrap();
        let lease = Lease {
            mac: Some([0x3c, 0x22, 0xfb, 1, 2, 3]),
            name: Some("desk".into()),
            until: Time::from_secs(1_800_000_000),
        };
        let row = seal(7).row(address, Some(&lease)).unwrap();
        assert!(owns(&row.key) && row.until == lease.until);
        assert_eq!(seal(7).open(&row.key, &row.value), Some((address, lease.clone())));
        let plain = [hex(b"desk"), hex(b"10.0.0.7"), "3c22fb".to_owned()];
        assert!(plain.iter().all(|text| !row.value.contains(text) && !row.key.contains(text)));
        assert_eq!(seal(8).open(&row.key, &row.value), None);
        assert_eq!(seal(7).open("lease/00", &row.value), None, "another's row");
        let again = seal(7).row(address, Some(&lease)).unwrap();
        assert_eq!(row.key, again.key);
        assert_ne!(row.value, again.value, "no nonce twice");
        for cut in 0..row.value.len() {
            assert_eq!(seal(7).open(&row.key, &row.value[..cut]), None);
        }
        assert_eq!(seal(7).open(&row.key, &"\u{e9}".repeat(40)), None);
        let gone = seal(7).row(address, None).unwrap();
        assert_eq!((gone.key, gone.until), (row.key, Time::ZERO));
    }
}
