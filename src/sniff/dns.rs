//! DNS over datagrams: the question and the answer section of each message.

use std::net::IpAddr;

use domain::base::iana::{Class, Rtype};
use domain::base::name::ToLabelIter;
use domain::base::record::ParsedRecord;
use domain::base::{Message, ParsedName};
use domain::rdata::{A, Aaaa, Cname, Dname, Https, Mx, Ns, Ptr, Srv, Svcb, Txt};

use super::{Answer, DnsAnswer, DnsMessage, Evidence, State};

/// Answers of one message that are kept; a hundred hold the largest sets of addresses that are handed out.
pub const MAX_ANSWERS: usize = 64;

/// Messages that may be cut or broken before the first good one.
const MAX_BROKEN: u32 = 3;

/// `state.word` counts broken messages until the first good one.
pub(super) fn step(state: &mut State, _from_client: bool, datagram: &[u8]) -> Answer {
    match read(datagram, &mut state.limited) {
        Reading::Message(message) => {
            state.word = GOOD;
            Answer::Emit(Evidence::Dns(message), datagram.len())
        }
        Reading::Other if state.word != GOOD => Answer::NotMine,
        Reading::Cut if state.word != GOOD => {
            state.word += 1;
            if state.word > MAX_BROKEN { Answer::NotMine } else { Answer::NeedMore }
        }
        Reading::Other | Reading::Cut => Answer::NeedMore,
    }
}

/// The mnemonic of a TYPE (`A`, `AAAA`, `HTTPS`), or `TYPE` and its number (RFC 3597 section 5).
pub fn mnemonic(rtype: u16) -> std::borrow::Cow<'static, str> {
    match Rtype::from_int(rtype).to_mnemonic_str() {
        Some(name) => name.into(),
        None => format!("TYPE{rtype}").into(),
    }
}

enum Reading {
    Message(DnsMessage),
    /// A header that can be, but the question is not whole.
    Cut,
    Other,
}

fn read(datagram: &[u8], limited: &mut bool) -> Reading {
    let Ok(message) = Message::from_octets(datagram) else { return Reading::Other };
    let (header, counts) = (message.header(), message.header_counts());
    let response = header.qr();
    let rcode = header.rcode().to_int();
    if header.opcode().to_int() != 0
        || header.z()
        || (!response && rcode != 0)
        || counts.qdcount() > 1
    {
        return Reading::Other;
    }
    let mut question = (Box::default(), 0);
    match message.question().next() {
        Some(Ok(asked)) if plausible(asked.qclass()) && !netbios(asked.qname(), asked.qtype()) => {
            question = (text(asked.qname()), asked.qtype().to_int());
        }
        Some(Ok(_)) => return Reading::Other,
        Some(Err(domain::base::wire::ParseError::ShortInput)) => return Reading::Cut,
        Some(Err(_)) => return Reading::Other,
        // Without a question only a response that can be read to its end is believed.
        None if !response || counts.ancount() == 0 => return Reading::Other,
        None => {}
    }
    let mut answers = Vec::new();
    let mut whole = true;
    for record in message.answer().into_iter().flatten() {
        let Ok(record) = record else {
            whole = false;
            break;
        };
        if !plausible(record.class()) {
            whole = false;
            break;
        }
        if answers.len() == MAX_ANSWERS {
            *limited = true;
            break;
        }
        answers.push(answer(&record));
    }
    if counts.qdcount() == 0 && (!whole || answers.is_empty()) {
        return Reading::Other;
    }
    let (question, qtype) = question;
    Reading::Message(DnsMessage { id: header.id(), response, rcode, question, qtype, answers })
}

/// IN, CH, HS, NONE and ANY; mDNS uses the highest bit for itself (RFC 6762 sections 5.4 and 10.2).
fn plausible(class: Class) -> bool {
    matches!(class.to_int() & 0x7fff, 1 | 3 | 4 | 254 | 255)
}

/// NetBIOS names (RFC 1002 section 4.2) look like DNS: the first label has 32 letters from A to P, the type is NB or NBSTAT.
fn netbios(name: &ParsedName<&[u8]>, rtype: Rtype) -> bool {
    matches!(rtype.to_int(), 32 | 33) && {
        let label = name.first().as_slice();
        label.len() == 32 && label.iter().all(|b| (b'A'..=b'P').contains(b))
    }
}

fn answer(record: &ParsedRecord<'_, &[u8]>) -> DnsAnswer {
    let (data, address) = data(record).unwrap_or_default();
    DnsAnswer {
        name: text(&record.owner()),
        rtype: record.rtype().to_int(),
        ttl: record.ttl().as_secs(),
        data: data.into(),
        address,
    }
}

/// `None` for types that are not shown, and for data that do not parse.
fn data(record: &ParsedRecord<'_, &[u8]>) -> Option<(String, Option<IpAddr>)> {
    type Name<'a> = ParsedName<&'a [u8]>;
    macro_rules! parse {
        ($Data:ty) => {
            record.to_record::<$Data>().ok().flatten()?.into_data()
        };
    }
    let shown = match record.rtype() {
        Rtype::A => {
            let address = IpAddr::V4(parse!(A).addr());
            return Some((address.to_string(), Some(address)));
        }
        Rtype::AAAA => {
            let address = IpAddr::V6(parse!(Aaaa).addr());
            return Some((address.to_string(), Some(address)));
        }
        Rtype::CNAME => text(parse!(Cname<Name<'_>>).cname()).into(),
        Rtype::DNAME => text(parse!(Dname<Name<'_>>).dname()).into(),
        Rtype::NS => text(parse!(Ns<Name<'_>>).nsdname()).into(),
        Rtype::PTR => text(parse!(Ptr<Name<'_>>).ptrdname()).into(),
        Rtype::MX => {
            let mx = parse!(Mx<Name<'_>>);
            format!("{} {}", mx.preference(), target(mx.exchange()))
        }
        Rtype::SRV => {
            let srv = parse!(Srv<Name<'_>>);
            let (priority, weight, port) = (srv.priority(), srv.weight(), srv.port());
            format!("{priority} {weight} {port} {}", target(srv.target()))
        }
        Rtype::HTTPS => {
            let https = parse!(Https<&[u8], Name<'_>>);
            format!("{} {}", https.priority(), target(https.target()))
        }
        Rtype::SVCB => {
            let svcb = parse!(Svcb<&[u8], Name<'_>>);
            format!("{} {}", svcb.priority(), target(svcb.target()))
        }
        Rtype::TXT => {
            let txt = parse!(Txt<&[u8]>);
            let octets: Vec<u8> = txt.iter().flatten().copied().collect();
            String::from_utf8_lossy(&octets).into_owned()
        }
        _ => return None,
    };
    Some((shown, None))
}

/// Labels joined by dots, as they stood on the wire; the root is empty.
fn text(name: &impl ToLabelIter) -> Box<str> {
    let mut octets = Vec::with_capacity(64);
    for label in name.iter_labels().filter(|label| !label.is_root()) {
        if !octets.is_empty() {
            octets.push(b'.');
        }
        octets.extend_from_slice(label.as_slice());
    }
    String::from_utf8_lossy(&octets).into()
}

/// A target shows the root as a dot: alone it would be invisible.
fn target(name: &ParsedName<&[u8]>) -> Box<str> {
    if name.is_root() { ".".into() } else { text(name) }
}

/// `State::word` once a message was good: broken ones are then passed over.
const GOOD: u32 = u32::MAX;
