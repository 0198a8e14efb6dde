//! `PUT` or `POST /-/reload`: loads configuration, policy and signatures anew.
//!
//! A page in somebody's browser can make it send a POST to a loopback address, but cannot keep the browser from saying so:
//! requests with `Origin` or `Sec-Fetch-Site` are refused.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};

use super::Site;
use super::guard::Refusal;

pub(super) async fn answer(State(site): State<Arc<Site>>, headers: HeaderMap) -> Response {
    if headers.contains_key("origin") || headers.contains_key("sec-fetch-site") {
        site.refusals.count(Refusal::Browser);
        let text = "refused: a browser sent this; use curl -X POST, or SIGHUP\n";
        return (StatusCode::FORBIDDEN, text).into_response();
    }
    if !site.options.lifecycle {
        let text = "refused: `lifecycle = false` in [web]; send SIGHUP instead\n";
        return (StatusCode::FORBIDDEN, text).into_response();
    }
    match site.ask(|site| site.face.reload()).await {
        Ok(Ok(())) => "reloaded\n".into_response(),
        Ok(Err(faults)) => {
            let text = format!("not reloaded, the old configuration stays in force:\n{faults}\n");
            (StatusCode::INTERNAL_SERVER_ERROR, text).into_response()
        }
        Err(status) => status.into_response(),
    }
}
