//! Chat completions, as one JSON object or as a stream of chunks, both in OpenAI's format. Generation
//! runs on its own thread and ends when the client disconnects.

use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::stream;
use serde_json::{Value, json};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::app::App;
use super::chat_request::{ChatRequest, ModelSource};
use super::error::ApiError;
use super::guard::JsonBody;
use super::output_spec::{calls_of, complete_calls};
use crate::adapter_folder;
use crate::base::{Base, resolve};
use crate::engine::{ChatTask, CompiledConstraint, Engine, Finish, Sampling};
use crate::error::{Result, refused};
use crate::time;

/// Pieces that may be queued for a slow client before generation pauses.
const PIECES_AHEAD: usize = 64;

/// Where a streamed response reports its `usage`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Usage {
    /// In the last chunk, like the cloud.
    InLast,
    /// In an extra chunk without choices after the last one, like OpenAI when the request asks for it.
    AfterLast,
    /// Nowhere, like OpenAI when the request doesn't ask for it.
    Nowhere,
}

/// `POST /v1/inference/chat`
pub async fn chat(
    State(app): State<Arc<App>>,
    JsonBody(body): JsonBody,
) -> Result<Response, ApiError> {
    answer(&app, &body, Usage::InLast, None).await
}

/// Answers a request in the format of `POST /v1/inference/chat`. `name` overrides the model name in the
/// response.
pub async fn answer(
    app: &Arc<App>,
    body: &Value,
    usage: Usage,
    name: Option<&str>,
) -> Result<Response, ApiError> {
    let request = ChatRequest::from_json(body, app)?;
    let head = Head {
        id: format!("chatcmpl-{}", crate::random_hex()?),
        created: time::unix_seconds(),
        model: name.unwrap_or(&request.model).to_owned(),
    };
    let stream = request.stream;
    let turn = app.turns.take().await?;
    let owned = Arc::clone(app);
    let cancel = CancellationToken::new();
    // Dropped with this future when the client disconnects.
    let client = cancel.clone().drop_guard();
    // Prepared before the response begins, so that an invalid request still gets a 400.
    let prepared = blocking(move || PreparedChat::new(request, &owned, cancel, turn)).await?;
    if stream {
        Ok(streamed(prepared, head, usage, client))
    } else {
        whole(prepared, &head).await
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T, ApiError> {
    let Ok(result) = tokio::task::spawn_blocking(work).await else {
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        return Err(ApiError::new(
            status,
            "the local backend has a bug: see its log",
        ));
    };
    Ok(result?)
}

/// A chat that's ready for an engine.
struct PreparedChat {
    engine: Arc<dyn Engine>,
    base: Arc<Base>,
    adapter: Option<PathBuf>,
    prompt: Vec<u32>,
    sampling: Sampling,
    constraint: Option<CompiledConstraint>,
    /// The most functions that the answer may call. `None` if it can't call any.
    most_calls: Option<usize>,
    /// Cancelled when the client disconnects.
    cancel: CancellationToken,
    _turn: OwnedSemaphorePermit,
}

/// A generated answer.
struct Answer {
    message: Value,
    finish: &'static str,
    usage: Value,
}

impl PreparedChat {
    fn new(
        mut request: ChatRequest,
        app: &App,
        cancel: CancellationToken,
        turn: OwnedSemaphorePermit,
    ) -> Result<Self> {
        let (engine, bases) = (Arc::clone(app.jobs.engine()), app.jobs.bases().0);
        let (source, adapter) = match request.source {
            ModelSource::Base(source) => (source, None),
            ModelSource::Adapter(dir) => {
                // Always the base that the adapter was trained on, whatever the server's default is.
                let resolved = resolve::resolve(&adapter_folder::base_name(&dir)?, None)?;
                if let Some(reason) = resolved.stand_in {
                    return refused(format!("adapter: its base is missing: {reason}"));
                }
                (resolved.source, Some(dir))
            }
        };
        engine.check_model(&source, false)?;
        let base = bases.get(&source)?;
        let output = request.output;
        output.check(&base.text)?;
        let text = request.conversation.render(&base.text, true)?;
        let prompt = base.text.encode(&text, false)?.ids;
        if prompt.len() >= base.context {
            return refused(format!(
                "messages: {} tokens are more than the {} that this model can read. Send less.",
                prompt.len(),
                base.context
            ));
        }
        let most_calls = output.most_calls();
        let constraint = output
            .constraint
            .map(|(source, field)| -> Result<_> {
                let guide = base.text.guide(&source, field)?;
                Ok(CompiledConstraint { source, guide })
            })
            .transpose()?;
        engine.load(&source, adapter.as_deref(), &|| cancel.is_cancelled())?;
        Ok(Self {
            engine,
            base,
            adapter,
            prompt,
            sampling: request.sampling,
            constraint,
            most_calls,
            cancel,
            _turn: turn,
        })
    }

    fn generate(
        &mut self,
        mut on_text: impl FnMut(&str) -> bool + Send,
    ) -> Result<(Finish, Value)> {
        let task = ChatTask {
            base: &self.base,
            adapter: self.adapter.as_deref(),
            prompt: &self.prompt,
            sampling: &self.sampling,
            constraint: self.constraint.take(),
        };
        let end = self.engine.chat(task, &self.cancel, &mut on_text)?;
        let prompt = self.prompt.len();
        let usage = json!({
            "prompt_tokens": prompt,
            "completion_tokens": end.tokens,
            "total_tokens": prompt + end.tokens,
        });
        Ok((end.finish, usage))
    }

    /// Generates the whole answer, or as much as there is by the time the client disconnects.
    fn answer(&mut self) -> Result<Answer> {
        let most_calls = self.most_calls;
        let mut text = String::new();
        let (finish, usage) = self.generate(|piece| {
            text.push_str(piece);
            most_calls.is_none_or(|most| complete_calls(&text) < most)
        })?;
        if most_calls.is_some() {
            let (rest, calls) = calls_of(&text)?;
            if !calls.is_empty() {
                let content = if rest.is_empty() {
                    Value::Null
                } else {
                    Value::from(rest)
                };
                let message =
                    json!({ "role": "assistant", "content": content, "tool_calls": calls });
                return Ok(Answer {
                    message,
                    finish: "tool_calls",
                    usage,
                });
            }
        }
        Ok(Answer {
            message: json!({ "role": "assistant", "content": text }),
            finish: finish.name(),
            usage,
        })
    }
}

/// The fields that all chunks of a response share.
struct Head {
    id: String,
    created: u64,
    model: String,
}

impl Head {
    fn object(&self, kind: &str, choice: &Value) -> Value {
        json!({
            "id": self.id,
            "object": kind,
            "created": self.created,
            "model": self.model,
            "choices": [choice],
        })
    }

    fn chunk(&self, delta: &Value, finish: Option<&str>) -> Value {
        let choice = json!({ "index": 0, "delta": delta, "finish_reason": finish });
        self.object("chat.completion.chunk", &choice)
    }
}

async fn whole(mut prepared: PreparedChat, head: &Head) -> Result<Response, ApiError> {
    let answer = blocking(move || prepared.answer()).await?;
    let choice = json!({
        "index": 0,
        "finish_reason": answer.finish,
        "message": answer.message,
    });
    let mut body = head.object("chat.completion", &choice);
    body["usage"] = answer.usage;
    Ok(Json(body).into_response())
}

fn streamed(mut prepared: PreparedChat, head: Head, usage: Usage, client: DropGuard) -> Response {
    let (sender, receiver) = mpsc::channel::<Bytes>(PIECES_AHEAD);
    tokio::task::spawn_blocking(move || {
        let stream = Stream { sender, head };
        if !stream.delta(&json!({ "role": "assistant", "content": "" })) {
            return;
        }
        let end = if prepared.most_calls.is_some() {
            // Only a complete answer shows whether it's a tool call.
            prepared.answer().map(|answer| {
                stream.delta(&with_indices(answer.message));
                (answer.finish, answer.usage)
            })
        } else {
            prepared
                .generate(|piece| stream.delta(&json!({ "content": piece })))
                .map(|(finish, usage)| (finish.name(), usage))
        };
        match end {
            Ok((finish, counts)) => stream.end(finish, counts, usage),
            Err(error) => {
                crate::log(format_args!("chat: {error}"));
                stream.send(&json!({ "error": { "message": error.to_string() } }));
            }
        }
    });
    // The body, and with it the guard, is dropped when the client disconnects.
    let body = stream::unfold((receiver, client), |(mut receiver, client)| async move {
        let bytes = receiver.recv().await?;
        Some((Ok::<Bytes, Infallible>(bytes), (receiver, client)))
    });
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    (headers, Body::from_stream(body)).into_response()
}

/// Streams an answer to a client. Its methods return whether the client is still connected.
struct Stream {
    sender: mpsc::Sender<Bytes>,
    head: Head,
}

impl Stream {
    fn send(&self, json: &Value) -> bool {
        let line = Bytes::from(format!("data: {json}\n\n"));
        self.sender.blocking_send(line).is_ok()
    }

    fn delta(&self, delta: &Value) -> bool {
        self.send(&self.head.chunk(delta, None))
    }

    fn end(&self, finish: &str, counts: Value, usage: Usage) {
        let mut last = self.head.chunk(&json!({}), Some(finish));
        let mut more = None;
        match usage {
            Usage::InLast => last["usage"] = counts,
            Usage::AfterLast => {
                let mut chunk = last.clone();
                chunk["choices"] = json!([]);
                chunk["usage"] = counts;
                more = Some(chunk);
            }
            Usage::Nowhere => {}
        }
        if self.send(&last) && more.is_none_or(|chunk| self.send(&chunk)) {
            // The client may disconnect right before the last line.
            let _ = self
                .sender
                .blocking_send(Bytes::from_static(b"data: [DONE]\n\n"));
        }
    }
}

/// Turns a message into a delta. Its tool calls get an index, which clients use to assemble partial ones.
fn with_indices(mut message: Value) -> Value {
    let calls = message.get_mut("tool_calls").and_then(Value::as_array_mut);
    for (index, call) in calls.into_iter().flatten().enumerate() {
        call["index"] = json!(index);
    }
    message
}
