//! The body of `POST /v1/inference/chat`. What can't be honoured is refused here, by name.

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

/// What answers.
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
    /// What answers.
    pub source: ModelSource,
    /// As `model` names it in the answer.
    pub model: String,
    /// The conversation.
    pub conversation: Conversation,
    /// How to sample.
    pub sampling: Sampling,
    /// What the answer must look like, and the functions that it may call.
    pub output: OutputSpec,
    /// Whether the answer comes in pieces. Yes by default, as in the SDK.
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

/// A base by its name, or, as in Hugging Face's libraries, an adapter outside of any job by its directory.
/// The answer's `model` names what was used. A stand-in is logged on stderr once.
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
