//! Syslog: RFC 5424 messages over TCP or TLS, framed by octet counting (RFC 6587 section 3.4.1, RFC 5425 section 4.3), or over UDP,
//! one a datagram (RFC 5426).

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UdpSocket;

use super::connection::{Duplex, Tls, connect, in_time};
use super::{Built, Envelope, Fields, Kind, Sink, Soon, Written, one_of};
use crate::alert::event::Event;
use crate::alert::finding::Severity;
use crate::alert::format::Format;
use crate::fault::Fault;
use crate::store::Stored;

pub(super) const KIND: Kind = Kind::new("syslog", build);

/// Of a host name (RFC 5424 section 6).
const MAX_HOSTNAME: usize = 255;
const MAX_MSGID: usize = 32;
/// Of all fields before the message together.
const MAX_HEAD: usize = 512;
/// What one datagram can carry at most over IPv4.
const MAX_DATAGRAM: i64 = 65_507;
const LOCAL0: u8 = 16;
const TRANSPORTS: [&str; 3] = ["tcp", "tls", "udp"];

/// Keys: `address` ("host:port", "[::1]:6514"), `transport` (tcp), `max_octets` of a message (8192); for tcp and tls
/// `ack_seconds` (10); for tls the keys of [`Tls`].
fn build(fields: &mut Fields<'_>, format: &'static Format) -> Result<Built, Fault> {
    let address = fields.text("address")?;
    let parts = address.rsplit_once(':').filter(|(host, _)| !host.is_empty());
    let Some((host, _)) = parts.filter(|(_, port)| port.parse::<u16>().is_ok()) else {
        let what = format!("`{address}` has no port");
        return Err(fields.fault("address", what, "write it as \"host:514\" or \"[::1]:514\""));
    };
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let transport = fields.text_or("transport", "tcp")?;
    let udp = transport == "udp";
    // Receivers must take 480 octets (RFC 5424 section 6.1), but no format can say an event in so few.
    let least = (format.least + MAX_HEAD) as i64;
    let most = if udp { MAX_DATAGRAM } else { 1_048_576 };
    let max = fields.number_or("max_octets", 8_192, least..=most)?;
    let max = usize::try_from(max).unwrap_or(usize::MAX);
    let envelope = Box::new(Rfc5424 { max, process: std::process::id(), counted: !udp });
    if udp {
        let sink = Box::new(Datagrams { address, socket: None });
        let note = "over UDP what is lost on the way is lost, and nobody is told; tcp and tls are sent again";
        return Ok(Built { note: Some(note), ..Built::new(envelope, sink) });
    }
    let tls = match &*transport {
        "tcp" => None,
        "tls" => Some(Tls::read_keys(fields, &host)?),
        other => {
            let what = format!("there is no transport `{other}`");
            return Err(fields.fault("transport", what, one_of(TRANSPORTS.into_iter())));
        }
    };
    let seconds = fields.number_or("ack_seconds", 10, 0..=3_600)?;
    let acknowledges_after = Duration::from_secs(seconds.unsigned_abs());
    Ok(Built::new(envelope, Box::new(Stream { address, tls, acknowledges_after, stream: None })))
}

struct Rfc5424 {
    /// Octets of a message, without the count before it.
    max: usize,
    process: u32,
    /// The length stands before each message.
    counted: bool,
}

/// ```text
/// MSG-LEN SP <PRI>1 SP TIMESTAMP SP HOSTNAME SP saastap SP PROCID SP MSGID SP - SP MSG
/// ```
/// Without structured data: its names would need an enterprise number of our own.
impl Envelope for Rfc5424 {
    fn wrap(&self, event: &Event, format: &Format) -> Vec<u8> {
        let priority = LOCAL0 * 8 + level(event.severity);
        let host = word(&event.sensor.name, MAX_HOSTNAME);
        let kind = word(&event.name().to_ascii_uppercase(), MAX_MSGID);
        let head =
            format!("<{priority}>1 {} {host} saastap {} {kind} - ", event.time, self.process);
        let body = (format.render)(event, self.max.saturating_sub(head.len()));
        let message = format!("{head}{body}");
        if self.counted {
            format!("{} {message}", message.len()).into_bytes()
        } else {
            message.into_bytes()
        }
    }
}

/// RFC 5424 section 6.2.1: 3 error ... 6 informational.
const fn level(severity: Severity) -> u8 {
    match severity {
        Severity::High => 3,
        Severity::Medium => 4,
        Severity::Low => 5,
        Severity::Informational => 6,
    }
}

