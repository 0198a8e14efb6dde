//! What the two formats have in common: one record of a capture file, and how its octets become numbers.

use crate::capture::Link;
use crate::time::Time;

/// Octets that a frame can have captured at most (libpcap's own MAXIMUM_SNAPLEN). A file that says more is damaged.
pub(super) const FRAME_MAX: u32 = 256 * 1024;

/// One frame that lies in the window from `skip` octets on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) raw: Time,
    pub(super) link: Link,
    pub(super) interface: u16,
    pub(super) wire_len: u32,
    pub(super) skip: usize,
    pub(super) len: usize,
    /// Octets of the whole record with header and padding.
    pub(super) whole: usize,
}

/// What comes next in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Parsed {
    Record(Record),
    /// One block that could not be used and was left behind; the next may be well.
    Skipped(&'static str),
    /// The file ends between two records.
    End,
    /// The file ends within a record.
    CutOff,
    /// From here on nothing can be made of the file.
    Damaged(String),
}

/// The byte order of a file or section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Little,
    Big,
}

impl Order {
    pub(super) fn u16(self, bytes: &[u8], at: usize) -> Option<u16> {
        let octets: [u8; 2] = bytes.get(at..at.checked_add(2)?)?.try_into().ok()?;
        Some(match self {
            Self::Little => u16::from_le_bytes(octets),
            Self::Big => u16::from_be_bytes(octets),
        })
    }

    pub(super) fn u32(self, bytes: &[u8], at: usize) -> Option<u32> {
        let octets: [u8; 4] = bytes.get(at..at.checked_add(4)?)?.try_into().ok()?;
        Some(match self {
            Self::Little => u32::from_le_bytes(octets),
            Self::Big => u32::from_be_bytes(octets),
        })
    }

    pub(super) fn u64(self, bytes: &[u8], at: usize) -> Option<u64> {
        let octets: [u8; 8] = bytes.get(at..at.checked_add(8)?)?.try_into().ok()?;
        Some(match self {
            Self::Little => u64::from_le_bytes(octets),
            Self::Big => u64::from_be_bytes(octets),
        })
    }
}
