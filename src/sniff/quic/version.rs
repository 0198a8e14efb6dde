//! Versions of QUIC whose Initials can be read: numbers, salts, labels and packet types.

use std::ops::RangeInclusive;

/// What differs between two versions as far as an observer of Initials is concerned.
#[derive(Debug)]
pub(super) struct Version {
    numbers: RangeInclusive<u32>,
    pub salt: [u8; 20],
    /// The labels of key, iv and header protection.
    pub labels: [&'static [u8]; 3],
    /// Bits 0x30 of the first octet, for Initial and Retry.
    pub initial: u8,
    pub retry: u8,
    /// The number of CRYPTO frames, and what they carry.
    pub crypto: u64,
    pub handshake: Handshake,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Handshake {
    Tls,
    /// The one of Google's own, before TLS.
    Google,
}

impl Version {
    pub(super) fn of(number: u32) -> Option<&'static Self> {
        VERSIONS.iter().find(|version| version.numbers.contains(&number))
    }
}

impl PartialEq for Version {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

/// Versions that nobody speaks, offered so that servers do not choke on unknown ones (RFC 9000 section 15), and those of
/// drafts and experiments that have no row here: a client that begins with one of them begins again with another.
pub(super) const fn may_be_followed(number: u32) -> bool {
    number & 0x0f0f_0f0f == 0x0a0a_0a0a || number >> 8 == 0x00ff_0000 || number >> 8 == 0x00fa_ceb0
}

const VERSIONS: &[Version] = &[
    // RFC 9001 section 5.2.
    Version::row(1..=1, SALT_V1),
    // RFC 9369 section 3.
    Version {
        labels: [b"quicv2 key", b"quicv2 iv", b"quicv2 hp"],
        initial: 0x10,
        retry: 0x00,
        ..Version::row(
            0x6b33_43cf..=0x6b33_43cf,
            *b"\x0d\xed\xe3\xde\xf7\x00\xa6\xdb\x81\x93\x81\xbe\x6e\x26\x9d\xcb\xf9\xbd\x2e\xd9",
        )
    },
    // draft-ietf-quic-tls-33 and 34, 29 to 32, 23 to 28, 22; section 5.2 of each.
    Version::row(0xff00_0021..=0xff00_0022, SALT_V1),
    Version::row(
        0xff00_001d..=0xff00_0020,
        *b"\xaf\xbf\xec\x28\x99\x93\xd2\x4c\x9e\x97\x86\xf1\x9c\x61\x11\xe0\x43\x90\xa8\x99",
    ),
    Version::row(0xff00_0017..=0xff00_001c, SALT_DRAFT_23),
    Version::row(0xff00_0016..=0xff00_0016, SALT_DRAFT_22),
    // mvfst's numbers for drafts 22, 27 and its experiments on the latter.
    Version::row(0xface_b001..=0xface_b001, SALT_DRAFT_22),
    Version::row(0xface_b002..=0xface_b002, SALT_DRAFT_23),
    Version::row(0xface_b00e..=0xface_b00e, SALT_DRAFT_23),
    // Google's own with TLS, "T051" and "T050", and the last without, "Q050".
    Version {
        crypto: GOOGLE_CRYPTO,
        ..Version::row(
            0x5430_3531..=0x5430_3531,
            *b"\x7a\x4e\xde\xf4\xe7\xcc\xee\x5f\xa4\x50\x6c\x19\x12\x4f\xc8\xcc\xda\x6e\x03\x3d",
        )
    },
    Version {
        crypto: GOOGLE_CRYPTO,
        ..Version::row(
            0x5430_3530..=0x5430_3530,
            *b"\x7f\xf5\x79\xe5\xac\xd0\x72\x91\x55\x80\x30\x4c\x43\xa2\x36\x7c\x60\x48\x83\x10",
        )
    },
    Version {
        crypto: GOOGLE_CRYPTO,
        handshake: Handshake::Google,
        ..Version::row(
            0x5130_3530..=0x5130_3530,
            *b"\x50\x45\x74\xef\xd0\x66\xfe\x2f\x9d\x94\x5c\xfc\xdb\xd3\xa7\xf0\xd3\xb5\x6b\x45",
        )
    },
];

impl Version {
    const fn row(numbers: RangeInclusive<u32>, salt: [u8; 20]) -> Self {
        Self {
            numbers,
            salt,
            labels: [b"quic key", b"quic iv", b"quic hp"],
            initial: 0x00,
            retry: 0x30,
            crypto: CRYPTO,
            handshake: Handshake::Tls,
        }
    }
}

/// RFC 9000 section 19.6, and the number that Google's own versions give it.
const CRYPTO: u64 = 0x06;
const GOOGLE_CRYPTO: u64 = 0x08;

const SALT_V1: [u8; 20] =
    *b"\x38\x76\x2c\xf7\xf5\x59\x34\xb3\x4d\x17\x9a\xe6\xa4\xc8\x0c\xad\xcc\xbb\x7f\x0a";
const SALT_DRAFT_23: [u8; 20] =
    *b"\xc3\xee\xf7\x12\xc7\x2e\xbb\x5a\x11\xa7\xd2\x43\x2b\xb4\x63\x65\xbe\xf9\xf5\x02";
const SALT_DRAFT_22: [u8; 20] =
    *b"\x7f\xbc\xdb\x0e\x7c\x66\xbb\xe9\x19\x3a\x96\xcd\x21\x51\x9e\xbd\x7a\x02\x64\x4a";
