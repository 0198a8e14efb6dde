//! DNS over TCP: messages one behind another in both directions, each with its length in two octets before it (RFC 7766
//! section 8).

use super::DnsMessage;
use super::message::{self, Reading};
use crate::sniff::reader::Reader;
use crate::sniff::{Answer, Evidence, Openings};

pub(in crate::sniff) fn sniff(openings: &Openings<'_>) -> Answer {
    let client = next(openings.client, Sender::Client, openings.emitted);
    if let Next::Message(message, taken) = client {
        return Answer::Emit(Evidence::Dns(message), taken, 0);
    }
    let server = next(openings.server, Sender::Server, openings.emitted);
    if let Next::Message(message, taken) = server {
        return Answer::Emit(Evidence::Dns(message), 0, taken);
    }
    let one_is_over = matches!(client, Next::NotMine) || matches!(server, Next::NotMine);
    let both_are_over = matches!((client, server), (Next::NotMine, Next::NotMine));
    // Behind good messages one side may be damaged, and the other go on.
    if both_are_over || (one_is_over && !openings.emitted) {
        Answer::NotMine
    } else {
        Answer::NeedMore
    }
}

/// The question and the records before the cut.
pub(in crate::sniff) fn cut_short(openings: &Openings<'_>) -> Option<Evidence> {
    [(openings.client, Sender::Client), (openings.server, Sender::Server)].into_iter().find_map(
        |(octets, sender)| {
            if !sender.may_begin(octets, openings.emitted) {
                return None;
            }
            let (_, message) = octets.split_at_checked(LENGTH)?;
            match message::read(message, false, &mut false) {
                Reading::Message(message) => Some(Evidence::Dns(message)),
                Reading::Cut | Reading::Other => None,
            }
        },
    )
}

enum Next {
    /// And the octets up to its end.
    Message(DnsMessage, usize),
    NeedMore,
    NotMine,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Sender {
    Client,
    Server,
}

impl Sender {
    /// Whether octets, as far as they are there, can be a length and a header:
    ///
    /// ```text
    /// 2 length   2 id   QR.opcode.AA.TC.RD RA.Z.AD.CD.rcode   2 questions   2 answers   2 authorities   2 additional
    /// ```
    fn may_begin(self, octets: &[u8], emitted: bool) -> bool {
        let mut reader = Reader::new(octets);
        if reader.u16().is_some_and(|length| usize::from(length) < HEADER) {
            return false;
        }
        reader.u16();
        let response = self == Self::Server;
        // QUERY alone, the reserved bit clear, and no error in a question.
        let bits = if response { 0xf840 } else { 0xf84f };
        let flags = reader.u16().is_none_or(|f| f & bits == if response { 0x8000 } else { 0 });
        if emitted || !flags {
            return flags;
        }
        // Later messages of a zone transfer repeat no question (RFC 5936 section 2.2.1).
        let questions = reader.u16().is_none_or(|count| count == 1);
        let answers = reader.u16().is_none_or(|count| response || count == 0);
        let authorities = reader.u16().is_none_or(|count| response || count == 0);
        questions && answers && authorities
    }
}

fn next(octets: &[u8], sender: Sender, emitted: bool) -> Next {
    let mut rest = octets;
    loop {
        if !sender.may_begin(rest, emitted) {
            return Next::NotMine;
        }
        let mut reader = Reader::new(rest);
        let Some(message) = reader.vector16() else { return Next::NeedMore };
        match message::read(message, false, &mut false) {
            Reading::Message(message) => {
                return Next::Message(message, octets.len() - reader.rest().len());
            }
            // Its length tells where the next begins.
            Reading::Cut | Reading::Other if emitted => rest = reader.rest(),
            Reading::Cut | Reading::Other => return Next::NotMine,
        }
    }
}

const LENGTH: usize = 2;
const HEADER: usize = 12;
