//! The backend's HTTP API: sends requests, returns responses or typed errors.

mod body;
pub mod deprecation;
pub mod endpoints;
pub mod http;
mod refusal;
pub mod request;
mod retry_after;
pub mod tls;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{
    StreamExt,
    stream::{self, BoxStream},
};
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, HeaderValue};
use tokio::time::{Instant, timeout};

use crate::environment::{Environment, Network};
use crate::error::{Error, Refused, Result};
use crate::run::{self, Refusal};
pub use body::{beginning, body, text};
use http::network_error;
pub use refusal::message as refusal_message;
pub use request::Request;

/// The time limit of `start()`, `cancel()` and the final request for a job (T1).
pub const CALL_LIMIT: Duration = Duration::from_secs(60);

/// The `x-arkor-client` header of every request, with the package's version.
pub const CLIENT_HEADER: &str = concat!("arkor/", env!("CARGO_PKG_VERSION"));

/// Authorizes requests.
pub trait Access: Send + Sync {
    /// The token for the request.
    fn token(&self) -> &str;

    /// The token for a single retry after a 401. `None` when the refusal is final.
    fn after_refusal(&self) -> BoxFuture<'_, Result<Option<String>>>;
}

/// One backend, used with one identity. Cheap to clone.
#[derive(Clone)]
pub struct Api {
    network: Network,
    base_url: String,
    access: Option<Arc<dyn Access>>,
    package_manager: Option<String>,
}

impl Api {
    /// Creates a client for this backend. Clients with the same network settings share a connection pool
    /// (T35). Without `access`, only the auth endpoints can be called.
    ///
    /// # Errors
    /// When `NODE_EXTRA_CA_CERTS` or a proxy setting can't be used.
    pub fn new(env: &Environment, base_url: &str, access: Option<Arc<dyn Access>>) -> Result<Self> {
        // Report an unusable setting now, not with the first request.
        http::client(&env.network, base_url)?;
        Ok(Self {
            network: env.network.clone(),
            base_url: request::root(base_url),
            access,
            package_manager: env.package_manager.clone(),
        })
    }

    /// The same backend with another token.
    #[must_use]
    pub fn with_access(&self, access: Arc<dyn Access>) -> Self {
        Self {
            access: Some(access),
            ..self.clone()
        }
    }

    /// Sends a request and returns the response, whatever its status code. Records its deprecation notice, if
    /// any.
    ///
    /// # Errors
    /// [`Error::Network`].
    pub async fn send(&self, request: &Request) -> Result<reqwest::Response> {
        let response = self.exchange(request).await?;
        deprecation::note(deprecation::of(&response));
        Ok(response)
    }

    /// Sends a request and returns the response, whatever its status code. After a 401, it retries once if
    /// the login can be renewed: the backend's clock may differ from this machine's.
    ///
    /// # Errors
    /// [`Error::Network`], and those of the renewal.
    pub async fn exchange(&self, request: &Request) -> Result<reqwest::Response> {
        let Some(access) = &self.access else {
            return self.attempt(request, None).await;
        };
        let response = self.attempt(request, Some(access.token())).await?;
        if response.status() != StatusCode::UNAUTHORIZED {
            return Ok(response);
        }
        match access.after_refusal().await? {
            Some(renewed) => self.attempt(request, Some(&renewed)).await,
            None => Ok(response),
        }
    }

    async fn attempt(&self, request: &Request, token: Option<&str>) -> Result<reqwest::Response> {
        // Without a host, the first part of the path would become the host.
        if reqwest::Url::parse(&self.base_url).is_err() {
            return Err(http::invalid_url());
        }
        let url = format!("{}{}", self.base_url, request.target()?);
        let http = http::client(&self.network, &self.base_url)?;
        let mut builder = http.request(request.method.clone(), &url);
        for (name, value) in headers(request, token)? {
            builder = builder.header(name, value);
        }
        if let Some(body) = &request.body {
            builder = builder.body(body.clone());
        }
        let begin = Instant::now();
        let sent = builder.send().await.map_err(|error| network_error(&error));
        let ms = begin.elapsed().as_millis();
        match &sent {
            Ok(response) => tracing::debug!(status = response.status().as_u16(), ms, "{request}"),
            Err(error) => tracing::debug!(%error, ms, "{request}"),
        }
        let response = sent?;
        http::note_keep_alive(&response);
        Ok(response)
    }

