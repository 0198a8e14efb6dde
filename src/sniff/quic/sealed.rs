//! Makes Initials as a client sends them, for tests and fuzzing: packets with frames of their choice, protected as the version wants.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a broken packet of its own is a broken test

use ring::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey, quic};

use super::keys::{CLIENT, Secrets};
use super::version::Version;

pub const V1: u32 = 1;
pub const V2: u32 = 0x6b33_43cf;

/// What a packet is to look like. `keys_of` is the connection ID of which the keys are made: the client's first one.
#[derive(Clone, Debug)]
pub struct Seal<'a> {
    pub version: u32,
    pub keys_of: &'a [u8],
    pub dcid: &'a [u8],
    pub scid: &'a [u8],
    pub token: &'a [u8],
    pub number: u32,
    /// Octets of the packet number, 1 to 4.
    pub number_len: usize,
    /// `client in` or `server in`.
    pub side: &'static [u8],
    /// The bit after the first is 0 (RFC 9287).
    pub greased: bool,
}

impl<'a> Seal<'a> {
    /// A client's first packet under `dcid`.
    pub fn first(version: u32, dcid: &'a [u8]) -> Self {
        Self {
            version,
            keys_of: dcid,
            dcid,
            scid: &[],
            token: &[],
            number: 0,
            number_len: 4,
            side: CLIENT,
            greased: false,
        }
    }

    /// The Initial with these frames, padded so that it has `size` octets or as many as it needs.
    pub fn initial(&self, frames: &[u8], size: usize) -> Vec<u8> {
        let version = Version::of(self.version).unwrap();
        let mut token = varint(self.token.len() as u64);
        token.extend(self.token);
        let header = self.header(version.initial, &token);
        let tag = AES_128_GCM.tag_len();
        let fixed = header.len() + LENGTH + self.number_len + tag;
        let mut payload = frames.to_vec();
        payload.resize(payload.len().max(size.saturating_sub(fixed)).max(4), 0);
        let length = self.number_len + payload.len() + tag;
        let mut packet = header;
        packet.extend((0x4000 | u16::try_from(length).unwrap()).to_be_bytes());
        packet[0] |= u8::try_from(self.number_len - 1).unwrap();
        let number_at = packet.len();
        packet.extend(&self.number.to_be_bytes()[4 - self.number_len..]);

        let Secrets { key, mut iv, header } =
            Secrets::new(version, self.keys_of, self.side).unwrap();
        for (octet, number) in iv[8..].iter_mut().zip(self.number.to_be_bytes()) {
            *octet ^= number;
        }
        let key = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &key).unwrap());
        let nonce = Nonce::assume_unique_for_key(iv);
        key.seal_in_place_append_tag(nonce, Aad::from(&packet), &mut payload).unwrap();
        packet.extend(payload);

        let header = quic::HeaderProtectionKey::new(&quic::AES_128, &header).unwrap();
        let mask = header.new_mask(&packet[number_at + 4..number_at + 20]).unwrap();
        packet[0] ^= mask[0] & 0x0f;
        for (octet, mask) in packet[number_at..][..self.number_len].iter_mut().zip(&mask[1..]) {
            *octet ^= mask;
        }
        packet
    }

    /// A packet that nobody here can read: an Initial (0), 0-RTT (1), Handshake (2) or Retry (3).
    pub fn opaque(&self, kind: u8, len: usize) -> Vec<u8> {
        let version = Version::of(self.version).unwrap();
        let mut packet =
            self.header(version.initial + (kind << 4), if kind == 0 { &[0] } else { &[] });
        packet.extend((0x4000 | u16::try_from(len).unwrap()).to_be_bytes());
        packet.extend((0..len).map(|octet| (octet * 167 % 251) as u8));
        packet
    }

    fn header(&self, kind: u8, token: &[u8]) -> Vec<u8> {
        let fixed = if self.greased { 0 } else { 0x40 };
        let mut packet = vec![0x80 | fixed | kind];
        packet.extend(self.version.to_be_bytes());
        for id in [self.dcid, self.scid] {
            packet.push(u8::try_from(id.len()).unwrap());
            packet.extend(id);
        }
        packet.extend(token);
        packet
    }
}

/// A CRYPTO frame with these octets of the handshake.
pub fn crypto(handshake: &[u8], range: std::ops::Range<usize>) -> Vec<u8> {
    let mut frame = vec![6];
    frame.extend(varint(range.start as u64));
    frame.extend(varint(range.len() as u64));
    frame.extend(&handshake[range]);
    frame
}

/// The handshake in Initials of `size` octets, each with one CRYPTO frame, as plain clients send it.
pub fn initials(version: u32, dcid: &[u8], handshake: &[u8], size: usize) -> Vec<Vec<u8>> {
    let each = size - 60;
    let starts = (0..handshake.len()).step_by(each).enumerate();
    starts
        .map(|(number, start)| {
            let mut frames = crypto(handshake, start..(start + each).min(handshake.len()));
            frames[0] = Version::of(version).unwrap().crypto as u8;
            let number = u32::try_from(number).unwrap();
            Seal { number, ..Seal::first(version, dcid) }.initial(&frames, size)
        })
        .collect()
}

pub fn varint(value: u64) -> Vec<u8> {
    match value {
        0..0x40 => vec![value as u8],
        0x40..0x4000 => (0x4000 | value as u16).to_be_bytes().into(),
        _ => (0x8000_0000 | u32::try_from(value).unwrap()).to_be_bytes().into(),
    }
}

/// Octets of the field Length as written here.
const LENGTH: usize = 2;
