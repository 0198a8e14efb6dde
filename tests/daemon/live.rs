//! Live capture on veth pairs made here, into whose far ends frames are put; skipped where that may not be done.

use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use saastap::capture::{Counter, Next, Options, Source, open_live};
use saastap::count::Cells;
use saastap::time::Time;

use super::wire::{Wire, run, skipped};

#[test]
fn sees_frames_with_and_without_vlan_whole_and_cut() {
    let Some(wire) = Wire::new() else { return };
    let options = options(&wire);
    let (mut whole, counts) = open(&options);
    let (mut cut, cut_counts) = open(&Options { snaplen: 64, ..options });
    send(&wire, None, "a datagram without a tag");
    send(&wire, Some(42), "a datagram with a tag of VLAN 42");
    let seen = frames(&mut *whole, |seen| has(seen, PLAIN) && has(seen, TAGGED));
    let plain = find(&seen, PLAIN);
    let tagged = find(&seen, TAGGED);
    assert_eq!(plain.bytes[12..14], [8, 0]);
    assert_eq!(tagged.bytes[12..18], [0x81, 0, 0, 42, 8, 0], "the tag is in its place");
    assert_eq!((plain.link, plain.wire_len as usize), (1, plain.bytes.len()));
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
    assert!(now - plain.time.secs() < 120, "{:?} is not now", plain.time);
    assert!(seen.windows(2).all(|w| w[0].time <= w[1].time && w[0].number < w[1].number));
    assert!(counts.get(Counter::Frames) >= 2);

    let cut_seen = frames(&mut *cut, |seen| seen.iter().any(|f| f.wire_len == tagged.wire_len));
    let short = cut_seen.iter().find(|f| f.wire_len == tagged.wire_len).unwrap();
    assert!(short.bytes.len() <= 64 && short.bytes.len() < short.wire_len as usize);
    assert!(cut_counts.get(Counter::Truncated) >= 1);

    // The kernel's counters come about each second.
    wait(&mut *whole, || counts.get(Counter::KernelReceived) >= 2);
    assert_eq!(counts.get(Counter::KernelDropped), 0);
    assert_eq!(counts.get(Counter::InterfacesUp), 1);
}

#[test]
fn a_silent_link_still_gives_ticks_in_step_with_the_clock() {
    let Some(wire) = Wire::new() else { return };
    let nothing = Options { filter: "udp port 9".into(), ..options(&wire) };
    let (mut source, counts) = open(&nothing);
    let (start, mut ticks) = (Instant::now(), Vec::new());
    while ticks.len() < 12 {
        let before = Instant::now();
        match source.next().unwrap() {
            Next::Tick(tick) => ticks.push(tick),
            other => panic!("{other:?}"),
        }
        assert!(before.elapsed() < PATIENCE, "next() hung");
    }
    assert!(start.elapsed() > Duration::from_millis(900), "ticks run ahead of the clock");
    assert!(start.elapsed() < PATIENCE, "ticks lag behind the clock");
    assert!(ticks.is_sorted_by(|a, b| a < b));
    assert!(ticks.iter().all(|t| t.nanos() % 100_000_000 == 0), "{ticks:?}");
    assert_eq!(counts.get(Counter::Ticks), 12);
}

#[test]
fn several_interfaces_are_one_stream() {
    let (Some(one), Some(two)) = (Wire::new(), Wire::new()) else { return };
    let interfaces = [options(&one).interfaces, options(&two).interfaces].concat();
    let (mut source, counts) = open(&Options { interfaces, ..options(&one) });
    assert_eq!(counts.get(Counter::InterfacesUp), 2);
    send(&one, None, "from-the-first");
    send(&two, None, "from-the-second");
    let seen =
        frames(&mut *source, |seen| has(seen, b"from-the-first") && has(seen, b"from-the-second"));
    assert_eq!(find(&seen, b"from-the-first").interface, 0);
    assert_eq!(find(&seen, b"from-the-second").interface, 1);
    assert!(seen.windows(2).all(|w| w[0].time <= w[1].time));
}

#[test]
fn an_interface_that_goes_down_or_vanishes_is_picked_up_again() {
    let Some(wire) = Wire::new() else { return };
    let (mut source, counts) = open(&options(&wire));
    send(&wire, None, "before");
    frames(&mut *source, |seen| has(seen, b"before"));

    ip(&["link", "set", &wire.near, "down"]);
    wait(&mut *source, || counts.get(Counter::InterfaceDown) == 1);
    assert_eq!(counts.get(Counter::InterfacesUp), 0);
    wire.set("up");
    wait(&mut *source, || counts.get(Counter::InterfaceReopened) == 1);
    send(&wire, None, "after-down");
    frames(&mut *source, |seen| has(seen, b"after-down"));

    ip(&["link", "del", &wire.near]);
    wait(&mut *source, || counts.get(Counter::InterfaceDown) == 2);
    wire.lay();
    wait(&mut *source, || counts.get(Counter::InterfaceReopened) == 2);
    send(&wire, None, "after-removal");
    frames(&mut *source, |seen| has(seen, b"after-removal"));
    assert_eq!(counts.get(Counter::InterfacesUp), 1);

    // So fast that no look can see it gone: only the index tells.
    ip(&["link", "del", &wire.near]);
    wire.lay();
    wait(&mut *source, || counts.get(Counter::InterfaceReopened) == 3);
    send(&wire, None, "after-exchange");
    frames(&mut *source, |seen| has(seen, b"after-exchange"));
}

