//! SOCKS 4, 4a and 5: the host that a client asks its proxy for, and what it says to that.

use super::line::host_name;
use super::reader::Reader;
use super::{Answer, Evidence, NOT_YET, Openings, Tunnel, TunnelKind};

/// Reads the request and the proxy's answer to it; what follows is the client's own.
pub(super) fn sniff(openings: &Openings<'_>) -> Answer {
    let request = match openings.client {
        [] => return Answer::NeedMore,
        [4, ..] => version4(openings),
        [5, ..] => version5(openings),
        _ => return Answer::NotMine,
    };
    let Asked { target, client, server } = match request {
        Request::Whole(asked) => asked,
        Request::Begun => return Answer::NeedMore,
        Request::Other => return Answer::NotMine,
    };
    match server {
        Reply::Granted(server) => Answer::Inside(target, client, server),
        Reply::Refused => target.map_or(Answer::NotMine, Answer::Found),
        // The client does not wait, or its proxy is not to be heard.
        Reply::Begun if openings.client.len() > client => Answer::Inside(target, client, NOT_YET),
        Reply::Begun => Answer::NeedMore,
        Reply::Other => Answer::NotMine,
    }
}

/// A request that was never answered.
pub(super) fn cut_short(openings: &Openings<'_>) -> Option<Evidence> {
    let request = match openings.client {
        [4, ..] => version4(openings),
        [5, ..] => version5(openings),
        _ => return None,
    };
    match request {
        Request::Whole(Asked { target, server: Reply::Begun | Reply::Refused, .. }) => target,
        _ => None,
    }
}

enum Request {
    Whole(Asked),
    Begun,
    Other,
}

struct Asked {
    target: Option<Evidence>,
    /// Octets that the client's part takes.
    client: usize,
    server: Reply,
}

/// What the proxy has said, and so many octets of it.
enum Reply {
    Granted(usize),
    Refused,
    Begun,
    Other,
}

/// The memo "SOCKS: A protocol for TCP proxy across firewalls", and its extension 4A.
///
/// ```text
/// client: 04 | 01 | port (2) | address (4) | user 00 | host 00, where the address is 0.0.0.x
/// proxy:  00 | 5a | port (2) | address (4)
/// ```
fn version4(openings: &Openings<'_>) -> Request {
    let mut reader = Reader::new(openings.client);
    reader.u8();
    match reader.u8() {
        None => return Request::Begun,
        Some(CONNECT) => {}
        Some(_) => return Request::Other,
    }
    let Some((port, high, low)) = triple(reader.u16(), reader.u16(), reader.u16()) else {
        return Request::Begun;
    };
    if port == 0 || high == 0 && low == 0 {
        return Request::Other;
    }
    if let Err(request) = text4(&mut reader) {
        return request;
    }
    let target = match (high, low) {
        (0, ..0x100) => match text4(&mut reader) {
            Ok(host) => named(host, port),
            Err(request) => return request,
        },
        _ => None,
    };
    let server = match openings.server {
        [] | [0] => Reply::Begun,
        [0, 0x5a, rest @ ..] if rest.len() < 6 => Reply::Begun,
        [0, 0x5a, ..] => Reply::Granted(8),
        [0, 0x5b..=0x5d, ..] => Reply::Refused,
        _ => Reply::Other,
    };
    let client = openings.client.len() - reader.rest().len();
    Request::Whole(Asked { target, client, server })
}

/// Text that ends with an octet of 0.
fn text4<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], Request> {
    let rest = reader.rest();
    let head = rest.get(..rest.len().min(MAX_TEXT)).unwrap_or_default();
    let end = head.iter().position(|&b| b == 0);
    let text = head.get(..end.unwrap_or(head.len())).unwrap_or_default();
    if !text.iter().all(|&b| is_user(b)) || end.is_none() && head.len() == MAX_TEXT {
        return Err(Request::Other);
    }
    let end = end.ok_or(Request::Begun)?;
    reader.take(end + 1);
    Ok(text)
}

