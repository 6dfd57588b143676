//! The identity provider's token endpoint (RFC 6749): a grant in, tokens out.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use futures::FutureExt;
use futures::future::BoxFuture;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::api::calls::component;
use crate::api::http::{client, network_error};
use crate::api::within_limit;
use crate::environment::Environment;
use crate::error::Result;

/// What an access token lasts when the identity provider does not say (seconds).
const DEFAULT_LIFETIME: f64 = 3600.0;

/// Tokens as they were issued.
#[derive(Deserialize)]
pub struct Tokens {
    /// What requests carry.
    pub access_token: String,
    /// What gets the next one.
    pub refresh_token: Option<String>,
    /// A number, which some identity providers write as a string.
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
    /// What the request carries besides.
    pub const HEADERS: [(&str, &str); 2] = [
        ("content-type", "application/x-www-form-urlencoded"),
        ("accept", "application/json"),
    ];

    /// Asks `domain` for tokens.
    #[must_use]
    pub fn new(domain: &str, grant: &[(&str, &str)]) -> Self {
        Self {
            url: format!("{}/oauth/token", origin(domain)),
            body: form(grant),
        }
    }
}

/// The answer of a token endpoint.
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub text: String,
}

/// Who makes the request: the engine, or a `fetch` of the user's.
pub type Exchange = Arc<dyn Fn(TokenRequest) -> BoxFuture<'static, Result<Answer>> + Send + Sync>;

/// The engine's own way.
pub fn engine(env: &Environment) -> Exchange {
    let env = env.clone();
    Arc::new(move |request| {
        let env = env.clone();
        async move { post(&env, request).await }.boxed()
    })
}

impl Answer {
    /// The tokens, if there are any.
    #[must_use]
    pub fn tokens(&self) -> Option<Tokens> {
        serde_json::from_str(&self.text).ok()
    }

    /// The error's code (RFC 6749, section 5.2), `invalid_grant` say. Never the words beside it: an
    /// identity provider may echo there what it was sent.
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

/// Asks for tokens.
pub async fn post(env: &Environment, request: TokenRequest) -> Result<Answer> {
    within_limit(&request.url, async {
        let mut builder = client(&env.network)?.post(&request.url);
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

/// Fields as a form, or as a query, has them.
pub fn form(fields: &[(&str, &str)]) -> String {
    let pairs: Vec<String> = fields
        .iter()
        .map(|(name, value)| format!("{name}={}", component(value)))
        .collect();
    pairs.join("&")
}

/// The time, in seconds since the epoch.
pub fn now() -> f64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0.0, |now| now.as_secs_f64())
}

/// HTTPS, except on this machine itself, where an identity server for tests has no certificate.
pub fn origin(domain: &str) -> String {
    let host = domain.rsplit_once(':').map_or(domain, |(host, _)| host);
    let scheme = if matches!(host, "127.0.0.1" | "localhost") {
        "http"
    } else {
        "https"
    };
    format!("{scheme}://{domain}")
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
        assert_eq!(origin("login.example"), "https://login.example");
        assert_eq!(
            origin("127.0.0.1.example:80"),
            "https://127.0.0.1.example:80"
        );
        assert_eq!(origin("127.0.0.1:4000"), "http://127.0.0.1:4000");
    }
}
