//! What a fuzz target does with an input, and what must hold of every answer.

use std::io::{Seek, Write};
use std::sync::{Mutex, OnceLock};

use saastap::capture::{self, Next};
use saastap::count::Cells;
use saastap::decode::Decoder;
use saastap::sniff::quic::sealed::{self, Seal};
use saastap::sniff::{Answer, Evidence, Openings, Over, Patterns, SNIFFERS, Sniffer, State};

/// No evidence of an input may hold more octets than so many times the input, and some for its structure.
const MAX_GROWTH: usize = 64;

/// The target `name`: `file`, `frame`, `quic_frames`, `native`, or any row of the table of sniffers.
pub fn target(name: &str) -> fn(&str, &[u8]) {
    match name {
        "file" => |_, data| file(data),
        "frame" => |_, data| frame(data),
        "quic_frames" => |_, data| quic_frames(data),
        "native" => |_, data| native(data),
        _ => sniffer,
    }
}

/// The targets that a run without names tries, one a line.
pub fn list() -> String {
    let own = ["file", "frame", "quic_frames", "native"];
    own.into_iter().chain(ALONE).map(|name| format!("{name}\n")).collect()
}

/// The rows that are a target each: what most of the traffic asks, and what is deep. All others share `native`, so that a
/// new one is fuzzed from its first day.
const ALONE: [&str; 10] = [
    "tls", "http", "http_response", "certificate", "smtp", "dns", "dns_tcp", "dhcp", "quic", "dtls",
];

/// The first octet tells the row.
fn native(data: &[u8]) {
    let Some((which, data)) = data.split_first() else { return };
    let mut rows = SNIFFERS.iter().filter(|row| !ALONE.contains(&row.name));
    let count = rows.clone().count();
    if let Some(row) = rows.nth(usize::from(*which) % count) {
        sniffer(row.name, data);
    }
}

fn sniffer(name: &str, data: &[u8]) {
    match row(name).over {
        Over::Datagrams(_) => datagrams(name, data),
        Over::Stream { .. } | Over::Reply(_) => stream(name, data),
    }
}

/// A stream sniffer: two octets tell how much of the input is the client's opening, the rest is the server's.
fn stream(name: &str, data: &[u8]) {
    let Some((len, rest)) = data.split_first_chunk() else { return };
    let len = usize::from(u16::from_be_bytes(*len)).min(rest.len());
    let (client, server) = rest.split_at(len);
    let row = row(name);
    // Whatever is cut off, the answer is one of the five, and behind a message there is no more than there was.
    for (client, server) in
        [(client, server), (&client[..len / 2], server), (client, &server[..server.len() / 2])]
    {
        for emitted in [false, true] {
            let view = Openings { emitted, ..Openings::new(client, server, &Patterns::NONE) };
            let answer = match row.over {
                Over::Stream { sniff, cut_short } => {
                    if let Some(evidence) = cut_short(&view) {
                        bounded(&evidence, client.len() + server.len());
                    }
                    sniff(&view)
                }
                Over::Reply(sniff) => sniff(&view),
                Over::Datagrams(_) => panic!("{name} is no sniffer over streams"),
            };
            check(&answer, client.len(), server.len());
        }
    }
}

/// A datagram sniffer: each datagram has three octets before it, who sent it and how long it is.
fn datagrams(name: &str, mut data: &[u8]) {
    let Over::Datagrams(step) = row(name).over else { panic!("{name} is none over datagrams") };
    let mut state = State::default();
    while let Some(([sender, high, low], rest)) = data.split_first_chunk() {
        let len = usize::from(u16::from_be_bytes([*high, *low])).min(rest.len());
        let (datagram, rest) = rest.split_at(len);
        let answer = step(&mut state, sender & 1 == 0, datagram);
        check(&answer, usize::MAX, usize::MAX);
        if matches!(answer, Answer::NotMine | Answer::Found(_)) {
            return;
        }
        data = rest;
    }
}

