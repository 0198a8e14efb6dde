//! A ClientHello in any pieces gives its name; counts, ends and bounds of flows.

mod datagrams;

use proptest::prelude::*;

use super::*;
use crate::decode::{Address, Endpoint, Tcp, Tunnels};

const NAME: &str = "acme.zendesk.example";

/// A ClientHello record with SNI and, as browsers send since 2024, a key share of 1,216 octets (RFC 8446 section 4.1.2).
fn hello(name: &str) -> Vec<u8> {
    let mut extensions = Vec::new();
    let mut extension = |kind: u16, body: &[u8]| {
        extensions.extend_from_slice(&kind.to_be_bytes());
        extensions.extend_from_slice(&(body.len() as u16).to_be_bytes());
        extensions.extend_from_slice(body);
    };
    extension(51, &vec![7; 1216]);
    let mut sni = ((name.len() + 3) as u16).to_be_bytes().to_vec();
    sni.push(0);
    sni.extend_from_slice(&(name.len() as u16).to_be_bytes());
    sni.extend_from_slice(name.as_bytes());
    extension(0, &sni);
    let mut body = vec![3, 3];
    body.extend_from_slice(&[9; 32]);
    body.extend_from_slice(&[0, 0, 2, 0x13, 0x01, 1, 0]);
    body.extend_from_slice(&(extensions.len() as u16).to_be_bytes());
    body.extend_from_slice(&extensions);
    let mut message = vec![1];
    message.extend_from_slice(&(body.len() as u32).to_be_bytes()[1..]);
    message.extend_from_slice(&body);
    let mut record = vec![22, 3, 1];
    record.extend_from_slice(&(message.len() as u16).to_be_bytes());
    record.extend_from_slice(&message);
    record
}

struct Wire {
    worker: Worker<Vec<Update>>,
    frame: u64,
    at: Time,
    /// The tag of what is sent.
    vlan: Option<u16>,
}

fn client(port: u16) -> Endpoint {
    Endpoint { ip: Address::v4([10, 0, 0, 1]), port }
}

const SERVER: Endpoint = Endpoint { ip: Address::v4([192, 0, 2, 1]), port: 443 };

impl Wire {
    fn new(options: &Options) -> Self {
        Self {
            worker: Worker::new(options, Vec::new()),
            frame: 0,
            at: Time::from_secs(1_700_000_000),
            vlan: None,
        }
    }

    fn send(&mut self, source: Endpoint, destination: Endpoint, tcp: Tcp, payload: &[u8]) {
        self.frame += 1;
        self.at = self.at.plus(std::time::Duration::from_micros(100));
        let moment = Moment { at: self.at, ordinal: self.frame };
        let segment = Segment {
            source,
            destination,
            transport: Transport::Tcp,
            tcp: Some(tcp),
            vlan: self.vlan,
            id: 0,
            datagram: &[],
            tunnels: Tunnels::default(),
            payload,
            payload_len: payload.len() as u32,
            wire_len: payload.len() as u32 + 54,
        };
        self.worker.segment(moment, self.frame, &segment);
    }

    fn wait(&mut self, seconds: u64) {
        self.at = self.at.plus(std::time::Duration::from_secs(seconds));
        self.frame += 1;
        self.worker.tick(Moment { at: self.at, ordinal: self.frame }, true);
    }

    fn names(&self) -> Vec<(Endpoint, String)> {
        let mut names = Vec::new();
        for update in &self.worker.outlet {
            if let What::Evidence(both) = &update.what {
                let name = match &both.1 {
                    Evidence::Tls(hello) => hello.sni.as_deref(),
                    Evidence::Http(request) => request.host.as_deref(),
                    _ => None,
                };
                names.extend(name.map(|n| (both.0.client, n.to_owned())));
            }
        }
        names
    }

    fn ends(&self) -> Vec<&Ended> {
        let ended = |u| match u {
            &Update { what: What::Ended(ref ended), .. } => Some(&**ended),
            _ => None,
        };
        self.worker.outlet.iter().filter_map(ended).collect()
    }
}

