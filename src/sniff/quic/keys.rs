//! Initial keys of a client, made of its first Destination Connection ID, and how they open a packet (RFC 9001 section 5).

use ring::aead::{AES_128_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey, quic};
use ring::hkdf::{HKDF_SHA256, KeyType, Prk, Salt};

use super::version::Version;

pub(super) struct Keys {
    header: quic::HeaderProtectionKey,
    packet: LessSafeKey,
    iv: [u8; NONCE_LEN],
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Keys")
    }
}

impl Keys {
    /// The keys with which the client protects its Initials.
    pub(super) fn client(version: &Version, dcid: &[u8]) -> Option<Self> {
        let Secrets { key, iv, header } = Secrets::new(version, dcid, CLIENT)?;
        let packet = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &key).ok()?);
        Some(Self {
            header: quic::HeaderProtectionKey::new(&quic::AES_128, &header).ok()?,
            packet,
            iv,
        })
    }

    /// Takes off the protection of a packet, in place: its frames, if these keys are the right ones. `number_at` is where
    /// the packet number begins.
    ///
    /// ```text
    ///  1100ttpp | version | ids | token | length | packet number | protected payload ...          | tag
    ///       ^^ how many octets minus one           '--- 1 to 4 --'
    ///                                              '-- 4 --'---- sample of 16 ----'
    /// ```
    pub(super) fn open<'a>(&self, packet: &'a mut [u8], number_at: usize) -> Option<&'a [u8]> {
        let sample = packet.get(number_at..)?.get(MAX_NUMBER..MAX_NUMBER + SAMPLE)?;
        let [first_mask, mask @ ..] = self.header.new_mask(sample).ok()?;
        let first = packet.first_mut()?;
        *first ^= first_mask & LONG_HEADER_BITS;
        let len = usize::from(*first & NUMBER_LENGTH) + 1;
        let (header, payload) = packet.split_at_mut_checked(number_at + len)?;
        // What was sent before the first acknowledgment has its packet number whole (RFC 9000 section 17.1).
        let mut nonce = self.iv;
        let number = header.get_mut(number_at..)?;
        for (octet, mask) in number.iter_mut().zip(mask) {
            *octet ^= mask;
        }
        for (nonce, octet) in nonce.iter_mut().rev().zip(number.iter().rev()) {
            *nonce ^= octet;
        }
        let nonce = Nonce::assume_unique_for_key(nonce);
        self.packet.open_in_place(nonce, Aad::from(&*header), payload).ok().map(|plain| &*plain)
    }
}

/// What keys are made of (RFC 9001 section 5.2).
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Secrets {
    pub key: [u8; KEY],
    pub iv: [u8; NONCE_LEN],
    pub header: [u8; KEY],
}

impl Secrets {
    /// `side` is [`CLIENT`], or the server's label.
    pub(super) fn new(version: &Version, dcid: &[u8], side: &[u8]) -> Option<Self> {
        let initial = Salt::new(HKDF_SHA256, &version.salt).extract(dcid);
        let secret = Prk::new_less_safe(HKDF_SHA256, &expand::<HASH>(&initial, side)?);
        let [key, iv, header] = version.labels;
        Some(Self {
            key: expand(&secret, key)?,
            iv: expand(&secret, iv)?,
            header: expand(&secret, header)?,
        })
    }
}

/// HKDF-Expand-Label with an empty context (RFC 8446 section 7.1).
fn expand<const N: usize>(secret: &Prk, label: &[u8]) -> Option<[u8; N]> {
    let len = u16::try_from(N).ok()?.to_be_bytes();
    let label_len = [u8::try_from(PREFIX.len() + label.len()).ok()?];
    let info: [&[u8]; 5] = [&len, &label_len, PREFIX, label, &[0]];
    let mut octets = [0; N];
    secret.expand(&info, Octets::<N>).ok()?.fill(&mut octets).ok()?;
    Some(octets)
}

struct Octets<const N: usize>;

impl<const N: usize> KeyType for Octets<N> {
    fn len(&self) -> usize {
        N
    }
}

pub(super) const CLIENT: &[u8] = b"client in";
/// Octets of an AES-128 key, and of a SHA-256 hash.
const KEY: usize = 16;
const HASH: usize = 32;
const PREFIX: &[u8] = b"tls13 ";
/// RFC 9001 section 5.4.2: the sample is taken as if the packet number had its most octets.
const MAX_NUMBER: usize = 4;
const SAMPLE: usize = 16;
/// Bits of the first octet that header protection covers, and of them, the length of the packet number.
const LONG_HEADER_BITS: u8 = 0x0f;
const NUMBER_LENGTH: u8 = 0x03;
