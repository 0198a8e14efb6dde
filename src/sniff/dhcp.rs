//! DHCP for IPv4 (RFC 2131) and IPv6 (RFC 8415): who asks for an address, who is given one, who gives it back.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::line::host_name;
use super::reader::Reader;
use super::{Answer, Dhcp, DhcpEvent, Evidence, State};

/// Reads one message; those that say nothing of an address or a name are passed over.
pub(super) fn step(_: &mut State, _: bool, datagram: &[u8]) -> Answer {
    match version4(datagram).or_else(|| version6(datagram)) {
        None => Answer::NotMine,
        Some(None) => Answer::NeedMore,
        Some(Some(dhcp)) => Answer::Emit(Evidence::Dhcp(dhcp), datagram.len(), 0),
    }
}

/// ```text
/// op 1 | hlen 6 | hops | xid (4) | secs, flags | ciaddr | yiaddr | siaddr | giaddr | chaddr (16) | sname (64) | file (128) |
/// 63 82 53 63 | options: code, length, data ... ff
/// ```
fn version4(datagram: &[u8]) -> Option<Option<Dhcp>> {
    let ([1 | 2, htype, hlen, ..], COOKIE) = (datagram, datagram.get(COOKIE_AT..OPTIONS_AT)?)
    else {
        return None;
    };
    let mut head = Reader::new(datagram.get(12..)?);
    let [own, given] = [address4(&mut head)?, address4(&mut head)?];
    head.take(8)?;
    let mac = head.take(6).filter(|_| (*htype, *hlen) == (ETHERNET, 6)).and_then(mac);
    let (mut kind, mut seconds, mut asked) = (None, None, None);
    let (mut name, mut full_name) = (None, None);
    let mut options = Reader::new(datagram.get(OPTIONS_AT..)?);
    while let Some(code) = options.u8() {
        if code == PAD {
            continue;
        }
        let Some(data) = options.vector8().filter(|_| code != END) else { break };
        let mut value = Reader::new(data);
        match code {
            53 => kind = value.u8(),
            51 => seconds = value.u16().zip(value.u16()),
            50 => asked = address4(&mut value),
            12 => name = host_name(trimmed(data)),
            81 => full_name = fqdn4(data),
            _ => {}
        }
    }
    let addresses = |address: Option<Ipv4Addr>, seconds| {
        let address = address.filter(|address| !address.is_unspecified());
        address.map(|address| (IpAddr::V4(address), seconds)).into_iter().collect()
    };
    let own = Some(own).filter(|own| !own.is_unspecified());
    let (event, addresses): (_, Vec<_>) = match (kind?, seconds) {
        (1 | 3 | 8, _) => (DhcpEvent::Asked, addresses(asked.or(own), 0)),
        (5, Some((high, low))) => {
            (DhcpEvent::Granted, addresses(Some(given), u32::from(high) << 16 | u32::from(low)))
        }
        (7, _) => (DhcpEvent::Released, addresses(own, 0)),
        _ => return Some(None),
    };
    let name = full_name.or(name);
    let news = name.is_some() || event != DhcpEvent::Asked && !addresses.is_empty();
    Some(news.then_some(Dhcp { event, mac, name, addresses }))
}

/// RFC 4702 section 2: flags, two octets that mean nothing any more, a name in text or, with flag E, as DNS writes it.
fn fqdn4(data: &[u8]) -> Option<Box<str>> {
    let name = data.get(3..)?;
    if data.first()? & 4 != 0 { dns_name(name) } else { host_name(trimmed(name)) }
}

/// ```text
/// kind | transaction (3) | options: code (2), length (2), data        12, 13 | hops | link (16) | peer (16) | options
/// ```
fn version6(datagram: &[u8]) -> Option<Option<Dhcp>> {
    let mut message = datagram;
    for _ in 0..MAX_RELAYS {
        let ([12 | 13, ..], Some(options)) = (message, message.get(34..)) else { break };
        let mut relayed = None;
        for_each(options, |code, data| relayed = relayed.or((code == 9).then_some(data)))?;
        message = relayed?;
    }
    let ([kind @ 1..=11, ..], Some(options)) = (message, message.get(4..)) else { return None };
    let mut identifier = None;
    let mut found = Dhcp { event: DhcpEvent::Asked, mac: None, name: None, addresses: Vec::new() };
    for_each(options, |code, data| match code {
        1 => identifier = Some(data),
        // IA_NA, IA_TA.
        3 => leases(data.get(12..).unwrap_or_default(), &mut found.addresses),
        4 => leases(data.get(4..).unwrap_or_default(), &mut found.addresses),
        // RFC 4704 section 4.
        39 => found.name = data.get(1..).and_then(dns_name),
        _ => {}
    })?;
    found.mac = unique_mac(identifier?)?;
    found.event = match kind {
        7 => DhcpEvent::Granted,
        8 => DhcpEvent::Released,
        _ => DhcpEvent::Asked,
    };
    let news = found.name.is_some() || *kind == 7 || *kind == 8;
    Some(news.then_some(found))
}

