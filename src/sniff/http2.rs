//! HTTP/2 without TLS, as clients speak it that know their server (RFC 9113 section 3.3), gRPC among them: the authority of the
//! first request.
//!
//! ```text
//!  PRI * HTTP/2.0 CR LF CR LF SM CR LF CR LF, then frames, of which the first is SETTINGS and HEADERS begin a request:
//!  length, 24 bits | type | flags | stream, 32 bits | payload
//! ```
//!
//! The headers are compressed by what came before them on the connection (RFC 7541); those of the first request by nothing but
//! the static table. Later requests are not looked at: a client opens another connection for another authority (RFC 9113 section
//! 9.1.1 allows it one only where both are one address), and a table that missed a header once is wrong for the rest.

use std::borrow::Cow;

use super::reader::Reader;

/// What the client's opening is.
pub(super) enum Head {
    Other,
    Short,
    /// The authority of the first request, or that it has none.
    Whole(Option<Vec<u8>>),
}

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Types and flags of frames (RFC 9113 section 6).
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const CONTINUATION: u8 = 9;
const END_HEADERS: u8 = 0x04;
const PADDED: u8 = 0x08;
const PRIORITY: u8 = 0x20;

/// Frames up to the end of the first request's headers. Browsers send a dozen; an opening read again at each of its segments
/// must not hold thousands.
const MAX_FRAMES: usize = 64;

/// Reads the first request.
pub(super) fn head(opening: &[u8]) -> Head {
    match block(opening) {
        Block::Other => Head::Other,
        Block::Cut(_) => Head::Short,
        Block::Whole(block) => Head::Whole(authority(&block)),
    }
}

/// The authority, where the opening will not grow any more.
pub(super) fn cut_short(opening: &[u8]) -> Option<Vec<u8>> {
    match block(opening) {
        Block::Cut(block) | Block::Whole(block) => authority(&block),
        Block::Other => None,
    }
}

/// The compressed headers of the first request.
enum Block<'a> {
    Other,
    /// As far as they are there.
    Cut(Cow<'a, [u8]>),
    Whole(Cow<'a, [u8]>),
}

fn block(opening: &[u8]) -> Block<'_> {
    let Some(frames) = opening.strip_prefix(PREFACE) else {
        let begun = PREFACE.starts_with(opening);
        return if begun { Block::Cut(Cow::default()) } else { Block::Other };
    };
    let mut reader = Reader::new(frames);
    let mut kept = Cow::default();
    let mut wanted = SETTINGS;
    for _ in 0..MAX_FRAMES {
        let Some(frame) = frame(&mut reader) else { return Block::Cut(kept) };
        let fits = match frame.kind {
            SETTINGS => frame.stream == 0,
            HEADERS => frame.stream != 0 && wanted != CONTINUATION,
            CONTINUATION => wanted == CONTINUATION,
            _ => wanted == HEADERS,
        };
        if !fits || (wanted == SETTINGS && frame.kind != SETTINGS) {
            return Block::Other;
        }
        wanted = HEADERS;
        if !matches!(frame.kind, HEADERS | CONTINUATION) {
            continue;
        }
        let fragment = fragment(&frame).unwrap_or_default();
        if frame.kind == HEADERS {
            kept = Cow::Borrowed(fragment);
        } else {
            kept.to_mut().extend_from_slice(fragment);
        }
        if frame.is_cut {
            return Block::Cut(kept);
        }
        if frame.flags & END_HEADERS != 0 {
            return Block::Whole(kept);
        }
        wanted = CONTINUATION;
    }
    Block::Other
}

struct Frame<'a> {
    kind: u8,
    flags: u8,
    stream: u32,
    payload: &'a [u8],
    /// The payload is not all there.
    is_cut: bool,
}

fn frame<'a>(reader: &mut Reader<'a>) -> Option<Frame<'a>> {
    let len = usize::from(reader.u8()?) << 16 | usize::from(reader.u16()?);
    let (kind, flags) = (reader.u8()?, reader.u8()?);
    // The highest bit is reserved.
    let stream = reader.u32()? & 0x7fff_ffff;
    let is_cut = reader.rest().len() < len;
    let payload = reader.take(len.min(reader.rest().len()))?;
    Some(Frame { kind, flags, stream, payload, is_cut })
}

/// The piece of headers in a frame, without padding and priority (RFC 9113 section 6.2).
fn fragment<'a>(frame: &Frame<'a>) -> Option<&'a [u8]> {
    if frame.kind == CONTINUATION {
        return Some(frame.payload);
    }
    let mut reader = Reader::new(frame.payload);
    let padding = if frame.flags & PADDED != 0 { usize::from(reader.u8()?) } else { 0 };
    if frame.flags & PRIORITY != 0 {
        reader.take(5)?;
    }
    let rest = reader.rest();
    let end = if frame.is_cut { rest.len() } else { rest.len().checked_sub(padding)? };
    rest.get(..end)
}

/// Indexes of the static table (RFC 7541 appendix A).
const AUTHORITY: usize = 1;
const HOST: usize = 38;

