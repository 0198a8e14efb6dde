//! What allocates nothing: a packet of a flow whose name is known (the same flow with many times the packets takes as many
//! allocations), and a look-up among signatures.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(unsafe_code)] // an allocator that counts has no other way to be one

use std::alloc::{GlobalAlloc, Layout, System};
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use etherparse::PacketBuilder;
use saastap::config::Config;
use saastap::export::Metrics;
use saastap::pipeline::{InForce, Rules, collector, read_files};
use saastap::signature::Name;

struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

// SAFETY: each call is handed on to the system's allocator as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        unsafe { System.realloc(block, layout, size) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// A request by HTTP, and `bulk` segments of its answer within one slot of packet time; as a capture file.
fn capture(bulk: u32) -> Vec<u8> {
    let mut file =
        vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0, 0];
    let mut add = |bytes: &[u8]| {
        let len = (bytes.len() as u32).to_le_bytes();
        file.extend([1_700_000_000_u32.to_le_bytes(), [0; 4], len, len].concat());
        file.extend(bytes);
    };
    let (client, server) = ([10, 0, 0, 1], [192, 0, 2, 7]);
    let segment = |from_client: bool, sequence: u32, payload: &[u8]| {
        let (from, to, ports) = match from_client {
            true => (client, server, (40_000, 80)),
            false => (server, client, (80, 40_000)),
        };
        let mut bytes = Vec::new();
        let ip = PacketBuilder::ethernet2([2; 6], [4; 6]).ipv4(from, to, 64);
        ip.tcp(ports.0, ports.1, sequence, 1024).ack(1).write(&mut bytes, payload).unwrap();
        bytes
    };
    add(&segment(true, 1, b"GET / HTTP/1.1\r\nHost: acme.zendesk.com\r\n\r\n"));
    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n";
    add(&segment(false, 1, answer));
    for n in 0..bulk {
        add(&segment(false, 1 + answer.len() as u32 + n * 1_000, &[7; 1_000]));
        add(&segment(true, 44, b""));
    }
    file
}

/// Allocations of reading it, and usages that it shows.
fn allocations(bulk: u32) -> (u64, usize) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("one.pcap");
    fs::write(&path, capture(bulk)).unwrap();
    let config = Config::default();
    let rules = Arc::new(InForce::new(Rules::load(&config).unwrap()));
    let metrics = Metrics::new(&config.metrics).unwrap();
    let collector = collector(&config, rules, &metrics, [7; 32], false).unwrap();
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    let outcome = read_files(&[path], &config, collector, &mut |_, _| ()).unwrap();
    let taken = ALLOCATIONS.load(Ordering::Relaxed) - before;
    (taken, outcome.collector.inventory.snapshot().len())
}

#[test]
fn neither_packets_of_a_known_flow_nor_look_ups_allocate() {
    look_ups_allocate_nothing();
    allocations(100); // what is made once a process
    let ((few, named), (many, _)) = (allocations(1_000), allocations(20_000));
    assert_eq!(named, 1, "the flow has a vendor");
    assert_eq!(few, many, "38,000 packets more");
}

/// Both in one test: the count is of the whole process, and tests run beside each other.
fn look_ups_allocate_nothing() {
    let rules = Rules::load(&Config::default()).unwrap();
    let hosts = ["acme.zendesk.com", "Relay-1.Net.AnyDesk.com", "www.example.com", "localhost"];
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    let found = hosts.map(|host| {
        let name = Name::new(host).unwrap();
        rules.catalog.find(&name).is_some()
    });
    let after = ALLOCATIONS.load(Ordering::Relaxed);
    assert_eq!(found, [true, true, false, false]);
    assert_eq!(after, before, "a look-up allocates");
}