/// Options that fill `bytes` to the last octet; else these are no options.
fn for_each<'a>(bytes: &'a [u8], mut take: impl FnMut(u16, &'a [u8])) -> Option<()> {
    let mut reader = Reader::new(bytes);
    while !reader.rest().is_empty() {
        let code = reader.u16()?;
        take(code, reader.vector16()?);
    }
    Some(())
}

/// IAADDR (RFC 8415 section 21.6): address, preferred and valid lifetime.
fn leases(options: &[u8], addresses: &mut Vec<(IpAddr, u32)>) {
    let _ = for_each(options, |code, data| {
        if let (5, Some((address, lifetimes))) = (code, data.split_first_chunk::<16>())
            && let Some((_, [a, b, c, d, ..])) = lifetimes.split_first_chunk::<4>()
            && addresses.len() < MAX_ADDRESSES
        {
            let seconds = u32::from_be_bytes([*a, *b, *c, *d]);
            addresses.push((IpAddr::V6(Ipv6Addr::from(*address)), seconds));
        }
    });
}

/// RFC 8415 section 11: the hardware address in a DUID, if it has one; `None` where it is no DUID.
fn unique_mac(identifier: &[u8]) -> Option<Option<[u8; 6]>> {
    match identifier {
        [0, 1, 0, 1, _, _, _, _, address @ ..] | [0, 3, 0, 1, address @ ..] => Some(mac(address)),
        [0, 1..=4, _, _, ..] if identifier.len() <= MAX_DUID => Some(None),
        _ => None,
    }
}

fn mac(address: &[u8]) -> Option<[u8; 6]> {
    let address: [u8; 6] = address.try_into().ok()?;
    // Neither unset nor of a group.
    (address != [0; 6] && address.first()? & 1 == 0).then_some(address)
}

fn address4(reader: &mut Reader<'_>) -> Option<Ipv4Addr> {
    let octets: [u8; 4] = reader.take(4)?.try_into().ok()?;
    Some(octets.into())
}

fn trimmed(text: &[u8]) -> &[u8] {
    let end = text.iter().position(|&b| b == 0).unwrap_or(text.len());
    text.get(..end).unwrap_or_default().trim_ascii()
}

/// RFC 1035 section 3.1, without compression: labels with their lengths, the last of them empty or left out.
fn dns_name(bytes: &[u8]) -> Option<Box<str>> {
    let mut labels = Vec::new();
    let mut reader = Reader::new(bytes);
    while let Some(label) = reader.vector8().filter(|label| !label.is_empty()) {
        labels.push(label);
    }
    host_name(&labels.join(&b'.'))
}

const COOKIE_AT: usize = 236;
const OPTIONS_AT: usize = 240;
const COOKIE: &[u8] = &[0x63, 0x82, 0x53, 0x63];
const ETHERNET: u8 = 1;
const PAD: u8 = 0;
const END: u8 = 255;

/// HOP_COUNT_LIMIT of RFC 8415 section 7.6.
const MAX_RELAYS: usize = 8;

/// RFC 8415 section 11.1: two octets of type and at most 128.
const MAX_DUID: usize = 130;

