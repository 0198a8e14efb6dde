//! Remote assistance that keeps in touch for hours, and somebody who is connected for minutes; and what of it is an alert.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::program::{DEFAULTS, OFFICE_DAY, saastap, saastap_fed};

pub const SECOND: u64 = 1_000_000;
const MINUTE: u64 = 60 * SECOND;

const INSIDE: [u8; 4] = [10, 0, 9, 9];
pub const OUTSIDE: [u8; 4] = [93, 184, 216, 34];

/// One flow as its test tells it: the client is 10.0.0.1.
pub struct Talk {
    udp: bool,
    client: [u8; 4],
    client_port: u16,
    server: ([u8; 4], u16),
    /// Next sequence numbers of client and server.
    next: [u32; 2],
    /// Microseconds and frames.
    frames: Vec<(u64, Vec<u8>)>,
}

impl Talk {
    pub fn new(udp: bool, client_port: u16, server: [u8; 4], port: u16) -> Self {
        let server = (server, port);
        let (client, next) = ([10, 0, 0, 1], [100, 900]);
        let mut talk = Self { udp, client, client_port, server, next, frames: Vec::new() };
        if !udp {
            talk.segment(0, true, 0x02, &[]);
            talk.segment(100, false, 0x12, &[]);
            talk.segment(200, true, 0x10, &[]);
        }
        talk
    }

    pub fn tcp(client_port: u16, server: [u8; 4], port: u16) -> Self {
        Self::new(false, client_port, server, port)
    }

    /// Another client has said and heard all of it.
    fn comes_from(&mut self, client: [u8; 4]) {
        for (_, frame) in &mut self.frames {
            for address in [12, 16] {
                let place = &mut frame[address..address + 4];
                if place == self.client {
                    place.copy_from_slice(&client);
                }
            }
        }
        self.client = client;
    }

    /// What an end says at a time.
    pub fn say(&mut self, at: u64, client: bool, payload: &[u8]) {
        self.segment(at, client, 0x18, payload);
    }

    /// An end says something of `len` octets from `from` until `to`, each `every` microseconds.
    fn go_on(&mut self, client: bool, from: u64, to: u64, every: u64, len: usize) {
        let mut at = from;
        while at < to {
            self.say(at, client, &vec![0x80; len]);
            at += every;
        }
    }

    /// Twenty minutes in which both ends say something of `len` octets each so often.
    fn keeps_alive(mut self, every: u64, len: usize) -> Self {
        self.go_on(true, 2 * SECOND, 20 * MINUTE, every, len);
        self.go_on(false, 2 * SECOND + 20_000, 20 * MINUTE, every, len);
        self
    }

    /// Three minutes in which one end shows its screen and the other moves its pointer.
    fn watched(mut self, shows: bool) -> Self {
        self.go_on(shows, 2 * SECOND, 3 * MINUTE, 50_000, 900);
        self.go_on(!shows, 2 * SECOND + 7_000, 3 * MINUTE, 300_000, 40);
        self
    }

