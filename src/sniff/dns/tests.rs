//! DNS messages, whole, cut, lying and looping.

use super::*;

const QUESTION: &[u8] = b"\x07support\x04acme\x03com\x00\x00\x01\x00\x01";
/// Points to the name in [`QUESTION`].
const OWNER: &[u8] = &[0xc0, 12];

fn header(flags: u16, questions: u16, answers: u16) -> Vec<u8> {
    [0x1234, flags, questions, answers, 0, 0].iter().flat_map(|n: &u16| n.to_be_bytes()).collect()
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
        assert_eq!((seen.answers[0].rtype, &*seen.answers[0].name), (rtype, "support.acme.com"));
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
    let with_name = |name: &[u8]| [header(0x0100, 1, 0), name.into(), vec![0, 1, 0, 1]].concat();
    assert!(message(&with_name(b"\x01a\x00")).is_some());
    assert!(message(&with_name(&[0xc0, 12])).is_none(), "points to itself");
    assert!(message(&with_name(b"\x01a\xc0\x0c")).is_none(), "points to its own beginning");
    assert!(message(&with_name(&[0xc0, 40])).is_none(), "points forward");
    assert!(message(&with_name(&[0x80, 1, 0])).is_none(), "label type that is none");
    assert!(message(&with_name(&[&[63; 64].repeat(5)[..], &[0]].concat())).is_none(), "too long");
    let mut looping = response(1, &[record(OWNER, 1, &[1, 2, 3, 4])]);
    let at = looping.len() - 16;
    looping[at + 1] = u8::try_from(at).unwrap();
    assert_eq!(message(&looping).unwrap().answers, []);
    let lying = response(0xff05, &[record(OWNER, 1, &[1, 2, 3, 4])]);
    assert_eq!(message(&lying).unwrap().answers.len(), 1);
}

#[test]
fn answers_are_bounded_and_that_is_told() {
    let records = vec![record(OWNER, 1, &[1, 2, 3, 4]); MAX_RECORDS + 1];
    for (count, limited) in [(MAX_RECORDS, false), (MAX_RECORDS + 1, true)] {
        let mut state = State::default();
        let bytes = response(u16::try_from(count).unwrap(), &records[..count]);
        let Answer::Emit(Evidence::Dns(seen), ..) = step(&mut state, false, &bytes) else {
            panic!("no message")
        };
        assert_eq!((seen.answers.len(), state.limited), (MAX_RECORDS, limited));
    }
}

#[test]
fn other_datagrams_are_refused() {
    let asked = |flags, question: &[u8]| [&header(flags, 1, 0)[..], question].concat();
    let rare = b"\x07support\x04acme\x03com\x00\xfd\xe8\x00\x01";
    for (flags, usual) in [
        (0x0100, true),
        (0x0130, true),
        (0x8183, true),
        (0x0900, false),
        (0x0140, false),
        (0x0103, false),
    ] {
        assert!(message(&asked(flags, QUESTION)).is_some(), "{flags:x}");
        assert_eq!(message(&asked(flags, rare)).is_some(), usual, "{flags:x}");
        let cut = asked(flags, &QUESTION[..9]);
        let answer = step(&mut State::default(), true, &cut);
        assert_eq!(matches!(answer, Answer::NeedMore), usual, "{flags:x}");
    }
    for (questions, refused) in [(1, false), (7, true)] {
        let mut class = [&header(0x0100, questions, 0)[..], QUESTION].concat();
        *class.last_mut().unwrap() = 77;
        let answer = step(&mut State::default(), true, &class);
        assert!(matches!(answer, Answer::NotMine | Answer::NeedMore));
        assert_eq!(matches!(answer, Answer::NotMine), refused, "{questions} questions");
    }
    let netbios = [&header(0x0110, 1, 0)[..], b"\x20", &[b'C'; 32], &[0, 0, 32, 0, 1]].concat();
    assert!(message(&netbios).is_none());
    assert!(message(&[0; 64]).is_none());
}

#[test]
fn names_under_an_odd_header_are_seen() {
    let update = [&header(0x2800, 1, 0)[..], QUESTION].concat();
    let seen = message(&update).unwrap();
    assert_eq!((seen.opcode, &*seen.question), (5, "support.acme.com"));
}

