//! The body of `POST /v1/inference/chat`. Unsupported fields and values are refused by name.

use std::path::{Path, PathBuf};

use axum::http::StatusCode;
use serde_json::Value;

use super::app::App;
use super::chat_fields::{AdapterField, AdapterKind, ChatFields};
use super::error::ApiError;
use super::output_spec::OutputSpec;
use crate::adapter_folder;
use crate::base::resolve::{self, Source};
use crate::conversation::Conversation;
use crate::engine::Sampling;
use crate::error::{Result, refused};
use crate::request_fields;

/// The model that answers.
#[derive(Debug)]
pub enum ModelSource {
    /// An adapter in a directory.
    Adapter(PathBuf),
    /// A base without an adapter.
    Base(Source),
}

/// A checked request.
#[derive(Debug)]
pub struct ChatRequest {
    /// The model that answers.
    pub source: ModelSource,
    /// The `model` of the response.
    pub model: String,
    /// The conversation.
    pub conversation: Conversation,
    /// The sampling parameters.
    pub sampling: Sampling,
    /// The format of the answer, and the functions that it may call.
    pub output: OutputSpec,
    /// Whether the answer is streamed.
    pub stream: bool,
}

impl ChatRequest {
    /// Checks a request.
    pub fn from_json(body: &Value, app: &App) -> Result<Self, ApiError> {
        let fields: ChatFields = request_fields::read(body)?;
        let (source, model) = match (&fields.adapter, &fields.base_model) {
            (Some(adapter), None) => adapter_dir(adapter, app)?,
            (None, Some(name)) => base(name, app)?,
            _ => refused("give either adapter or baseModel")?,
        };
        let output = OutputSpec::of(&fields)?;
        Ok(Self {
            source,
            model,
            conversation: Conversation::new(&fields.messages, output.tools.as_ref())?,
            output,
            sampling: Sampling {
                temperature: fields.temperature,
                top_p: fields.top_p,
                max_tokens: fields.max_tokens,
                seed: fields.seed.unwrap_or_else(|| fastrand::u64(..)),
            },
            stream: fields.stream,
        })
    }
}

/// Resolves the name of a base. As in Hugging Face's libraries, the name may also be the path of an
/// adapter outside of any job. The returned name is the model that's really used. A stand-in is logged on
/// stderr once.
fn base(name: &str, app: &App) -> Result<(ModelSource, String), ApiError> {
    if resolve::is_path(name) && adapter_folder::is_adapter(Path::new(name)) {
        return Ok((ModelSource::Adapter(name.into()), name.to_owned()));
    }
    let (_, base_model) = app.jobs.bases();
    let resolved = resolve::resolve(name, base_model.map(PathBuf::as_path))?;
    let used = resolved.used();
    if let Some(reason) = &resolved.stand_in
        && app.stands_in_first_time(name)
    {
        crate::log(format_args!("chat: {used} stands in: {reason}"));
    }
    Ok((ModelSource::Base(resolved.source), used))
}

fn adapter_dir(adapter: &AdapterField, app: &App) -> Result<(ModelSource, String), ApiError> {
    let id = &adapter.job_id;
    let Some(handle) = app.jobs.get(id) else {
        return Err(ApiError::no_such_job());
    };
    let (dir, what) = match (adapter.kind, adapter.step) {
        (AdapterKind::Final, None) => (handle.adapter_dir(), "final adapter".to_owned()),
        (AdapterKind::Final, Some(_)) => {
            refused("adapter.step means nothing for the kind \"final\"")?
        }
        (AdapterKind::Checkpoint, Some(step)) => (
            handle.checkpoint_dir(step),
            format!("checkpoint of step {step}"),
        ),
        (AdapterKind::Checkpoint, None) => refused("adapter.step is missing")?,
    };
    if !dir.is_dir() {
        let message = format!("adapter: the job {id} has no {what} (yet)");
        return Err(ApiError::new(StatusCode::NOT_FOUND, message));
    }
    let name = dir
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    Ok((ModelSource::Adapter(dir), format!("{id}/{name}")))
}