    fn segment(&mut self, at: u64, client: bool, flags: u8, payload: &[u8]) {
        let (mine, theirs) = (usize::from(!client), usize::from(client));
        let mut ends = [(self.client, self.client_port), self.server];
        if !client {
            ends.reverse();
        }
        let [source, destination] = ends;
        let ports = [source.1.to_be_bytes(), destination.1.to_be_bytes()].concat();
        let mut transport = ports;
        if self.udp {
            transport.extend((8 + payload.len() as u16).to_be_bytes());
            transport.extend([0, 0]);
        } else {
            transport.extend(self.next[mine].to_be_bytes());
            transport.extend(self.next[theirs].to_be_bytes());
            transport.extend([0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
            self.next[mine] += payload.len() as u32 + u32::from(flags & 0x02 != 0);
        }
        transport.extend(payload);
        let mut frame = vec![0x45, 0];
        frame.extend((20 + transport.len() as u16).to_be_bytes());
        // Equal datagrams would be copies of a mirror but for their identification.
        frame.extend((self.frames.len() as u16).to_be_bytes());
        frame.extend([0, 0, 64, if self.udp { 17 } else { 6 }, 0, 0]);
        frame.extend(source.0);
        frame.extend(destination.0);
        frame.extend(transport);
        self.frames.push((at, frame));
    }
}

/// A capture of flows, each with what it is called here by the port of its client.
pub fn capture(talks: Vec<Talk>) -> Vec<u8> {
    let mut frames: Vec<_> = talks.into_iter().flat_map(|talk| talk.frames).collect();
    frames.sort_by_key(|(at, _)| *at);
    let head = [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 65_535, 101];
    let mut bytes: Vec<u8> = head.into_iter().flat_map(u32::to_le_bytes).collect();
    for (at, frame) in frames {
        let len = frame.len() as u32;
        let seconds = 1_700_000_000 + (at / SECOND) as u32;
        for word in [seconds, (at % SECOND) as u32, len, len] {
            bytes.extend(word.to_le_bytes());
        }
        bytes.extend(frame);
    }
    bytes
}

pub fn read(form: &str, bytes: &[u8]) -> crate::program::Ran {
    saastap_fed(&["read", "--config", DEFAULTS, form, "-"], |stdin| stdin.write_all(bytes).unwrap())
}

/// What each flow is, by the port of its client.
fn activities(bytes: &[u8]) -> BTreeMap<u64, String> {
    let lines = read("--flows", bytes).lines().into_iter();
    let told = lines.map(|flow| {
        let port = flow["client"]["port"].as_u64().unwrap();
        (port, flow["activity"].as_str().unwrap_or("none").to_owned())
    });
    told.collect()
}

pub fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let octet = |two: &[u8]| u8::from_str_radix(std::str::from_utf8(two).unwrap(), 16).unwrap();
    digits.chunks(2).map(octet).collect()
}

fn teamviewer(port: u16) -> Talk {
    let mut talk = Talk::tcp(port, OUTSIDE, 5938);
    let ping = "17240a200000000000000000004800800001000000148000006fb78c804805532216142004";
    talk.say(SECOND, true, &hex(ping));
    talk.say(SECOND + 10_000, false, &hex(ping));
    talk
}

fn rustdesk_relay(port: u16) -> Talk {
    let mut talk = Talk::tcp(port, OUTSIDE, 21117);
    let relay = "d900 9201 33 0a09313233343536373839 1224 30313233343536372d303132332d303132332d\
                 303132332d303132333435363738396162 20 01";
    talk.say(SECOND, true, &hex(relay));
    talk
}

fn rdp(port: u16, server: [u8; 4]) -> Talk {
    let mut talk = Talk::tcp(port, server, 3389);
    talk.say(SECOND, true, &hex("030000130ee00000000000010008000b000000"));
    talk.say(SECOND + 10_000, false, &hex("030000130ed00000123400021f080000000000"));
    // The desktop as it is when somebody signs in.
    talk.go_on(false, SECOND + 20_000, SECOND + 900_000, 20_000, 1_200);
    talk.go_on(true, SECOND + 21_000, SECOND + 900_000, 60_000, 60);
    talk
}

fn vnc(port: u16, server: [u8; 4]) -> Talk {
    let mut talk = Talk::tcp(port, server, 5900);
    talk.say(SECOND, false, b"RFB 003.008\n");
    talk.say(SECOND + 10_000, true, b"RFB 003.008\n");
    talk
}

fn stun(port: u16) -> Talk {
    let mut talk = Talk::new(true, port, OUTSIDE, 3478);
    talk.say(SECOND, true, &hex("000100002112a442000000000000000000000000"));
    talk
}

/// Voice both ways (RFC 3550): G.711, 20 ms a packet.
fn voice(port: u16) -> Talk {
    let mut talk = Talk::new(true, port, OUTSIDE, 16_402);
    for n in 0..9_000_u32 {
        for (client, source) in [(true, 0x0102_0304_u32), (false, 0x0506_0708)] {
            let mut packet = vec![0x80, 0];
            packet.extend(60_000_u16.wrapping_add(n as u16).to_be_bytes());
            packet.extend((source + 160 * n).to_be_bytes());
            packet.extend(source.to_be_bytes());
            packet.extend([0xff; 160]);
            talk.say(SECOND + u64::from(n) * 20_000, client, &packet);
        }
    }
    talk
}

#[test]
fn media_that_nothing_announced_are_known_by_packets_that_go_on() {
    let mut alone = voice(42_002);
    alone.frames.retain(|(_, frame)| frame[12..16] == [10, 0, 0, 1]);
    let mut first = voice(42_003);
    first.frames.truncate(1);
    let lines = read("--flows", &capture(vec![voice(42_001), alone, first])).lines();
    assert_eq!(lines.len(), 3);
    for line in lines {
        let media = line["client"]["port"] == 42_001;
        assert_eq!(line["names"][0]["name"] == "rtp", media, "{line}");
        assert_eq!(line["activity"] == "session", media, "{line}");
        assert_eq!(line["visibility"], "not_tls", "the vendor does not show in it");
    }
}

#[test]
fn who_keeps_in_touch_is_present_and_who_is_connected_has_a_session() {
    // RegisterPeer of RustDesk, which repeats itself.
    let mut rustdesk = Talk::new(true, 41_003, OUTSIDE, 21116);
    for beat in 0..100 {
        rustdesk.say(beat * 12 * SECOND, true, &hex("320d0a093132333435363738391001"));
        rustdesk.say(beat * 12 * SECOND + 20_000, false, &hex("3a00"));
    }
    let mut media = stun(42_005);
    media.go_on(false, 2 * SECOND, 3 * MINUTE, 20_000, 160);
    let mut download = Talk::tcp(41_007, OUTSIDE, 5900);
    download.say(SECOND, false, b"RFB 003.008\n");
    download.go_on(false, 2 * SECOND, 3 * MINUTE, 10_000, 1_200);
    let bytes = capture(vec![
        teamviewer(41_001).keeps_alive(60 * SECOND, 30),
        rustdesk_relay(41_002).keeps_alive(30 * SECOND, 8),
        rustdesk,
        rdp(41_004, INSIDE).keeps_alive(30 * SECOND, 60),
        vnc(41_005, INSIDE).keeps_alive(10 * SECOND, 10),
        stun(41_006).keeps_alive(5 * SECOND, 40),
        download,
        teamviewer(42_001).watched(true),
        rustdesk_relay(42_002).watched(false),
        rdp(42_003, INSIDE).watched(false),
        vnc(42_004, INSIDE).watched(false),
        media,
    ]);
    let told = activities(&bytes);
    assert_eq!(told.len(), 12);
    for (port, activity) in told {
        assert_eq!(activity, if port < 42_000 { "presence" } else { "session" }, "{port}");
    }
    let whole = read("--json", &bytes).json();
    let rows = whole["usage"].as_array().unwrap();
    for (vendor, flows, sessions) in
        [("teamviewer", 2, 1), ("rustdesk", 3, 1), ("rdp", 2, 1), ("vnc", 3, 1)]
    {
        let row = rows.iter().find(|row| row["vendor"] == vendor).unwrap();
        assert_eq!((&row["flows"], &row["sessions"]), (&flows.into(), &sessions.into()), "{row}");
    }
}

#[test]
fn recorded_ones_are_what_they_are() {
    let activities = |capture: &str| -> Vec<Value> {
        let lines = saastap(&["read", "--config", DEFAULTS, "--flows", capture]).lines();
        let all = lines.into_iter().filter(|line| line["role"] == "relay");
        all.map(|line| line["activity"].clone()).collect()
    };
    // Seconds: too short to tell that somebody stays.
    assert_eq!(activities("tests/captures/rdp.pcap"), ["presence"]);
    assert_eq!(activities("tests/captures/vnc.pcap"), ["presence"]);
    assert_eq!(activities(OFFICE_DAY), ["session"], "AnyDesk for two minutes");
}

fn findings(talks: Vec<Talk>) -> Vec<Value> {
    let whole = read("--json", &capture(talks)).json();
    whole["findings"].as_array().unwrap().clone()
}

#[test]
fn a_session_is_told_with_its_direction_and_presence_is_not() {
    let session = |talk: Talk| -> Option<[String; 5]> {
        let all = findings(vec![talk]);
        let mut told = all.iter().filter(|f| f["finding"]["id"] == "remote_session");
        let one = told.next()?;
        assert!(told.next().is_none(), "{all:?}");
        assert_eq!(one["finding"]["title"], "Session of remote assistance");
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let session = &one["session"];
        let attack = one["finding"]["attack"].as_array().unwrap().iter().map(text);
        let attack = attack.collect::<Vec<_>>().join(" ");
        let [path, direction, confidence] =
            ["path", "direction", "confidence"].map(|key| text(&session[key]));
        Some([text(&one["severity"]), path, direction, confidence, attack])
    };
    let told = |words: [&str; 5]| Some(words.map(str::to_owned));
    let relay = |side| told(["high", "relay", side, "low", "T1219.002"]);
    assert_eq!(session(teamviewer(41_001).watched(true)), relay("viewed"));
    assert_eq!(session(rustdesk_relay(41_001).watched(false)), relay("viewer"));
    let mut even = teamviewer(41_001);
    even.go_on(true, 2 * SECOND, 3 * MINUTE, 50_000, 500);
    even.go_on(false, 2 * SECOND + 7_000, 3 * MINUTE, 50_000, 500);
    assert_eq!(session(even), relay("unknown"));
    let direct = |side| told(["high", "direct", side, "high", "T1021 T1219.002"]);
    for make in [rdp, vnc] {
        assert_eq!(session(make(41_001, OUTSIDE).watched(false)), direct("outbound"));
        assert_eq!(session(make(41_001, INSIDE).watched(false)), None, "administration");
        let mut inbound = make(41_001, INSIDE);
        inbound.comes_from(OUTSIDE);
        assert_eq!(session(inbound.watched(false)), direct("inbound"));
        assert_eq!(session(make(41_001, OUTSIDE).keeps_alive(30 * SECOND, 60)), None);
    }
    for talk in [teamviewer(41_001), rustdesk_relay(41_001)] {
        assert_eq!(session(talk.keeps_alive(30 * SECOND, 30)), None, "presence");
    }
}

#[test]
fn desktops_of_others_within_the_network_are_no_alert_and_across_its_border_they_are() {
    let found = |talk: Talk| -> Vec<String> {
        let findings = findings(vec![talk]);
        findings.iter().map(|f| f["finding"]["id"].as_str().unwrap().to_owned()).collect()
    };
    for make in [rdp, vnc] {
        assert!(found(make(41_001, INSIDE).watched(false)).is_empty());
        assert_eq!(found(make(41_001, OUTSIDE)), ["unsanctioned_use"]);
    }
    assert_eq!(found(teamviewer(41_001)), ["unsanctioned_use"]);
}
