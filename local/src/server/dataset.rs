//! A preview of a dataset as the model would see it.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::Value;

use super::app::App;
use super::error::ApiError;
use super::guard::JsonBody;
use crate::jobs::preview::Preview;

/// The most rows in one response.
const MAX_ROWS: u64 = 100;

/// `POST /v1/dataset/preview`: up to `limit` rows of a job's config from `offset` on, as training would
/// see them, and totals over all rows. Refuses whatever `POST /v1/jobs` refuses.
pub async fn preview(
    State(app): State<Arc<App>>,
    JsonBody(body): JsonBody,
) -> Result<Json<Preview>, ApiError> {
    let offset = whole(&body, "offset", 0, 0..=u64::from(u32::MAX))?;
    let limit = whole(&body, "limit", 50, 1..=MAX_ROWS)?;
    let preview = app.jobs.preview(&body["config"], offset..offset + limit);
    preview.await?.map(Json).ok_or_else(|| {
        let message = "datasetSource: this dataset isn't on this machine yet. The first run with it downloads it.";
        ApiError::new(StatusCode::CONFLICT, message)
    })
}

fn whole(
    body: &Value,
    name: &str,
    default: u64,
    range: std::ops::RangeInclusive<u64>,
) -> Result<usize, ApiError> {
    let value = match &body[name] {
        Value::Null => Some(default),
        value => value.as_u64(),
    };
    let value = value.filter(|value| range.contains(value));
    value
        .and_then(|value| value.try_into().ok())
        .ok_or_else(|| {
            let (from, to) = range.into_inner();
            let message = format!("{name} must be a whole number from {from} to {to}");
            ApiError::new(StatusCode::BAD_REQUEST, message)
        })
}
