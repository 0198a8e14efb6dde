//! Captures that were damaged by chance or by intent: each is read, or refused with a word, soon and without a panic.

use std::fs;
use std::io::Write;
use std::path::PathBuf;

use crate::doses::doses;
use crate::program::{DEFAULTS, OFFICE_DAY, Ran, captures, saastap_fed};

/// The program read `bytes` or refused them with a remedy.
fn survives(bytes: &[u8], what: &str) -> Ran {
    let ran = saastap_fed(&["--config", DEFAULTS, "read", "--flows", "-"], |stdin| {
        // A program that refuses its input closes it before all is written.
        let _ = stdin.write_all(bytes);
    });
    match ran.code {
        Some(0) => {
            for line in ran.out.split(|b| *b == b'\n').filter(|l| !l.is_empty()) {
                let line: Result<serde_json::Value, _> = serde_json::from_slice(line);
                assert!(line.is_ok(), "{what}: {line:?}");
            }
        }
        Some(1) => {
            assert!(ran.err.starts_with("saastap: "), "{what}: {}", ran.err);
            assert!(ran.err.contains("\n  mend: "), "{what}: {}", ran.err);
        }
        other => panic!("{what}: exit {other:?}: {}", ran.err),
    }
    ran
}

/// A recorded capture of moderate size, by turn.
fn recorded(turn: usize) -> (PathBuf, Vec<u8>) {
    let small: Vec<PathBuf> =
        captures().into_iter().filter(|path| fs::metadata(path).unwrap().len() < 30_000).collect();
    let path = small[turn % small.len()].clone();
    let bytes = fs::read(&path).unwrap();
    (path, bytes)
}

#[test]
fn octets_flipped_anywhere() {
    for seed in 0..doses(40) {
        let (path, mut bytes) = recorded(seed);
        let mut chance = Chance(seed as u64 + 1);
        for _ in 0..1 + chance.below(40) {
            let at = 24 + chance.below(bytes.len() - 24);
            bytes[at] = chance.below(256) as u8;
        }
        survives(&bytes, &format!("{} seed {seed}", path.display()));
    }
}

/// Only what lies in frames is changed: every record is read, and decoders and sniffers see the damage.
#[test]
fn octets_flipped_within_frames() {
    for seed in 0..doses(40) {
        let (path, mut bytes) = recorded(seed);
        let mut chance = Chance(seed as u64 + 1_000);
        let mut at = 24;
        let mut frames = 0;
        while at + 16 <= bytes.len() {
            let length = u32::from_le_bytes(bytes[at + 8..at + 12].try_into().unwrap()) as usize;
            for _ in 0..chance.below(4) {
                let flipped = at + 16 + chance.below(length);
                bytes[flipped] ^= 1 << chance.below(8);
            }
            at += 16 + length;
            frames += 1;
        }
        assert!(frames > 10 && at == bytes.len(), "{}", path.display());
        let what = format!("{} seed {seed}", path.display());
        let ran = survives(&bytes, &what);
        assert_eq!(ran.code, Some(0), "{what}: {}", ran.err);
    }
}

#[test]
fn cut_at_many_lengths() {
    for turn in 0..doses(40) {
        let (path, bytes) = recorded(turn);
        let length = turn * 7 + Chance(turn as u64 + 7).below(bytes.len() - 300);
        let what = format!("{} cut to {length}", path.display());
        let ran = survives(&bytes[..length], &what);
        assert_eq!(ran.code, Some(i32::from(length < 24)), "{what}: {}", ran.err);
    }
    let (_, bytes) = recorded(0);
    for length in 0..30 {
        let ran = survives(&bytes[..length], "the header");
        assert_eq!(ran.code, Some(i32::from(length < 24)), "{length}: {}", ran.err);
    }
}

#[test]
fn noise_behind_every_header() {
    let section = [
        &[0x0a, 0x0d, 0x0d, 0x0a, 28, 0, 0, 0, 0x4d, 0x3c, 0x2b, 0x1a, 1, 0, 0, 0][..],
        &[0xff; 8],
        &[28, 0, 0, 0],
        // An interface: block of 20 octets, Ethernet, no limit.
        &[1, 0, 0, 0, 20, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 20, 0, 0, 0],
    ]
    .concat();
    for seed in 0..10 {
        let mut chance = Chance(seed + 5_000);
        let noise: Vec<u8> = (0..20_000).map(|_| chance.below(256) as u8).collect();
        for link in [1_u32, 0, 101, 113, 276] {
            let mut pcap = Vec::new();
            for word in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 65_535, link] {
                pcap.extend(word.to_le_bytes());
            }
            let framed: Vec<u8> = noise
                .chunks(200)
                .flat_map(|frame| {
                    let length = (frame.len() as u32).to_le_bytes();
                    [&[0; 8][..], &length, &length, frame].concat()
                })
                .collect();
            let ran = survives(&[pcap.clone(), framed].concat(), "frames of noise");
            assert_eq!(ran.code, Some(0), "{}", ran.err);
            survives(&[pcap, noise.clone()].concat(), "noise after a header of pcap");
        }
        survives(&[section.clone(), noise.clone()].concat(), "noise after a header of pcapng");
        survives(&[&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3][..], &noise].concat(), "noise in gzip");
        survives(&noise, "noise");
    }
}

#[test]
fn a_damaged_gzip_of_the_office_day() {
    let packed = fs::read(OFFICE_DAY).unwrap();
    let some = &packed[..400_000];
    for seed in 0..8 {
        let mut chance = Chance(seed + 9_000);
        let mut bytes = some.to_vec();
        let at = 20 + chance.below(bytes.len() - 20);
        bytes[at] ^= 1 << chance.below(8);
        survives(&bytes, &format!("seed {seed}"));
    }
    assert_eq!(survives(some, "cut").code, Some(0));
}

/// A capture of a few octets that unpacks to 256 MiB of zeros is refused or read in bounded memory.
#[test]
fn a_bomb_in_gzip() {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let (_, bytes) = recorded(0);
    packer.write_all(&bytes).unwrap();
    let zeros = vec![0; 1 << 20];
    for _ in 0..256 {
        packer.write_all(&zeros).unwrap();
    }
    let ran = survives(&packer.finish().unwrap(), "a bomb");
    assert!(ran.peak < 128 << 20, "{} MiB", ran.peak >> 20);
}

/// A linear congruential generator (Knuth's MMIX constants): damage that comes back.
struct Chance(u64);

impl Chance {
    fn below(&mut self, n: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % n
    }
}
