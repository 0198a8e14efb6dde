//! Syslog: RFC 5424 messages over TCP, framed by octet counting (RFC 6587 section 3.4.1).

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{Built, Envelope, Fields, Kind, Sink, Soon};
use crate::alert::event::Event;
use crate::alert::finding::Severity;
use crate::alert::format::Format;
use crate::fault::Fault;
use crate::store::Stored;

pub(super) const KIND: Kind = Kind { name: "syslog", build };

/// How long connecting, and writing one batch, may take before the connection counts as broken.
const PATIENCE: Duration = Duration::from_secs(10);
/// Of a host name (RFC 5424 section 6).
const MAX_HOSTNAME: usize = 255;
const MAX_MSGID: usize = 32;
/// Of all fields before the message together.
const MAX_HEAD: usize = 512;
const LOCAL0: u8 = 16;

/// Keys: `address` ("host:port", "[::1]:6514"), `ack_seconds` (10), `max_octets` of a message (8192).
fn build(fields: &mut Fields<'_>, format: &'static Format) -> Result<Built, Fault> {
    let address = fields.text("address")?;
    let port = address.rsplit_once(':').filter(|(host, _)| !host.is_empty());
    if port.and_then(|(_, port)| port.parse::<u16>().ok()).is_none() {
        let what = format!("`{address}` has no port");
        return Err(fields.fault("address", what, "write it as \"host:514\" or \"[::1]:514\""));
    }
    let seconds = fields.number_or("ack_seconds", 10, 0..=3_600)?;
    // Receivers must take 480 octets (RFC 5424 section 6.1), but no format can say an event in so few.
    let least = (format.least + MAX_HEAD) as i64;
    let max = fields.number_or("max_octets", 8_192, least..=1_048_576)?;
    let max = usize::try_from(max).unwrap_or(usize::MAX);
    let acknowledges_after = Duration::from_secs(seconds.unsigned_abs());
    Ok(Built {
        envelope: Box::new(Rfc5424 { max, process: std::process::id() }),
        sink: Box::new(Tcp { address, acknowledges_after, stream: None }),
    })
}

struct Rfc5424 {
    /// Octets of a message, without the count before it.
    max: usize,
    process: u32,
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
        format!("{} {head}{body}", head.len() + body.len()).into_bytes()
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

struct Tcp {
    address: String,
    acknowledges_after: Duration,
    stream: Option<TcpStream>,
}

impl Sink for Tcp {
    fn write<'a>(&'a mut self, letters: &'a [Stored]) -> Soon<'a, io::Result<()>> {
        Box::pin(async move {
            let mut stream = match self.stream.take() {
                Some(stream) => stream,
                None => in_time(TcpStream::connect(&self.address)).await?,
            };
            let frames: Vec<u8> = letters.iter().flat_map(|l| l.payload.iter().copied()).collect();
            in_time(stream.write_all(&frames)).await?;
            self.stream = Some(stream);
            Ok(())
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

async fn in_time<T>(work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    match tokio::time::timeout(PATIENCE, work).await {
        Ok(done) => done,
        Err(_) => Err(io::Error::from(io::ErrorKind::TimedOut)),
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
        for max in [2_560, 8_192] {
            let frame = Rfc5424 { max, process: 7 }.wrap(&event, &json::FORMAT);
            let text = String::from_utf8(frame).unwrap();
            let (count, message) = text.split_once(' ').unwrap();
            assert_eq!(count.parse::<usize>().unwrap(), message.len());
            assert!(message.len() <= max, "{}", message.len());
            let head = format!("<131>1 {} sensor____1 saastap 7 UNSANCTIONED_USE - {{", event.time);
            let head = head.replace("sensor____1", "sensor___1");
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