    /// Sends a request. A response that isn't 2xx is an error (T33).
    ///
    /// # Errors
    /// [`Error::Network`], [`Error::Api`].
    pub async fn open(&self, request: &Request) -> Result<reqwest::Response> {
        let response = self.send(request).await?;
        if response.status().is_success() {
            return Ok(response);
        }
        Err(self.refused(response).await)
    }

    /// Sends a request and reads its whole response within [`CALL_LIMIT`].
    ///
    /// # Errors
    /// [`Error::Network`], [`Error::Api`].
    pub async fn call(&self, request: &Request) -> Result<String> {
        within_limit(&request.to_string(), async {
            text(self.open(request).await?).await
        })
        .await
    }

    /// Opens a job's event stream after the last event id, if there is one. The head of the response has to
    /// arrive within `idle_timeout` (T26).
    ///
    /// # Errors
    /// A [`Refusal`], which records whether a retry makes sense (T23).
    pub async fn stream(
        &self,
        request: &Request,
        idle_timeout: Option<Duration>,
    ) -> std::result::Result<BoxStream<'static, Result<Bytes>>, Refusal> {
        let response = run::within_idle(idle_timeout, async {
            self.send(request).await.map_err(|error| Refusal {
                permanent: error.is_refused_login(),
                ..Refusal::transient(error)
            })
        })
        .await?;
        let status = response.status();
        if status == StatusCode::NO_CONTENT {
            // T12: 204 means the same as `event: end`: no more events will come.
            return Ok(stream::iter([Ok(Bytes::from_static(b"event: end\n\n"))]).boxed());
        }
        if status.is_success() {
            return match other_content_type(&response) {
                None => Ok(body(response).boxed()),
                Some(other) => Err(Refusal::transient(Error::plain(format!(
                    "The event stream was answered with {other}, not text/event-stream"
                )))),
            };
        }
        let permanent = matches!(status.as_u16(), 401 | 403 | 410 | 426);
        let retry_after = retry_after::of(&response);
        Err(Refusal {
            error: self.refused(response).await,
            permanent,
            retry_after,
        })
    }

    async fn refused(&self, response: reqwest::Response) -> Error {
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        let body = beginning(response).await;
        let manager = self.package_manager.as_deref();
        let location = headers.get(reqwest::header::LOCATION);
        let location = location.and_then(|value| value.to_str().ok());
        Error::Api {
            status,
            message: refusal::message(status, &body, location, manager),
            answer: Some(Box::new(Refused {
                headers: flat(&headers),
                body,
            })),
        }
    }
}

/// The response's content type if it isn't that of an event stream: a captive portal's page, for example.
fn other_content_type(response: &reqwest::Response) -> Option<String> {
    let value = response.headers().get(reqwest::header::CONTENT_TYPE)?;
    let text = String::from_utf8_lossy(value.as_bytes());
    let essence = text.split(';').next().unwrap_or_default().trim();
    (!essence.eq_ignore_ascii_case("text/event-stream")).then(|| essence.to_owned())
}

/// The time limit for a response's head, the same as that of `fetch` (T33).
pub const HEAD_LIMIT: Duration = Duration::from_secs(300);

/// Waits for the head of the response to `what` within `limit`.
///
/// # Errors
/// Those of the future, and [`Error::Network`] with `ETIMEDOUT`.
pub async fn head_within<T>(
    limit: Duration,
    what: &str,
    future: impl Future<Output = Result<T>>,
) -> Result<T> {
    timeout(limit, future).await.unwrap_or_else(|_| {
        Err(Error::Network {
            code: Some("ETIMEDOUT".to_owned()),
            message: format!("no answer to {what} within {} ms", limit.as_millis()),
        })
    })
}

