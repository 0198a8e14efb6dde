//! Floods: the memory that the program takes stays under the sum that `saastap check` prints for the configuration, every
//! flow is told, and what was given up is said.

use std::io::Write;

use crate::program::{DEFAULTS, Ran, saastap, saastap_drained};

const TIGHT: &str = "tests/config/good/tight.toml";
const TIGHT_OPENINGS: &str = "tests/config/good/tight-openings.toml";
const TIGHT_FLOWS: &str = "tests/config/good/tight-flows.toml";
const TIGHT_WORKERS: &str = "tests/config/good/tight-workers.toml";

#[test]
fn a_million_half_open_flows() {
    const FLOWS: u32 = 1_000_000;
    // 25 s: none expires, all that the table cannot hold are evicted.
    let flood = Flood { flows: FLOWS, each_second: 40_000, payload: Vec::new(), again: false };
    for config in [DEFAULTS, TIGHT] {
        let (ran, told) = flood.read(config);
        assert_eq!((told.lines, told.evicted), (FLOWS, FLOWS - 262_144));
        assert!(ran.err.contains("737856 flows were told before they ended"), "{}", ran.err);
        assert!(ran.err.contains("mend: raise flow.max_flows"), "{}", ran.err);
        holds_its_sum(config, &ran);
    }
}

#[test]
fn a_flood_within_one_instant_of_packet_time() {
    let flood =
        Flood { flows: 600_000, each_second: 1_000_000_000, payload: Vec::new(), again: false };
    let (ran, told) = flood.read(TIGHT_FLOWS);
    assert_eq!((told.lines, told.evicted), (600_000, 600_000 - 32_768));
    holds_its_sum(TIGHT_FLOWS, &ran);
}

#[test]
fn hellos_that_never_end() {
    // A record of 16 KiB is promised, 400 octets of it come.
    let mut hello = vec![22, 3, 1, 0x40, 0, 1, 0, 0x3f, 0xfc, 3, 3];
    hello.resize(400, 0);
    let flood = Flood { flows: 100_000, each_second: 20_000, payload: hello, again: false };
    let (ran, told) = flood.read(TIGHT_OPENINGS);
    assert_eq!((told.lines, told.incomplete), (100_000, 100_000));
    let shed = ran.err.lines().find(|l| l.contains("flows were no longer looked at for a name"));
    let shed: u32 = shed.unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    // 8 MiB hold 20,971 openings of 400 octets.
    assert!((70_000..=100_000).contains(&shed), "{}", ran.err);
    assert!(ran.err.contains("mend: raise flow.opening_pool_mib"), "{}", ran.err);
    holds_its_sum(TIGHT_OPENINGS, &ran);

    let (ran, told) = flood.read(TIGHT);
    assert_eq!((told.lines, told.incomplete), (100_000, 100_000));
    assert!(!ran.err.contains("no longer looked at"), "{}", ran.err);
    holds_its_sum(TIGHT, &ran);
}

#[test]
fn named_flows_that_live_and_report() {
    let request = b"GET / HTTP/1.1\r\nHost: a-host-of-usual-length.example.com\r\n\r\n".to_vec();
    let flood = Flood { flows: 250_000, each_second: 20_000, payload: request, again: true };
    let (ran, told) = flood.read(TIGHT);
    assert_eq!((told.lines, told.named, told.evicted), (250_000, 250_000, 0));
    assert!(ran.err.is_empty(), "{}", ran.err);
    holds_its_sum(TIGHT, &ran);
}

#[test]
fn three_workers() {
    let flood = Flood { flows: 400_000, each_second: 40_000, payload: Vec::new(), again: false };
    let (ran, told) = flood.read(TIGHT_WORKERS);
    assert_eq!(told.lines, 400_000);
    assert!(told.evicted >= 400_000 - 3 * 32_768, "{}", told.evicted);
    assert!(ran.err.contains(&format!("{} flows were told before", told.evicted)), "{}", ran.err);
    holds_its_sum(TIGHT_WORKERS, &ran);
}

#[test]
fn fragments_whose_rest_never_comes() {
    // Of 1,400 octets; 8,192 may wait, and 16 MiB hold somewhat more.
    let beginnings = 40_000;
    let mut told = 0;
    let write = |stdin: &mut dyn Write| {
        let mut bytes = pcap();
        for flow in 0..beginnings {
            let from = bytes.len();
            record(&mut bytes, u64::from(flow) * 10, flow, (1, SYN), &[0; 1_380]);
            let ip = from + 16;
            bytes[ip + 4..ip + 6].copy_from_slice(&(flow as u16).to_be_bytes());
            bytes[ip + 6] = 0x20; // more fragments follow
            if bytes.len() > 1 << 18 {
                if stdin.write_all(&bytes).is_err() {
                    return;
                }
                bytes.clear();
            }
        }
        let _ = stdin.write_all(&bytes);
    };
    let lines = |some: &[u8]| told += some.iter().filter(|b| **b == b'\n').count();
    let ran = saastap_drained(&["--config", DEFAULTS, "read", "--flows", "-"], write, lines);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    // Those that still waited at the end are told with what there is of them.
    assert_eq!(told, 8_192);
    assert!(ran.err.contains("31808 fragmented datagrams were given up"), "{}", ran.err);
    assert!(ran.err.contains("mend: raise decode.fragment_pool_mib"), "{}", ran.err);
    holds_its_sum(DEFAULTS, &ran);
}