/// Addresses of one message; a machine has one or two.
const MAX_ADDRESSES: usize = 8;

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) const MAC: [u8; 6] = [0x3c, 0x22, 0xfb, 1, 2, 3];

    /// A message of type `kind` for 10.0.0.7, with these options behind it.
    pub(crate) fn message4(kind: u8, own: [u8; 4], given: [u8; 4], options: &[&[u8]]) -> Vec<u8> {
        let op = if matches!(kind, 2 | 5 | 6) { 2 } else { 1 };
        let mut bytes = vec![op, 1, 6, 0, 1, 2, 3, 4, 0, 0, 0, 0];
        bytes.extend(own.iter().chain(&given).chain(&[0; 8]).chain(&MAC));
        bytes.resize(COOKIE_AT, 0);
        bytes.extend(COOKIE);
        bytes.extend([53, 1, kind, 0]);
        for option in options {
            bytes.extend(*option);
        }
        bytes.push(END);
        bytes
    }

    fn option6(code: u16, data: &[u8]) -> Vec<u8> {
        let len = u16::try_from(data.len()).unwrap().to_be_bytes();
        [&code.to_be_bytes(), &len, data].concat()
    }

    fn message6(kind: u8) -> Vec<u8> {
        let duid = [&[0, 1, 0, 1, 9, 9, 9, 9][..], &MAC].concat();
        let address = [&Ipv6Addr::LOCALHOST.octets()[..], &[0, 0, 0, 9, 0, 0, 14, 16]].concat();
        let ia = [&[7; 12][..], &option6(5, &address)].concat();
        let options = [option6(1, &duid), option6(3, &ia), option6(39, b"\x01\x04desk\x04acme\0")];
        [vec![kind, 1, 2, 3], options.concat()].concat()
    }

    fn read(datagram: &[u8]) -> Option<Dhcp> {
        match step(&mut State::default(), true, datagram) {
            Answer::Emit(Evidence::Dhcp(dhcp), ..) => Some(dhcp),
            Answer::NeedMore | Answer::NotMine => None,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn ipv4_asks_is_granted_and_gives_back() {
        let (none, seven) = ([0; 4], [10, 0, 0, 7]);
        let ip = IpAddr::from(seven);
        let dhcp = |event, name: Option<&str>, addresses| {
            Some(Dhcp { event, mac: Some(MAC), name: name.map(Into::into), addresses })
        };
        let ask = message4(3, none, none, &[b"\x32\x04\x0a\0\0\x07", b"\x0c\x05desk\0"]);
        assert_eq!(read(&ask), dhcp(DhcpEvent::Asked, Some("desk"), vec![(ip, 0)]));
        let fqdn = message4(3, none, none, &[b"\x0c\x04desk", b"\x51\x0d\x04\0\0\x04desk\x04acme"]);
        assert_eq!(read(&fqdn), dhcp(DhcpEvent::Asked, Some("desk.acme"), vec![]));
        let grant = message4(5, none, seven, &[b"\x33\x04\0\0\x0e\x10"]);
        assert_eq!(read(&grant), dhcp(DhcpEvent::Granted, None, vec![(ip, 3_600)]));
        assert_eq!(
            read(&message4(7, seven, none, &[])),
            dhcp(DhcpEvent::Released, None, vec![(ip, 0)])
        );
        // An offer; an answer to INFORM; nothing new.
        for (kind, given) in [(2, seven), (5, none), (3, none)] {
            let datagram = message4(kind, none, given, &[]);
            assert!(matches!(step(&mut State::default(), true, &datagram), Answer::NeedMore));
        }
    }

    #[test]
    fn ipv6_is_read_through_relays() {
        let expected = |event| Dhcp {
            event,
            mac: Some(MAC),
            name: Some("desk.acme".into()),
            addresses: vec![(Ipv6Addr::LOCALHOST.into(), 3_600)],
        };
        assert_eq!(read(&message6(7)), Some(expected(DhcpEvent::Granted)));
        assert_eq!(read(&message6(8)), Some(expected(DhcpEvent::Released)));
        assert_eq!(read(&message6(5)), Some(expected(DhcpEvent::Asked)));
        let mut relayed = message6(7);
        for hops in 0..20 {
            let seen = read(&relayed);
            assert_eq!(seen.is_some(), hops <= MAX_RELAYS, "{hops}");
            relayed = [&[13, 1][..], &[0; 32], &option6(9, &relayed)].concat();
        }
    }

    #[test]
    fn cut_messages_say_less_and_never_more() {
        for whole in [message4(5, [0; 4], [10, 0, 0, 7], &[b"\x33\x04\0\0\x0e\x10"]), message6(7)] {
            let full = read(&whole).unwrap();
            for cut in 0..whole.len() {
                let seen = read(&whole[..cut]);
                assert!(seen.is_none_or(|seen| seen.mac == full.mac), "{cut}");
            }
        }
    }
}
