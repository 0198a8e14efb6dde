//! `GET /-/ready`: 200 only while frames are captured under a loaded policy, else 503 with the reason.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::Site;

pub(super) async fn answer(State(site): State<Arc<Site>>) -> Response {
    match site.ask(|site| site.face.ready()).await {
        Ok(Ok(())) => "saastap is ready\n".into_response(),
        Ok(Err(reason)) => {
            (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {reason}\n")).into_response()
        }
        Err(status) => status.into_response(),
    }
}
