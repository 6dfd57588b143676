//! Errors as responses, `{ "error": "..." }`. The SDK shows that sentence to its user unchanged.

use axum::Json;
use axum::body::to_bytes;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::error::Error;

/// The longest message of the framework that is passed on, in bytes.
const MAX_REFUSAL_BYTES: usize = 64 * 1024;

/// A message has at most this many characters.
const MAX_MESSAGE_CHARS: usize = 1000;

/// An answer other than success.
#[derive(Debug)]
pub struct ApiError {
    status: StatusCode,
    message: String,
    /// In seconds.
    retry_after: Option<u32>,
}

impl ApiError {
    /// A status and a sentence that says what to do.
    pub fn new(status: StatusCode, message: impl Into<String>) -> Self {
        let mut message = message.into();
        // It may quote what was sent.
        if let Some((end, _)) = message.char_indices().nth(MAX_MESSAGE_CHARS) {
            message.replace_range(end.., "…");
        }
        Self {
            status,
            message,
            retry_after: None,
        }
    }

    /// The same error, with the time after which another try makes sense.
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

    /// The same in the shape of OpenAI's API. `code` is a word for programs.
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

    /// The same error, with the field name that starts the message replaced by the client's name for it.
    pub fn with_names(self, theirs: impl Fn(&str) -> &str) -> Self {
        let end = self
            .message
            .find(|char: char| !char.is_ascii_alphanumeric() && char != '_')
            .unwrap_or(self.message.len());
        let (name, rest) = self.message.split_at(end);
        let message = format!("{}{rest}", theirs(name));
        Self { message, ..self }
    }

    /// The same error for somebody who may only call an endpoint: what is wrong with the server or its
    /// models is for its log.
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

    /// 404 for a job that is not there.
    pub fn no_such_job() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "no such job on this local backend: list them with GET /v1/jobs, and check --store",
        )
    }
}

/// Converts the framework's own plain-text errors, such as for a malformed query or path, to JSON.
pub async fn as_json(response: Response) -> Response {
    match plain_text(response).await {
        Ok(error) => error.into_response(),
        Err(response) => response,
    }
}

/// The same in the shape of OpenAI's API.
pub async fn as_openai(response: Response) -> Response {
    match plain_text(response).await {
        Ok(error) => error.into_openai(None),
        Err(response) => response,
    }
}

/// The error of a plain-text response, or else the response unchanged.
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
