//! `GET /api/v1/findings`: the findings as JSON, `{"coverage": {...}, "findings": [{...}]}`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::Site;

pub(super) async fn answer(State(site): State<Arc<Site>>) -> Response {
    let table = site
        .ask(|site| json!({ "coverage": site.face.coverage(), "findings": site.face.findings() }));
    table.await.map(Json).into_response()
}