/// The value of `:authority`, else of `host`, in compressed headers (RFC 7541 section 6).
fn authority(block: &[u8]) -> Option<Vec<u8>> {
    let mut reader = Reader::new(block);
    let mut host = None;
    while let Some(field) = field(&mut reader) {
        match field {
            Field::Named(AUTHORITY, value) => return Some(value),
            Field::Named(HOST, value) => host = Some(value),
            Field::Named(..) | Field::Other => {}
        }
    }
    host
}

enum Field {
    /// Index of the name in the static table, and the value.
    Named(usize, Vec<u8>),
    Other,
}

/// ```text
///  1 index          a whole field of a table
///  01 index, 0000 index, 0001 index     the name of a table's field (index 0: a string), and the value as a string
///  001 size         the table changes its size
/// ```
fn field(reader: &mut Reader<'_>) -> Option<Field> {
    let first = reader.u8()?;
    let bits = match first {
        0x80.. => 7,
        0x40.. => 6,
        0x20.. => 5,
        _ => 4,
    };
    let index = integer(first, bits, reader)?;
    if matches!(bits, 5 | 7) {
        return Some(Field::Other);
    }
    let named = match index {
        0 => match &*string(reader)?.unwrap_or_default() {
            b":authority" => AUTHORITY,
            b"host" => HOST,
            _ => 0,
        },
        index => index,
    };
    let value = string(reader)?;
    Some(value.map_or(Field::Other, |value| Field::Named(named, value)))
}

