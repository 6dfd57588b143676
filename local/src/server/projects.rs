//! The user and the projects. On a single machine, they are no more than names.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::{Value, json};

use super::app::App;
use super::error::ApiError;
use super::guard::JsonBody;

/// `GET /v1/me`: the user, and the engine that trains here.
pub async fn me(State(app): State<Arc<App>>) -> Json<Value> {
    let engine = app.jobs.engine();
    Json(json!({
        "user": { "id": "local", "name": "local" },
        "orgs": [{ "id": "local", "slug": "local", "name": "This machine" }],
        "engine": { "name": engine.name(), "device": engine.device() },
    }))
}

/// `GET /v1/projects`
pub async fn list(State(app): State<Arc<App>>) -> Json<Value> {
    let projects: Vec<Value> = app
        .projects()
        .iter()
        .map(|slug| project(slug, slug))
        .collect();
    Json(json!({ "org": { "slug": "local" }, "projects": projects }))
}

/// `POST /v1/projects`
pub async fn create(
    State(app): State<Arc<App>>,
    JsonBody(body): JsonBody,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let Some(slug) = body["slug"].as_str().filter(|slug| !slug.is_empty()) else {
        return Err(ApiError::new(
            StatusCode::BAD_REQUEST,
            "slug must be a string that is not empty",
        ));
    };
    if !app.projects().insert(slug.to_owned()) {
        let message = format!("slug: there is a project {slug} already");
        return Err(ApiError::new(StatusCode::CONFLICT, message));
    }
    let name = body["name"].as_str().unwrap_or(slug);
    Ok((
        StatusCode::CREATED,
        Json(json!({ "project": project(slug, name) })),
    ))
}

fn project(slug: &str, name: &str) -> Value {
    json!({ "id": slug, "slug": slug, "name": name, "orgId": "local" })
}