#[test]
fn every_section_is_told() {
    let mut bytes = response(
        1,
        &[
            record(OWNER, 5, b"\x04acme\x07zendesk\xc0\x19"),
            record(&[0xc0, 0x19], 2, b"\x02ns\xc0\x14"),
            // OPT: root, type 41, a size instead of a class, flags instead of a TTL.
            [&[0, 0, 41, 0x10, 0, 0, 0, 0, 0][..], &[0, 0]].concat(),
            record(b"\x02ns\x04acme\x03com\x00", 1, &[192, 0, 2, 53]),
        ],
    );
    bytes[8..12].copy_from_slice(&[0, 1, 0, 2]);
    let seen = message(&bytes).unwrap();
    let shown: Vec<_> = seen.answers.iter().map(|a| (a.section, &*a.data)).collect();
    assert_eq!(
        shown,
        [
            (Section::Answer, "acme.zendesk.com"),
            (Section::Authority, "ns.acme.com"),
            (Section::Additional, "192.0.2.53"),
        ]
    );
    let flags = DnsFlags { recursion_desired: true, recursion_available: true, ..seen.flags };
    assert_eq!(seen.flags, flags);
}

#[test]
fn several_questions_are_all_seen_within_the_bound() {
    let ask = |count: u16| {
        let questions = QUESTION.repeat(usize::from(count));
        let mut state = State::default();
        let answer = step(&mut state, true, &[header(0, count, 0), questions].concat());
        let Answer::Emit(Evidence::Dns(seen), ..) = answer else { panic!("{answer:?}") };
        (seen.questions().count(), state.limited)
    };
    assert_eq!(ask(2), (2, false));
    let most = u16::try_from(MAX_QUESTIONS).unwrap();
    assert_eq!(ask(most), (MAX_QUESTIONS, false));
    assert_eq!(ask(most + 1), (MAX_QUESTIONS, true));
    let two = [header(0, 2, 0), QUESTION.repeat(2)].concat();
    let damaged = message(&two[..two.len() - 1]).unwrap();
    assert_eq!(damaged.questions().count(), 1, "the first stands");
}

/// The list that Cloudflare announces, with another key: config 199, X25519, HKDF-SHA256 with AES-128-GCM.
fn ech_list() -> Vec<u8> {
    let config = [
        &[199, 0, 0x20, 0, 32][..],
        &[0xaa; 32],
        &[0, 4, 0, 1, 0, 1, 0, 18],
        b"cloudflare-ech.com",
        &[0, 0],
    ]
    .concat();
    assert_eq!(config.len(), 65);
    [&[0, 69, 0xfe, 0x0d, 0, 65][..], &config].concat()
}

