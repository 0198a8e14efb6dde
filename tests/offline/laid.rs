//! Lays conversations on a day: connections with a real ClientHello, records of TLS in the sizes and at the times that a
//! script gives, and what a network does to both.

use std::fs;
use std::path::Path;

use crate::chance::Random;

/// A day that fills with frames. Times are seconds of it.
pub struct Day {
    frames: Vec<(u64, Vec<u8>)>,
    random: Random,
    hello: Vec<u8>,
    client: [u8; 4],
    connections: u16,
}

/// One connection of the day, as its two ends stand.
pub struct Connection {
    client: [u8; 4],
    server: [u8; 4],
    ports: [u16; 2],
    sequence: [u32; 2],
}

/// The capture that lends its ClientHello: OpenSSL's, of TLS 1.3.
const LENDER: &str = "tests/captures/tls13-openssl.pcap";

/// Monday, 2026-11-02, in seconds since the epoch.
const MONDAY: u64 = 1_793_577_600;

/// Octets of a segment at most.
const SEGMENT: usize = 1_400;

/// Seconds from a request to its answer.
const ROUND: f64 = 0.03;

impl Day {
    pub fn new(seed: u64, client: [u8; 4]) -> Self {
        let random = Random(seed);
        Self { frames: Vec::new(), random, hello: lent_hello(), client, connections: 0 }
    }

    /// Opens a connection of TLS to a host: handshake, hello, and what a server answers it.
    pub fn connect(&mut self, at: f64, host: &str) -> Connection {
        let hash = host.bytes().fold(7u32, |hash, b| hash.wrapping_mul(31).wrapping_add(b.into()));
        let [_, b, c, d] = hash.to_be_bytes();
        self.connect_to(at, self.client, ([198, 18 + b % 2, c, d | 1], 443), host)
    }

    /// The same from any client to any server.
    pub fn connect_to(
        &mut self,
        at: f64,
        client: [u8; 4],
        server: ([u8; 4], u16),
        host: &str,
    ) -> Connection {
        let mut connection = self.open(at, client, server);
        let hello = with_name(&self.hello, host);
        self.send(at + ROUND, &mut connection, true, &hello);
        let flight = [record(22, &[2; 90]), record(20, &[1]), record(23, &[5; 2_600])].concat();
        self.send(at + 2.0 * ROUND, &mut connection, false, &flight);
        let finished = [record(20, &[1]), record(23, &[6; 53])].concat();
        self.send(at + 2.1 * ROUND, &mut connection, true, &finished);
        connection
    }

    /// A connection on which nothing is said yet.
    pub fn open(
        &mut self,
        at: f64,
        client: [u8; 4],
        (server, at_port): ([u8; 4], u16),
    ) -> Connection {
        self.connections += 1;
        let port = 40_000 + self.connections;
        let sequence = [self.random.below(1 << 31), self.random.below(1 << 31)];
        let mut connection = Connection { client, server, ports: [port, at_port], sequence };
        self.frame(at, &mut connection, true, SYN, b"");
        self.frame(at + ROUND / 2.0, &mut connection, false, SYN | ACK, b"");
        self.frame(at + ROUND, &mut connection, true, ACK, b"");
        connection
    }

    /// A SYN, and nothing else.
    pub fn unanswered(&mut self, at: f64, client: [u8; 4], (server, port): ([u8; 4], u16)) {
        let ports = [39_999, port];
        let mut connection = Connection { client, server, ports, sequence: [1, 1] };
        self.frame(at, &mut connection, true, SYN, b"");
    }

    /// One request in the clear, and its answer.
    pub fn exchange(&mut self, at: f64, on: &mut Connection, request: &[u8], answer: &[u8]) {
        self.send(at, on, true, request);
        self.send(at + ROUND, on, false, answer);
    }

    /// The client sends so many octets, and gets so many back.
    pub fn ask(&mut self, at: f64, on: &mut Connection, sent: usize, received: usize) {
        let request = self.records(sent);
        self.send(at, on, true, &request);
        let answer = self.records(received);
        self.send(at + ROUND, on, false, &answer);
    }

    /// The server says so many octets unasked.
    pub fn push(&mut self, at: f64, on: &mut Connection, octets: usize) {
        let said = self.records(octets);
        self.send(at, on, false, &said);
    }

    /// A script's timer, from one time to another: each `period` seconds, as late as a script is (up to a twentieth), a
    /// request of `sent` octets with cookies that vary a little.
    pub fn timer(
        &mut self,
        (from, until): (f64, f64),
        period: f64,
        on: &mut Connection,
        sent: usize,
    ) {
        let mut at = from;
        while at < until {
            let cookies = self.random.below(48) as usize;
            let received = 200 + self.random.below(1_500) as usize;
            self.ask(at, on, sent + cookies, received);
            at += period * (1.0 + self.share() / 20.0) + ROUND;
        }
    }

    /// What somebody does: pauses of `mean` seconds, then one to four requests, each of `octets` or up to thrice as many.
    pub fn person(
        &mut self,
        (from, until): (f64, f64),
        mean: f64,
        on: &mut Connection,
        octets: usize,
    ) {
        let mut at = from;
        while at < until {
            for _ in 0..=self.random.below(3) {
                let sent = octets + self.random.below(2 * octets as u32) as usize;
                let received = 500 + self.random.below(30_000) as usize;
                self.ask(at, on, sent, received);
                at += 0.1 + self.share() / 2.0;
            }
            // Exponential, as far as a person waits.
            at += (1.2 - (1.0 - self.share()).ln() * mean).min(6.0 * mean);
        }
    }

