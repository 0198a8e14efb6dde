//! Splunk's HTTP Event Collector: events are concatenated JSON objects, and with `acknowledge` they count as delivered only when
//! the indexer says that it has written them.

use std::io;
use std::time::Duration;

use hyper::header::{AUTHORIZATION, HeaderName};
use ring::rand::{SecureRandom as _, SystemRandom};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::batch::Batch;
use super::http::{Client, Reply, Verdict, content_type};
use super::secret::Secret;
use super::{Built, Envelope, Fields, Kind, Sink, Soon, Written};
use crate::alert::event::Event;
use crate::alert::format::Format;
use crate::fault::Fault;
use crate::store::Stored;

pub(super) const KIND: Kind = Kind::new("splunk_hec", build);

const EVENTS: &str = "/services/collector/event";
const ACKNOWLEDGED: &str = "/services/collector/ack";
const CHANNEL: HeaderName = HeaderName::from_static("x-splunk-request-channel");

/// Octets of one request, below the limit of a collector (1 MB in its defaults), and of one event.
const MAX_BODY: usize = 512 << 10;
const MAX_EVENT: usize = 256 << 10;
/// How long an indexer may take to write, and pauses between two questions: doubled from the first to the last.
const ACK_PATIENCE: Duration = Duration::from_secs(300);
const FIRST_ASK: Duration = Duration::from_millis(250);
const LAST_ASK: Duration = Duration::from_secs(10);

/// Keys: those of [`Client`]; `token_file` or `token_env`; `acknowledge` (false), `index`, `source` (saastap), `sourcetype`
/// (`saastap:` and the format).
fn build(fields: &mut Fields<'_>, format: &'static Format) -> Result<Built, Fault> {
    let client = Client::read_keys(fields, EVENTS)?;
    let Some(token) = Secret::read_key(fields, "token_file", "token_env")? else {
        let what = "a collector wants a token";
        return Err(fields.fault("kind", what, "add `token_file` or `token_env`"));
    };
    let acknowledge = fields.flag_or("acknowledge", false)?;
    let envelope = Wrapped {
        index: fields.text_some("index")?,
        source: fields.text_or("source", "saastap")?,
        sourcetype: fields.text_or("sourcetype", &format!("saastap:{}", format.name))?,
    };
    let channel = channel().map_err(|error| fields.fault("kind", error.to_string(), ""))?;
    let note =
        (!client.is_secure()).then_some("its token goes over the network in clear text; use https");
    let sink = Collector {
        client,
        token,
        channel: acknowledge.then_some(channel),
        batch: Batch::default(),
    };
    Ok(Built { note, ..Built::new(Box::new(envelope), Box::new(sink)) })
}

struct Wrapped {
    index: Option<String>,
    source: String,
    sourcetype: String,
}

impl Envelope for Wrapped {
    fn wrap(&self, event: &Event, format: &Format) -> Vec<u8> {
        let text = (format.render)(event, MAX_EVENT);
        let body = if format.is_json() {
            serde_json::from_str(&text).unwrap_or(Value::String(text))
        } else {
            Value::String(text)
        };
        let millis = event.time.nanos() / 1_000_000;
        let mut wrapped = json!({
            "time": format!("{}.{:03}", millis / 1_000, millis % 1_000),
            "host": event.sensor.name,
            "source": self.source,
            "sourcetype": self.sourcetype,
            "event": body,
        });
        if let (Some(index), Value::Object(wrapped)) = (&self.index, &mut wrapped) {
            wrapped.insert("index".into(), index.as_str().into());
        }
        wrapped.to_string().into_bytes()
    }
}

struct Collector {
    client: Client,
    token: Secret,
    /// Where acknowledgment is asked for.
    channel: Option<String>,
    batch: Batch,
}

impl Sink for Collector {
    fn write<'a>(&'a mut self, letters: &'a [Stored]) -> Soon<'a, io::Result<Written>> {
        Box::pin(async move {
            let mut body = Vec::new();
            let mut count = 0;
            let most = self.batch.most(letters.len());
            for letter in letters.iter().take(most) {
                if count > 0 && body.len() + letter.payload.len() > MAX_BODY {
                    break;
                }
                body.extend_from_slice(&letter.payload);
                count += 1;
            }
            let path = self.client.path().to_owned();
            let reply = self.ask(&path, body).await?;
            match judge(&reply) {
                Verdict::Taken => {
                    self.acknowledged(&reply).await?;
                    Ok(self.batch.taken(count))
                }
                Verdict::Refused => Ok(self.batch.refused(count, reply.told())),
                Verdict::Again => Err(reply.error()),
            }
        })
    }
}