/// A number of which the lowest `bits` of `first` are the beginning (RFC 7541 section 5.1).
fn integer(first: u8, bits: u32, reader: &mut Reader<'_>) -> Option<usize> {
    let most = (1 << bits) - 1;
    let mut value = usize::from(first) & most;
    if value < most {
        return Some(value);
    }
    // Larger ones than three more octets tell are of no header.
    for shift in [0, 7, 14] {
        let octet = usize::from(reader.u8()?);
        value += (octet & 0x7f) << shift;
        if octet & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// A string (RFC 7541 section 5.2); the inner `None` for one with characters that no host name has.
fn string(reader: &mut Reader<'_>) -> Option<Option<Vec<u8>>> {
    let first = reader.u8()?;
    let len = integer(first, 7, reader)?;
    let octets = reader.take(len)?;
    Some(if first & 0x80 == 0 { Some(octets.to_vec()) } else { unpacked(octets) })
}

/// The characters whose codes have five to eight bits, in the order of their codes (RFC 7541 appendix B): all that host names
/// and ports are made of. Longer codes begin with more ones.
const SHORT: [(u32, &[u8]); 4] = [
    (5, b"012aceiost"),
    (6, b" %-./3456789=A_bdfghlmnpru"),
    (7, b":BCDEFGHIJKLMNOPQRSTUVWYjkqvwxyz"),
    (8, b"&*,;XZ"),
];

/// Characters from their Huffman codes; `None` where one is of more than eight bits. Filled up with ones at the end.
fn unpacked(octets: &[u8]) -> Option<Vec<u8>> {
    let mut text = Vec::with_capacity(octets.len() * 8 / 5);
    let (mut held, mut bits) = (0u32, 0u32);
    let mut rest = octets.iter();
    loop {
        while bits < 8
            && let Some(octet) = rest.next()
        {
            held = (held << 8 | u32::from(*octet)) & 0xffff;
            bits += 8;
        }
        let ones = (1 << bits) - 1;
        if bits < 8 && held & ones == ones {
            return Some(text);
        }
        let mut begin = 0;
        let (len, character) = SHORT.iter().find_map(|(len, characters)| {
            // What is not there counts as ones.
            let code = if bits >= *len {
                (held & ones) >> (bits - len)
            } else {
                (held & ones) << (len - bits) | ((1 << (len - bits)) - 1)
            };
            let nth = code.checked_sub(begin)? as usize;
            let found = characters.get(nth).map(|character| (*len, *character));
            begin = (begin + characters.len() as u32) << 1;
            found
        })?;
        bits = bits.checked_sub(len)?;
        text.push(character);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame_of(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
        let len = (payload.len() as u32).to_be_bytes();
        [&len[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
    }

    /// A connection that begins with these frames behind its settings.
    fn connection(frames: &[Vec<u8>]) -> Vec<u8> {
        let settings = frame_of(SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 100]);
        let window = frame_of(8, 0, 0, &[0, 1, 0, 0]);
        [PREFACE, &settings, &window, &frames.concat()].concat()
    }

    fn of(opening: &[u8]) -> Option<Option<String>> {
        match head(opening) {
            Head::Whole(authority) => Some(authority.map(|a| String::from_utf8(a).unwrap())),
            Head::Short | Head::Other => None,
        }
    }

    /// GET http://www.example.com/, as RFC 7541 appendices C.3.1 and C.4.1 compress it.
    const PLAIN: &[u8] = b"\x82\x86\x84\x41\x0fwww.example.com";
    const PACKED: &[u8] = &[
        0x82, 0x86, 0x84, 0x41, 0x8c, 0xf1, 0xe3, 0xc2, 0xe5, 0xf2, 0x3a, 0x6b, 0xa0, 0xab, 0x90,
        0xf4, 0xff,
    ];

    #[test]
    fn the_authority_of_the_first_request() {
        let named = Some(Some("www.example.com".to_owned()));
        for block in [PLAIN, PACKED] {
            let headers = frame_of(HEADERS, END_HEADERS, 1, block);
            assert_eq!(of(&connection(&[headers])), named);
            let padded = [&[3, 0, 0, 0, 0, 15], block, &[0; 3]].concat();
            let padded = frame_of(HEADERS, END_HEADERS | PADDED | PRIORITY, 1, &padded);
            assert_eq!(of(&connection(&[padded])), named);
            for cut in 0..block.len() {
                let (first, rest) = block.split_at(cut);
                let frames =
                    [frame_of(HEADERS, 0, 1, first), frame_of(CONTINUATION, END_HEADERS, 1, rest)];
                assert_eq!(of(&connection(&frames)), named, "{cut}");
            }
        }
        for (block, name) in [
            (&b"\x82\x66\x01a\x00\x0a:authority\x01b"[..], Some("b")),
            (b"\x3f\xe1\x1f\x82\x10\x04host\x01a", Some("a")),
            (b"\x82\x0f\x17\x01a", Some("a")),
            (b"\x82\x0f\x18\x01a", None),
            (b"\x82\x84", None),
        ] {
            let headers = frame_of(HEADERS, END_HEADERS, 1, block);
            assert_eq!(of(&connection(&[headers])), Some(name.map(str::to_owned)), "{block:?}");
        }
    }

    #[test]
    fn every_character_of_a_host_name_has_its_code() {
        let packed = |text: &str| {
            let mut bits = String::new();
            for character in text.bytes() {
                let mut begin = 0;
                for (len, characters) in SHORT {
                    if let Some(nth) = characters.iter().position(|c| *c == character) {
                        bits += &format!("{:0len$b}", begin + nth, len = len as usize);
                    }
                    begin = (begin + characters.len()) * 2;
                }
            }
            bits += &"1".repeat(bits.len().wrapping_neg() % 8);
            let octets = bits.as_bytes().chunks(8);
            octets
                .map(|o| u8::from_str_radix(std::str::from_utf8(o).unwrap(), 2).unwrap())
                .collect::<Vec<_>>()
        };
        // Of the RFC's examples (C.4 and C.6): what a table with a wrong place would spell otherwise.
        assert_eq!(packed("no-cache"), [0xa8, 0xeb, 0x10, 0x64, 0x9c, 0xbf]);
        assert_eq!(
            packed("https://www.example.com"),
            [
                0x9d, 0x29, 0xad, 0x17, 0x18, 0x63, 0xc7, 0x8f, 0x0b, 0x97, 0xc8, 0xe9, 0xae, 0x82,
                0xae, 0x43, 0xd3
            ]
        );
        let all = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._:";
        for end in 0..=all.len() {
            let unpacked = unpacked(&packed(&all[..end]));
            assert_eq!(unpacked.as_deref(), Some(&all.as_bytes()[..end]));
        }
        // `[` has thirteen bits: no host name has it.
        assert_eq!(unpacked(&[0xff, 0xdf, 0xff]), None);
    }

    #[test]
    fn a_beginning_is_waited_for_and_cut_short_says_what_is_certain() {
        let headers = frame_of(HEADERS, END_HEADERS, 1, &[PLAIN, b"\x84\x84"].concat());
        let whole = connection(&[headers]);
        for cut in 0..whole.len() {
            let begun = &whole[..cut];
            assert!(matches!(head(begun), Head::Short), "{cut}");
            let known = cut >= whole.len() - 2;
            assert_eq!(cut_short(begun).is_some(), known, "{cut}");
        }
    }

    #[test]
    fn what_only_begins_alike_is_left_alone() {
        let settings = frame_of(SETTINGS, 0, 0, &[]);
        let data = frame_of(0, 0, 1, b"x");
        for other in [
            b"PRI * HTTP/1.0\r\n".to_vec(),
            b"PRINT".to_vec(),
            [PREFACE, &data].concat(),
            [PREFACE, &frame_of(SETTINGS, 0, 1, &[])].concat(),
            [PREFACE, &settings, &frame_of(CONTINUATION, END_HEADERS, 1, PLAIN)].concat(),
            [PREFACE, &settings, &frame_of(HEADERS, 0, 1, b"\x82"), &data].concat(),
            [PREFACE, &settings.repeat(MAX_FRAMES)].concat(),
        ] {
            assert!(matches!(head(&other), Head::Other), "{other:?}");
        }
    }

    proptest! {
        #[test]
        fn noise_is_harmless(noise in prop::collection::vec(any::<u8>(), 0..300), flags in any::<u8>()) {
            for opening in [
                connection(std::slice::from_ref(&noise)),
                connection(&[frame_of(HEADERS, flags, 1, &noise)]),
            ] {
                let _ = head(&opening);
                let found = cut_short(&opening);
                prop_assert!(found.is_none_or(|name| name.len() <= 2 * noise.len()));
            }
        }
    }
}
