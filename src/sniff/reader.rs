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
}
