//! The job endpoints.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::App;
use super::error::ApiError;
use super::guard::JsonBody;

/// The scope of a request. There is one organisation here, so that its slug says nothing.
#[derive(Debug, Deserialize)]
pub struct Scope {
    #[serde(rename = "projectSlug")]
    pub(super) project: Option<String>,
}

/// `GET /v1/jobs`
pub async fn list(State(app): State<Arc<App>>, Query(scope): Query<Scope>) -> Json<Value> {
    Json(json!({ "jobs": app.jobs.list(scope.project.as_deref()) }))
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

/// `POST /v1/jobs/{id}/cancel`: a job that is over stays as it is.
pub async fn cancel(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let handle = app.jobs.get(&id).ok_or_else(ApiError::no_such_job)?;
    Ok(Json(json!({ "job": handle.cancel()? })))
}