/// RFC 1928, and RFC 1929 for user and password. GSSAPI hides what follows.
///
/// ```text
/// client: 05 | n | methods      [01 | n | user | n | password]      05 | 01 | 00 | kind, address | port (2)
/// proxy:          05 | method                   [01 | 00]      05 | 00 | 00 | kind, address | port (2)
/// ```
fn version5(openings: &Openings<'_>) -> Request {
    let mut reader = Reader::new(openings.client);
    reader.u8();
    let methods = match reader.u8() {
        None => return Request::Begun,
        Some(count @ 1..=MAX_METHODS) => reader.take(count.into()),
        Some(_) => return Request::Other,
    };
    let Some(methods) = methods else { return Request::Begun };
    let method = match openings.server {
        [] | [5] => None,
        [5, method @ (NO_AUTHENTICATION | PASSWORD), ..] => Some(*method),
        _ => return Request::Other,
    };
    let password = match reader.rest() {
        [] => return Request::Begun,
        [PASSWORD_VERSION, ..]
            if methods.contains(&PASSWORD) && method != Some(NO_AUTHENTICATION) =>
        {
            reader.u8();
            if reader.vector8().and(reader.vector8()).is_none() {
                return Request::Begun;
            }
            true
        }
        [5, ..] if method != Some(PASSWORD) => false,
        _ => return Request::Other,
    };
    let (target, client) = match request5(reader, openings.client.len()) {
        Ok(request) => request,
        Err(request) => return request,
    };
    let server = reply5(openings.server, password);
    Request::Whole(Asked { target, client, server })
}

fn request5(mut reader: Reader<'_>, len: usize) -> Result<(Option<Evidence>, usize), Request> {
    match reader.rest() {
        [] | [5] | [5, CONNECT] => return Err(Request::Begun),
        [5, CONNECT, 0, ..] => reader.take(3),
        _ => return Err(Request::Other),
    };
    let kind = reader.u8().ok_or(Request::Begun)?;
    let host = match kind {
        IPV4 => reader.take(4),
        IPV6 => reader.take(16),
        DOMAIN => reader.vector8(),
        _ => return Err(Request::Other),
    };
    let (host, port) = host.zip(reader.u16()).ok_or(Request::Begun)?;
    if kind == DOMAIN && !host.iter().all(|&b| is_user(b)) {
        return Err(Request::Other);
    }
    let target = if kind == DOMAIN { named(host, port) } else { None };
    Ok((target, len - reader.rest().len()))
}

fn reply5(server: &[u8], password: bool) -> Reply {
    let mut reader = Reader::new(server);
    reader.take(2);
    if password {
        match (reader.u8(), reader.u8()) {
            (Some(_), Some(0)) => {}
            (Some(_), Some(_)) => return Reply::Refused,
            _ => return Reply::Begun,
        }
    }
    match (reader.u8(), reader.u8(), reader.u8(), reader.u8()) {
        (Some(5), Some(0), Some(_), Some(kind)) => {
            let address = match kind {
                IPV4 => reader.take(4),
                IPV6 => reader.take(16),
                DOMAIN => reader.vector8(),
                _ => return Reply::Other,
            };
            match address.zip(reader.u16()) {
                Some(_) => Reply::Granted(server.len() - reader.rest().len()),
                None => Reply::Begun,
            }
        }
        (Some(5), Some(1..=8), ..) => Reply::Refused,
        (None | Some(5), None | Some(0), ..) => Reply::Begun,
        _ => Reply::Other,
    }
}

fn named(host: &[u8], port: u16) -> Option<Evidence> {
    let host = host_name(host)?;
    Some(Evidence::Tunnel(Tunnel { kind: TunnelKind::Socks, host, port: Some(port) }))
}

fn is_user(octet: u8) -> bool {
    octet.is_ascii_graphic() || octet == b' ' || !octet.is_ascii()
}

fn triple<A, B, C>(a: Option<A>, b: Option<B>, c: Option<C>) -> Option<(A, B, C)> {
    Some((a?, b?, c?))
}

const CONNECT: u8 = 1;
const NO_AUTHENTICATION: u8 = 0;
const PASSWORD: u8 = 2;
const PASSWORD_VERSION: u8 = 1;
const IPV4: u8 = 1;
const DOMAIN: u8 = 3;
const IPV6: u8 = 4;

/// Methods that a client can offer; ten are assigned.
const MAX_METHODS: u8 = 10;

/// Octets of a user or host in SOCKS 4.
const MAX_TEXT: usize = 256;