#[test]
fn a_filter_is_used_and_a_bad_one_refused_in_libpcaps_words() {
    let Some(wire) = Wire::new() else { return };
    let (mut source, _) = open(&Options { filter: "udp port 7777".into(), ..options(&wire) });
    send(&wire, None, "wanted");
    let seen = frames(&mut *source, |seen| has(seen, b"wanted"));
    assert!(seen.iter().all(|f| f.bytes[23] == 17), "only UDP passes");

    let bad = Options { filter: "udp prot 53".into(), ..options(&wire) };
    let error = open_live(&bad, Cells::new()).err().expect("refused").to_string();
    assert!(error.contains("the filter `udp prot 53` cannot be used: "), "{error}");
    assert!(error.contains("syntax error") && error.contains("pcap-filter(7)"), "{error}");
}

#[test]
fn an_interface_that_is_down_at_the_start_is_told() {
    let Some(wire) = Wire::new() else { return };
    ip(&["link", "set", &wire.near, "down"]);
    let error = open_live(&options(&wire), Cells::new()).err().expect("refused").to_string();
    assert!(error.contains(&format!("ip link set dev {} up", wire.near)), "{error}");
}

/// Runs itself once more without CAP_NET_RAW; the second run prints what it was told.
#[test]
fn without_the_right_to_listen_the_remedy_is_told() {
    const CHILD: &str = "SAASTAP_TEST_WITHOUT_CAP_NET_RAW";
    let lo = Options { interfaces: vec!["lo".into()], ..Options::default() };
    if std::env::var_os(CHILD).is_some() {
        match open_live(&lo, Cells::new()) {
            Ok(_) => println!("opened"),
            Err(error) => println!("{error}"),
        }
        return;
    }
    if let Err(why) = run("setpriv", &["--bounding-set=-net_raw", "true"]) {
        skipped("cannot give up a capability", &why);
        return;
    }
    let program = std::env::current_exe().unwrap();
    let output = Command::new("setpriv")
        .args(["--bounding-set=-net_raw", "--inh-caps=-net_raw", "--"])
        .arg(&program)
        .args(["--exact", "--nocapture", "live::without_the_right_to_listen_the_remedy_is_told"])
        .env(CHILD, "1")
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    let remedy = format!("setcap cap_net_raw=ep {}", program.display());
    assert!(told.contains("the interface lo cannot be opened: "), "{told}");
    assert!(told.contains(&remedy) && told.contains("systemctl start saastap"), "{told}");
}

#[derive(Debug)]
struct Seen {
    time: Time,
    number: u64,
    link: u16,
    interface: u16,
    wire_len: u32,
    bytes: Vec<u8>,
}

fn open(options: &Options) -> (Box<dyn Source>, Arc<Cells<Counter>>) {
    let counts = Cells::new();
    (open_live(options, Arc::clone(&counts)).unwrap(), counts)
}

/// All frames until there is what is wanted.
fn frames(source: &mut dyn Source, enough: impl Fn(&[Seen]) -> bool) -> Vec<Seen> {
    let (start, mut seen) = (Instant::now(), Vec::new());
    while !enough(&seen) {
        assert!(start.elapsed() < PATIENCE, "not seen; what was: {seen:?}");
        if let Next::Frame(f) = source.next().unwrap() {
            seen.push(Seen {
                time: f.time,
                number: f.number,
                link: f.link.0,
                interface: f.interface,
                wire_len: f.wire_len,
                bytes: f.bytes.to_vec(),
            });
        }
    }
    seen
}

fn wait(source: &mut dyn Source, done: impl Fn() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < PATIENCE, "it did not happen");
        source.next().unwrap();
    }
}

fn has(seen: &[Seen], payload: &[u8]) -> bool {
    seen.iter().any(|f| f.bytes.ends_with(payload))
}

fn find<'a>(seen: &'a [Seen], payload: &[u8]) -> &'a Seen {
    seen.iter().find(|f| f.bytes.ends_with(payload)).unwrap()
}

fn ip(args: &[&str]) {
    run("ip", args).unwrap_or_else(|why| panic!("ip {args:?}: {why}"));
}

fn options(wire: &Wire) -> Options {
    Options { interfaces: vec![wire.near.clone()], buffer_mib: 2, ..Options::default() }
}

/// Puts one UDP datagram from 198.18.0.2 to 198.18.0.1 (RFC 2544) into the far end.
fn send(wire: &Wire, vlan: Option<u8>, payload: &str) {
    let mut frame = vec![2, 0, 0xc6, 0x12, 0, 1, 2, 0, 0xc6, 0x12, 0, 2];
    if let Some(id) = vlan {
        frame.extend([0x81, 0, 0, id]);
    }
    let udp = 8 + payload.len() as u8;
    frame.extend([8, 0, 0x45, 0, 0, 20 + udp, 0, 0, 0x40, 0, 64, 17, 0, 0]);
    frame.extend([198, 18, 0, 2, 198, 18, 0, 1]);
    frame.extend([0x1e, 0x61, 0x1e, 0x61, 0, udp, 0, 0]); // port 7777 to 7777, no checksum
    frame.extend(payload.as_bytes());
    wire.sender().frame(&frame);
}

const PLAIN: &[u8] = b"a datagram without a tag";
const TAGGED: &[u8] = b"a datagram with a tag of VLAN 42";

/// Far more than anything takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);
