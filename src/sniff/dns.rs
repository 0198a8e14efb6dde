//! DNS over datagrams: the question and the answer section of each message.

use std::net::IpAddr;

use domain::base::iana::{Class, Rtype};
use domain::base::name::ToLabelIter;
use domain::base::record::ParsedRecord;
use domain::base::{Message, ParsedName};
use domain::rdata::{A, Aaaa, Cname, Dname, Https, Mx, Ns, Ptr, Srv, Svcb, Txt};

use super::{Answer, DnsAnswer, DnsMessage, Evidence, State};

/// Octets of a TXT record that are kept: the longest verification strings and SPF records are shorter.
const MAX_TEXT: usize = 1_024;

/// Answers of one message that are kept; a hundred hold the largest sets of addresses that are handed out.
pub const MAX_ANSWERS: usize = 64;

/// Messages that may be cut or broken before the first good one.
const MAX_BROKEN: u32 = 3;

/// `state.word` counts broken messages until the first good one.
pub(super) fn step(state: &mut State, _from_client: bool, datagram: &[u8]) -> Answer {
    match read(datagram, &mut state.limited) {
        Reading::Message(message) => {
            state.word = GOOD;
            Answer::Emit(Evidence::Dns(message), 0, 0)
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
            let octets: Vec<u8> = txt.iter().flatten().copied().take(MAX_TEXT).collect();
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

#[cfg(test)]
mod tests {
    use super::*;

    const QUESTION: &[u8] = b"\x07support\x04acme\x03com\x00\x00\x01\x00\x01";
    /// Points to the name in [`QUESTION`].
    const OWNER: &[u8] = &[0xc0, 12];

    fn header(flags: u16, questions: u16, answers: u16) -> Vec<u8> {
        [0x1234, flags, questions, answers, 0, 0]
            .iter()
            .flat_map(|n: &u16| n.to_be_bytes())
            .collect()
    }

    fn record(owner: &[u8], rtype: u16, data: &[u8]) -> Vec<u8> {
        let len = u16::try_from(data.len()).unwrap().to_be_bytes();
        [owner, &rtype.to_be_bytes(), &[0, 1, 0, 0, 1, 44], &len, data].concat()
    }

    fn response(answers: u16, records: &[Vec<u8>]) -> Vec<u8> {
        [header(0x8180, 1, answers), QUESTION.into(), records.concat()].concat()
    }

    fn message(datagram: &[u8]) -> Option<DnsMessage> {
        match step(&mut State::default(), true, datagram) {
            Answer::Emit(Evidence::Dns(message), ..) => Some(message),
            Answer::NotMine | Answer::NeedMore => None,
            other => panic!("{other:?}"),
        }
    }

    fn chain() -> Vec<u8> {
        let target = b"\x04acme\x07zendesk\xc0\x19";
        let at = u8::try_from(12 + QUESTION.len() + 12).unwrap();
        response(
            3,
            &[
                record(OWNER, 5, target),
                record(&[0xc0, at], 1, &[216, 198, 53, 1]),
                record(&[0xc0, at], 28, &[0x26, 6, 0x47, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]),
            ],
        )
    }

    #[test]
    fn a_chain_keeps_its_owners() {
        let seen = message(&chain()).unwrap();
        assert_eq!((seen.id, seen.response, seen.rcode), (0x1234, true, 0));
        assert_eq!((&*seen.question, seen.qtype), ("support.acme.com", 1));
        let row = |a: &DnsAnswer| format!("{} {} {} {}", a.name, mnemonic(a.rtype), a.ttl, a.data);
        let shown: Vec<_> = seen.answers.iter().map(row).collect();
        assert_eq!(
            shown,
            [
                "support.acme.com CNAME 300 acme.zendesk.com",
                "acme.zendesk.com A 300 216.198.53.1",
                "acme.zendesk.com AAAA 300 2606:4700::1",
            ]
        );
        assert_eq!(seen.answers[0].address, None);
        assert_eq!(seen.answers[1].address, "216.198.53.1".parse().ok());
        assert_eq!(seen.answers[2].address, "2606:4700::1".parse().ok());
    }

    #[test]
    fn data_are_shown_by_their_type() {
        for (rtype, name, data, shown) in [
            (2, "NS", &b"\x02ns\xc0\x0c"[..], "ns.support.acme.com"),
            (12, "PTR", b"\x01a\x00", "a"),
            (15, "MX", b"\x00\x0a\x04mail\xc0\x14", "10 mail.acme.com"),
            (15, "MX", b"\x00\x00\x00", "0 ."),
            (16, "TXT", b"\x03a=1\x02\xffb", "a=1\u{fffd}b"),
            (33, "SRV", b"\x00\x01\x00\x02\x00\x50\x01s\x00", "1 2 80 s"),
            (39, "DNAME", b"\x01d\x00", "d"),
            (64, "SVCB", b"\x00\x01\x00\x00\x03\x00\x02\x01\xbb", "1 ."),
            (65, "HTTPS", b"\x00\x00\x03cdn\x00", "0 cdn"),
            (1, "A", b"\x01\x02\x03", ""),
            (6, "SOA", b"", ""),
            (65280, "TYPE65280", b"\x01", ""),
        ] {
            let seen = message(&response(1, &[record(OWNER, rtype, data)])).unwrap();
            assert_eq!((&*mnemonic(rtype), &*seen.answers[0].data), (name, shown));
            assert_eq!(
                (seen.answers[0].rtype, &*seen.answers[0].name),
                (rtype, "support.acme.com")
            );
        }
    }

    #[test]
    fn a_message_cut_anywhere_keeps_its_good_records() {
        let whole = chain();
        let expected = message(&whole).unwrap().answers;
        let mut most = 0;
        for cut in 0..=whole.len() {
            let seen = message(&whole[..cut]);
            assert_eq!(seen.is_some(), cut >= 12 + QUESTION.len(), "{cut}");
            let answers = seen.map(|seen| seen.answers).unwrap_or_default();
            assert_eq!(answers, expected[..answers.len()]);
            assert!(answers.len() >= most);
            most = answers.len();
        }
        assert_eq!(most, 3);
    }

    #[test]
    fn loops_and_lies_end() {
        let with_name =
            |name: &[u8]| [header(0x0100, 1, 0), name.into(), vec![0, 1, 0, 1]].concat();
        assert!(message(&with_name(b"\x01a\x00")).is_some());
        assert!(message(&with_name(&[0xc0, 12])).is_none(), "points to itself");
        assert!(message(&with_name(b"\x01a\xc0\x0c")).is_none(), "points to its own beginning");
        assert!(message(&with_name(&[0xc0, 40])).is_none(), "points forward");
        assert!(message(&with_name(&[0x80, 1, 0])).is_none(), "label type that is none");
        assert!(
            message(&with_name(&[&[63; 64].repeat(5)[..], &[0]].concat())).is_none(),
            "too long"
        );
        let mut looping = response(1, &[record(OWNER, 1, &[1, 2, 3, 4])]);
        let at = looping.len() - 16;
        looping[at + 1] = u8::try_from(at).unwrap();
        assert_eq!(message(&looping).unwrap().answers, []);
        let lying = response(0xff05, &[record(OWNER, 1, &[1, 2, 3, 4])]);
        assert_eq!(message(&lying).unwrap().answers.len(), 1);
    }

    #[test]
    fn answers_are_bounded_and_that_is_told() {
        let records = vec![record(OWNER, 1, &[1, 2, 3, 4]); MAX_ANSWERS + 1];
        for (count, limited) in [(MAX_ANSWERS, false), (MAX_ANSWERS + 1, true)] {
            let mut state = State::default();
            let bytes = response(u16::try_from(count).unwrap(), &records[..count]);
            let Answer::Emit(Evidence::Dns(seen), ..) = step(&mut state, false, &bytes) else {
                panic!("no message")
            };
            assert_eq!((seen.answers.len(), state.limited), (MAX_ANSWERS, limited));
        }
    }

    #[test]
    fn other_datagrams_are_refused() {
        let query = |flags| [header(flags, 1, 0), QUESTION.into()].concat();
        for (flags, mine) in [
            (0x0100, true),
            (0x0130, true),
            (0x8183, true),
            (0x0900, false),
            (0x0140, false),
            (0x0103, false),
        ] {
            assert_eq!(message(&query(flags)).is_some(), mine, "{flags:x}");
        }
        let mut class = query(0x0100);
        *class.last_mut().unwrap() = 77;
        assert!(message(&class).is_none());
        assert!(message(&[header(0, 2, 0), QUESTION.repeat(2)].concat()).is_none());
        let netbios = [&header(0x0110, 1, 0)[..], b"\x20", &[b'C'; 32], &[0, 0, 32, 0, 1]].concat();
        assert!(message(&netbios).is_none());
        assert!(message(&[0; 64]).is_none());
    }

    #[test]
    fn multicast_responses_need_no_question() {
        let owner = b"\x05kiosk\x05local\x00";
        let mut record = record(owner, 1, &[10, 0, 0, 1]);
        record[owner.len() + 2] = 0x80; // cache flush
        let whole = [header(0x8400, 0, 1), record].concat();
        let seen = message(&whole).unwrap();
        assert_eq!((&*seen.question, &*seen.answers[0].name), ("", "kiosk.local"));
        assert!(message(&whole[..whole.len() - 1]).is_none(), "only if it is whole");
    }

    #[test]
    fn a_broken_message_does_not_end_a_good_flow() {
        let mut state = State::default();
        assert!(matches!(step(&mut state, true, &chain()), Answer::Emit(..)));
        for _ in 0..10 {
            assert!(matches!(step(&mut state, true, &[0xff; 40]), Answer::NeedMore));
        }
        assert!(matches!(step(&mut state, true, &chain()), Answer::Emit(..)));
        let mut cut = State::default();
        for _ in 0..MAX_BROKEN {
            assert!(matches!(step(&mut cut, true, &chain()[..20]), Answer::NeedMore));
        }
        assert!(matches!(step(&mut cut, true, &chain()[..20]), Answer::NotMine));
    }
}
