//! Every format variant whole, cut at every octet and damaged; the order of several files; the same twice.

use super::sample::{Endian::*, *};

const MICRO: u32 = 0xa1b2_c3d4;
const NANO: u32 = 0xa1b2_3c4d;
const MODIFIED: u32 = 0xa1b2_cd34;

/// Every variant that holds `packets` on one Ethernet interface.
fn variants(packets: &[Packet]) -> Vec<(String, Vec<u8>)> {
    let mut all = Vec::new();
    for endian in [Little, Big] {
        for magic in [MICRO, NANO, MODIFIED] {
            all.push((format!("pcap {endian:?} {magic:x}"), pcap(endian, magic, 1, packets)));
        }
        all.push((format!("pcapng {endian:?}"), pcapng(endian, packets)));
    }
    let packed = all.iter().map(|(name, file)| (format!("{name} gzip"), gzip(file)));
    let packed: Vec<_> = packed.collect();
    all.extend(packed);
    let whole = pcap(Little, MICRO, 1, packets);
    let (a, b) = whole.split_at(whole.len() / 2);
    all.push(("gzip of two members".into(), [gzip(a), gzip(b)].concat()));
    all
}

fn expected(packets: &[Packet]) -> Vec<Seen> {
    let frame = |(i, p): (usize, &Packet)| (p.0, i as u64 + 1, 1, 0, p.2, p.1.clone());
    packets.iter().enumerate().map(frame).collect()
}

#[test]
fn every_variant_gives_the_same_frames_and_ticks() {
    let packets = packets(40);
    for (name, file) in variants(&packets) {
        let out = read(&[&file]).unwrap();
        assert_eq!(out.frames, expected(&packets), "{name}");
        assert_eq!(out.ticks.len(), 11, "{name}: 40 frames over 1.17 s: {:?}", out.ticks);
        assert!(out.notices.is_empty(), "{name}: {:?}", out.notices);
        assert_eq!(out.counts, [40, 13, 0, 0, 0], "{name}");
        assert_eq!(read(&[&file]).unwrap(), out, "{name}: twice the same");
    }
}

#[test]
fn cut_at_every_octet_gives_all_frames_before_the_cut() {
    let packets = packets(5);
    for (name, file) in variants(&packets) {
        let mut most = 0;
        for cut in 0..file.len() {
            let Ok(out) = read(&[&file[..cut]]) else {
                assert_eq!(most, 0, "{name} cut at {cut} is no capture any more");
                continue;
            };
            assert!(expected(&packets).starts_with(&out.frames), "{name} cut at {cut}");
            assert!(out.frames.len() >= most, "{name} cut at {cut} lost a frame");
            assert!(out.notices.len() <= 1, "{name} cut at {cut}: {:?}", out.notices);
            let told = out.counts[2] + out.counts[3];
            assert_eq!(out.notices.len() as u64, told, "{name} cut at {cut}: each one told");
            most = out.frames.len();
        }
        assert!(most >= packets.len() - 1, "{name}: {most} frames of {}", packets.len());
    }
}

#[test]
fn a_cut_is_told_with_file_and_offset_but_not_between_records() {
    let packets = packets(3);
    let file = pcap(Little, MICRO, 1, &packets);
    let last = file.len() - packets[2].1.len() - 16;
    assert!(read(&[&file[..last]]).unwrap().notices.is_empty());
    for cut in [last + 1, last + 16, file.len() - 1] {
        let out = read(&[&file[..cut]]).unwrap();
        assert_eq!(out.frames.len(), 2);
        assert_eq!(out.counts[2], 1);
        let wanted =
            format!("file 0: the record at octet {last} is cut off; what precedes it is used");
        assert_eq!(out.notices, [wanted]);
    }
    let ng = pcapng(Big, &packets);
    let out = read(&[&ng[..ng.len() - 1]]).unwrap();
    assert_eq!((out.frames.len(), out.counts[2], out.notices.len()), (2, 1, 1));
}

