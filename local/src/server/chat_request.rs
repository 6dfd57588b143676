//! The body of `POST /v1/inference/chat`. What can't be honoured is refused here, by name.

use std::path::{Path, PathBuf};

use axum::http::StatusCode;
use serde_json::Value;

use super::App;
use super::error::ApiError;
use super::wanted::Wanted;
use crate::adapter;
use crate::base::resolve::{self, Source};
use crate::conversation::Conversation;
use crate::data::rows::kind;
use crate::error::{Error, Result, refused};
use crate::generate::Sampling;

/// Tokens of an answer when the request does not say.
const DEFAULT_MAX_TOKENS: usize = 256;

const FIELDS: [&str; 13] = [
    "messages",
    "adapter",
    "baseModel",
    "temperature",
    "topP",
    "maxTokens",
    "stream",
    "seed",
    "tools",
    "toolChoice",
    "parallelToolCalls",
    "responseFormat",
    "structuredOutputs",
];

/// What answers.
#[derive(Debug)]
pub enum Weights {
    /// An adapter in a directory.
    Adapter(PathBuf),
    /// A base as it is.
    Base(Source),
}

/// A checked request.
#[derive(Debug)]
pub struct ChatRequest {
    /// What answers.
    pub weights: Weights,
    /// As `model` names it in the answer.
    pub model: String,
    /// The conversation.
    pub conversation: Conversation,
    /// How to sample.
    pub sampling: Sampling,
    /// What the answer must look like, and the functions that it may call.
    pub wanted: Wanted,
    /// Whether the answer comes in pieces. Yes by default, as in the SDK.
    pub stream: bool,
}

impl ChatRequest {
    /// Checks a request.
    pub fn from_json(body: &Value, app: &App) -> Result<Self, ApiError> {
        check_fields(body)?;
        let (weights, model) = weights(body, app)?;
        let wanted = Wanted::from_json(body)?;
        Ok(Self {
            weights,
            model,
            conversation: Conversation::new(&body["messages"], wanted.tools.as_ref())?,
            wanted,
            sampling: Sampling {
                temperature: number(body, "temperature", 0.0, 10.0)?.unwrap_or(1.0),
                top_p: number(body, "topP", f64::MIN_POSITIVE, 1.0)?.unwrap_or(1.0),
                max_tokens: count(body, "maxTokens")?.unwrap_or(DEFAULT_MAX_TOKENS),
                seed: match present(body, "seed") {
                    None => fastrand::u64(..),
                    Some(value) => match value.as_u64() {
                        Some(seed) => seed,
                        None => refused(format!(
                            "seed must be a whole number of 0 or more, it is {value}"
                        ))?,
                    },
                },
            },
            stream: match present(body, "stream") {
                None => true,
                Some(Value::Bool(stream)) => *stream,
                Some(other) => refused(format!(
                    "stream must be true or false, it is {}",
                    kind(other)
                ))?,
            },
        })
    }
}

/// A field that is there. `null` is as good as absent.
pub fn present<'a>(body: &'a Value, name: &str) -> Option<&'a Value> {
    body.get(name).filter(|value| !value.is_null())
}

fn check_fields(body: &Value) -> Result<()> {
    let Some(map) = body.as_object() else {
        return refused(format!("the body must be an object, it is {}", kind(body)));
    };
    if let Some(unknown) = map.keys().find(|name| !FIELDS.contains(&name.as_str())) {
        return refused(format!(
            "{unknown} is not known to the local backend. Remove it."
        ));
    }
    Ok(())
}

fn weights(body: &Value, app: &App) -> Result<(Weights, String), ApiError> {
    match (present(body, "adapter"), present(body, "baseModel")) {
        (Some(adapter), None) => adapter_dir(adapter, app),
        (None, Some(Value::String(name))) => base(name, app),
        (None, Some(other)) => {
            Err(Error::Refused(format!("baseModel must be a string, it is {}", kind(other))).into())
        }
        _ => Err(Error::Refused("give either adapter or baseModel".to_owned()).into()),
    }
}

/// A base by its name, or an adapter that is not a job's by its directory, as Hugging Face's libraries
/// take it. The answer's `model` names what was used; that it stands in is said on stderr once.
fn base(name: &str, app: &App) -> Result<(Weights, String), ApiError> {
    if resolve::is_path(name) && adapter::is_adapter(Path::new(name)) {
        return Ok((Weights::Adapter(name.into()), name.to_owned()));
    }
    let (_, base_model) = app.jobs.bases();
    let resolved = resolve::resolve(name, base_model.map(PathBuf::as_path))?;
    let used = resolved.used();
    if let Some(reason) = &resolved.stand_in
        && app.stands_in_first_time(name)
    {
        crate::log(format_args!("chat: {used} stands in: {reason}"));
    }
    Ok((Weights::Base(resolved.source), used))
}

fn adapter_dir(adapter: &Value, app: &App) -> Result<(Weights, String), ApiError> {
    let id = adapter["jobId"].as_str().unwrap_or_default();
    let Some(handle) = app.jobs.get(id) else {
        return Err(ApiError::no_such_job());
    };
    let (dir, what) = match adapter["kind"].as_str() {
        Some("final") => (handle.adapter_dir(), "final adapter".to_owned()),
        Some("checkpoint") => match adapter["step"].as_u64() {
            Some(step) => (
                handle.checkpoint_dir(step),
                format!("checkpoint of step {step}"),
            ),
            None => refused("adapter.step must be a whole number")?,
        },
        _ => refused("adapter.kind must be \"checkpoint\" or \"final\"")?,
    };
    if !dir.is_dir() {
        let message = format!("adapter: the job {id} has no {what} (yet)");
        return Err(ApiError::new(StatusCode::NOT_FOUND, message));
    }
    let name = dir
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    Ok((Weights::Adapter(dir), format!("{id}/{name}")))
}

fn number(body: &Value, name: &str, least: f64, most: f64) -> Result<Option<f64>> {
    let Some(value) = present(body, name) else {
        return Ok(None);
    };
    match value
        .as_f64()
        .filter(|number| (least..=most).contains(number))
    {
        Some(number) => Ok(Some(number)),
        None if least > 0.0 => refused(format!(
            "{name} must be a number above 0, up to {most}, it is {value}"
        )),
        None => refused(format!(
            "{name} must be a number from {least} to {most}, it is {value}"
        )),
    }
}

fn count(body: &Value, name: &str) -> Result<Option<usize>> {
    let Some(value) = present(body, name) else {
        return Ok(None);
    };
    match value
        .as_u64()
        .and_then(|count| usize::try_from(count).ok())
        .filter(|count| *count > 0)
    {
        Some(count) => Ok(Some(count)),
        None => refused(format!(
            "{name} must be a whole number above 0, it is {value}"
        )),
    }
}
