//! The endpoints for jobs.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::app::App;
use super::error::ApiError;
use super::guard::JsonBody;
use crate::store::Status;

/// The scope of a request. There's only one organisation here, so its slug is ignored.
#[derive(Debug, Deserialize)]
pub struct Scope {
    #[serde(rename = "projectSlug")]
    pub(super) project: Option<String>,
}

/// The part of a list that a request asks for.
#[derive(Debug, Deserialize)]
pub struct PageQuery {
    limit: Option<usize>,
    cursor: Option<String>,
}

/// `GET /v1/jobs`: all jobs, or `limit` of them from `cursor` on.
pub async fn list(
    State(app): State<Arc<App>>,
    Query(scope): Query<Scope>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Value>, ApiError> {
    if page.limit == Some(0) {
        return Err(ApiError::new(
            StatusCode::BAD_REQUEST,
            "limit must be at least 1",
        ));
    }
    let limit = page.limit.unwrap_or(usize::MAX);
    let project = scope.project.as_deref();
    let page = app.jobs.page(project, limit, page.cursor.as_deref());
    let mut body = json!({ "jobs": page.jobs });
    if let Some(next) = page.next {
        body["nextCursor"] = next.into();
    }
    Ok(Json(body))
}

/// `POST /v1/jobs`
pub async fn create(
    State(app): State<Arc<App>>,
    Query(scope): Query<Scope>,
    JsonBody(body): JsonBody,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let Some(name) = body["name"].as_str() else {
        return Err(ApiError::new(
            StatusCode::BAD_REQUEST,
            "name must be a string",
        ));
    };
    let project = scope.project.as_deref().unwrap_or("project");
    let job = app.jobs.submit(project, name, &body["config"]).await?;
    app.projects().insert(project.to_owned());
    Ok((StatusCode::CREATED, Json(json!({ "job": job }))))
}

/// `GET /v1/jobs/{id}`
pub async fn show(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let handle = app.jobs.get(&id).ok_or_else(ApiError::no_such_job)?;
    Ok(Json(json!({ "job": handle.job() })))
}

/// `POST /v1/jobs/{id}/cancel`. Doesn't change a job that is over.
pub async fn cancel(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let handle = app.jobs.get(&id).ok_or_else(ApiError::no_such_job)?;
    Ok(Json(json!({ "job": handle.cancel()? })))
}

/// `POST /v1/jobs/{id}/resume`: creates a job that continues from this one's last checkpoint.
pub async fn resume(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let handle = app.jobs.get(&id).ok_or_else(ApiError::no_such_job)?;
    let status = handle.job().status;
    if !matches!(status, Status::Failed | Status::Cancelled) {
        let message = format!(
            "the job {id} is {}: only one that failed or was cancelled can be resumed",
            status.name()
        );
        return Err(ApiError::new(StatusCode::CONFLICT, message));
    }
    let job = app.jobs.resume(&handle)?;
    Ok((StatusCode::CREATED, Json(json!({ "job": job }))))
}

/// `DELETE /v1/jobs/{id}`: deletes a job and its files, adapters included.
pub async fn delete(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
    let handle = app.jobs.get(&id).ok_or_else(ApiError::no_such_job)?;
    if app.jobs.delete(&handle)? {
        return Ok(StatusCode::NO_CONTENT);
    }
    let message = format!("the job {id} isn't over: cancel it first");
    Err(ApiError::new(StatusCode::CONFLICT, message))
}
