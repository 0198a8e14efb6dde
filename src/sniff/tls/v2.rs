//! The hello of SSL 2.0, with which old clients and devices offer TLS (RFC 5246 appendix E.2): it has no room for a name.

use crate::sniff::reader::Reader;
use crate::sniff::{Answer, ClientHello, Evidence};

/// ```text
/// +----------------+----+---------+-------------+------------+-----------+-----
/// | 80 .. | length | 01 | version | suites (2)  | id (2)     | challenge | ...
/// +----------------+----+---------+-------------+------------+-----------+-----
/// ```
/// The last three numbers are octets of what follows, three for each cipher suite; together they must be what the length says.
pub fn sniff(opening: &[u8]) -> Answer {
    match version(&mut Reader::new(opening)) {
        Some(Some(version)) => {
            let hello = ClientHello { versions: vec![version], ..ClientHello::default() };
            Answer::Found(Evidence::Tls(hello))
        }
        Some(None) => Answer::NotMine,
        None => Answer::NeedMore,
    }
}

/// The version offered; the outer `None` where the hello is too short to tell, the inner for something else.
fn version(reader: &mut Reader<'_>) -> Option<Option<u16>> {
    let first = reader.u8()?;
    // The highest bit: a header of two octets. No hello has 512.
    if first & 0xfe != 0x80 {
        return Some(None);
    }
    let len = usize::from(first & 1) << 8 | usize::from(reader.u8()?);
    if reader.u8()? != CLIENT_HELLO {
        return Some(None);
    }
    let version = reader.u16()?;
    if !matches!(version, 0x0002 | 0x0300..=0x0303) {
        return Some(None);
    }
    let [suites, id, challenge] = [reader.u16()?, reader.u16()?, reader.u16()?].map(usize::from);
    let fits = suites > 0
        && suites % 3 == 0
        && matches!(id, 0 | 16)
        && (16..=32).contains(&challenge)
        && HEAD + suites + id + challenge == len;
    Some(fits.then_some(version))
}

const CLIENT_HELLO: u8 = 1;

/// Octets from the type to the third number.
const HEAD: usize = 9;

#[cfg(test)]
mod tests {
    use super::*;

    /// As OpenSSL 0.9.8 sent it: seven suites, no session, a challenge of 16 octets.
    fn hello(version: u16) -> Vec<u8> {
        let [high, low] = version.to_be_bytes();
        let mut bytes = vec![0x80, 9 + 21 + 16, 1, high, low, 0, 21, 0, 0, 0, 16];
        bytes.extend([0, 0, 0x39].repeat(7));
        bytes.extend([0x5a; 16]);
        bytes
    }

    #[test]
    fn a_hello_has_a_version_and_no_name() {
        for version in [2, 0x0300, 0x0301, 0x0303] {
            let Answer::Found(Evidence::Tls(found)) = sniff(&hello(version)) else { panic!() };
            assert_eq!((found.versions, found.sni), (vec![version], None));
        }
        assert!(matches!(sniff(&hello(0x0304)), Answer::NotMine));
    }

    #[test]
    fn every_octet_of_its_head_must_fit_and_a_part_is_waited_for() {
        let whole = hello(0x0301);
        for at in 0..11 {
            assert!(matches!(sniff(&whole[..at]), Answer::NeedMore), "{at}");
            let mut other = whole.clone();
            other[at] ^= 0x40;
            assert!(matches!(sniff(&other), Answer::NotMine), "{at}");
        }
    }
}