/// QUIC behind its protection, which no input would pass by chance: each part of the input becomes the frames of an Initial
/// of one client. The first octet tells the version.
fn quic_frames(data: &[u8]) {
    let Over::Datagrams(step) = row("quic").over else { return };
    let Some((first, mut rest)) = data.split_first() else { return };
    let version = if first & 1 == 0 { sealed::V1 } else { sealed::V2 };
    let mut state = State::default();
    for number in 0..MAX_INITIALS {
        let Some((len, after)) = rest.split_first_chunk() else { return };
        let len = usize::from(u16::from_be_bytes(*len)).min(after.len()).min(MAX_FRAMES);
        let (frames, after) = after.split_at(len);
        let packet = Seal { number, ..Seal::first(version, b"fuzzing!") }.initial(frames, 1_200);
        let answer = step(&mut state, true, &packet);
        check(&answer, usize::MAX, usize::MAX);
        if matches!(answer, Answer::NotMine | Answer::Found(_)) {
            return;
        }
        rest = after;
    }
}

/// More than the sniffer looks at, and more than a datagram of the Internet holds.
const MAX_INITIALS: u32 = 20;
const MAX_FRAMES: usize = 8_000;

/// A capture file, from its first octet, and each of its frames through the decoder.
fn file(data: &[u8]) {
    static FILE: OnceLock<Mutex<std::fs::File>> = OnceLock::new();
    let file = FILE.get_or_init(|| {
        let flags = rustix::fs::MemfdFlags::CLOEXEC;
        Mutex::new(rustix::fs::memfd_create("input", flags).expect("a file in memory").into())
    });
    let mut file = file.lock().expect("one thread");
    file.set_len(0).expect("an empty file");
    file.rewind().expect("its beginning");
    file.write_all(data).expect("room for the input");
    let descriptor = std::os::fd::AsRawFd::as_raw_fd(&*file);
    let path = format!("/proc/self/fd/{descriptor}").into();
    let options = capture::Options::default();
    let Ok(mut source) = capture::open_files(&[path], &options, Cells::new()) else { return };
    let mut decoder = Decoder::new(&saastap::decode::Options::default());
    let mut before = saastap::time::Time::ZERO;
    loop {
        match source.next() {
            Ok(Next::Frame(frame)) => {
                assert!(frame.time >= before, "time runs backwards");
                before = frame.time;
                if let Ok(segment) = decoder.decode(&frame) {
                    assert!(segment.payload.len() <= MAX_DATAGRAM.max(frame.bytes.len()));
                }
            }
            Ok(Next::Tick(at)) => while decoder.overdue(at).is_some() {},
            Ok(Next::End) | Err(_) => return,
        }
    }
}

/// Frames of a link type, each with its length before it.
fn frame(data: &[u8]) {
    let Some((link, mut rest)) = data.split_first() else { return };
    let number = LINKS[usize::from(*link) % LINKS.len()];
    let mut decoder = Decoder::new(&saastap::decode::Options::default());
    let mut time = saastap::time::Time::ZERO;
    while let Some((len, after)) = rest.split_first_chunk() {
        let len = usize::from(u16::from_be_bytes(*len)).min(after.len());
        let (bytes, after) = after.split_at(len);
        time = time.plus_secs(1);
        let frame = capture::Frame {
            time,
            number: 1,
            link: capture::Link(number),
            interface: 0,
            wire_len: u32::try_from(bytes.len()).unwrap_or(u32::MAX),
            bytes,
        };
        if let Ok(segment) = decoder.decode(&frame) {
            assert!(segment.payload.len() <= MAX_DATAGRAM.max(bytes.len()));
        }
        rest = after;
    }
}

/// Link types that the decoder knows, and one that it does not.
const LINKS: [u16; 12] = [1, 101, 113, 276, 0, 9, 12, 105, 127, 228, 229, 65_000];

/// What IP can put together.
const MAX_DATAGRAM: usize = 65_535;

fn row(name: &str) -> &'static Sniffer {
    SNIFFERS.iter().find(|row| row.name == name).unwrap_or_else(|| panic!("no sniffer {name}"))
}

fn check(answer: &Answer, client: usize, server: usize) {
    let all = client.saturating_add(server);
    match answer {
        Answer::NotMine | Answer::NeedMore => {}
        Answer::Found(evidence) => bounded(evidence, all),
        Answer::Emit(evidence, from_client, from_server) => {
            assert!(*from_client <= client && *from_server <= server);
            bounded(evidence, all);
        }
        Answer::Inside(evidence, ..) => {
            if let Some(evidence) = evidence {
                bounded(evidence, all);
            }
        }
    }
}

fn bounded(evidence: &Evidence, input: usize) {
    assert!(evidence.octets() <= input.saturating_mul(MAX_GROWTH).saturating_add(4_096));
}
