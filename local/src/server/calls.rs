//! The API for calling endpoints, `/e/<slug>/v1`: OpenAI's API with the endpoint as its only model.
//! Callers needn't own this machine, so errors reveal nothing about the server's files.

use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use serde_json::{Value, json};

use super::app::App;
use super::endpoint_target::chat_field;
use super::error::{self, ApiError};
use super::guard::{self, JsonBody};
use super::openai::{complete, model_of};
use crate::endpoints::{AuthMode, Endpoint};
use crate::error::Error;
use crate::time;

/// The listener that a call arrives on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// The listener for this machine.
    Inside,
    /// The listener of `--listen`, which serves only endpoints with keys.
    Outside,
}

/// The routes below `/e`.
pub fn router(app: &Arc<App>, door: Door) -> Router {
    Router::new()
        .route("/{slug}/v1/chat/completions", post(chat))
        .route("/{slug}/v1/models", get(models))
        .route("/{slug}/v1/models/{*model}", get(model))
        .fallback(not_found)
        .method_not_allowed_fallback(wrong_method)
        .layer(middleware::map_response(error::as_openai))
        .layer(middleware::from_fn_with_state(
            (Arc::clone(app), door),
            check,
        ))
        .with_state(Arc::clone(app))
}

/// A 404 in OpenAI's format.
pub async fn not_found() -> Response {
    let words = "no such address: endpoints are called at /e/<slug>/v1/chat/completions";
    ApiError::new(StatusCode::NOT_FOUND, words).into_openai(None)
}

async fn wrong_method() -> Response {
    let words = "this address does not know this method";
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, words).into_openai(None)
}

/// Checks that a request may call its endpoint, and passes the endpoint to the handlers.
async fn check(
    State((app, door)): State<(Arc<App>, Door)>,
    mut request: Request,
    next: Next,
) -> Response {
    let path = request.uri().path().trim_start_matches('/');
    let slug = path.split('/').next().unwrap_or_default();
    match endpoint_for(&app, door, slug, request.headers()) {
        Ok(endpoint) => {
            request.extensions_mut().insert(Arc::new(endpoint));
            next.run(request).await
        }
        Err((code, error)) => error.into_openai(code),
    }
}

type Refusal = (Option<&'static str>, ApiError);

fn endpoint_for(
    app: &App,
    door: Door,
    slug: &str,
    headers: &HeaderMap,
) -> Result<Endpoint, Refusal> {
    if door == Door::Inside {
        guard::check_host(headers, app.port).map_err(|error| (None, error))?;
    }
    let all = app.endpoints.all();
    let is_open = |one: &&Endpoint| {
        one.slug == slug
            && one.enabled
            && (door == Door::Inside || one.auth_mode == AuthMode::FixedApiKey)
    };
    let Some(endpoint) = all.iter().find(is_open) else {
        let words = "there is no endpoint at this address, or it is disabled";
        return Err((None, ApiError::new(StatusCode::NOT_FOUND, words)));
    };
    match endpoint.auth_mode {
        AuthMode::None => {
            guard::check_origin(headers, app.port).map_err(|error| (None, error))?;
        }
        AuthMode::FixedApiKey => check_key(app, endpoint, headers)?,
    }
    Ok(endpoint.clone())
}

fn check_key(app: &App, endpoint: &Endpoint, headers: &HeaderMap) -> Result<(), Refusal> {
    let given = guard::bearer_token(headers).unwrap_or_default();
    let Some(key) = endpoint.key(given) else {
        let words = "the key is missing, wrong or revoked: send \"Authorization: Bearer <key>\" with a key of this endpoint";
        let error = ApiError::new(StatusCode::UNAUTHORIZED, words);
        return Err((Some("invalid_api_key"), error));
    };
    if key.is_use_stale() {
        let noted = app.endpoints.change(|endpoints| {
            let keys = endpoints.iter_mut().flat_map(|one| &mut one.keys);
            for used in keys.filter(|one| one.id == key.id) {
                used.last_used_at = Some(time::now());
            }
            Ok::<_, Error>(())
        });
        // A full disk is no reason to refuse a call.
        if let Err(error) = noted {
            crate::log(format_args!("{error}"));
        }
    }
    Ok(())
}

/// The chat field for an endpoint's target. A 404 if the target is gone.
fn served(app: &App, endpoint: &Endpoint) -> Result<(&'static str, Value), ApiError> {
    chat_field(app, &endpoint.target).map_err(|error| {
        crate::log(format_args!("endpoint {}: {error}", endpoint.slug));
        let words = format!(
            "the model of the endpoint {} is no longer there: it needs another target",
            endpoint.slug
        );
        ApiError::new(StatusCode::NOT_FOUND, words)
    })
}

fn no_model(error: ApiError) -> Response {
    error.into_openai(Some("model_not_found"))
}

/// `POST /e/{slug}/v1/chat/completions`. Ignores the request's `model`: the endpoint's target answers,
/// and the response names the slug as its model.
async fn chat(
    State(app): State<Arc<App>>,
    Extension(endpoint): Extension<Arc<Endpoint>>,
    body: Result<JsonBody, ApiError>,
) -> Result<Response, Response> {
    let JsonBody(body) = body.map_err(|error| error.into_openai(None))?;
    if !(body["model"].is_null() || body["model"].is_string()) {
        let error = ApiError::new(StatusCode::BAD_REQUEST, "model must be a string");
        return Err(error.into_openai(None));
    }
    let weights = served(&app, &endpoint).map_err(no_model)?;
    complete(&app, &body, weights, Some(&endpoint.slug))
        .await
        .map_err(|error| error.for_callers().into_openai(None))
}

fn own_model(endpoint: &Endpoint) -> Value {
    let created = endpoint.created_at.parse::<jiff::Timestamp>();
    let seconds = created.map(jiff::Timestamp::as_second).unwrap_or_default();
    model_of(&endpoint.slug, u64::try_from(seconds).unwrap_or_default())
}

/// `GET /e/{slug}/v1/models`
async fn models(
    State(app): State<Arc<App>>,
    Extension(endpoint): Extension<Arc<Endpoint>>,
) -> Result<Json<Value>, Response> {
    served(&app, &endpoint).map_err(no_model)?;
    Ok(Json(
        json!({ "object": "list", "data": [own_model(&endpoint)] }),
    ))
}

/// `GET /e/{slug}/v1/models/{model}`
async fn model(
    State(app): State<Arc<App>>,
    Extension(endpoint): Extension<Arc<Endpoint>>,
    Path((_, name)): Path<(String, String)>,
) -> Result<Json<Value>, Response> {
    served(&app, &endpoint).map_err(no_model)?;
    if name == endpoint.slug {
        return Ok(Json(own_model(&endpoint)));
    }
    let words = format!("the one model of this endpoint is {}", endpoint.slug);
    Err(no_model(ApiError::new(StatusCode::NOT_FOUND, words)))
}