#[test]
fn absurd_lengths_end_the_file_without_taking_memory() {
    let packets = packets(3);
    for (lie, reader) in [(0x7fff_ffff_u32, "pcap"), (262_145, "pcap"), (u32::MAX, "pcap")] {
        let mut file = pcap(Little, MICRO, 1, &packets[..2]);
        file.extend([0u32, 0, lie, lie].map(u32::to_le_bytes).concat());
        file.extend([0; 400]);
        let out = read(&[&file]).unwrap();
        assert_eq!((out.frames.len(), out.counts[3]), (2, 1), "{reader}");
        assert!(out.notices[0].contains("damaged at octet"), "{:?}", out.notices);
    }
    let mut file = pcapng(Little, &packets);
    file.extend([6u32, 8].map(u32::to_le_bytes).concat()); // shorter than any block
    file.extend([0; 64]);
    let out = read(&[&file]).unwrap();
    assert_eq!((out.frames.len(), out.counts[3]), (3, 1));
    assert!(out.notices[0].contains("claims 8 octets"), "{:?}", out.notices);
}

#[test]
fn a_bad_packet_block_is_left_out_and_the_next_is_used() {
    let good = packets(1).remove(0);
    let frame = enhanced(Little, 0, good.0, &good.1, good.2);
    let mut liar = frame.clone();
    liar[20..24].copy_from_slice(&4000u32.to_le_bytes()); // captured length beyond its block
    let stranger = enhanced(Little, 9, good.0, &good.1, good.2);
    let short = block(Little, 6, &[0; 8]);
    let empty = block(Little, 3, &[]);
    let huge = block(Little, 6, &vec![0; 500_000]);
    let head = [section(Little), interface(Little, 1, 0, &[option(Little, 9, &[9])])].concat();
    for (name, bad) in [
        ("liar", &liar),
        ("stranger", &stranger),
        ("short", &short),
        ("empty", &empty),
        ("huge", &huge),
    ] {
        let out = read(&[&[&head[..], &frame, bad, bad, &frame].concat()]).unwrap();
        assert_eq!((out.frames.len(), out.counts[3]), (2, 2), "{name}");
        assert_eq!(out.notices.len(), 1, "{name} is told once: {:?}", out.notices);
    }
}

#[test]
fn sections_have_their_own_order_interfaces_links_and_clocks() {
    let at = 1_700_000_000u64;
    let bytes = [7u8; 20];
    let mut file = section(Little);
    file.extend(interface(Little, 1, 0, &[])); // microseconds
    file.extend(interface(Little, 113, 0, &[option(Little, 9, &[3])])); // milliseconds
    file.extend(interface(Little, 12, 0, &[option(Little, 9, &[0x80 | 20])])); // 2^-20 s
    let shift = option(Little, 14, &(at as i64).to_le_bytes());
    file.extend(interface(Little, 276, 0, &[option(Little, 9, &[12]), shift])); // ps since `at`
    file.extend(enhanced(Little, 0, at * 1_000_000, &bytes, 20));
    file.extend(old_packet(Little, 1, at * 1_000 + 1, &bytes, 99));
    file.extend(enhanced(Little, 2, (at << 20) + (1 << 19), &bytes, 20));
    file.extend(enhanced(Little, 3, 600_000_000_000, &bytes, 20));
    file.extend(section(Big));
    file.extend(interface(Big, 101, 16, &[]));
    file.extend(enhanced(Big, 0, at * 1_000_000 + 700_000, &bytes[..16], 20));
    file.extend(simple(Big, &bytes[..16], 20)); // cut by the interface's snaplen, time of the one before
    let out = read(&[&file]).unwrap();
    let s = at * 1_000_000_000;
    let seen: Vec<_> = out.frames.iter().map(|f| (f.0 - s, f.2, f.3, f.4, f.5.len())).collect();
    let wanted = [
        (0, 1, 0, 20, 20),
        (1_000_000, 113, 1, 99, 20),
        (500_000_000, 101, 2, 20, 20),
        (600_000_000, 276, 3, 20, 20),
        (700_000_000, 101, 4, 20, 16),
        (700_000_000, 101, 4, 20, 16),
    ];
    assert_eq!(seen, wanted);
    assert!(out.notices.is_empty(), "{:?}", out.notices);
}

#[test]
fn odd_resolutions_and_offsets_neither_overflow_nor_panic() {
    for resolution in 0..=255u8 {
        for offset in [i64::MIN, -1, 0, i64::MAX] {
            let mut file = section(Big);
            let options = [option(Big, 9, &[resolution]), option(Big, 14, &offset.to_be_bytes())];
            file.extend(interface(Big, 1, 0, &options));
            for units in [0, 1, u64::MAX] {
                file.extend(enhanced(Big, 0, units, b"x", 1));
            }
            assert_eq!(read(&[&file]).unwrap().frames.len(), 3);
        }
    }
}

