//! `GET /metrics`: the exposition for Prometheus.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};

use super::Site;
use crate::export::metrics;

pub(super) async fn answer(State(site): State<Arc<Site>>) -> Response {
    match site.ask(|site| site.metrics.text()).await {
        Ok(Ok(text)) => ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response(),
        Ok(Err(error)) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
        Err(status) => status.into_response(),
    }
}
