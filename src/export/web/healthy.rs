//! `GET /-/healthy`: 200 as long as the process answers at all.

pub(super) async fn answer() -> &'static str {
    "saastap is healthy\n"
}
