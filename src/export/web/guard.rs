//! What every request passes first: the host it names, and a bound on its time; and the headers that every answer bears.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HOST, HeaderName, HeaderValue, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::{Options, Provider, Sample, Site};
use crate::count::Kind;

pub(super) async fn guarded(
    State(site): State<Arc<Site>>,
    request: Request,
    next: Next,
) -> Response {
    let mut response = if !names_us(request.headers(), &site.options) {
        site.refusals.count(Refusal::Host);
        let text = "refused: unknown host name; ask by IP address, or add it to `hosts` in [web]\n";
        (StatusCode::MISDIRECTED_REQUEST, text).into_response()
    } else {
        match tokio::time::timeout(REQUEST_TIME, next.run(request)).await {
            Ok(response) => response,
            Err(_) => {
                site.refusals.count(Refusal::Timeout);
                (StatusCode::SERVICE_UNAVAILABLE, "took too long\n").into_response()
            }
        }
    };
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Whether the `Host` of a request is a name of this sensor. A page of a stranger can make its own name resolve to a
/// loopback address and read the answers then (DNS rebinding), but the browser still sends that name. Nobody can rebind an
/// IP address.
fn names_us(headers: &HeaderMap, options: &Options) -> bool {
    let Some(host) = headers.get(HOST) else { return true };
    let Ok(host) = host.to_str() else { return false };
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name.parse::<IpAddr>().is_ok()
        || name.eq_ignore_ascii_case("localhost")
        || options.hosts.iter().any(|ours| ours.eq_ignore_ascii_case(name))
        || (options.hosts.is_empty() && !options.listen.ip().is_loopback())
}

/// Why a request was not served.
#[derive(Clone, Copy)]
pub(super) enum Refusal {
    Host,
    Browser,
    Timeout,
    /// Served late: every connection was taken.
    Waited,
}

/// Counts of refused requests. Rare and from many threads, hence no `Cells`.
#[derive(Default)]
pub(super) struct Refusals {
    host: AtomicU64,
    browser: AtomicU64,
    timeout: AtomicU64,
    waited: AtomicU64,
}

impl Refusals {
    pub(super) fn count(&self, refusal: Refusal) {
        let cell = match refusal {
            Refusal::Host => &self.host,
            Refusal::Browser => &self.browser,
            Refusal::Timeout => &self.timeout,
            Refusal::Waited => &self.waited,
        };
        cell.fetch_add(1, Ordering::Relaxed);
    }
}

impl Provider for Refusals {
    fn samples(&self, out: &mut Vec<Sample>) {
        let reasons =
            [("host", &self.host), ("browser", &self.browser), ("timeout", &self.timeout)];
        for (reason, cell) in reasons {
            out.push(Sample {
                name: "saastap_web_refused_requests_total",
                help: "Web requests refused: foreign host name, reload by a browser, took too long.",
                kind: Kind::Counter,
                labels: vec![("reason", reason.to_owned())],
                value: cell.load(Ordering::Relaxed) as f64,
            });
        }
        out.push(Sample {
            name: "saastap_web_waited_connections_total",
            help: "Times that web clients had to wait because every connection was taken.",
            kind: Kind::Counter,
            labels: Vec::new(),
            value: self.waited.load(Ordering::Relaxed) as f64,
        });
    }
}

/// A scrape times out after 10 seconds by default; whoever waits longer has gone.
const REQUEST_TIME: Duration = Duration::from_secs(30);

const HEADERS: [(HeaderName, &str); 5] = [
    (CACHE_CONTROL, "no-store"),
    (CONTENT_SECURITY_POLICY, "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'"),
    (REFERRER_POLICY, "no-referrer"),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (X_FRAME_OPTIONS, "DENY"),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(host: &str, options: &Options) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, host.parse().unwrap());
        names_us(&headers, options)
    }

    #[test]
    fn only_own_names_are_served_on_loopback() {
        let options = Options { hosts: vec!["sensor.example".into()], ..Options::default() };
        for host in ["127.0.0.1:1", "127.0.0.1", "[::1]:80", "LOCALHOST:80", "sensor.example:1"] {
            assert!(asked(host, &options), "{host}");
        }
        for host in ["rebound.example", "localhost.example:80", "127.0.0.1.example", "", "[::1"] {
            assert_eq!(asked(host, &options), host == "[::1", "{host}");
        }
    }

    #[test]
    fn any_name_is_served_where_the_network_may_ask_unless_names_are_given() {
        let mut options = Options { listen: "0.0.0.0:1".parse().unwrap(), ..Options::default() };
        assert!(asked("sensor.example", &options));
        options.hosts.push("other.example".into());
        assert!(!asked("sensor.example", &options));
    }
}
