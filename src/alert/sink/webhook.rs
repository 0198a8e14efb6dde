//! A webhook: each event is one POST, signed where a secret is given.
//!
//! ```text
//! X-Saastap-Event: <event id>
//! X-Saastap-Timestamp: <seconds since 1970, when it was sent>
//! X-Saastap-Signature: v1=<hex of HMAC-SHA-256(secret, timestamp "." body)>
//! ```
//! A receiver compares the signature, refuses old timestamps, and drops ids that it has seen.

use std::io;
use std::time::{SystemTime, UNIX_EPOCH};

use data_encoding::HEXLOWER;
use hyper::header::{AUTHORIZATION, HeaderName};
use ring::hmac;

use super::http::{Client, Verdict, content_type};
use super::secret::{Revealed, Secret};
use super::{Built, Envelope, Fields, Kind, Sink, Soon, Written};
use crate::alert::event::Event;
use crate::alert::format::Format;
use crate::fault::Fault;
use crate::store::Stored;

pub(super) const KIND: Kind = Kind::new("webhook", build);

/// Octets of one event, far above what its lists can hold.
const MAX_BODY: usize = 1 << 20;
const EVENT: HeaderName = HeaderName::from_static("x-saastap-event");
const TIMESTAMP: HeaderName = HeaderName::from_static("x-saastap-timestamp");
const SIGNATURE: HeaderName = HeaderName::from_static("x-saastap-signature");

/// Keys: those of [`Client`]; `secret_file` or `secret_env` for the signature; `token_file` or `token_env` for a bearer token.
fn build(fields: &mut Fields<'_>, format: &'static Format) -> Result<Built, Fault> {
    let client = Client::read_keys(fields, "/")?;
    let secret = Secret::read_key(fields, "secret_file", "secret_env")?;
    let token = Secret::read_key(fields, "token_file", "token_env")?;
    let clear = token.is_some() && !client.is_secure();
    let note = clear.then_some("its token goes over the network in clear text; use https");
    let sink = Webhook { client, secret, token, media: format.media };
    Ok(Built { note, ..Built::new(Box::new(Plain), Box::new(sink)) })
}

/// The event as its format renders it.
struct Plain;

impl Envelope for Plain {
    fn wrap(&self, event: &Event, format: &Format) -> Vec<u8> {
        (format.render)(event, MAX_BODY).into_bytes()
    }
}

struct Webhook {
    client: Client,
    secret: Option<Secret>,
    token: Option<Secret>,
    media: &'static str,
}

impl Sink for Webhook {
    fn write<'a>(&'a mut self, letters: &'a [Stored]) -> Soon<'a, io::Result<Written>> {
        Box::pin(async move {
            let Some(letter) = letters.first() else { return Ok(Written::Taken(0)) };
            let mut headers = vec![content_type(self.media), (EVENT, letter.event.clone())];
            if let Some(token) = &self.token {
                headers.push((AUTHORIZATION, format!("Bearer {}", token.reveal()?.plain())));
            }
            if let Some(secret) = &self.secret {
                let at = now_secs().to_string();
                headers.push((SIGNATURE, signature(&secret.reveal()?, &at, &letter.payload)));
                headers.push((TIMESTAMP, at));
            }
            let path = self.client.path().to_owned();
            let reply = self.client.post(&path, &headers, letter.payload.clone()).await?;
            match reply.verdict() {
                Verdict::Taken => Ok(Written::Taken(1)),
                Verdict::Refused => Ok(Written::Refused(1, reply.told())),
                Verdict::Again => Err(reply.error()),
            }
        })
    }
}

fn signature(secret: &Revealed, at: &str, body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.plain().as_bytes());
    let mut context = hmac::Context::with_key(&key);
    context.update(at.as_bytes());
    context.update(b".");
    context.update(body);
    format!("v1={}", HEXLOWER.encode(context.sign().as_ref()))
}

// When a message is sent is a matter of the transport, not of the packets.
#[allow(clippy::disallowed_methods)]
fn now_secs() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
