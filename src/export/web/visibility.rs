//! `GET /api/v1/visibility`: why traffic has a name or none, and the unnamed domains that carry most, as JSON,
//! `{"coverage": {...}, "visibility": [{...}], "candidates": [{...}], "inside_servers": {...}}`; and the inside servers
//! of unknown software that were reached from outside.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::Site;

pub(super) async fn answer(State(site): State<Arc<Site>>) -> Response {
    let table = site.ask(|site| {
        let face = &site.face;
        json!({
            "coverage": face.coverage(),
            "visibility": face.visibility_rows(),
            "candidates": face.candidate_rows(),
            "inside_servers": face.inside_servers(),
        })
    });
    table.await.map(Json).into_response()
}
