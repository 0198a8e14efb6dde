//! DTLS: the ClientHello over datagrams, in one record or in fragments of any order (RFC 6347, RFC 9147).

use super::pieces::{MAX_OCTETS, Pieces};
use super::reader::Reader;
use super::{Answer, Carrier, ClientHello, Evidence, Kept, State, tls};

/// Takes one datagram of either side. The hello that answers a HelloVerifyRequest repeats the first: one is enough.
pub(super) fn step(state: &mut State, from_client: bool, datagram: &[u8]) -> Answer {
    let mut records = Reader::new(datagram);
    while let Some(record) = record(&mut records) {
        state.dtls = true;
        let mut fragments = Reader::new(record);
        while let Some(fragment) = fragment(&mut fragments) {
            let answer = read(state, from_client, &fragment);
            if !matches!(answer, Answer::NeedMore) {
                return answer;
            }
        }
    }
    if state.dtls { Answer::NeedMore } else { Answer::NotMine }
}

/// A hello of which some fragments have come.
#[derive(Debug)]
pub struct Flight {
    sequence: u16,
    length: usize,
    from_client: bool,
    pieces: Pieces,
}

impl Flight {
    /// Octets of memory that it takes beside itself.
    pub(super) const fn octets(&self) -> usize {
        self.pieces.octets()
    }

    /// What is certain of the hello when nothing more comes, and whether the side given as the client's said it.
    pub(super) fn cut_short(&self) -> (Option<Evidence>, bool) {
        let hello = without_cookie(self.pieces.beginning())
            .and_then(|body| tls::body_cut_short(&body, Carrier::Dtls));
        (hello.map(Evidence::Tls), self.from_client)
    }
}

/// A fragment of a ClientHello.
struct Fragment<'a> {
    /// Number of the message in its direction.
    sequence: u16,
    /// Octets of the whole message.
    length: usize,
    at: u32,
    piece: &'a [u8],
}

fn read(state: &mut State, from_client: bool, fragment: &Fragment<'_>) -> Answer {
    if fragment.length > MAX_OCTETS {
        state.limited = true;
        return Answer::NotMine;
    }
    if fragment.piece.len() == fragment.length {
        return match hello(fragment.piece) {
            Some(hello) => found(state, from_client, hello),
            None => Answer::NotMine,
        };
    }
    let mut flight = match state.kept.take().map(|kept| *kept) {
        // A later message is the same hello again, with the cookie that the server asked for.
        Some(Kept::Dtls(flight)) if flight.sequence >= fragment.sequence => flight,
        _ => Flight {
            sequence: fragment.sequence,
            length: fragment.length,
            from_client,
            pieces: Pieces::default(),
        },
    };
    let same = (flight.sequence, flight.length, flight.from_client)
        == (fragment.sequence, fragment.length, from_client);
    if same {
        state.limited |= !flight.pieces.add(fragment.at.into(), fragment.piece);
    }
    let begun = flight.pieces.beginning();
    if begun.len() < flight.length {
        state.kept = Some(Box::new(Kept::Dtls(flight)));
        return Answer::NeedMore;
    }
    match hello(begun) {
        Some(hello) => found(state, from_client, hello),
        None => Answer::NotMine,
    }
}

fn found(state: &mut State, from_client: bool, hello: ClientHello) -> Answer {
    state.swapped = !from_client;
    Answer::Found(Evidence::Tls(hello))
}

fn hello(body: &[u8]) -> Option<ClientHello> {
    tls::body(&without_cookie(body)?, Carrier::Dtls)
}

/// The body as TLS would have it (RFC 6347 section 4.2.1, RFC 9147 section 5.3).
///
/// ```text
/// +-------------+-------------+------------------+--------------+---------------+----
/// | version (2) | random (32) | session id <1+n> | cookie <1+n> | cipher suites | ...
/// +-------------+-------------+------------------+--------------+---------------+----
/// ```
fn without_cookie(body: &[u8]) -> Option<Vec<u8>> {
    let mut reader = Reader::new(body);
    reader.take(VERSION + RANDOM)?;
    reader.vector8()?;
    let (before, _) = body.split_at_checked(body.len() - reader.rest().len())?;
    reader.vector8()?;
    Some([before, reader.rest()].concat())
}

/// The next record: what handshake it carries in the clear, else nothing. `None` where there is none.
///
/// ```text
/// +----+-------------+-----------+--------------+------------+----
/// | 22 | version (2) | epoch (2) | sequence (6) | length (2) | ...
/// +----+-------------+-----------+--------------+------------+----
/// ```
fn record<'a>(records: &mut Reader<'a>) -> Option<&'a [u8]> {
    let kind = records.u8().filter(|kind| RECORDS.contains(kind))?;
    records.u16().filter(|version| VERSIONS.contains(version))?;
    let epoch = records.u16()?;
    records.take(SEQUENCE)?;
    let length = usize::from(records.u16()?);
    // Less than all of it may have been captured.
    let payload = records.take(length.min(records.rest().len()))?;
    Some(if kind == HANDSHAKE && epoch == 0 { payload } else { &[] })
}

/// The next fragment of a ClientHello in a record; others are passed over.
///
/// ```text
/// +------+------------+--------------+------------+------------+----
/// | kind | length (3) | sequence (2) | offset (3) | octets (3) | ...
/// +------+------------+--------------+------------+------------+----
/// ```
fn fragment<'a>(fragments: &mut Reader<'a>) -> Option<Fragment<'a>> {
    loop {
        let kind = fragments.u8()?;
        let length = fragments.u24()?;
        let sequence = fragments.u16()?;
        let (at, octets) = (fragments.u24()?, fragments.u24()?);
        let piece = fragments.take(usize::try_from(octets).ok()?.min(fragments.rest().len()))?;
        if kind == CLIENT_HELLO {
            let fits = at + octets <= length;
            let length = usize::try_from(length).ok()?;
            return fits.then_some(Fragment { sequence, length, at, piece });
        }
    }
}

/// change_cipher_spec to ack (RFC 9147 section 4, RFC 9146).
const RECORDS: std::ops::RangeInclusive<u8> = 20..=26;
const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;
/// DTLS 1.0, 1.2 and 1.3, and what some VPN clients wrote before there was a number.
const VERSIONS: [u16; 4] = [0xfeff, 0xfefd, 0xfefc, 0x0100];
const SEQUENCE: usize = 6;
const VERSION: usize = 2;
const RANDOM: usize = 32;

#[cfg(test)]
pub(super) mod tests;