/// PRINTUSASCII (33 to 126) in a header field; what is not becomes `_`, and nothing at all the NILVALUE.
fn word(text: &str, max: usize) -> String {
    let printable = |c: char| if c.is_ascii_graphic() { c } else { '_' };
    let word: String = text.chars().take(max).map(printable).collect();
    if word.is_empty() { "-".into() } else { word }
}

/// Over TCP, and TLS where there is one.
struct Stream {
    address: String,
    tls: Option<Tls>,
    acknowledges_after: Duration,
    stream: Option<Box<dyn Duplex>>,
}

impl Sink for Stream {
    fn write<'a>(&'a mut self, letters: &'a [Stored]) -> Soon<'a, io::Result<Written>> {
        Box::pin(async move {
            let mut stream = match self.stream.take() {
                Some(stream) => stream,
                None => connect(&self.address, self.tls.as_ref()).await?,
            };
            let frames: Vec<u8> = letters.iter().flat_map(|l| l.payload.iter().copied()).collect();
            in_time(async {
                stream.write_all(&frames).await?;
                stream.flush().await
            })
            .await?;
            self.stream = Some(stream);
            Ok(Written::Taken(letters.len()))
        })
    }

    fn acknowledges_after(&self) -> Duration {
        self.acknowledges_after
    }

    fn broken(&mut self) -> Soon<'_, io::Error> {
        Box::pin(async move {
            let Some(stream) = &mut self.stream else {
                return std::future::pending().await;
            };
            // A receiver sends nothing; what it sends all the same is read and forgotten.
            let mut scrap = [0; 512];
            let error = loop {
                match stream.read(&mut scrap).await {
                    Ok(0) => break io::Error::from(io::ErrorKind::ConnectionReset),
                    Ok(_) => {}
                    Err(error) => break error,
                }
            };
            self.stream = None;
            error
        })
    }
}

/// Handed to the kernel, at most once. The socket is connected to nobody: an answer that a port is closed would belong to an
/// earlier datagram, and hold up a later one.
struct Datagrams {
    address: String,
    socket: Option<(UdpSocket, SocketAddr)>,
}

impl Sink for Datagrams {
    fn write<'a>(&'a mut self, letters: &'a [Stored]) -> Soon<'a, io::Result<Written>> {
        Box::pin(async move {
            let (socket, to) = match self.socket.take() {
                Some(socket) => socket,
                None => in_time(Self::open(&self.address)).await?,
            };
            for letter in letters {
                in_time(socket.send_to(&letter.payload, to)).await?;
            }
            self.socket = Some((socket, to));
            Ok(Written::Taken(letters.len()))
        })
    }
}

impl Datagrams {
    async fn open(address: &str) -> io::Result<(UdpSocket, SocketAddr)> {
        let to = tokio::net::lookup_host(address).await?.next();
        let to = to.ok_or_else(|| io::Error::other(format!("{address} has no address")))?;
        let any: SocketAddr = match to {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        Ok((UdpSocket::bind(any).await?, to))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::case::tests::raised;
    use crate::alert::format::json;

    #[test]
    fn counts_octets_and_keeps_its_head_whatever_the_body() {
        let mut event = raised(5, 20).event;
        event.sensor.name = "sensor ä\n1".into();
        for (max, counted) in [(2_560, true), (8_192, true), (8_192, false)] {
            let frame = Rfc5424 { max, process: 7, counted }.wrap(&event, &json::FORMAT);
            let text = String::from_utf8(frame).unwrap();
            let message = match text.split_once(' ') {
                Some((count, message)) if counted => {
                    assert_eq!(count.parse::<usize>().unwrap(), message.len());
                    message
                }
                _ => &text,
            };
            assert!(message.len() <= max, "{}", message.len());
            let head = format!("<131>1 {} sensor___1 saastap 7 UNSANCTIONED_USE - {{", event.time);
            assert!(message.starts_with(&head), "{message}");
            let body = message.split_once(" - ").unwrap().1;
            serde_json::from_str::<serde_json::Value>(body).unwrap();
        }
    }

    #[test]
    fn header_words_are_printable_bounded_and_never_empty() {
        assert_eq!(word("", 9), "-");
        assert_eq!(word("a b\u{7f}é", 9), "a_b__");
        assert_eq!(word(&"x".repeat(400), MAX_HOSTNAME).len(), 255);
    }
}
