//! DNS messages over datagrams and streams, with mDNS and LLMNR, which have the same form: questions and records.

mod message;
mod record;
mod service;
pub(super) mod stream;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::net::IpAddr;

use domain::base::iana::Rtype;

use super::{Answer, Evidence, State};
use message::Reading;

pub use message::{MAX_QUESTIONS, MAX_RECORDS};
pub use service::{EchConfig, Service};

/// One DNS message (RFC 1035 section 4).
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct DnsMessage {
    pub id: u16,
    pub response: bool,
    /// 0 is QUERY; names of others (UPDATE, NOTIFY) are seen, but answer nothing.
    pub opcode: u8,
    pub flags: DnsFlags,
    pub rcode: u8,
    /// Empty where there is none; `.` is the root.
    pub question: Box<str>,
    pub qtype: u16,
    /// Names and types of further questions: mDNS asks several at once (RFC 6762 section 5.3).
    pub more_questions: Vec<(Box<str>, u16)>,
    /// Records of all sections, in their order.
    pub answers: Vec<DnsAnswer>,
}

impl DnsMessage {
    /// Names and types of all questions.
    pub fn questions(&self) -> impl Iterator<Item = (&str, u16)> {
        let first = std::iter::once((&*self.question, self.qtype));
        let more = self.more_questions.iter().map(|(name, qtype)| (&**name, *qtype));
        first.chain(more).filter(|(name, _)| !name.is_empty())
    }

    /// Octets that it holds beside itself, about.
    pub fn octets(&self) -> usize {
        let question = |(name, _): &(Box<str>, u16)| size_of::<(Box<str>, u16)>() + name.len();
        self.question.len()
            + self.more_questions.iter().map(question).sum::<usize>()
            + self.answers.iter().map(DnsAnswer::octets).sum::<usize>()
    }
}

/// AA, TC, RD and RA (RFC 1035 section 4.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct DnsFlags {
    pub authoritative: bool,
    pub truncated: bool,
    pub recursion_desired: bool,
    pub recursion_available: bool,
}

/// One record, with its owner.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct DnsAnswer {
    pub section: Section,
    pub name: Box<str>,
    /// TYPE as a number; shown by its mnemonic.
    pub rtype: u16,
    /// Seconds.
    pub ttl: u32,
    /// Presentation form of the data: an address, a target name ...
    pub data: Box<str>,
    /// The address of an A or AAAA record.
    pub address: Option<IpAddr>,
    /// What an HTTPS or SVCB record says beside its target.
    pub service: Option<Box<Service>>,
}

impl DnsAnswer {
    fn octets(&self) -> usize {
        let service = self.service.as_ref().map_or(0, |s| s.octets());
        size_of::<Self>() + self.name.len() + self.data.len() + service
    }
}

/// Where a record stood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Section {
    #[default]
    Answer,
    Authority,
    /// Glue, and what a server gives unasked.
    Additional,
}

/// Types that are asked for by code elsewhere.
pub mod rtype {
    pub const A: u16 = 1;
    pub const CNAME: u16 = 5;
    pub const MX: u16 = 15;
    pub const TXT: u16 = 16;
    pub const AAAA: u16 = 28;
    pub const SVCB: u16 = 64;
    pub const HTTPS: u16 = 65;
}

/// The mnemonic of a TYPE (`A`, `AAAA`, `HTTPS`), or `TYPE` and its number (RFC 3597 section 5).
pub fn mnemonic(rtype: u16) -> Cow<'static, str> {
    match Rtype::from_int(rtype).to_mnemonic_str() {
        Some(name) => name.into(),
        None => format!("TYPE{rtype}").into(),
    }
}

/// `state.word` holds [`EXPECTED`], [`GOOD`], and how many messages were broken before the first good one.
pub(super) fn step(state: &mut State, _from_client: bool, datagram: &[u8]) -> Answer {
    let is = |mark| state.word & mark == mark;
    let (is_good, expected) = (is(GOOD), is(EXPECTED));
    match message::read(datagram, expected, &mut state.limited) {
        Reading::Message(message) => {
            state.word = if expected { EXPECTED | GOOD } else { GOOD };
            Answer::Emit(Evidence::Dns(message), 0, 0)
        }
        Reading::Other if !is_good => Answer::NotMine,
        Reading::Cut if !is_good => {
            state.word += 1;
            // A word of another sniffer is beyond the bound, too.
            if state.word & !EXPECTED > MAX_BROKEN { Answer::NotMine } else { Answer::NeedMore }
        }
        Reading::Other | Reading::Cut => Answer::NeedMore,
    }
}

/// The flow is one of a port of DNS; before its first datagram.
pub(super) const fn expect(state: &mut State) {
    state.word = EXPECTED;
}

/// DNS, mDNS and LLMNR (RFC 4795 section 2.2).
pub const fn is_port(port: u16) -> bool {
    matches!(port, 53 | 5353 | 5355)
}

/// Messages that may be cut or broken before the first good one.
const MAX_BROKEN: u32 = 3;

/// A message was good: broken ones are then passed over. The highest bit is set in no word of another sniffer, which begins
/// with a letter.
const GOOD: u32 = 1 << 31 | 1 << 30;

const EXPECTED: u32 = 1 << 31 | 1 << 29;