#[test]
fn an_https_record_says_where_and_under_which_outer_name() {
    let param = |key: u16, value: &[u8]| {
        let len = u16::try_from(value.len()).unwrap().to_be_bytes();
        [&key.to_be_bytes()[..], &len, value].concat()
    };
    let v6 = [0x26, 6, 0x47, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    let data = [
        vec![0, 1, 0],
        param(1, b"\x02h3\x02h2"),
        param(4, &[104, 16, 1, 1, 104, 16, 1, 2]),
        param(5, &ech_list()),
        param(6, &v6),
    ]
    .concat();
    let seen = message(&response(1, &[record(OWNER, 65, &data)])).unwrap();
    let answer = &seen.answers[0];
    let service = answer.service.as_deref().unwrap();
    assert_eq!((&*answer.data, &*service.target, service.priority), ("1 .", ".", 1));
    assert_eq!(service.alpn, ["h3".into(), "h2".into()]);
    let hints: Vec<_> = service.hints.iter().map(ToString::to_string).collect();
    assert_eq!(hints, ["104.16.1.1", "104.16.1.2", "2606:4700::1"]);
    let config = EchConfig {
        config_id: 199,
        public_name: "cloudflare-ech.com".into(),
        suites: vec![(1, 1)],
    };
    assert_eq!(service.ech, [config]);
    assert!(seen.octets() > data.len());

    let list = ech_list();
    for cut in 0..list.len() {
        let data = [vec![0, 1, 0], param(5, &list[..cut])].concat();
        let seen = message(&response(1, &[record(OWNER, 65, &data)])).unwrap();
        assert_eq!(seen.answers[0].service.as_deref().unwrap().ech, [], "{cut}");
    }
    let unsorted = [vec![0, 1, 0], param(4, &[1, 2, 3, 4]), param(1, b"\x02h2")].concat();
    let seen = message(&response(1, &[record(OWNER, 65, &unsorted)])).unwrap();
    assert_eq!(seen.answers[0].service, None, "RFC 9460 section 2.2");
    let many = [vec![0, 1, 0], param(4, &[9; 400])].concat();
    let seen = message(&response(1, &[record(OWNER, 65, &many)])).unwrap();
    assert_eq!(seen.answers[0].service.as_deref().unwrap().hints.len(), 16);
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

#[test]
fn names_are_shown_so_that_none_looks_like_another() {
    for (name, shown) in [
        (&b"\x0cacme.zendesk\x03com\x00"[..], "acme\\.zendesk.com"),
        (b"\x04a\\.b\x00", "a\\\\\\.b"),
        (b"\x05a\x00\x1f\x7fb\x03c d\x00", "a\\000\\031\\127b.c d"),
        ("\u{3}\u{5c0f}\u{3}a\u{ff}\0".as_bytes(), "\u{5c0f}.a\u{ff}"),
        (b"\x02\xffa\x00", "\u{fffd}a"),
        (b"\x00", "."),
    ] {
        let asked = [&header(0x0100, 1, 0)[..], name, &[0, 2, 0, 1]].concat();
        let seen = message(&asked).unwrap();
        assert_eq!(seen.questions().collect::<Vec<_>>(), [(shown, 2)]);
    }
}

mod at_a_port_of_dns {
    use super::*;

    fn expecting() -> State {
        let mut state = State::default();
        expect(&mut state);
        state
    }

    #[test]
    fn a_question_is_believed_where_half_of_it_is_as_it_should_be() {
        let name = &QUESTION[..18];
        let asked =
            |flags, questions, end: &[u8]| [&header(flags, questions, 0)[..], name, end].concat();
        let netbios = [&header(0x0110, 1, 0)[..], b"\x20", &[b'C'; 32], &[0, 0, 33, 0, 1]].concat();
        for (datagram, believed) in [
            (asked(0x0100, 1, &[0, 1, 0, 0x49]), true),
            (asked(0x0100, 1, &[0x64, 0x6b, 0, 0]), true),
            (asked(0x0157, 1, &[0xfd, 0xe8, 0, 1]), true),
            (asked(0x0104, 1, &[0x62, 0x72, 0x75, 0x6a]), false),
            (asked(0x0100, 70, &[0, 0x57, 0, 1]), true),
            (netbios, true),
            ([&header(0x0100, 1, 0)[..], &[0, 0x5f, 0x73, 0x69, 0x70]].concat(), false),
            (vec![0xaa; 60], false),
        ] {
            let answer = step(&mut expecting(), true, &datagram);
            assert_eq!(matches!(answer, Answer::Emit(..)), believed, "{datagram:x?}");
            assert!(believed || matches!(answer, Answer::NeedMore), "{answer:?}");
            assert!(!matches!(step(&mut State::default(), true, &datagram), Answer::Emit(..)));
        }
    }

    #[test]
    fn answers_behind_a_damaged_question_are_read() {
        let mut damaged = chain();
        damaged[12 + QUESTION.len() - 2] = 0x49;
        let answer = step(&mut expecting(), false, &damaged);
        let Answer::Emit(Evidence::Dns(seen), ..) = answer else { panic!("{answer:?}") };
        assert_eq!((&*seen.question, seen.answers.len()), ("support.acme.com", 3));
    }

    #[test]
    fn the_first_messages_may_be_broken_and_noise_ends_soon() {
        let mut state = expecting();
        for broken in [&[0xaa; 60][..], &chain()[..9], &[0x7d]] {
            assert!(matches!(step(&mut state, true, broken), Answer::NeedMore));
        }
        let mut noise = State { word: state.word, ..State::default() };
        assert!(matches!(step(&mut state, true, &chain()), Answer::Emit(..)));
        assert!(matches!(step(&mut state, true, &[0xaa; 60]), Answer::NeedMore));
        assert!(matches!(step(&mut noise, true, &[0xaa; 60]), Answer::NotMine));
    }

    #[test]
    fn the_word_of_another_sniffer_is_not_taken_for_its_own() {
        for mark in b'a'..=b'z' {
            let mut state = State { word: u32::from(mark) << 24, ..State::default() };
            assert!(matches!(step(&mut state, true, &chain()[..20]), Answer::NotMine), "{mark}");
        }
    }
}

#[test]
fn a_record_of_an_odd_class_is_stepped_over() {
    let mut bytes = chain();
    let class = 12 + QUESTION.len() + 2 + 2;
    bytes[class] = 0x49;
    let seen = message(&bytes).unwrap();
    assert_eq!(seen.answers.iter().map(|a| a.rtype).collect::<Vec<_>>(), [1, 28]);
}

mod over_tcp {
    use super::*;
    use crate::sniff::{Openings, Patterns, Progress, Wants};

    fn framed(message: &[u8]) -> Vec<u8> {
        [&u16::try_from(message.len()).unwrap().to_be_bytes(), message].concat()
    }

    fn query() -> Vec<u8> {
        [header(0x0100, 1, 0), QUESTION.into()].concat()
    }

    fn ask(progress: &mut Progress, client: &[u8], server: &[u8]) -> (Wants, Vec<DnsMessage>) {
        let patterns = Patterns::default();
        let mut seen = Vec::new();
        let wants = progress.stream(&Openings::new(client, server, &patterns), &mut |evidence| {
            let Evidence::Dns(message) = evidence else { panic!("{evidence:?}") };
            seen.push(message);
        });
        (wants, seen)
    }

    #[test]
    fn messages_of_one_connection_are_seen_whatever_the_cuts() {
        let client = framed(&query()).repeat(3);
        let server = framed(&chain()).repeat(3);
        for step in [1, 2, 7, 30, 1_000] {
            let mut progress = Progress::default();
            let mut seen = Vec::new();
            for end in (0..client.len().max(server.len()) + step).step_by(step) {
                let (c, s) = (end.min(client.len()), end.min(server.len()));
                let (wants, more) = ask(&mut progress, &client[..c], &server[..s]);
                assert_eq!(wants, Wants::More, "{step} {end}");
                seen.extend(more);
            }
            let responses = seen.iter().filter(|message| message.response);
            assert_eq!((seen.len(), responses.count()), (6, 3), "{step}");
            assert!(!progress.is_swapped());
        }
    }

    #[test]
    fn one_direction_is_enough() {
        let (_, seen) = ask(&mut Progress::default(), &[], &framed(&chain()));
        assert_eq!(seen[0].answers.len(), 3);
        let mut progress = Progress::default();
        let (_, seen) = ask(&mut progress, &framed(&chain()), &[]);
        assert!(seen[0].response && progress.is_swapped(), "a response comes from a server");
    }

    #[test]
    fn a_damaged_message_is_stepped_over_behind_a_good_one() {
        let mut damaged = chain();
        damaged[12] = 0x80;
        let both = [framed(&chain()), framed(&damaged), framed(&chain())].concat();
        assert_eq!(ask(&mut Progress::default(), &[], &both).1.len(), 2);
        let alone = stream::sniff(&Openings::new(&[], &framed(&damaged), &Patterns::default()));
        assert!(matches!(alone, Answer::NotMine));
    }

    #[test]
    fn what_a_cut_message_says_is_kept_at_the_end() {
        let whole = framed(&chain());
        let mut progress = Progress::default();
        let server = &whole[..whole.len() - 4];
        assert_eq!(ask(&mut progress, &[], server).1, []);
        let patterns = Patterns::default();
        let mut seen = Vec::new();
        progress.end(&Openings::new(&[], server, &patterns), &mut |evidence| seen.push(evidence));
        let Some(Evidence::Dns(message)) = seen.pop() else { panic!("nothing was kept") };
        assert_eq!(message.answers.len(), 2);
    }

    #[test]
    fn other_streams_are_refused_at_their_first_octets() {
        for bytes in [
            &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc"[..],
            b"GET / HTTP/1.1",
            b"SSH-2.0-OpenSSH",
            b"\x00\x05\x12\x34",
        ] {
            assert!(matches!(
                stream::sniff(&Openings::new(bytes, &[], &Patterns::default())),
                Answer::NotMine
            ));
        }
    }
}
