//! The API for managing endpoints, `/v1/endpoints`. Its responses call them deployments.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use serde_json::{Value, json};

use super::app::App;
use super::endpoint_fields::{Settings, key_label};
use super::endpoint_target::chat_field;
use super::error::ApiError;
use super::guard::JsonBody;
use super::routes::Scope;
use crate::endpoints::{Endpoint, Key};
use crate::time;

/// `GET /v1/endpoints`, the newest first.
pub async fn list(State(app): State<Arc<App>>, Query(scope): Query<Scope>) -> Json<Value> {
    let all = app.endpoints.all();
    let project = scope.project.as_deref();
    let of_project = |one: &&Endpoint| project.is_none_or(|project| one.project_id == project);
    let list: Vec<Value> = all
        .iter()
        .rev()
        .filter(of_project)
        .map(Endpoint::to_json)
        .collect();
    Json(json!({ "deployments": list }))
}

/// `POST /v1/endpoints`
pub async fn create(
    State(app): State<Arc<App>>,
    Query(scope): Query<Scope>,
    JsonBody(body): JsonBody,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let settings = Settings::from_json(&body)?;
    let now = time::now();
    let project = scope.project.as_deref().unwrap_or("project");
    let endpoint = Endpoint {
        id: format!("dep_{}", crate::random_hex()?),
        slug: settings.slug.ok_or_else(|| missing("slug"))?,
        project_id: project.to_owned(),
        target: settings.target.ok_or_else(|| missing("target"))?,
        auth_mode: settings.auth_mode.ok_or_else(|| missing("authMode"))?,
        enabled: settings.enabled.unwrap_or(true),
        created_at: now.clone(),
        updated_at: now,
        keys: Vec::new(),
    };
    chat_field(&app, &endpoint.target)?;
    let json = endpoint.to_json();
    app.endpoints.change(|endpoints| {
        check_is_free(endpoints, &endpoint)?;
        endpoints.push(endpoint);
        Ok::<_, ApiError>(())
    })?;
    app.projects().insert(project.to_owned());
    Ok((StatusCode::CREATED, Json(json!({ "deployment": json }))))
}

/// `GET /v1/endpoints/{id}`
pub async fn show(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let endpoint = find(&app, &id)?;
    Ok(Json(json!({ "deployment": endpoint.to_json() })))
}

/// `PATCH /v1/endpoints/{id}`
pub async fn update(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    JsonBody(body): JsonBody,
) -> Result<Json<Value>, ApiError> {
    find(&app, &id)?;
    let settings = Settings::from_json(&body)?;
    if let Some(target) = &settings.target {
        chat_field(&app, target)?;
    }
    let json = app.endpoints.change(|endpoints| {
        let old = find_mut(endpoints, &id)?.clone();
        let new = Endpoint {
            slug: settings.slug.unwrap_or(old.slug),
            target: settings.target.unwrap_or(old.target),
            auth_mode: settings.auth_mode.unwrap_or(old.auth_mode),
            enabled: settings.enabled.unwrap_or(old.enabled),
            updated_at: time::now(),
            ..old
        };
        check_is_free(endpoints, &new)?;
        let json = new.to_json();
        *find_mut(endpoints, &id)? = new;
        Ok::<_, ApiError>(json)
    })?;
    Ok(Json(json!({ "deployment": json })))
}

/// `DELETE /v1/endpoints/{id}`
pub async fn remove(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
    app.endpoints.change(|endpoints| {
        find_mut(endpoints, &id)?;
        endpoints.retain(|one| one.id != id);
        Ok::<_, ApiError>(StatusCode::NO_CONTENT)
    })
}

/// `GET /v1/endpoints/{id}/keys`
pub async fn keys(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let endpoint = find(&app, &id)?;
    let keys: Vec<Value> = endpoint.keys.iter().map(Key::to_json).collect();
    Ok(Json(json!({ "keys": keys })))
}

/// `POST /v1/endpoints/{id}/keys`. Only this response contains the key itself.
pub async fn create_key(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    JsonBody(body): JsonBody,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    find(&app, &id)?;
    let (key, plaintext) = Key::new(key_label(&body)?)?;
    let answer = json!({
        "id": key.id,
        "label": key.label,
        "plaintext": plaintext,
        "prefix": key.prefix,
        "createdAt": key.created_at,
    });
    app.endpoints.change(|endpoints| {
        find_mut(endpoints, &id)?.keys.push(key);
        Ok::<_, ApiError>(())
    })?;
    Ok((StatusCode::CREATED, Json(json!({ "key": answer }))))
}

/// `DELETE /v1/endpoints/{id}/keys/{keyId}`
pub async fn revoke_key(
    State(app): State<Arc<App>>,
    Path((id, key)): Path<(String, String)>,
) -> Result<StatusCode, ApiError> {
    app.endpoints.change(|endpoints| {
        let endpoint = find_mut(endpoints, &id)?;
        let before = endpoint.keys.len();
        endpoint.keys.retain(|one| one.id != key);
        if endpoint.keys.len() == before {
            let words = "no such key of this endpoint: list them with GET /v1/endpoints/:id/keys";
            return Err(ApiError::new(StatusCode::NOT_FOUND, words));
        }
        Ok(StatusCode::NO_CONTENT)
    })
}

fn missing(field: &str) -> ApiError {
    ApiError::new(StatusCode::BAD_REQUEST, format!("{field} is missing"))
}

fn no_such_endpoint() -> ApiError {
    ApiError::new(
        StatusCode::NOT_FOUND,
        "no such endpoint on this local backend: list them with GET /v1/endpoints, and check --store",
    )
}

fn find(app: &App, id: &str) -> Result<Endpoint, ApiError> {
    let all = app.endpoints.all();
    let found = all.iter().find(|one| one.id == id);
    found.cloned().ok_or_else(no_such_endpoint)
}

fn find_mut<'a>(endpoints: &'a mut [Endpoint], id: &str) -> Result<&'a mut Endpoint, ApiError> {
    let found = endpoints.iter_mut().find(|one| one.id == id);
    found.ok_or_else(no_such_endpoint)
}

/// Returns a 409 if another endpoint has the same slug. The project doesn't matter, since a slug is an
/// address.
fn check_is_free(endpoints: &[Endpoint], new: &Endpoint) -> Result<(), ApiError> {
    let is_same = |one: &Endpoint| one.slug == new.slug && one.id != new.id;
    if endpoints.iter().any(is_same) {
        let message = format!("slug: there is an endpoint {} already", new.slug);
        return Err(ApiError::new(StatusCode::CONFLICT, message));
    }
    Ok(())
}
