//! A reader over octets that cannot overrun: everything that is not there is `None`.

#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(super) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        let [value] = self.array()?;
        Some(value)
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    pub(super) fn u24(&mut self) -> Option<u32> {
        let [a, b, c] = self.array()?;
        Some(u32::from_be_bytes([0, a, b, c]))
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    /// A number of one, two, four or eight octets; the two highest bits tell how many (RFC 9000 section 16).
    pub(super) fn varint(&mut self) -> Option<u64> {
        let first = *self.rest.first()?;
        let bytes = self.take(1 << (first >> 6))?;
        let value = bytes.iter().fold(0, |value, octet| value << 8 | u64::from(*octet));
        Some(value & (u64::MAX >> 2 >> (64 - 8 * bytes.len())))
    }

    /// Passes over all octets that are `octet`, from here on.
    pub(super) fn pass_all(&mut self, octet: u8) {
        let passed = self.rest.iter().position(|&b| b != octet).unwrap_or(self.rest.len());
        self.rest = self.rest.get(passed..).unwrap_or_default();
    }

    pub(super) fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        Some(taken)
    }

    /// A vector with its length in one octet before it.
    pub(super) fn vector8(&mut self) -> Option<&'a [u8]> {
        let len = self.u8()?;
        self.take(usize::from(len))
    }

    /// A vector with its length in two octets before it.
    pub(super) fn vector16(&mut self) -> Option<&'a [u8]> {
        let len = self.u16()?;
        self.take(usize::from(len))
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(*taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_in_network_order_and_takes_nothing_that_is_not_there() {
        let mut reader = Reader::new(&[1, 2, 3, 4, 5, 6, 2, 7, 8, 0, 9]);
        assert_eq!(
            (reader.u8(), reader.u16(), reader.u24()),
            (Some(1), Some(0x0203), Some(0x040506))
        );
        assert_eq!(reader.vector8(), Some(&[7, 8][..]));
        assert_eq!(reader.u24(), None);
        assert_eq!(reader.rest(), [0, 9], "a failed read takes nothing");
        assert_eq!(reader.u16(), Some(9));
        assert!(reader.rest().is_empty());
        assert_eq!((reader.u8(), reader.take(1), reader.take(0)), (None, None, Some(&[][..])));
    }

    /// The examples of RFC 9000 appendix A.1.
    #[test]
    fn numbers_of_four_lengths() {
        for (bytes, value) in [
            (&[0xc2, 0x19, 0x7c, 0x5e, 0xff, 0x14, 0xe8, 0x8c][..], 151_288_809_941_952_652),
            (&[0x9d, 0x7f, 0x3e, 0x7d], 494_878_333),
            (&[0x7b, 0xbd], 15_293),
            (&[0x40, 0x25], 37),
            (&[0x25], 37),
        ] {
            assert_eq!(Reader::new(bytes).varint(), Some(value));
            assert_eq!(Reader::new(&bytes[1..]).varint().filter(|_| bytes.len() == 1), None);
            for cut in 0..bytes.len() {
                assert_eq!(Reader::new(&bytes[..cut]).varint(), None);
            }
        }
        assert_eq!(Reader::new(&[1, 2, 3, 4]).u32(), Some(0x0102_0304));
    }
}