fn flags(sequence: u32, syn: bool, ack: bool) -> Tcp {
    Tcp { sequence, acknowledgment: 0, syn, ack, fin: false, rst: false }
}

/// Sends the pieces (offset, length) of a hello, after a handshake or into the void.
fn name_of(isn: u32, handshake: bool, pieces: &[(usize, usize)]) -> Vec<(Endpoint, String)> {
    let mut wire = Wire::new(&Options::default());
    let bytes = hello(NAME);
    let me = client(40_000);
    if handshake {
        wire.send(me, SERVER, flags(isn, true, false), b"");
        let mut answer = flags(77, true, true);
        answer.acknowledgment = isn.wrapping_add(1);
        wire.send(SERVER, me, answer, b"");
    }
    for (offset, length) in pieces {
        let end = (offset + length).min(bytes.len());
        let sequence = isn.wrapping_add(1).wrapping_add(*offset as u32);
        wire.send(me, SERVER, flags(sequence, false, true), &bytes[*offset..end]);
    }
    wire.names()
}

fn wanted() -> Vec<(Endpoint, String)> {
    vec![(client(40_000), NAME.to_owned())]
}

#[test]
fn a_hello_cut_at_every_byte_gives_its_name_in_either_order() {
    let all = hello(NAME).len();
    for cut in 1..all {
        for handshake in [true, false] {
            let (first, second) = ((0, cut), (cut, all - cut));
            assert_eq!(name_of(u32::MAX - 3, handshake, &[first, second]), wanted(), "at {cut}");
            assert_eq!(name_of(100, handshake, &[second, first]), wanted(), "at {cut}, turned");
        }
    }
}