impl Collector {
    async fn ask(&mut self, path: &str, body: Vec<u8>) -> io::Result<Reply> {
        let token = self.token.reveal()?;
        let mut headers = vec![
            content_type("application/json"),
            (AUTHORIZATION, format!("Splunk {}", token.plain())),
        ];
        if let Some(channel) = &self.channel {
            headers.push((CHANNEL, channel.clone()));
        }
        self.client.post(path, &headers, body).await
    }

    /// Waits until the indexer has written what `reply` took.
    async fn acknowledged(&mut self, reply: &Reply) -> io::Result<()> {
        let Some(channel) = self.channel.clone() else { return Ok(()) };
        let accepted: Accepted = serde_json::from_slice(&reply.body).unwrap_or_default();
        let Some(id) = accepted.ack_id else {
            return Err(io::Error::other(
                "the collector gave no ackId: enable acknowledgment for its token",
            ));
        };
        let question = json!({ "acks": [id] }).to_string().into_bytes();
        let path = format!("{ACKNOWLEDGED}?channel={channel}");
        let until = instant() + ACK_PATIENCE;
        let mut pause = FIRST_ASK;
        loop {
            let reply = self.ask(&path, question.clone()).await?;
            if !matches!(reply.verdict(), Verdict::Taken) {
                return Err(reply.error());
            }
            let acks: Acks = serde_json::from_slice(&reply.body).unwrap_or_default();
            if acks.acks.get(&id.to_string()) == Some(&true) {
                return Ok(());
            }
            if instant() >= until {
                return Err(io::Error::from(io::ErrorKind::TimedOut));
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LAST_ASK);
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Accepted {
    code: Option<u64>,
    #[serde(rename = "ackId")]
    ack_id: Option<u64>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Acks {
    acks: std::collections::BTreeMap<String, bool>,
}

/// A collector says 400 to messages and to settings alike, and tells them apart by a code: 5 no data, 6 invalid format, 12 no
/// event, 13 a blank event, 15 bad indexed fields are the message's.
fn judge(reply: &Reply) -> Verdict {
    let said: Accepted = serde_json::from_slice(&reply.body).unwrap_or_default();
    match (reply.verdict(), said.code) {
        (Verdict::Refused, Some(5 | 6 | 12 | 13 | 15) | None) => Verdict::Refused,
        (Verdict::Refused, Some(_)) => Verdict::Again,
        (verdict, _) => verdict,
    }
}

/// A UUID of version 4, of this run alone.
fn channel() -> io::Result<String> {
    let mut octets = [0; 16];
    SystemRandom::new().fill(&mut octets).map_err(|_| io::Error::other("no random numbers"))?;
    let value = u128::from_be_bytes(octets);
    let value = value & !(0xf << 76) & !(0b11 << 62) | 0x4 << 76 | 0b10 << 62;
    let hex = format!("{value:032x}");
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default().to_owned();
    Ok([part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)].join("-"))
}

fn instant() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use hyper::StatusCode;
    use hyper::body::Bytes;

    use super::*;
    use crate::alert::case::tests::raised;
    use crate::alert::format::FORMATS;

    #[test]
    fn every_format_is_wrapped_as_the_collector_wants_it() {
        let envelope =
            Wrapped { index: Some("net".into()), source: "s".into(), sourcetype: "t".into() };
        let event = raised(1, 1).event;
        for format in FORMATS {
            let wrapped: Value = serde_json::from_slice(&envelope.wrap(&event, format)).unwrap();
            assert_eq!(wrapped["event"].is_object(), format.is_json(), "{}", format.name);
            assert_eq!(wrapped["index"], "net");
            let time: f64 = wrapped["time"].as_str().unwrap().parse().unwrap();
            assert!((time - event.time.secs() as f64).abs() < 1.0);
        }
    }

    #[test]
    fn what_is_the_messages_fault_is_told_from_what_is_the_settings() {
        for (status, body, refused) in [
            (400, r#"{"text":"Invalid data format","code":6}"#, true),
            (400, r#"{"text":"Incorrect index","code":7}"#, false),
            (400, "bad", true),
            (403, r#"{"text":"Invalid token","code":4}"#, false),
            (503, r#"{"text":"Server is busy","code":9}"#, false),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            let reply = Reply { status, body: Bytes::from_static(body.as_bytes()) };
            assert_eq!(matches!(judge(&reply), Verdict::Refused), refused, "{body}");
        }
    }

    #[test]
    fn a_channel_is_a_uuid_of_version_4() {
        let channel = channel().unwrap();
        assert_eq!((channel.len(), channel.as_bytes()[14]), (36, b'4'), "{channel}");
    }
}