/// Gives up on `what` after [`CALL_LIMIT`].
///
/// # Errors
/// Those of the future, and [`Error::Network`] with `ETIMEDOUT`.
pub async fn within_limit<T>(what: &str, future: impl Future<Output = Result<T>>) -> Result<T> {
    timeout(CALL_LIMIT, future).await.unwrap_or_else(|_| {
        let seconds = CALL_LIMIT.as_secs();
        Err(Error::Network {
            code: Some("ETIMEDOUT".to_owned()),
            message: format!("no answer to {what} within {seconds} s"),
        })
    })
}

/// Builds the headers of a request.
///
/// # Errors
/// When a value has characters that HTTP can't carry. The message names the header but doesn't quote the
/// value, which may be the token.
pub fn headers(request: &Request, token: Option<&str>) -> Result<Vec<(&'static str, HeaderValue)>> {
    let json = request.body.as_ref().map(|_| "application/json");
    let authorization = token.map(|token| format!("Bearer {token}"));
    let mut headers = Vec::new();
    for (name, value) in [
        ("x-arkor-client", Some(CLIENT_HEADER)),
        ("authorization", authorization.as_deref()),
        ("accept", request.accept),
        ("last-event-id", request.last_event_id.as_deref()),
        ("content-type", json),
    ] {
        let Some(value) = value else { continue };
        match HeaderValue::from_bytes(value.as_bytes()) {
            Ok(mut value) => {
                value.set_sensitive(name == "authorization");
                headers.push((name, value));
            }
            // Without an id that HTTP can't carry, the backend starts from the beginning.
            Err(_) if name == "last-event-id" => {}
            Err(_) => {
                return Err(Error::plain(format!(
                    "The {name} header has characters that HTTP can't carry; are the credentials \
                     intact?"
                )));
            }
        }
    }
    Ok(headers)
}

/// Headers in the form that JavaScript expects: alternating names and values. The bytes of a value are
/// Latin-1.
#[must_use]
pub fn flat(headers: &HeaderMap) -> Vec<String> {
    headers
        .iter()
        .flat_map(|(name, value)| [name.as_str().to_owned(), latin1(value)])
        .collect()
}

/// A header's value as `fetch` represents it.
#[must_use]
pub fn latin1(value: &HeaderValue) -> String {
    value.as_bytes().iter().copied().map(char::from).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use tokio::net::TcpListener;

    use super::endpoints::CLI_CONFIG;
    use super::request::Parts;
    use super::*;

    fn config() -> Request {
        CLI_CONFIG.request(&Parts::default()).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn t1_a_call_without_an_answer_is_given_up_after_a_minute() {
        // The OS accepts the connection, but nothing ever responds.
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let api = Api::new(&Environment::default(), &url, None).unwrap();
        let begin = Instant::now();
        let error = api.call(&config()).await.unwrap_err();
        let Error::Network { code, message } = error else {
            panic!("{error:?}")
        };
        assert_eq!(code.as_deref(), Some("ETIMEDOUT"));
        assert_eq!(message, "no answer to GET /v1/auth/cli/config within 60 s");
        assert_eq!(begin.elapsed(), CALL_LIMIT);
    }

    #[tokio::test(start_paused = true)]
    async fn t33_the_head_of_an_answer_is_waited_for_300_s() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let api = Api::new(&Environment::default(), &url, None).unwrap();
        let begin = Instant::now();
        let request = config();
        let waited = head_within(HEAD_LIMIT, "GET /v1/projects", api.open(&request)).await;
        let Err(Error::Network { code, .. }) = waited else {
            panic!("{waited:?}")
        };
        assert_eq!(code.as_deref(), Some("ETIMEDOUT"));
        assert_eq!(begin.elapsed(), Duration::from_secs(300));
    }
}
