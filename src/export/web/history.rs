//! `GET /api/v1/usage/history`: usage over time by vendor and state as JSON, `{"by": "hour", "history": [{...}]}`; `?by=hour` or
//! `day`, `from=` and `until=` (RFC 3339), `vendor=` choose rows.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Site;
use crate::time::Time;

/// Which usage over time is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HistoryQuery {
    #[serde(default)]
    pub by: Step,
    /// The first moment; without it, [`Step::usual`] steps before the end.
    pub from: Option<Time>,
    /// The first moment that is no longer told; without it, the end of the last hour with usage.
    pub until: Option<Time>,
    /// Id of the only vendor.
    pub vendor: Option<String>,
}

/// What is summed into one row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Step {
    #[default]
    Hour,
    /// Of UTC.
    Day,
}

impl Step {
    pub const fn hours(self) -> u32 {
        match self {
            Self::Hour => 1,
            Self::Day => 24,
        }
    }

    /// Steps that are told where nobody says from when: two days, or a month.
    pub const fn usual(self) -> u32 {
        match self {
            Self::Hour => 48,
            Self::Day => 31,
        }
    }
}

/// What is told at once.
pub const MAX_STEPS: u32 = 1_000;

/// Usage of one vendor in one state within one step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HistoryRow {
    /// Beginning of the hour or day (UTC).
    pub from: Time,
    /// Vendor id, and its name as people know it.
    pub vendor: String,
    pub vendor_name: String,
    /// By the policy in force now.
    pub state: String,
    /// Distinct clients of the hour, each counted where it sent most; of a day, those of its busiest hours.
    pub clients: u64,
    pub flows: u64,
    pub sessions: u64,
    /// Octets, client to server and back.
    pub sent: u64,
    pub received: u64,
    pub active_minutes: u64,
}

pub(super) async fn answer(
    State(site): State<Arc<Site>>,
    Query(query): Query<HistoryQuery>,
) -> Response {
    let by = query.by;
    match site.ask(move |site| site.face.history(&query)).await {
        Ok(Ok(rows)) => Json(json!({ "by": by, "history": rows })).into_response(),
        Ok(Err(why)) => (StatusCode::BAD_REQUEST, format!("{why}\n")).into_response(),
        Err(status) => status.into_response(),
    }
}