/// Peak memory, without what the program takes to read next to nothing, against the sum of `saastap check`.
fn holds_its_sum(config: &str, ran: &Ran) {
    let check = saastap(&["--config", config, "check"]).well();
    let sum = check.lines().find(|l| l.trim_start().starts_with("sum ")).unwrap();
    let sum = sum.split('(').nth(1).unwrap().trim_end_matches(" bytes)");
    let sum: u64 = sum.parse().unwrap();
    let idle =
        saastap(&["--config", config, "read", "--flows", "tests/captures/tls12-openssl.pcap"]);
    assert!(idle.peak > 0 && ran.peak > idle.peak, "nothing was measured");
    let peak = ran.peak - idle.peak;
    assert!(peak < sum, "{config}: {} MiB, but the sum is {} MiB", peak >> 20, sum >> 20);
}

/// Flows of distinct clients to one server: a SYN each, then `payload` where there is some, and more of it after all others
/// had their turn where `again` is set.
struct Flood {
    flows: u32,
    each_second: u64,
    payload: Vec<u8>,
    again: bool,
}

/// Lines of `--flows` by what they say.
#[derive(Default)]
struct Told {
    lines: u32,
    evicted: u32,
    incomplete: u32,
    named: u32,
}

impl Flood {
    fn read(&self, config: &str) -> (Ran, Told) {
        let mut told = Told::default();
        let mut rest = Vec::new();
        let take = |some: &[u8]| {
            rest.extend_from_slice(some);
            let whole = rest.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
            for line in std::str::from_utf8(&rest[..whole]).unwrap().lines() {
                told.lines += 1;
                told.evicted += u32::from(line.contains("\"ended\":\"evicted\""));
                told.incomplete += u32::from(line.contains("\"visibility\":\"incomplete\""));
                told.named += u32::from(line.contains("\"names\":[{"));
            }
            rest.drain(..whole);
        };
        let args = ["--config", config, "read", "--flows", "-"];
        let ran = saastap_drained(&args, |stdin| self.write(stdin), take);
        assert_eq!(ran.code, Some(0), "{}", ran.err);
        (ran, told)
    }

    fn write(&self, stdin: &mut dyn Write) {
        let mut bytes = pcap();
        let mut turn = 0_u64;
        for round in 0..=u8::from(self.again) {
            for flow in 0..self.flows {
                let at = turn * 1_000_000 / self.each_second;
                turn += 1;
                if round == 0 {
                    record(&mut bytes, at, flow, (1, SYN), &[]);
                }
                if !self.payload.is_empty() {
                    let sequence = 2 + u32::from(round) * self.payload.len() as u32;
                    record(&mut bytes, at, flow, (sequence, PUSH_ACK), &self.payload);
                }
                if bytes.len() > 1 << 18 {
                    if stdin.write_all(&bytes).is_err() {
                        return; // it refused to read: its exit code and words tell why
                    }
                    bytes.clear();
                }
            }
        }
        let _ = stdin.write_all(&bytes);
    }
}

/// The head of a pcap file: microseconds, LINKTYPE_RAW.
fn pcap() -> Vec<u8> {
    let head = [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 65_535, 101];
    head.into_iter().flat_map(u32::to_le_bytes).collect()
}

const SYN: u8 = 0x02;
const PUSH_ACK: u8 = 0x18;

/// One segment from 10.0.0.0/8 to 93.184.216.34:443.
fn record(out: &mut Vec<u8>, at: u64, flow: u32, (sequence, flags): (u32, u8), payload: &[u8]) {
    let length = 40 + payload.len();
    let seconds = 1_700_000_000 + (at / 1_000_000) as u32;
    for word in [seconds, (at % 1_000_000) as u32, length as u32, length as u32] {
        out.extend(word.to_le_bytes());
    }
    out.extend([0x45, 0]);
    out.extend((length as u16).to_be_bytes());
    out.extend([0, 0, 0, 0, 64, 6, 0, 0, 10]);
    out.extend(&flow.to_be_bytes()[1..]);
    out.extend([93, 184, 216, 34]);
    out.extend(1024_u16.to_be_bytes());
    out.extend(443_u16.to_be_bytes());
    out.extend(sequence.to_be_bytes());
    out.extend([0, 0, 0, 0, 0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
    out.extend(payload);
}

/// A capture of one flow whose client sends `payload`.
pub fn conversation(payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let flood = Flood { flows: 1, each_second: 1, payload: payload.to_vec(), again: false };
    flood.write(&mut bytes);
    bytes
}
