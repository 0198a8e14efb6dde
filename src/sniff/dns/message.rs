//! One DNS message from its octets: what is refused, and what of a damaged one is still believed.

use domain::base::iana::{Class, Rtype};
use domain::base::wire::ParseError;
use domain::base::{Message, ParsedName, Question};

use super::record::{self, text};
use super::{DnsAnswer, DnsFlags, DnsMessage, Section};

/// Questions of one message that are kept: mDNS asks for some dozen services at once.
pub const MAX_QUESTIONS: usize = 32;

/// Records of one message that are kept; a hundred hold the largest sets of addresses that are handed out, and a referral
/// with its glue.
pub const MAX_RECORDS: usize = 128;

pub(super) enum Reading {
    Message(DnsMessage),
    /// A header that can be, but the question is not whole, or damaged.
    Cut,
    Other,
}

/// `expected` where the port is one of DNS: damage is then forgiven that elsewhere says that this is something else. `limited`
/// is set where a bound bit.
pub(super) fn read(octets: &[u8], expected: bool, limited: &mut bool) -> Reading {
    let broken = if expected { Reading::Cut } else { Reading::Other };
    let Ok(message) = Message::from_octets(octets) else { return broken };
    let header = message.header();
    let response = header.qr();
    let (opcode, rcode) = (header.opcode().to_int(), header.rcode().to_int());
    let usual = opcode == 0 && !header.z() && (response || rcode == 0);
    let broken = if usual && modest(&message) { Reading::Cut } else { broken };
    let mut believed = false;
    let mut questions = Vec::new();
    for asked in message.question() {
        let asked = match asked {
            Ok(asked) => asked,
            // What follows a good question does not take it back.
            Err(_) if believed => break,
            Err(ParseError::ShortInput) if usual => return Reading::Cut,
            Err(_) => return broken,
        };
        let sound = plausible(asked.qclass()) && !netbios(&asked) && (usual || common(&asked));
        let likely = expected && is_likely(&asked, usual);
        match (sound || likely, believed) {
            (true, _) => believed |= likely || common(&asked),
            (false, true) => break,
            (false, false) => return broken,
        }
        if questions.len() == MAX_QUESTIONS {
            *limited = true;
            break;
        }
        questions.push((text(asked.qname()), asked.qtype().to_int()));
    }
    let (answers, whole) = records(&message, limited);
    let asks = !questions.is_empty();
    // Without a question only a response that can be read to its end is believed.
    let announces = usual && response && whole && !answers.is_empty();
    if !(asks || announces) {
        return Reading::Other;
    }
    let mut questions = questions.into_iter();
    let (question, qtype) = questions.next().unwrap_or_default();
    Reading::Message(DnsMessage {
        id: header.id(),
        response,
        opcode,
        flags: DnsFlags {
            authoritative: header.aa(),
            truncated: header.tc(),
            recursion_desired: header.rd(),
            recursion_available: header.ra(),
        },
        rcode,
        question,
        qtype,
        more_questions: questions.collect(),
        answers,
    })
}

/// The records of the three sections as far as they can be read, and whether that was to the end.
fn records(message: &Message<&[u8]>, limited: &mut bool) -> (Vec<DnsAnswer>, bool) {
    let mut kept = Vec::new();
    let mut whole = true;
    let Ok(mut records) = message.answer() else { return (kept, false) };
    for section in [Section::Answer, Section::Authority, Section::Additional] {
        for record in records.by_ref() {
            let Ok(record) = record else { return (kept, false) };
            // OPT has a size where others have their class (RFC 6891 section 6.1.2).
            if record.rtype() == Rtype::OPT {
                continue;
            }
            if !plausible(record.class()) {
                // Its length tells where the next begins.
                whole = false;
                continue;
            }
            if kept.len() == MAX_RECORDS {
                *limited = true;
                return (kept, whole);
            }
            kept.push(record::answer(&record, section));
        }
        match records.next_section() {
            Ok(Some(next)) => records = next,
            Ok(None) => break,
            Err(_) => return (kept, false),
        }
    }
    (kept, whole)
}

/// The counts of a header that is a message's even where what follows it is damaged.
fn modest(message: &Message<&[u8]>) -> bool {
    let counts = message.header_counts();
    let records = [counts.ancount(), counts.nscount(), counts.arcount()];
    let most = if message.header().qr() { 32 } else { 2 };
    counts.qdcount() == 1 && records.iter().all(|count| *count <= most)
}

/// IN, CH, HS, NONE and ANY; mDNS uses the highest bit for itself (RFC 6762 sections 5.4 and 10.2).
fn plausible(class: Class) -> bool {
    matches!(class.to_int() & 0x7fff, 1 | 3 | 4 | 254 | 255)
}

/// A question that is believed under an odd header: IN, a known type, a name of printable octets.
fn common(asked: &Question<ParsedName<&[u8]>>) -> bool {
    asked.qclass() == Class::IN && asked.qtype().to_mnemonic().is_some() && is_printable(asked)
}

/// Two of four are as they should be: header, name, type and class. Octets that are no DNS have the last of these by chance
/// once in 65,536 times, and the first two together hardly more often.
fn is_likely(asked: &Question<ParsedName<&[u8]>>, usual: bool) -> bool {
    let known = asked.qtype().to_mnemonic().is_some();
    let signs = [usual, is_printable(asked), known, asked.qclass() == Class::IN];
    signs.into_iter().filter(|sign| *sign).count() >= 2
}

fn is_printable(asked: &Question<ParsedName<&[u8]>>) -> bool {
    !asked.qname().is_root()
        && asked.qname().iter().all(|label| label.as_slice().iter().all(u8::is_ascii_graphic))
}

/// NetBIOS names (RFC 1002 section 4.2) look like DNS. Type 32 is NB there and NIMLOC, which nobody asks for, here; 33 is NBSTAT
/// there and SRV here, but a name of NetBIOS has 32 letters from A to P.
fn netbios(asked: &Question<ParsedName<&[u8]>>) -> bool {
    match asked.qtype().to_int() {
        32 => true,
        33 => {
            let label = asked.qname().first().as_slice();
            label.len() == 32 && label.iter().all(|b| (b'A'..=b'P').contains(b))
        }
        _ => false,
    }
}
