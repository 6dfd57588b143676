//! The identity provider's token endpoint (RFC 6749): exchanges a grant for tokens.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures::FutureExt;
use futures::future::BoxFuture;
use serde::Deserialize;
use serde_json::value::RawValue;

use tokio::time::timeout;

use crate::api::http::{client, network_error};
use crate::api::request::component;
use crate::api::{CALL_LIMIT, within_limit};
use crate::environment::Environment;
use crate::error::{Error, Result};

/// How long an access token is valid if the response has no `expires_in`, in seconds.
const DEFAULT_LIFETIME: f64 = 3600.0;

/// How long to wait for a response that JavaScript passes on. It exceeds JavaScript's own limit,
/// [`CALL_LIMIT`]: if they were equal, a rotated token that arrives between the two would be lost.
const FETCH_LIMIT: Duration = CALL_LIMIT.saturating_add(Duration::from_secs(60));

/// The tokens in a response.
#[derive(Deserialize)]
pub struct Tokens {
    /// The access token for requests.
    pub access_token: String,
    /// The refresh token.
    pub refresh_token: Option<String>,
    /// The lifetime in seconds. Some identity providers write the number as a string.
    expires_in: Option<Box<RawValue>>,
}

impl Tokens {
    /// When the access token expires, in seconds since the epoch.
    pub fn expires_at(&self) -> f64 {
        let text = self.expires_in.as_ref().map(|json| json.get());
        let lifetime = text
            .and_then(|json| json.trim_matches(['"', ' ']).parse().ok())
            .filter(|seconds: &f64| seconds.is_finite());
        now() + lifetime.unwrap_or(DEFAULT_LIFETIME)
    }
}

/// A request to a token endpoint.
pub struct TokenRequest {
    /// The endpoint.
    pub url: String,
    /// The grant, as a form.
    pub body: String,
}

impl TokenRequest {
    /// Additional headers.
    pub const HEADERS: [(&str, &str); 2] = [
        ("content-type", "application/x-www-form-urlencoded"),
        ("accept", "application/json"),
    ];

    /// A token request to `domain`; `None` if that isn't a valid domain.
    #[must_use]
    pub fn new(domain: &str, grant: &[(&str, &str)]) -> Option<Self> {
        Some(Self {
            url: format!("{}/oauth/token", origin(domain)?),
            body: form(grant),
        })
    }
}

/// The response of a token endpoint.
pub struct Answer {
    /// The HTTP status code.
    pub status: u16,
    /// The body.
    pub text: String,
}

/// Makes the request: through the engine's HTTP client, or the user's own `fetch`.
pub type Exchange = Arc<dyn Fn(TokenRequest) -> BoxFuture<'static, Result<Answer>> + Send + Sync>;

/// An exchange through the engine's own HTTP client.
pub fn engine(env: &Environment) -> Exchange {
    let env = env.clone();
    Arc::new(move |request| {
        let env = env.clone();
        async move { post(&env, request).await }.boxed()
    })
}

impl Answer {
    /// The tokens, if the response has any.
    #[must_use]
    pub fn tokens(&self) -> Option<Tokens> {
        serde_json::from_str(&self.text).ok()
    }

    /// The error code (RFC 6749, section 5.2), for example `invalid_grant`. The description isn't used: an
    /// identity provider may echo the request there.
    #[must_use]
    pub fn error_code(&self) -> Option<String> {
        #[derive(Deserialize)]
        struct Body {
            error: String,
        }
        let code = serde_json::from_str::<Body>(&self.text).ok()?.error;
        let is_code = code.len() <= 40 && code.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        is_code.then_some(code)
    }
}

/// Sends a token request.
pub async fn post(env: &Environment, request: TokenRequest) -> Result<Answer> {
    within_limit(&request.url, async {
        let mut builder = client(&env.network, &request.url)?.post(&request.url);
        for (name, value) in TokenRequest::HEADERS {
            builder = builder.header(name, value);
        }
        let response = builder
            .body(request.body)
            .send()
            .await
            .map_err(|error| network_error(&error))?;
        let status = response.status().as_u16();
        let text = crate::api::text(response).await?;
        Ok(Answer { status, text })
    })
    .await
}

/// Encodes fields as a form or a query.
pub fn form(fields: &[(&str, &str)]) -> String {
    let pairs: Vec<String> = fields
        .iter()
        .map(|(name, value)| format!("{name}={}", component(value)))
        .collect();
    pairs.join("&")
}

