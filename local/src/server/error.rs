//! Errors as responses, `{ "error": "..." }`. The SDK shows the sentence to its user unchanged.

use axum::Json;
use axum::body::to_bytes;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::error::Error;

/// The longest error body of the framework that is converted, in bytes.
const MAX_REFUSAL_BYTES: usize = 64 * 1024;

/// The most characters of a message.
const MAX_MESSAGE_CHARS: usize = 1000;

/// An error response.
#[derive(Debug)]
pub struct ApiError {
    status: StatusCode,
    message: String,
    /// The value of `Retry-After`, in seconds.
    retry_after: Option<u32>,
}

impl ApiError {
    /// Creates an error from a status code and a sentence that says what to do.
    pub fn new(status: StatusCode, message: impl Into<String>) -> Self {
        let mut message = message.into();
        // The message may quote the request.
        if let Some((end, _)) = message.char_indices().nth(MAX_MESSAGE_CHARS) {
            message.replace_range(end.., "…");
        }
        Self {
            status,
            message,
            retry_after: None,
        }
    }

    /// Adds a `Retry-After` header.
    pub fn retry_after(self, seconds: u32) -> Self {
        Self {
            retry_after: Some(seconds),
            ..self
        }
    }

    fn with_body(&self, body: serde_json::Value) -> Response {
        let mut response = (self.status, Json(body)).into_response();
        if let Some(seconds) = self.retry_after {
            let headers = response.headers_mut();
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }

    /// Converts the error to OpenAI's format. `code` is for programs.
    pub fn into_openai(self, code: Option<&str>) -> Response {
        let kind = if self.status.is_server_error() {
            "server_error"
        } else if self.status == StatusCode::TOO_MANY_REQUESTS {
            "rate_limit_error"
        } else {
            "invalid_request_error"
        };
        let error = json!({ "message": self.message, "type": kind, "param": null, "code": code });
        self.with_body(json!({ "error": error }))
    }

    /// Replaces the field name that the message starts with by the client's name for it.
    pub fn with_names(self, theirs: impl Fn(&str) -> &str) -> Self {
        let end = self
            .message
            .find(|char: char| !char.is_ascii_alphanumeric() && char != '_')
            .unwrap_or(self.message.len());
        let (name, rest) = self.message.split_at(end);
        let message = format!("{}{rest}", theirs(name));
        Self { message, ..self }
    }

    /// Hides problems of the server and its models from somebody who may only call an endpoint. They are
    /// logged instead.
    pub fn for_callers(self) -> Self {
        let is_about = |field: &str| {
            let rest = self.message.strip_prefix(field);
            rest.is_some_and(|rest| rest.starts_with([':', '.']))
        };
        let is_about_model = ["adapter", "baseModel", "model"].into_iter().any(is_about);
        if is_about_model {
            crate::log(&self.message);
        }
        if is_about_model || self.status.is_server_error() {
            let words = "this endpoint can't answer: the log of its server says why";
            return Self::new(StatusCode::INTERNAL_SERVER_ERROR, words);
        }
        self
    }

    /// The 404 for an unknown job.
    pub fn no_such_job() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "no such job on this local backend: list them with GET /v1/jobs, and check --store",
        )
    }
}

/// Converts the framework's own plain-text errors to JSON, such as those for a malformed query or path.
pub async fn as_json(response: Response) -> Response {
    match plain_text(response).await {
        Ok(error) => error.into_response(),
        Err(response) => response,
    }
}

/// Like `as_json`, in OpenAI's format.
pub async fn as_openai(response: Response) -> Response {
    match plain_text(response).await {
        Ok(error) => error.into_openai(None),
        Err(response) => response,
    }
}

/// Converts a plain-text response to an error. Returns any other response unchanged.
async fn plain_text(response: Response) -> Result<ApiError, Response> {
    let status = response.status();
    let is_text = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|value| value.as_bytes().starts_with(b"text/plain"));
    if !is_text || !(status.is_client_error() || status.is_server_error()) {
        return Err(response);
    }
    let text = to_bytes(response.into_body(), MAX_REFUSAL_BYTES).await;
    let message = String::from_utf8_lossy(&text.unwrap_or_default()).into_owned();
    Ok(ApiError::new(status, message))
}

impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        let status = if error.is_refusal() {
            StatusCode::BAD_REQUEST
        } else {
            crate::log(format_args!("{error}"));
            StatusCode::INTERNAL_SERVER_ERROR
        };
        Self::new(status, error.to_string())
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        self.with_body(json!({ "error": self.message }))
    }
}