#[test]
fn four_pieces_give_it_in_every_order() {
    let all = hello(NAME).len();
    let cuts = [0, 3, 700, 1300, all];
    let pieces: Vec<_> = cuts.windows(2).map(|w| (w[0], w[1] - w[0])).collect();
    for order in 0..256usize {
        let order: Vec<_> = (0..4).map(|i| pieces[(order >> (2 * i)) & 3]).collect();
        let mut sorted = order.clone();
        sorted.sort_unstable();
        if sorted == pieces {
            for handshake in [true, false] {
                assert_eq!(name_of(5, handshake, &order), wanted(), "{order:?}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    /// Random cuts, duplicates, overlaps, order and sequence wrap: as long as every byte comes, the name comes, once.
    #[test]
    fn any_segmentation_gives_the_name(
        isn in any::<u32>(),
        mut cuts in prop::collection::vec(1usize..1300, 0..6),
        extra in prop::collection::vec((0usize..1200, 1usize..400), 0..4),
        seed in any::<u64>(),
    ) {
        let all = hello(NAME).len();
        cuts.extend([0, all]);
        cuts.sort_unstable();
        cuts.dedup();
        let mut pieces: Vec<_> = cuts.windows(2).map(|w| (w[0], w[1] - w[0])).collect();
        pieces.extend(extra);
        let mut state = seed | 1;
        for i in (1..pieces.len()).rev() {
            state ^= state << 13; state ^= state >> 7; state ^= state << 17;
            pieces.swap(i, (state % (i as u64 + 1)) as usize);
        }
        prop_assert_eq!(name_of(isn, true, &pieces), wanted());
    }
}

#[test]
fn a_hello_that_only_the_server_side_of_the_tap_shows_turns_the_ends() {
    // Mid-stream, and the client has the lower port: guessed wrong, put right by the hello.
    let mut wire = Wire::new(&Options::default());
    let odd = client(900);
    let server = Endpoint { port: 8443, ..SERVER };
    wire.send(odd, server, flags(1, false, true), &hello(NAME));
    assert_eq!(wire.names(), [(odd, NAME.to_owned())]);
}

#[test]
fn later_hosts_of_a_connection_are_seen() {
    let mut wire = Wire::new(&Options::default());
    let me = client(40_000);
    wire.send(me, SERVER, flags(9, true, false), b"");
    let mut sequence = 10;
    for host in ["a.example", "a.example", "b.example"] {
        let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
        wire.send(me, SERVER, flags(sequence, false, true), request.as_bytes());
        wire.send(SERVER, me, flags(1, false, true), b"HTTP/1.1 200 OK\r\n\r\n");
        sequence += request.len() as u32;
    }
    let names: Vec<_> = wire.names().into_iter().map(|n| n.1).collect();
    assert_eq!(names.first().map(String::as_str), Some("a.example"));
    assert_eq!(names.last().map(String::as_str), Some("b.example"));
}

#[test]
fn octets_are_counted_once_each_way_and_a_long_flow_reports() {
    let mut wire = Wire::new(&Options::default());
    let me = client(40_000);
    wire.send(me, SERVER, flags(1, true, false), b"");
    for i in 0..100u32 {
        wire.send(me, SERVER, flags(2 + i * 10, false, true), &[0; 10]);
        wire.send(SERVER, me, flags(2 + i * 20, false, true), &[0; 20]);
        wire.wait(1);
    }
    assert!(wire.worker.outlet.iter().filter(|u| matches!(u.what, What::Counts(_))).count() >= 8);
    wire.worker.finish(Moment { at: wire.at, ordinal: u64::MAX });
    let mut total = Delta::default();
    for update in &wire.worker.outlet {
        match &update.what {
            What::Counts(counted) => total.add(&counted.delta),
            What::Ended(ended) => total.add(&ended.delta),
            _ => {}
        }
    }
    assert_eq!((total.sent.packets, total.received.packets), (101, 100));
    assert_eq!((total.sent.bytes, total.received.bytes), (54 + 100 * 64, 100 * 74));
}

#[test]
fn a_client_that_is_silent_at_first_still_gives_its_name() {
    let mut wire = Wire::new(&Options::default());
    let me = client(40_000);
    wire.send(me, SERVER, flags(5, true, false), b"");
    wire.send(SERVER, me, flags(1, true, true), b"");
    for _ in 0..25 {
        wire.wait(1);
    }
    wire.send(me, SERVER, flags(6, false, true), &hello(NAME)[..100]);
    for _ in 0..5 {
        wire.wait(1);
    }
    wire.send(me, SERVER, flags(106, false, true), &hello(NAME)[100..]);
    assert_eq!(wire.names(), wanted());
}

#[test]
fn an_opening_that_is_never_finished_is_given_up() {
    let mut wire = Wire::new(&Options::default());
    let me = client(40_000);
    wire.send(me, SERVER, flags(5, true, false), b"");
    wire.send(me, SERVER, flags(6, false, true), &hello(NAME)[..100]);
    assert!(wire.worker.table.opening_bytes() > 0);
    for _ in 0..13 {
        wire.wait(1);
    }
    assert_eq!(wire.worker.table.opening_bytes(), 0);
    wire.worker.finish(Moment { at: wire.at, ordinal: u64::MAX });
    assert_eq!(wire.ends()[0].sight, Sight::Incomplete);
}

#[test]
fn another_syn_is_another_flow_and_a_copy_of_the_first_is_not() {
    for (isn, flows) in [(5, 1), (9_000_000, 2)] {
        let mut wire = Wire::new(&Options::default());
        let me = client(40_000);
        wire.send(me, SERVER, flags(5, true, false), b"");
        wire.send(SERVER, me, flags(1, true, true), b"");
        wire.send(me, SERVER, flags(6, false, true), b"\x16");
        wire.send(me, SERVER, flags(isn, true, false), b"");
        wire.worker.finish(Moment { at: wire.at, ordinal: u64::MAX });
        assert_eq!(wire.ends().len(), flows, "{isn}");
    }
}

#[test]
fn a_port_used_again_is_another_flow_and_silence_ends_one() {
    let mut wire = Wire::new(&Options::default());
    let me = client(40_000);
    for isn in [5, 9_000_000] {
        wire.send(me, SERVER, flags(isn, true, false), b"");
        wire.send(SERVER, me, flags(1, true, true), b"");
        let mut last = flags(isn + 1, false, true);
        last.rst = true;
        wire.send(me, SERVER, last, b"");
    }
    wire.wait(60);
    wire.wait(3);
    let ends = wire.ends();
    assert_eq!(ends.len(), 2);
    assert!(ends.iter().all(|e| e.end == End::Closed && e.sight == Sight::Empty));
}

#[test]
fn a_full_table_evicts_and_counts_and_the_pool_is_bounded() {
    let options = Options { max_flows: 100, opening_pool_mib: 0, ..Options::default() };
    let mut wire = Wire::new(&options);
    for port in 0..1_000u16 {
        wire.send(client(1_024 + port), SERVER, flags(5, true, false), b"");
        wire.send(client(1_024 + port), SERVER, flags(6, false, true), &hello(NAME)[..100]);
    }
    assert_eq!(wire.worker.table.len(), 100);
    assert_eq!(wire.worker.shed.get(Shed::Evicted), 900);
    assert!(wire.worker.cells.get(Counter::OpeningsShed) > 0);
    assert_eq!(wire.worker.table.opening_bytes(), 0);
}

/// An outlet that takes only so many updates, as a full ring does.
struct Stubborn {
    room: usize,
    taken: Vec<Update>,
}

impl Outlet for Stubborn {
    fn push(&mut self, update: Update) -> Result<(), Update> {
        if self.room == 0 {
            return Err(update);
        }
        self.room -= 1;
        self.taken.push(update);
        Ok(())
    }
}

#[test]
fn nothing_is_lost_in_a_full_ring() {
    let outlet = Stubborn { room: 3, taken: Vec::new() };
    let mut worker = Worker::new(&Options::default(), outlet);
    let mut at = Time::from_secs(1_700_000_000);
    let mut sent = 0;
    for frame in 1..=2_000u64 {
        at = at.plus(std::time::Duration::from_millis(100));
        let payload = hello(NAME);
        let segment = Segment {
            source: client((frame % 50) as u16 + 2_000),
            destination: SERVER,
            transport: Transport::Tcp,
            tcp: Some(flags(frame as u32, false, true)),
            vlan: None,
            id: 0,
            datagram: &[],
            tunnels: Tunnels::default(),
            payload: &payload,
            payload_len: payload.len() as u32,
            wire_len: 1_000,
        };
        sent += 1_000;
        worker.segment(Moment { at, ordinal: frame }, frame, &segment);
        worker.tick(Moment { at, ordinal: frame }, false);
        if frame % 100 == 0 {
            worker.outlet.room = 2;
        }
    }
    worker.outlet.room = usize::MAX;
    worker.finish(Moment { at, ordinal: 2_001 });
    let mut total = Delta::default();
    let mut names = 0;
    for update in &worker.outlet.taken {
        match &update.what {
            What::Counts(counted) => total.add(&counted.delta),
            What::Ended(ended) => total.add(&ended.delta),
            What::Residue(delta) => total.add(delta),
            What::Evidence(_) => names += 1,
            What::Tick => {}
        }
    }
    assert_eq!(total.sent.bytes, sent);
    assert_eq!(names, 50);
    assert!(worker.shed.get(Shed::Delayed) > 0);
}

/// A late SYN with a distant sequence number throws away what was kept under a guessed beginning.
#[test]
fn a_late_syn_leaves_nothing_in_the_sum_of_openings() {
    let mut wire = Wire::new(&Options::default());
    for port in 0..20 {
        let me = client(40_000 + port);
        wire.send(me, SERVER, flags(1, false, true), &hello(NAME)[..600]);
        wire.send(me, SERVER, flags(1 << 30, true, false), b"");
    }
    wire.wait(1_000);
    wire.wait(1);
    assert_eq!(wire.ends().len(), 20);
    assert_eq!(wire.worker.table.opening_bytes(), 0);
}

#[test]
fn what_ended_flows_tell_of_the_span_port_is_counted() {
    let mut wire = Wire::new(&Options::default());
    let acks = |n: u32| Tcp { acknowledgment: n, ..flags(2, false, true) };
    let [plain, one_way, tagged, late] = [1, 2, 3, 4].map(|n| client(40_000 + n));
    for me in [plain, one_way, tagged] {
        wire.send(me, SERVER, flags(1, true, false), b"");
    }
    for n in 1..4 {
        wire.send(one_way, SERVER, acks(1_000 * n), b"");
        for me in [plain, tagged, late] {
            wire.vlan = (me == tagged).then_some(20);
            wire.send(me, SERVER, acks(1_000 * n), b"");
            wire.vlan = None;
            wire.send(SERVER, me, acks(1_000 * n), b"x");
        }
    }
    wire.worker.finish(Moment { at: wire.at, ordinal: wire.frame });
    let rows = [Counter::EndedTcp, Counter::OneWay, Counter::TagAsymmetric, Counter::MidStream];
    assert_eq!(rows.map(|row| wire.worker.cells.get(row)), [4, 1, 0, 1], "its SYN had no tag");
    let mut wire = Wire::new(&Options::default());
    for n in 1..4 {
        wire.vlan = Some(20);
        wire.send(tagged, SERVER, acks(n), b"");
        wire.vlan = None;
        wire.send(SERVER, tagged, acks(n), b"x");
    }
    wire.worker.finish(Moment { at: wire.at, ordinal: wire.frame });
    assert_eq!(rows.map(|row| wire.worker.cells.get(row)), [1, 0, 1, 1]);
    assert!(wire.ends()[0].ends.vlan.is_some());
}

/// A ring that is full for ever.
struct Full;

impl Outlet for Full {
    fn push(&mut self, update: Update) -> Result<(), Update> {
        Err(update)
    }
}

#[test]
fn a_reused_key_is_in_the_table_once_although_its_end_cannot_be_told() {
    let mut worker = Worker::new(&Options::default(), Full);
    let what = || What::Tick;
    let wait = || Update { ordinal: 0, at: Time::ZERO, slot: 0, id: 0, what: what() };
    worker.backlog.extend((0..BACKLOG).map(|_| wait()));
    let mut reset = flags(2, false, true);
    reset.rst = true;
    for (frame, tcp) in (1..).zip([flags(1, true, false), reset, flags(9, true, false)]) {
        let segment = Segment {
            source: client(40_000),
            destination: SERVER,
            transport: Transport::Tcp,
            tcp: Some(tcp),
            vlan: None,
            id: 0,
            datagram: &[],
            tunnels: Tunnels::default(),
            payload: b"",
            payload_len: 0,
            wire_len: 60,
        };
        worker.segment(Moment { at: Time::from_secs(1), ordinal: frame }, frame, &segment);
    }
    assert_eq!(worker.table.len(), 1);
    assert_eq!(worker.residue.sent.bytes, 120, "of the flow that was reset");
    assert_eq!(worker.cells.get(Counter::EndedClosed), 1);
}

#[test]
fn a_late_syn_turns_what_was_counted_before_it() {
    let mut wire = Wire::new(&Options::default());
    let [me, other] =
        [7, 8].map(|last| Endpoint { ip: Address::v4([192, 0, 2, last]), port: 9_000 });
    wire.send(other, me, flags(78, false, true), &[0x55; 3_000]);
    wire.send(me, other, flags(1, true, false), b"");
    wire.wait(1_000);
    wire.wait(1);
    let ends = wire.ends();
    let [ended] = ends.as_slice() else { panic!("{ends:?}") };
    assert_eq!(ended.ends.client, me);
    assert_eq!((ended.delta.sent.bytes, ended.delta.received.bytes), (54, 3_054));
    assert_eq!(ended.delta.minute_payload, 0, "no activity of the client");
}
