//! An IPv4 or IPv6 address as one number, so that flow keys compare and hash without a branch.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

/// IPv4 addresses are kept as IPv4-mapped IPv6 addresses (RFC 4291 section 2.5.5.2), which never appear on a wire. Aligned as
/// half a number: aligned as a whole one, each end of a flow would take eight octets more, all of them padding.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(Rust, packed(8))]
pub struct Address(u128);

const MAPPED: u128 = 0xffff_0000_0000;

impl Address {
    pub const fn v4(octets: [u8; 4]) -> Self {
        Self(MAPPED | u32::from_be_bytes(octets) as u128)
    }

    pub const fn v6(octets: [u8; 16]) -> Self {
        Self(u128::from_be_bytes(octets))
    }

    pub const fn number(self) -> u128 {
        self.0
    }

    pub fn ip(self) -> IpAddr {
        Ipv6Addr::from(self.0).to_canonical()
    }
}

impl From<IpAddr> for Address {
    fn from(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(ip) => Self::v4(ip.octets()),
            IpAddr::V6(ip) => Self::v6(ip.octets()),
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.ip().fmt(f)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.ip().fmt(f)
    }
}
