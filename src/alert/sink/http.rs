//! One HTTP/1.1 connection to one receiver, kept while it lasts; what the sinks over HTTP have in common.

use std::fmt;
use std::io;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderName, HeaderValue, USER_AGENT};
use hyper::{Method, Request, Response, StatusCode, Uri};
use hyper_util::rt::TokioIo;

use super::Fields;
use super::connection::{Tls, connect, in_time};
use crate::fault::Fault;

/// How long one request may take, answer included.
const PATIENCE: Duration = Duration::from_secs(30);
/// Octets of an answer that are read.
const MAX_REPLY: usize = 65_536;

pub(super) struct Client {
    /// `host:port` for connecting, and as the header `Host` has it.
    address: String,
    authority: String,
    path: String,
    tls: Option<Tls>,
    sender: Option<SendRequest<Full<Bytes>>>,
}

pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) body: Bytes,
}

impl Client {
    /// Keys: `url`, and for https those of [`Tls`]. A URL without a path has `path`.
    pub(super) fn read_keys(fields: &mut Fields<'_>, path: &str) -> Result<Self, Fault> {
        let url = fields.text("url")?;
        let fault = |fields: &Fields<'_>, what: &str| {
            let mend = "write it as \"https://host:port/path\"";
            fields.fault("url", format!("`{}` {what}", shown(&url)), mend)
        };
        let uri: Uri = url.parse().map_err(|_| fault(fields, "is no URL"))?;
        let secure = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(fault(fields, "begins neither with https:// nor with http://")),
        };
        let Some(authority) = uri.authority().filter(|a| !a.as_str().contains('@')) else {
            return Err(fault(fields, "has no host, or a password, which belongs into a file"));
        };
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = authority.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let tls = if secure { Some(Tls::read_keys(fields, &host)?) } else { None };
        let given = uri.path_and_query().map_or("/", |p| p.as_str());
        Ok(Self {
            address: format!("{}:{port}", authority.host()),
            authority: authority.as_str().to_owned(),
            path: if given == "/" { path.to_owned() } else { given.to_owned() },
            tls,
            sender: None,
        })
    }

    pub(super) const fn is_secure(&self) -> bool {
        self.tls.is_some()
    }

    /// The path of the URL.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// Sends `body` to `path` and waits for the answer.
    pub(super) async fn post(
        &mut self,
        path: &str,
        headers: &[(HeaderName, String)],
        body: Vec<u8>,
    ) -> io::Result<Reply> {
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(path)
            .header(HOST, &self.authority)
            .header(USER_AGENT, concat!("saastap/", env!("CARGO_PKG_VERSION")));
        for (name, value) in headers {
            let mut value = HeaderValue::from_str(value).map_err(io::Error::other)?;
            value.set_sensitive(*name == AUTHORIZATION);
            request = request.header(name, value);
        }
        let request = request.body(Full::new(Bytes::from(body))).map_err(io::Error::other)?;
        let work = async {
            let kept = self.sender.take();
            let (response, sender) = match kept {
                None => self.send_anew(request).await?,
                // A receiver closes idle connections as it likes: what was not sent goes by a new one.
                Some(mut sender) => match sender.try_send_request(request).await {
                    Ok(response) => (response, sender),
                    Err(mut failed) => match failed.take_message() {
                        Some(request) => self.send_anew(request).await?,
                        None => return Err(io::Error::other(failed.into_error())),
                    },
                },
            };
            let status = response.status();
            let body = Limited::new(response.into_body(), MAX_REPLY);
            let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
            self.sender = Some(sender);
            Ok(Reply { status, body })
        };
        match tokio::time::timeout(PATIENCE, work).await {
            Ok(reply) => reply,
            Err(_) => Err(io::Error::from(io::ErrorKind::TimedOut)),
        }
    }

    async fn send_anew(
        &self,
        request: Request<Full<Bytes>>,
    ) -> io::Result<(Response<Incoming>, SendRequest<Full<Bytes>>)> {
        let mut sender = self.open().await?;
        let response = sender.send_request(request).await.map_err(io::Error::other)?;
        Ok((response, sender))
    }

    async fn open(&self) -> io::Result<SendRequest<Full<Bytes>>> {
        let stream = connect(&self.address, self.tls.as_ref()).await?;
        let shaken = handshake(TokioIo::new(stream));
        let (sender, connection) =
            in_time(async { shaken.await.map_err(io::Error::other) }).await?;
        // It ends with its sender, or when the receiver closes.
        tokio::spawn(async move {
            let _ = connection.await;
        });
        Ok(sender)
    }
}

/// What an answer means for the messages of a request.
pub(super) enum Verdict {
    Taken,
    /// These messages will never be taken, whoever asks.
    Refused,
    /// It is worth another try: the receiver is busy, or whoever configures it or us has to mend something.
    Again,
}

impl Reply {
    /// A refusal that lies in the message and not in credentials, paths or load (RFC 9110 section 15.5).
    pub(super) fn verdict(&self) -> Verdict {
        match self.status.as_u16() {
            200..300 => Verdict::Taken,
            400 | 413 | 414 | 415 | 422 | 431 => Verdict::Refused,
            _ => Verdict::Again,
        }
    }

    /// For the log: the status, and the beginning of what the receiver says about it.
    pub(super) fn told(&self) -> String {
        let text = String::from_utf8_lossy(&self.body);
        let text: String = text.chars().filter(|c| !c.is_control()).take(MAX_TOLD).collect();
        format!("{} {text}", self.status)
    }

    pub(super) fn error(&self) -> io::Error {
        io::Error::other(self.told())
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("address", &self.address).finish_non_exhaustive()
    }
}

/// Characters of an answer that the log shows.
const MAX_TOLD: usize = 200;

/// The header of a body of this type.
pub(super) fn content_type(media: &str) -> (HeaderName, String) {
    (CONTENT_TYPE, media.to_owned())
}

/// A URL without what may be a password in it.
fn shown(url: &str) -> &str {
    url.rsplit_once('@').map_or(url, |(_, rest)| rest)
}
