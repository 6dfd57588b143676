//! Chat. Flow in: a checked request. Flow out: one JSON answer, or a stream of chunks, both as
//! OpenAI's API shapes them. A module because generation runs on a thread of its own, and ends when
//! its client is gone.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::stream;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::App;
use super::chat_request::{ChatRequest, Weights};
use super::error::ApiError;
use super::guard::JsonBody;
use crate::adapter;
use crate::base::{Base, Bases, resolve};
use crate::error::{Result, refused};
use crate::generate::{Finish, Sampling, generate};
use crate::model::Llama;
use crate::time;

/// Pieces that may wait for a slow client before generation waits too.
const PIECES_AHEAD: usize = 64;

/// `POST /v1/inference/chat`
pub async fn chat(
    State(app): State<Arc<App>>,
    JsonBody(body): JsonBody,
) -> Result<Response, ApiError> {
    let request = ChatRequest::from_json(&body, &app)?;
    let head = Head {
        id: format!("chatcmpl-{}", crate::random_hex()?),
        created: time::unix_seconds(),
        model: request.model.clone(),
    };
    let stream = request.stream;
    let bases = Arc::clone(app.jobs.bases().0);
    // Before the answer begins: what is wrong with the request is still a 400.
    let prepared = blocking(move || Prepared::new(request, &bases)).await?;
    if stream {
        Ok(streamed(prepared, head))
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

/// A model and a prompt, ready to generate.
struct Prepared {
    base: Arc<Base>,
    model: Llama,
    prompt: Vec<u32>,
    sampling: Sampling,
}

impl Prepared {
    fn new(request: ChatRequest, bases: &Bases) -> Result<Self> {
        let (base, lora) = match request.weights {
            Weights::Base(source) => (bases.get(&source)?, None),
            Weights::Adapter(dir) => {
                let adapter = adapter::load(&dir)?;
                // Always the base that the adapter was trained on, whatever this server's default is.
                let base = bases.get(&resolve::resolve(&adapter.base, None)?.source)?;
                (base, Some(adapter.lora))
            }
        };
        let model = Llama::new(&base.config, &base.weights, lora.as_ref())?;
        let text = base.text.render(&request.messages, None, true)?;
        let prompt = base.text.encode(&text, false)?.ids;
        if prompt.len() >= base.config.max_positions {
            return refused(format!(
                "messages: {} tokens are more than the {} that this model can read. Send less.",
                prompt.len(),
                base.config.max_positions
            ));
        }
        Ok(Self {
            base,
            model,
            prompt,
            sampling: request.sampling,
        })
    }

    fn generate(&self, on_text: impl FnMut(&str) -> bool) -> Result<(Finish, Value)> {
        let context = self.base.config.max_positions;
        let Self {
            base,
            model,
            prompt,
            sampling,
        } = self;
        let end = generate(model, &base.text, prompt, context, sampling, on_text)?;
        let usage = json!({
            "prompt_tokens": prompt.len(),
            "completion_tokens": end.tokens,
            "total_tokens": prompt.len() + end.tokens,
        });
        Ok((end.finish, usage))
    }
}

/// What all chunks of an answer share.
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

    fn chunk(&self, delta: &Value, finish: Option<Finish>) -> Value {
        let choice =
            json!({ "index": 0, "delta": delta, "finish_reason": finish.map(Finish::name) });
        self.object("chat.completion.chunk", &choice)
    }
}

async fn whole(prepared: Prepared, head: &Head) -> Result<Response, ApiError> {
    // Dropped with this future when the client goes away.
    let client = Presence::default();
    let here = Arc::clone(&client.0);
    let (text, finish, usage) = blocking(move || {
        let mut text = String::new();
        let (finish, usage) = prepared.generate(|piece| {
            text.push_str(piece);
            !here.load(Ordering::Relaxed)
        })?;
        Ok((text, finish, usage))
    })
    .await?;
    drop(client);
    let choice = json!({
        "index": 0,
        "finish_reason": finish.name(),
        "message": { "role": "assistant", "content": text },
    });
    let mut answer = head.object("chat.completion", &choice);
    answer["usage"] = usage;
    Ok(Json(answer).into_response())
}

/// Sets its flag when it is dropped.
#[derive(Default)]
struct Presence(Arc<AtomicBool>);

impl Drop for Presence {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn streamed(prepared: Prepared, head: Head) -> Response {
    let (sender, receiver) = mpsc::channel::<Bytes>(PIECES_AHEAD);
    tokio::task::spawn_blocking(move || {
        let send = |json: &Value| {
            sender
                .blocking_send(Bytes::from(format!("data: {json}\n\n")))
                .is_ok()
        };
        if !send(&head.chunk(&json!({ "role": "assistant", "content": "" }), None)) {
            return;
        }
        let end = prepared.generate(|piece| send(&head.chunk(&json!({ "content": piece }), None)));
        match end {
            Ok((finish, usage)) => {
                let mut last = head.chunk(&json!({}), Some(finish));
                last["usage"] = usage;
                if send(&last) {
                    // The client may leave right before the last line.
                    let _ = sender.blocking_send(Bytes::from_static(b"data: [DONE]\n\n"));
                }
            }
            Err(error) => {
                crate::log(format_args!("chat: {error}"));
                send(&json!({ "error": { "message": error.to_string() } }));
            }
        }
    });
    let body = stream::unfold(receiver, |mut receiver| async move {
        let bytes = receiver.recv().await?;
        Some((Ok::<Bytes, Infallible>(bytes), receiver))
    });
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    (headers, Body::from_stream(body)).into_response()
}
