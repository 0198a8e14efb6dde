//! The one place where link type numbers of files and of libpcap become [`Link`] values.

use super::Link;

impl Link {
    pub const NULL: Self = Self(0);
    pub const ETHERNET: Self = Self(1);
    pub const RAW: Self = Self(101);
    pub const LOOP: Self = Self(108);
    pub const LINUX_SLL: Self = Self(113);
    pub const LINUX_SLL2: Self = Self(276);

    /// From the link type field of a file. Raw IP has three numbers there, because some writers put their own system's
    /// DLT_RAW (12, on OpenBSD 14) where the registry's 101 belongs.
    pub(super) const fn of_file(value: u16) -> Self {
        match value {
            DLT_RAW | DLT_RAW_OPENBSD => Self::RAW,
            other => Self(other),
        }
    }

    /// From libpcap's DLT number of a live handle: equal to the registry's below 11 and from 100 on, but for raw IP.
    pub(super) fn of_live(dlt: i32) -> Self {
        Self::of_file(u16::try_from(dlt).unwrap_or(u16::MAX))
    }
}

const DLT_RAW: u16 = 12;
const DLT_RAW_OPENBSD: u16 = 14;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raw_ip_has_one_value() {
        assert_eq!([12, 14, 101].map(Link::of_live), [Link::RAW; 3]);
        assert_eq!([0, 1, 108, 113, 276].map(|n| Link::of_live(n).0), [0, 1, 108, 113, 276]);
        assert_eq!(Link::of_live(-1), Link(u16::MAX));
    }
}
