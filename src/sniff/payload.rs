//! First octets that signatures look for: protocols that are told by how one side begins, and need no code.

use super::{Answer, Evidence, Met, Openings};

pub(super) fn sniff(openings: &Openings<'_>) -> Answer {
    let mut met = Met::default();
    let patterns = openings.patterns;
    let client = patterns.payload(false, openings.client, &mut met);
    let server = patterns.payload(true, openings.server, &mut met);
    if !met.ids().is_empty() {
        return Answer::Found(Evidence::Payload(met.into_ids()));
    }
    // Where a server greets, it speaks first: one whose client has spoken is not waited for.
    let waited_for = client && !openings.client.is_empty()
        || server && (!openings.server.is_empty() || openings.client.is_empty());
    if waited_for { Answer::NeedMore } else { Answer::NotMine }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sniff::{PatternId, Patterns, Sought};

    #[test]
    fn either_side_may_begin_so_and_a_silent_server_is_not_waited_for() {
        let octets = |octets: &[u8]| octets.into();
        let sought = [
            Sought::Payload { server: true, octets: octets(b"SRS:Ready") },
            Sought::Payload { server: false, octets: octets(b"HELLO1") },
        ];
        let rows = sought.iter().enumerate().map(|(i, s)| (PatternId(i as u64), s));
        let patterns = Patterns::new(rows);
        let ask =
            |client: &[u8], server: &[u8]| match sniff(&Openings::new(client, server, &patterns)) {
                Answer::Found(Evidence::Payload(ids)) => Ok(ids.iter().map(|id| id.0).collect()),
                Answer::NeedMore => Err(true),
                Answer::NotMine => Err(false),
                other => panic!("{other:?}"),
            };
        assert_eq!(ask(b"", b"SRS:Ready\0"), Ok(vec![0]));
        assert_eq!(ask(b"HELLO1", b""), Ok(vec![1]));
        assert_eq!(ask(b"", b"SRS:"), Err(true));
        assert_eq!(ask(b"HEL", b""), Err(true));
        assert_eq!(ask(b"GET /", b""), Err(false));
        assert_eq!(ask(b"SRS:Ready\0", b"x"), Err(false));
    }
}
