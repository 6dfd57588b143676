//! Which requests are accepted: those from this machine that have the server's name and its token. A page
//! in a browser can send requests to any port of its own machine.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{FromRequest, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use subtle::ConstantTimeEq;

use super::app::App;
use super::error::ApiError;
use crate::json::replace_lone_surrogates;

/// The largest request body, in bytes.
pub const MAX_BODY_BYTES: usize = 4 * 1024 * 1024;

/// How long a client may take to send a body.
const BODY_LIMIT: Duration = Duration::from_secs(30);

/// Accepts a request if its `Host` is this server, which a rebound DNS name isn't, and if its bearer
/// token is right. Tokens are compared in constant time.
pub async fn check(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    match verify(request.headers(), &app) {
        Ok(()) => next.run(request).await,
        Err(error) if is_openai(request.uri().path()) => error.into_openai(Some("invalid_api_key")),
        Err(error) => error.into_response(),
    }
}

/// Whether OpenAI's clients use a path. They expect errors in another format.
fn is_openai(path: &str) -> bool {
    path == "/v1/chat/completions" || path == "/v1/models" || path.starts_with("/v1/models/")
}

fn verify(headers: &HeaderMap, app: &App) -> Result<(), ApiError> {
    check_host(headers, app.port)?;
    let given = bearer_token(headers).unwrap_or_default();
    if bool::from(given.as_bytes().ct_eq(app.token.as_bytes())) {
        return Ok(());
    }
    let message = "the bearer token is missing or wrong: use the one that arkor-local printed";
    Err(ApiError::new(StatusCode::UNAUTHORIZED, message))
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> &str {
    headers
        .get(name)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
}

/// Refuses a request whose `Host` isn't this server.
pub fn check_host(headers: &HeaderMap, port: u16) -> Result<(), ApiError> {
    if is_own_host(text(headers, header::HOST), port) {
        return Ok(());
    }
    let message =
        format!("the Host header must be 127.0.0.1:{port}, localhost:{port} or [::1]:{port}");
    Err(ApiError::new(StatusCode::FORBIDDEN, message))
}

/// Refuses a request that a browser sends for a page of another server.
pub fn check_origin(headers: &HeaderMap, port: u16) -> Result<(), ApiError> {
    let host = text(headers, header::ORIGIN).strip_prefix("http://");
    if !headers.contains_key(header::ORIGIN) || host.is_some_and(|host| is_own_host(host, port)) {
        return Ok(());
    }
    let message = "pages of other servers can't call an endpoint without a key: give it authMode \"fixed_api_key\", and call it from a server";
    Err(ApiError::new(StatusCode::FORBIDDEN, message))
}

/// The token of a request's `Authorization`.
pub fn bearer_token(headers: &HeaderMap) -> Option<&str> {
    bearer(text(headers, header::AUTHORIZATION))
}

fn is_own_host(host: &str, port: u16) -> bool {
    ["127.0.0.1", "localhost", "[::1]"]
        .iter()
        .any(|name| host.eq_ignore_ascii_case(&format!("{name}:{port}")))
}

fn bearer(authorization: &str) -> Option<&str> {
    let (scheme, token) = authorization.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// A JSON body. Its errors are `ApiError`s: 408 if it doesn't arrive in time, 413 if it's too large, 400 if it's cut
/// off or isn't JSON.
pub struct JsonBody(pub Value);

impl<S: Send + Sync> FromRequest<S> for JsonBody {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        let bad = |message: String| ApiError::new(StatusCode::BAD_REQUEST, message);
        let body = axum::body::to_bytes(request.into_body(), MAX_BODY_BYTES);
        let Ok(body) = tokio::time::timeout(BODY_LIMIT, body).await else {
            let message = format!("the body did not come within {} s", BODY_LIMIT.as_secs());
            return Err(ApiError::new(StatusCode::REQUEST_TIMEOUT, message));
        };
        let bytes = body.map_err(|error| {
            let source = std::error::Error::source(&error).map(ToString::to_string);
            match source {
                Some(words) if words.contains("limit") => ApiError::new(
                    StatusCode::PAYLOAD_TOO_LARGE,
                    format!("the body is larger than {MAX_BODY_BYTES} bytes"),
                ),
                _ => bad("the body was cut off, or its chunks are broken".to_owned()),
            }
        })?;
        let text =
            std::str::from_utf8(&bytes).map_err(|_| bad("the body is not UTF-8".to_owned()))?;
        match serde_json::from_str(&replace_lone_surrogates(text)) {
            Ok(value) => Ok(Self(value)),
            Err(error) => Err(bad(format!("the body is no JSON: {error}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_servers_names_are_its_host() {
        for host in ["127.0.0.1:80", "LOCALHOST:80", "[::1]:80"] {
            assert!(is_own_host(host, 80), "{host}");
        }
        for host in [
            "",
            "127.0.0.1",
            "127.0.0.1:81",
            "evil.example:80",
            "localhost.evil.example:80",
        ] {
            assert!(!is_own_host(host, 80), "{host}");
        }
    }

    #[test]
    fn the_scheme_of_a_token_is_bearer_in_any_case() {
        assert_eq!(bearer("Bearer abc"), Some("abc"));
        assert_eq!(bearer("bearer abc"), Some("abc"));
        assert_eq!(bearer("Basic abc"), None);
        assert_eq!(bearer("abc"), None);
    }
}
