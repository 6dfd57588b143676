//! The OpenAI-compatible API. A request is translated field by field, and then handled like any other.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::Json;
use axum::extract::{self, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Map, Value, json};

use super::app::App;
use super::chat::{Usage, answer};
use super::error::ApiError;
use super::guard::JsonBody;
use crate::adapter_folder::is_adapter;
use crate::base::{built_in, resolve};
use crate::data::rows::kind;
use crate::error::{Result, refused};
use crate::jobs::JobHandle;

/// OpenAI's field names and ours.
const RENAMED: [(&str, &str); 7] = [
    ("top_p", "topP"),
    ("max_tokens", "maxTokens"),
    ("max_completion_tokens", "maxTokens"),
    ("tool_choice", "toolChoice"),
    ("parallel_tool_calls", "parallelToolCalls"),
    ("response_format", "responseFormat"),
    ("structured_outputs", "structuredOutputs"),
];

const SAME: [&str; 5] = ["messages", "temperature", "seed", "stream", "tools"];

/// Fields that don't affect the answer.
const WITHOUT_EFFECT: [&str; 8] = [
    "user",
    "metadata",
    "store",
    "service_tier",
    "safety_identifier",
    "prompt_cache_key",
    "reasoning_effort",
    "verbosity",
];

/// Whether this value makes an unsupported field a no-op, so that it can be accepted.
fn asks_for_nothing(name: &str, value: &Value) -> bool {
    match (name, value) {
        ("n", value) => value.as_f64() == Some(1.0),
        ("modalities", value) if *value == json!(["text"]) => true,
        (_, Value::Null | Value::Bool(false)) => true,
        (_, Value::String(text)) if text.is_empty() => true,
        (_, Value::Array(list)) => list.is_empty(),
        (_, Value::Object(map)) => map.is_empty(),
        ("frequency_penalty" | "presence_penalty" | "top_logprobs", value) => {
            value.as_f64() == Some(0.0)
        }
        ("function_call", value) => matches!(value.as_str(), Some("none" | "auto")),
        _ => false,
    }
}

/// `POST /v1/chat/completions`
pub async fn chat(
    State(app): State<Arc<App>>,
    body: Result<JsonBody, ApiError>,
) -> Result<Response, Response> {
    let JsonBody(body) = body.map_err(|error| error.into_openai(None))?;
    let Some(model) = body["model"].as_str() else {
        let words = "model is missing: GET /v1/models lists the names that it can have";
        let error = ApiError::new(StatusCode::BAD_REQUEST, words);
        return Err(error.into_openai(None));
    };
    let Some(weights) = weights(&app, model) else {
        return Err(no_such_model(model));
    };
    complete(&app, &body, weights, None)
        .await
        .map_err(|error| error.into_openai(None))
}

/// Answers a request in OpenAI's format. `weights` is the field that selects the model. `name` overrides
/// the model name in the response.
pub async fn complete(
    app: &Arc<App>,
    body: &Value,
    weights: (&str, Value),
    name: Option<&str>,
) -> Result<Response, ApiError> {
    let (request, usage) = translated(body, weights)?;
    answer(app, &request, usage, name)
        .await
        .map_err(|error| error.with_names(|name| theirs(name, body)))
}

/// `GET /v1/models`: the built-in base, `--base-model`, and every adapter of every job.
pub async fn models(State(app): State<Arc<App>>) -> Json<Value> {
    let mut names = vec![built_in::NAME.to_owned()];
    names.extend(app.jobs.bases().1.map(|dir| dir.display().to_string()));
    let mut list: Vec<Value> = names.iter().map(|name| model_of(name, 0)).collect();
    for job in app.jobs.list(None) {
        if let Some(handle) = app.jobs.get(&job.id) {
            let adapters = adapters(&handle);
            list.extend(adapters.iter().map(|(name, at)| model_of(name, *at)));
        }
    }
    Json(json!({ "object": "list", "data": list }))
}

/// `GET /v1/models/{model}`
pub async fn model(
    State(app): State<Arc<App>>,
    extract::Path(name): extract::Path<String>,
) -> Result<Json<Value>, Response> {
    match weights(&app, &name) {
        Some(_) => Ok(Json(model_of(&name, 0))),
        None => Err(no_such_model(&name)),
    }
}

/// The description of a model in OpenAI's format.
pub fn model_of(name: &str, created: u64) -> Value {
    json!({ "id": name, "object": "model", "created": created, "owned_by": "local" })
}

