//! What a file is by its first octets; for what is no capture, the words that tell a person so.

use super::pcap::Pcap;
use super::pcapng::SECTION;
use crate::capture::Error;

/// What can be read, or be unpacked and then read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Pcap(Pcap),
    Pcapng,
    Gzip,
}

impl Kind {
    /// From the first octets of a file; [`FIRST`] of them, or fewer where it is shorter.
    pub(super) fn of(name: &str, first: &[u8]) -> Result<Self, Error> {
        if first.starts_with(&SECTION) {
            return Ok(Self::Pcapng);
        }
        if first.starts_with(&[0x1f, 0x8b]) {
            return Ok(Self::Gzip);
        }
        if let Some(pcap) = Pcap::parse(first) {
            return Ok(Self::Pcap(pcap));
        }
        let (what, mend) = describe(first);
        Err(Error::new(format!("{name}: no capture: it {what}"), mend))
    }
}

/// How many octets [`Kind::of`] wants to see.
pub(super) const FIRST: usize = 512;

/// What the octets look like, and what to do about it.
fn describe(first: &[u8]) -> (String, String) {
    const GIVE: &str = "give a capture in pcap or pcapng format, or one of them in gzip";
    if first.is_empty() {
        return ("is empty".into(), GIVE.into());
    }
    for (magic, what, mend) in KNOWN {
        if first.starts_with(magic) {
            return ((*what).into(), if mend.is_empty() { GIVE } else { mend }.into());
        }
    }
    if first.get(257..262) == Some(b"ustar") {
        return (
            "is a tar archive".into(),
            "unpack it with `tar -xf` and give the captures".into(),
        );
    }
    if first.iter().all(|b| matches!(b, b'\t' | b'\n' | b'\r' | b' '..=b'~' | 0x80..)) {
        let lower = first.to_ascii_lowercase();
        let html = lower.starts_with(b"<!doctype html") || lower.starts_with(b"<html");
        let what = if html { "is a web page" } else { "is text" };
        return (what.into(), GIVE.into());
    }
    let hex: Vec<String> = first.iter().take(8).map(|b| format!("{b:02x}")).collect();
    (format!("begins with the octets {}", hex.join(" ")), GIVE.into())
}

/// First octets, what they are, and the remedy where it is a special one.
const KNOWN: &[(&[u8], &str, &str)] = &[
    (b"\x89PNG\r\n\x1a\n", "is a PNG image", ""),
    (b"\xff\xd8\xff", "is a JPEG image", ""),
    (b"GIF8", "is a GIF image", ""),
    (b"%PDF-", "is a PDF document", ""),
    (b"\x7fELF", "is an ELF program", ""),
    (b"MZ", "is a Windows program", ""),
    (b"SQLite format 3\0", "is an SQLite database", ""),
    (b"PK\x03\x04", "is a ZIP archive", "unpack it with `unzip` and give the captures"),
    (
        b"\x28\xb5\x2f\xfd",
        "is compressed with Zstandard",
        "unpack it: `zstd -dc FILE | saastap read -`",
    ),
    (b"\xfd7zXZ\0", "is compressed with xz", "unpack it: `xz -dc FILE | saastap read -`"),
    (b"BZh", "is compressed with bzip2", "unpack it: `bzip2 -dc FILE | saastap read -`"),
    (b"\x04\x22\x4d\x18", "is compressed with LZ4", "unpack it: `lz4 -dc FILE | saastap read -`"),
    (b"7z\xbc\xaf\x27\x1c", "is a 7-Zip archive", "unpack it with `7z x` and give the captures"),
    (b"snoop\0\0\0", "is a snoop capture", CONVERT),
    (b"RTSS", "is a Microsoft Network Monitor 1 capture", CONVERT),
    (b"GMBU", "is a Microsoft Network Monitor 2 capture", CONVERT),
    (b"XCP\0", "is a NetXRay capture", CONVERT),
    (b"TRSNIFF data", "is a Sniffer capture", CONVERT),
    (b"\x0a\x0d\x0d", "is cut off within its first octets", "take the capture anew"),
    (b"\xd4\xc3\xb2\xa1", CUT_HEADER, CUT_MEND),
    (b"\xa1\xb2\xc3\xd4", CUT_HEADER, CUT_MEND),
    (b"\x4d\x3c\xb2\xa1", CUT_HEADER, CUT_MEND),
    (b"\xa1\xb2\x3c\x4d", CUT_HEADER, CUT_MEND),
    (b"\x34\xcd\xb2\xa1", CUT_HEADER, CUT_MEND),
    (b"\xa1\xb2\xcd\x34", CUT_HEADER, CUT_MEND),
];

const CONVERT: &str = "convert it: `editcap -F pcapng FILE NEW.pcapng`";
const CUT_HEADER: &str = "is a pcap file cut off within its header";
const CUT_MEND: &str = "take the capture anew: it holds no frame";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_a_file_is_that_is_no_capture() {
        let tar = [&[b'x'; 257][..], b"ustar\0", &[0; 200]].concat();
        for (bytes, wanted) in [
            (&b""[..], "is empty"),
            (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "is a PNG image"),
            (b"PK\x03\x04...", "unzip"),
            (b"snoop\0\0\0\0\0\0\x02", "editcap"),
            (b"\x28\xb5\x2f\xfd\0", "zstd -dc"),
            (b"<!DOCTYPE HTML><html>", "a web page"),
            (b"hello\nworld\n", "is text"),
            (b"\xd4\xc3\xb2\xa1\x02\0", "cut off within its header"),
            (b"\x01\x02\x03", "begins with the octets 01 02 03"),
            (&tar, "tar archive"),
        ] {
            let error = Kind::of("shot.pcap", bytes).unwrap_err();
            assert!(error.to_string().contains(wanted), "{error} for {wanted}");
            assert!(error.what.starts_with("shot.pcap: ") && !error.mend.is_empty(), "{error}");
        }
    }
}
