//! `GET /api/v1/usage`: the usage table as JSON, `{"coverage": {...}, "usage": [{...}]}`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::Site;

pub(super) async fn answer(State(site): State<Arc<Site>>) -> Response {
    let table = site
        .ask(|site| json!({ "coverage": site.face.coverage(), "usage": site.face.usage_rows() }));
    table.await.map(Json).into_response()
}
