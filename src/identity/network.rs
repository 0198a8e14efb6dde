//! Networks as people write them, and the longest of them that holds an address.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::IpAddr;

use ipnet::IpNet;

/// Reads `10.20.0.0/16`, or a bare address as a network of one. The error says what is wrong and which network was
/// meant, so that a caller need only add the place.
pub fn parse(text: &str) -> Result<IpNet, String> {
    let network = match (text.parse::<IpNet>(), text.parse::<IpAddr>()) {
        (Ok(network), _) => network,
        (_, Ok(address)) => IpNet::from(address),
        _ => return Err(format!("`{text}` is no network: write it as `10.20.0.0/16`")),
    };
    let meant = network.trunc();
    if network == meant {
        Ok(network)
    } else {
        Err(format!(
            "network `{text}` has bits set behind its prefix: `{meant}` was meant, or `{}` for one address",
            network.addr()
        ))
    }
}

/// Networks with a value each; the longest that holds an address wins. A look-up costs one hash probe for each prefix
/// length in use.
#[derive(Clone, Debug)]
pub struct Networks<T> {
    /// Prefix lengths in use, longest first.
    v4: Vec<u8>,
    v6: Vec<u8>,
    values: HashMap<IpNet, T>,
}

impl<T> Networks<T> {
    /// Adds a network (host bits are ignored). The error is what already stands for this very network.
    pub fn insert(&mut self, network: IpNet, value: T) -> Result<(), &T> {
        let network = network.trunc();
        match self.values.entry(network) {
            Entry::Occupied(taken) => Err(taken.into_mut()),
            Entry::Vacant(free) => {
                free.insert(value);
                let lengths = if network.addr().is_ipv4() { &mut self.v4 } else { &mut self.v6 };
                let longer = lengths.partition_point(|l| *l > network.prefix_len());
                if lengths.get(longer) != Some(&network.prefix_len()) {
                    lengths.insert(longer, network.prefix_len());
                }
                Ok(())
            }
        }
    }

    /// The value of the longest network that holds the address. An IPv4 address mapped into IPv6 counts as IPv4.
    pub fn longest(&self, address: IpAddr) -> Option<&T> {
        let address = address.to_canonical();
        let lengths = if address.is_ipv4() { &self.v4 } else { &self.v6 };
        lengths.iter().find_map(|length| {
            let network = IpNet::new(address, *length).ok()?;
            self.values.get(&network.trunc())
        })
    }

    pub fn iter(&self) -> impl Iterator<Item = (&IpNet, &T)> {
        self.values.iter()
    }
}

impl<T> Default for Networks<T> {
    fn default() -> Self {
        Self { v4: Vec::new(), v6: Vec::new(), values: HashMap::new() }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn says_which_network_was_meant() {
        assert_eq!(parse("10.1.0.0/16").unwrap().to_string(), "10.1.0.0/16");
        assert_eq!(parse("10.1.2.3").unwrap().to_string(), "10.1.2.3/32");
        assert_eq!(parse("2001:db8::1").unwrap().to_string(), "2001:db8::1/128");
        assert_eq!(
            parse("10.1.2.3/16").unwrap_err(),
            "network `10.1.2.3/16` has bits set behind its prefix: `10.1.0.0/16` was meant, or `10.1.2.3` for one address"
        );
        assert_eq!(
            parse("10.1/16").unwrap_err(),
            "`10.1/16` is no network: write it as `10.20.0.0/16`"
        );
        assert!(parse("10.0.0.0/33").is_err());
        assert!(parse("").is_err());
    }

    #[test]
    fn one_network_has_one_value() {
        let mut networks = Networks::default();
        assert!(networks.insert("10.0.0.0/8".parse().unwrap(), 1).is_ok());
        assert_eq!(networks.insert("10.9.9.9/8".parse().unwrap(), 2), Err(&1));
        assert_eq!(networks.longest("::ffff:10.0.0.1".parse().unwrap()), Some(&1));
        assert_eq!(networks.longest("11.0.0.1".parse().unwrap()), None);
        assert_eq!(networks.longest("::1".parse().unwrap()), None);
    }

    // Few distinct bits, so that networks nest and addresses hit.
    fn address() -> impl Strategy<Value = IpAddr> {
        let few = prop_oneof![Just(0u8), Just(1), Just(128), Just(255)];
        (any::<bool>(), proptest::collection::vec(few, 16)).prop_map(|(v4, bytes)| {
            if v4 {
                IpAddr::V4(Ipv4Addr::new(10, bytes[1], bytes[2], bytes[3]))
            } else {
                let mut octets = [0u8; 16];
                octets.copy_from_slice(&bytes);
                octets[0] = 0x20;
                IpAddr::V6(Ipv6Addr::from(octets))
            }
        })
    }

    proptest! {
        #[test]
        fn longest_agrees_with_linear_search(
            networks in proptest::collection::vec((address(), 0u8..=128), 0..40),
            addresses in proptest::collection::vec(address(), 1..40),
        ) {
            let mut table = Networks::default();
            let mut linear: Vec<(IpNet, usize)> = Vec::new();
            for (i, (address, length)) in networks.into_iter().enumerate() {
                let most = if address.is_ipv4() { 32 } else { 128 };
                let network = IpNet::new(address, length.min(most)).unwrap().trunc();
                let taken = linear.iter().any(|(n, _)| *n == network);
                prop_assert_eq!(table.insert(network, i).is_err(), taken);
                if !taken {
                    linear.push((network, i));
                }
            }
            for address in addresses {
                let model = linear
                    .iter()
                    .filter(|(n, _)| n.contains(&address))
                    .max_by_key(|(n, _)| n.prefix_len())
                    .map(|(_, v)| v);
                prop_assert_eq!(table.longest(address), model);
            }
        }
    }
}