fn no_such_model(name: &str) -> Response {
    let message = format!("the model {name:?} does not exist here: GET /v1/models lists what does");
    ApiError::new(StatusCode::NOT_FOUND, message).into_openai(Some("model_not_found"))
}

/// The names of a job's adapters, and when each was made, in seconds since the epoch.
fn adapters(handle: &JobHandle) -> Vec<(String, u64)> {
    let id = handle.job().id;
    let made = |dir: &Path| {
        let time = std::fs::metadata(dir)
            .and_then(|meta| meta.modified())
            .ok()?;
        let since = time.duration_since(std::time::UNIX_EPOCH).ok()?;
        Some(since.as_secs())
    };
    let mut list = Vec::new();
    if let Some(at) = made(&handle.adapter_dir()) {
        list.push((format!("{id}/adapter"), at));
    }
    for step in handle.checkpoints() {
        let at = made(&handle.checkpoint_dir(step)).unwrap_or_default();
        list.push((format!("{id}/checkpoint-{step}"), at));
    }
    list
}

/// Resolves a model's name: `<job>/adapter`, `<job>` for short, `<job>/checkpoint-<step>`, or a base. No
/// other model stands in for a missing one.
fn weights(app: &App, name: &str) -> Option<(&'static str, Value)> {
    let (id, part) = name.split_once('/').unwrap_or((name, "adapter"));
    if let Some(handle) = app.jobs.get(id) {
        let step = part
            .strip_prefix("checkpoint-")
            .and_then(|step| step.parse::<usize>().ok());
        let adapter = match step {
            Some(step) if handle.checkpoint_dir(step).is_dir() => {
                json!({ "kind": "checkpoint", "jobId": id, "step": step })
            }
            None if part == "adapter" && handle.adapter_dir().is_dir() => {
                json!({ "kind": "final", "jobId": id })
            }
            _ => return None,
        };
        return Some(("adapter", adapter));
    }
    let is_adapter = resolve::is_path(name) && is_adapter(Path::new(name));
    let base_model = app.jobs.bases().1.map(PathBuf::as_path);
    let found = || resolve::resolve(name, base_model).is_ok_and(|found| found.stand_in.is_none());
    (is_adapter || found()).then(|| ("baseModel", Value::from(name)))
}

/// The client's name for one of our fields.
fn theirs<'a>(ours: &'a str, body: &Value) -> &'a str {
    let names = RENAMED.iter().filter(|(_, name)| *name == ours);
    names
        .map(|(theirs, _)| *theirs)
        .find(|theirs| !body[theirs].is_null())
        .unwrap_or(ours)
}

/// Reads `stream_options`.
fn usage_of(options: &Value) -> Result<Usage> {
    let fields = options.as_object();
    let only = fields.is_some_and(|map| map.keys().all(|name| name == "include_usage"));
    match &options["include_usage"] {
        Value::Bool(true) if only => Ok(Usage::AfterLast),
        Value::Bool(false) | Value::Null if only => Ok(Usage::Nowhere),
        _ => refused("stream_options must be { include_usage: true or false }"),
    }
}

/// Translates a request into the format of `POST /v1/inference/chat`.
fn translated(body: &Value, weights: (&str, Value)) -> Result<(Value, Usage)> {
    let Some(map) = body.as_object() else {
        return refused(format!("the body must be an object, it is {}", kind(body)));
    };
    let mut request = Map::new();
    request.insert(weights.0.to_owned(), weights.1);
    request.insert("stream".to_owned(), json!(false));
    let mut usage = Usage::Nowhere;
    for (name, value) in map.iter().filter(|(_, value)| !value.is_null()) {
        let name = name.as_str();
        let renamed = RENAMED.iter().find(|(theirs, _)| *theirs == name);
        if let Some((_, ours)) = renamed {
            request.insert((*ours).to_owned(), value.clone());
        } else if SAME.contains(&name) {
            request.insert(name.to_owned(), value.clone());
        } else if name == "stream_options" {
            usage = usage_of(value)?;
        } else if name != "model"
            && !WITHOUT_EFFECT.contains(&name)
            && !asks_for_nothing(name, value)
        {
            return refused(format!(
                "{name} is not supported by the local backend. Remove it."
            ));
        }
    }
    Ok((Value::Object(request), usage))
}
