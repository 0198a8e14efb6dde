//! TLS that begins inside the protocols of PostgreSQL and MySQL.

use super::line::TLS;
use super::{Answer, NOT_YET, Openings};

pub(super) fn sniff(openings: &Openings<'_>) -> Answer {
    match postgresql(openings) {
        Answer::NotMine => mysql(openings),
        answer => answer,
    }
}

/// PostgreSQL, section "SSL Session Encryption" of its protocol: a request of eight octets, answered by one; `S` goes on with TLS.
///
/// ```text
/// 00 00 00 08  04 d2 16 2f (80877103: TLS) or 30 (80877104: GSSAPI, which servers refuse with `N`)
/// ```
fn postgresql(openings: &Openings<'_>) -> Answer {
    let (mut client, mut at) = (openings.client, 0);
    for _ in 0..2 {
        let Some((request, rest)) = client.split_at_checked(REQUEST) else {
            let begins =
                POSTGRESQL.starts_with(client.get(..client.len().min(7)).unwrap_or(client));
            return if begins { Answer::NeedMore } else { Answer::NotMine };
        };
        let [begin @ .., kind] = request else { return Answer::NotMine };
        if begin != POSTGRESQL {
            return Answer::NotMine;
        }
        (client, at) = (rest, at + REQUEST);
        match (kind, rest) {
            (0x2f, []) => return Answer::NeedMore,
            (0x2f, [TLS, ..]) => {
                let answers = at / REQUEST;
                let server = if openings.server.len() < answers { NOT_YET } else { answers };
                return Answer::Inside(None, at, server);
            }
            // TLS was refused, or the request for GSSAPI was: another may follow.
            (0x2f | 0x30, _) => {}
            _ => return Answer::NotMine,
        }
    }
    Answer::NotMine
}

/// MySQL, page "Protocol::SSLRequest": the server greets, the client answers with the beginning of a login that has CLIENT_SSL
/// set, and then with TLS.
///
/// ```text
/// 20 00 00 01 | capabilities (4) | largest packet (4) | character set | 23 octets of 0 | TLS
/// ```
fn mysql(openings: &Openings<'_>) -> Answer {
    let client = openings.client;
    let common = client.len().min(MYSQL.len());
    let reserved = client.iter().take(RESERVED.1).skip(RESERVED.0);
    if client.get(..common) != MYSQL.get(..common) || reserved.into_iter().any(|&b| b != 0) {
        return Answer::NotMine;
    }
    match client.get(MYSQL_REQUEST..) {
        None | Some([]) => Answer::NeedMore,
        Some([TLS, ..]) if client.get(5).is_some_and(|b| b & CLIENT_SSL != 0) => {
            Answer::Inside(None, MYSQL_REQUEST, greeting(openings.server).unwrap_or(NOT_YET))
        }
        Some(_) => Answer::NotMine,
    }
}

/// Octets of the server's first packet: length (3, little endian), number 0, then the version of the protocol.
fn greeting(server: &[u8]) -> Option<usize> {
    let [low, high, 0, 0, ..] = server else { return None };
    let end = 4 + usize::from(u16::from_le_bytes([*low, *high]));
    (server.len() >= end).then_some(end)
}

const REQUEST: usize = 8;
const POSTGRESQL: &[u8] = &[0, 0, 0, 8, 0x04, 0xd2, 0x16];

const MYSQL: &[u8] = &[32, 0, 0, 1];
const MYSQL_REQUEST: usize = 36;
/// Octets of 0; MariaDB has a use for the last four of them.
const RESERVED: (usize, usize) = (13, 32);
/// CLIENT_SSL (0x0800) in the second octet of the capabilities.
const CLIENT_SSL: u8 = 0x08;