    /// A number from 0 up to, and without, 1.
    pub fn share(&mut self) -> f64 {
        f64::from(self.random.below(1 << 20)) / f64::from(1 << 20)
    }

    /// Writes the day as a capture, in the order of time.
    pub fn write(mut self, path: &Path) {
        self.frames.sort_by_key(|(at, _)| *at);
        let mut bytes = Vec::new();
        for word in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 262_144, 1] {
            bytes.extend(word.to_le_bytes());
        }
        for (at, frame) in &self.frames {
            let len = u32::try_from(frame.len()).unwrap();
            let seconds = u32::try_from(MONDAY + at / 1_000_000).unwrap();
            for word in [seconds, (at % 1_000_000) as u32, len, len] {
                bytes.extend(word.to_le_bytes());
            }
            bytes.extend(frame);
        }
        fs::write(path, bytes).unwrap();
    }

    /// Application data of so many octets, headers of records included.
    fn records(&mut self, octets: usize) -> Vec<u8> {
        let fill = self.random.below(256) as u8;
        let mut all = Vec::new();
        while all.len() < octets {
            let len = (octets - all.len()).saturating_sub(5).clamp(17, 16_384);
            all.extend(record(23, &vec![fill; len]));
        }
        all
    }

    fn send(&mut self, at: f64, on: &mut Connection, from_client: bool, octets: &[u8]) {
        for (n, part) in octets.chunks(SEGMENT).enumerate() {
            self.frame(at + n as f64 * 0.000_1, on, from_client, ACK | PUSH, part);
        }
        self.frame(at + ROUND / 2.0, on, !from_client, ACK, b"");
    }

    fn frame(
        &mut self,
        at: f64,
        on: &mut Connection,
        from_client: bool,
        flags: u8,
        payload: &[u8],
    ) {
        let [mine, theirs] = if from_client { [0, 1] } else { [1, 0] };
        let hosts = [on.client, on.server];
        let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0];
        let total = u16::try_from(40 + payload.len()).unwrap();
        frame.extend([0x45, 0]);
        frame.extend(total.to_be_bytes());
        frame.extend([0, 0, 0x40, 0, 64, 6, 0, 0]);
        frame.extend(hosts[mine]);
        frame.extend(hosts[theirs]);
        frame.extend(on.ports[mine].to_be_bytes());
        frame.extend(on.ports[theirs].to_be_bytes());
        frame.extend(on.sequence[mine].to_be_bytes());
        let acknowledged = if flags & ACK == 0 { 0 } else { on.sequence[theirs] };
        frame.extend(acknowledged.to_be_bytes());
        frame.extend([0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
        frame.extend(payload);
        let taken = u32::try_from(payload.len()).unwrap() + u32::from(flags & SYN != 0);
        on.sequence[mine] = on.sequence[mine].wrapping_add(taken);
        self.frames.push(((at * 1e6) as u64, frame));
    }
}

const SYN: u8 = 2;
const PUSH: u8 = 8;
const ACK: u8 = 16;

fn record(kind: u8, octets: &[u8]) -> Vec<u8> {
    [&[kind, 3, 3][..], &vector(octets)].concat()
}

fn vector(octets: &[u8]) -> Vec<u8> {
    [&u16::try_from(octets.len()).unwrap().to_be_bytes(), octets].concat()
}

/// The first payload of the capture that begins as a record of a handshake.
fn lent_hello() -> Vec<u8> {
    let capture = fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join(LENDER)).unwrap();
    let mut rest = &capture[24..];
    loop {
        let len = u32::from_le_bytes(rest[8..12].try_into().unwrap()) as usize;
        let frame = &rest[16..16 + len];
        if frame[12..14] == [8, 0] && frame[23] == 6 {
            let tcp = &frame[14 + usize::from(frame[14] & 15) * 4..];
            let payload = &tcp[usize::from(tcp[12] >> 4) * 4..];
            if payload.starts_with(&[22, 3]) {
                return payload.to_vec();
            }
        }
        rest = &rest[16 + len..];
    }
}

/// The hello with another name in its extension (RFC 6066 section 3), and every length around it.
fn with_name(hello: &[u8], host: &str) -> Vec<u8> {
    let word = |at: usize| usize::from(u16::from_be_bytes([hello[at], hello[at + 1]]));
    // Record 5, handshake 4, version 2, random 32, then the session's id, cipher suites and compression methods.
    let mut at = 43 + 1 + usize::from(hello[43]);
    at += 2 + word(at);
    at += 1 + usize::from(hello[at]);
    let extensions = at;
    let end = at + 2 + word(at);
    let mut changed = Vec::new();
    at += 2;
    while at < end {
        let whole = &hello[at..at + 4 + word(at + 2)];
        if word(at) == 0 {
            let names = vector(&[&[0][..], &vector(host.as_bytes())].concat());
            changed.extend([0, 0]);
            changed.extend(vector(&names));
        } else {
            changed.extend(whole);
        }
        at += whole.len();
    }
    let body = [&hello[9..extensions], &vector(&changed)].concat();
    let len = u32::try_from(body.len()).unwrap().to_be_bytes();
    let message = [&[1][..], &len[1..], &body].concat();
    [&hello[..3], &vector(&message)].concat()
}
