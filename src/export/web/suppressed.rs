//! `GET /api/v1/suppressed`: what kept findings back, as JSON, `{"suppressed": [{...}]}`; `?client=`, `vendor=`, `tenant=` and
//! `finding=` choose rows.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::json;

use super::{Site, SuppressedRow};

#[derive(Deserialize)]
pub(super) struct Wanted {
    client: Option<String>,
    vendor: Option<String>,
    tenant: Option<String>,
    finding: Option<String>,
}

impl Wanted {
    fn takes(&self, row: &SuppressedRow) -> bool {
        let is = |wanted: &Option<String>, is: &str| wanted.as_deref().is_none_or(|w| w == is);
        is(&self.client, &row.client)
            && is(&self.vendor, &row.vendor)
            && is(&self.finding, &row.finding)
            && is(&self.tenant, row.tenant.as_deref().unwrap_or_default())
    }
}

pub(super) async fn answer(
    State(site): State<Arc<Site>>,
    Query(wanted): Query<Wanted>,
) -> Response {
    let table = site.ask(move |site| {
        let mut rows = site.face.suppressed_rows();
        rows.retain(|row| wanted.takes(row));
        json!({ "suppressed": rows })
    });
    table.await.map(Json).into_response()
}