/// The current time, in seconds since the epoch.
pub fn now() -> f64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0.0, |now| now.as_secs_f64())
}

/// Applies the time limit of a renewal that goes through the user's own `fetch`.
///
/// # Errors
/// Those of the future, and [`Error::Network`] with `ETIMEDOUT`.
pub async fn within_fetch_limit<T>(renewing: impl Future<Output = Result<T>>) -> Result<T> {
    timeout(FETCH_LIMIT, renewing).await.unwrap_or_else(|_| {
        Err(Error::Network {
            code: Some("ETIMEDOUT".to_owned()),
            message: "no answer to the renewal of the login".to_owned(),
        })
    })
}

/// The origin of an identity provider, from its domain: a host with an optional port. It's HTTPS except on
/// this machine, where a test server has no certificate.
#[must_use]
pub fn origin(domain: &str) -> Option<String> {
    let (host, port) = match domain.rsplit_once(':') {
        // The colon belongs to an IPv6 address.
        Some(_) if domain.ends_with(']') => (domain, None),
        Some((host, port)) => (host, Some(port)),
        None => (domain, None),
    };
    let is_port = |port: &str| {
        port.bytes().all(|byte| byte.is_ascii_digit())
            && port.parse().is_ok_and(|port: u16| port > 0)
    };
    if !port.is_none_or(is_port) || !is_host(host) {
        return None;
    }
    let is_here = matches!(host, "127.0.0.1" | "localhost" | "[::1]");
    let scheme = if is_here { "http" } else { "https" };
    Some(format!("{scheme}://{domain}"))
}

fn is_host(host: &str) -> bool {
    let literal = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    if let Some(address) = literal {
        return address.parse::<std::net::Ipv6Addr>().is_ok();
    }
    let is_label = |label: &str| {
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        !label.is_empty() && label.len() <= 63 && label.bytes().all(is_name)
    };
    let name = host.strip_suffix('.').unwrap_or(host);
    name.len() <= 253 && name.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(text: &str) -> Answer {
        Answer {
            status: 403,
            text: text.to_owned(),
        }
    }

    #[test]
    fn an_error_is_told_by_its_code_only() {
        let cases = [
            (
                r#"{"error":"invalid_grant","error_description":"seen s3cret"}"#,
                Some("invalid_grant"),
            ),
            (r#"{"error":"the code s3cret is used up"}"#, None),
            (r#"{"error":{"code":1}}"#, None),
            ("<html>", None),
        ];
        for (text, expected) in cases {
            assert_eq!(answer(text).error_code().as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn a_form_keeps_what_separates_its_fields_out_of_the_values() {
        assert_eq!(
            form(&[("a", "x y&z=1+2"), ("b", "")]),
            "a=x%20y%26z%3D1%2B2&b="
        );
    }

    #[test]
    fn only_this_machine_is_asked_without_tls() {
        let cases = [
            ("login.example", "https://login.example"),
            ("127.0.0.1.example:80", "https://127.0.0.1.example:80"),
            ("127.0.0.1:4000", "http://127.0.0.1:4000"),
            ("[::1]:4000", "http://[::1]:4000"),
            ("[2001:db8::1]", "https://[2001:db8::1]"),
        ];
        for (domain, expected) in cases {
            assert_eq!(origin(domain).as_deref(), Some(expected), "{domain}");
        }
    }

    #[test]
    fn a_domain_that_is_more_than_host_and_port_is_none() {
        let cases = [
            "",
            "https://login.example",
            "login.example/path",
            "login.example?query",
            "login.example#fragment",
            "user@login.example",
            "user:secret@login.example",
            "localhost:1@login.example",
            "login.example:",
            "login.example:0",
            "login.example:65536",
            "login.example:+80",
            "login.example:80:80",
            "login..example",
            ".",
            "login example",
            " login.example",
            "login.example\n",
            "login.example\u{1b}[31m",
            "login\\example",
            "[::1",
            "[login.example]",
            "::1",
        ];
        for domain in cases {
            assert_eq!(origin(domain), None, "{domain:?}");
        }
    }

    /// JavaScript gives up after a minute, but may still pass on a response that arrived just before.
    #[tokio::test(start_paused = true)]
    async fn an_answer_that_comes_just_after_javascripts_limit_is_not_lost() {
        let found = within_fetch_limit(async {
            tokio::time::sleep(CALL_LIMIT + Duration::from_millis(1)).await;
            Ok("late")
        });
        assert_eq!(found.await, Ok("late"));
    }
}