#[test]
fn several_files_are_one_stream_in_time_and_ties_keep_the_order_of_the_arguments() {
    let all = packets(60);
    let part = |r: usize| -> Vec<Packet> { all.iter().skip(r).step_by(3).cloned().collect() };
    let files = [
        pcap(Little, MICRO, 1, &part(0)),
        gzip(&pcapng(Big, &part(1))),
        pcap(Big, NANO, 1, &part(2)),
        pcap(Big, NANO, 1, &[]),
    ];
    let out = read(&files.each_ref().map(Vec::as_slice)).unwrap();
    assert_eq!(out.frames, expected(&all));
    assert_eq!(out.counts[4], 0);
    let backwards: Vec<_> = files.iter().rev().map(Vec::as_slice).collect();
    assert_eq!(read(&backwards).unwrap().frames, out.frames);

    let a =
        pcap(Little, MICRO, 1, &[(5_000_000, b"a1".to_vec(), 2), (5_000_000, b"a2".to_vec(), 2)]);
    let b = pcap(Little, MICRO, 1, &[(5_000_000, b"b1".to_vec(), 2)]);
    let names = |files: &[&[u8]]| -> Vec<Vec<u8>> {
        read(files).unwrap().frames.into_iter().map(|f| f.5).collect()
    };
    assert_eq!(names(&[&a, &b]), [b"a1", b"a2", b"b1"]);
    assert_eq!(names(&[&b, &a]), [b"b1", b"a1", b"a2"]);
}

#[test]
fn zero_timestamps_at_the_start_and_backward_ones_are_used() {
    let s = 1_700_000_000_000_000_000;
    let list = [0, s, s + 1000, s - 5000, s + 2000].map(|t| (t, b"x".to_vec(), 1));
    let out = read(&[&pcap(Little, MICRO, 1, &list)]).unwrap();
    let times: Vec<_> = out.frames.iter().map(|f| f.0).collect();
    assert_eq!(times, [0, s, s + 1000, s + 1000, s + 2000]);
    assert_eq!(out.counts[4], 1);
}

#[test]
fn frames_across_buffer_refills_are_whole() {
    let many: Vec<Packet> = (0..3000u32)
        .map(|i| (1_700_000_000_000_000_000 + u64::from(i) * 1000, vec![i as u8; 1400], 1400))
        .chain([(1_700_000_001_000_000_000, vec![9; 262_144], 262_144)])
        .collect();
    for (name, file) in variants(&many) {
        assert_eq!(read(&[&file]).unwrap().frames, expected(&many), "{name}");
    }
}

#[test]
fn what_is_no_capture_is_refused_with_words() {
    for (bytes, wanted) in [
        (&b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"[..], "is a PNG image"),
        (b"", "is empty"),
        (&gzip(b"hello\n"), "is text"),
        (&gzip(&gzip(b"hello\n")), "gzip within gzip"),
        (&gzip(b""), "is empty"),
    ] {
        let error = read(&[bytes]).unwrap_err();
        assert!(error.what.contains("file 0: no capture: it ") && error.what.contains(wanted));
        assert!(error.to_string().contains("\n  mend: "), "{error}");
    }
}

#[test]
fn noise_and_mutations_never_panic_and_always_end() {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let packets = packets(8);
    let mut frames = 0;
    for (_, file) in variants(&packets) {
        for _ in 0..400 {
            let mut file = file.clone();
            for _ in 0..1 + random() % 6 {
                let at = random() as usize % file.len();
                file[at] = if random() % 2 == 0 { 0xff } else { random() as u8 };
            }
            if let Ok(out) = read(&[&file]) {
                assert!(out.frames.iter().is_sorted_by_key(|f| f.0));
                assert!(out.ticks.is_sorted_by(|a, b| a < b));
                frames += out.frames.len();
            }
        }
    }
    assert!(frames > 10_000, "mutations leave most frames readable: {frames}");
    for head in [pcap(Big, NANO, 1, &[]), section(Big), gzip(b"")[..10].to_vec()] {
        for _ in 0..300 {
            let noise = (0..random() % 900).map(|_| random() as u8);
            let file: Vec<u8> = head.iter().copied().chain(noise).collect();
            let _ = read(&[&file]);
        }
    }
}
