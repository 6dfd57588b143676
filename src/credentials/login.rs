//! Login in the browser: authorization code with PKCE (RFC 7636), for a native program (RFC 8252). The
//! command opens the browser and listens for the callback; this module makes the requests to the backend and
//! the identity provider.

use serde::{Deserialize, Serialize};

use super::stored::Credentials;
use super::token::{self, TokenRequest, form, origin};
use crate::api::Api;
use crate::api::endpoints::CLI_CONFIG;
use crate::api::request::Parts;
use crate::environment::Environment;
use crate::error::{Error, Result};
use crate::json;

/// `offline_access` makes an identity provider issue a refresh token.
const SCOPE: &str = "openid profile email offline_access";

/// How to log in at a deployment, as its backend describes it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Provider {
    /// The identity provider's domain.
    pub auth0_domain: String,
    /// The OAuth client's id.
    pub client_id: String,
    /// The audience that the token is for.
    pub audience: Option<String>,
    /// The ports of this machine that the identity provider may redirect the browser to.
    pub callback_ports: Vec<u16>,
}

/// The authorization code from the callback, and the values that belong to it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Grant {
    /// The authorization code.
    pub code: String,
    /// The PKCE verifier that matches the challenge.
    pub verifier: String,
    /// The redirect URI of the authorization request.
    pub redirect_uri: String,
}

/// Asks a deployment how to log in there.
///
/// # Errors
/// Those of the backend and the network, or an error that names the missing field.
pub async fn provider(env: &Environment, base_url: &str) -> Result<Provider> {
    let request = CLI_CONFIG.request(&Parts::default())?;
    let text = Api::new(env, base_url, None)?.call(&request).await?;
    let provider: Provider = serde_json::from_str(&json::strict(&text)).map_err(|error| {
        Error::plain(format!(
            "The backend's answer to {request} is not usable: {error}"
        ))
    })?;
    if !provider.auth0_domain.is_empty() && origin(&provider.auth0_domain).is_none() {
        return Err(Error::plain(format!(
            "{base_url} has no usable login: auth0Domain in its answer to {request} is no host, or \
             host:port."
        )));
    }
    let empty = [
        ("auth0Domain", provider.auth0_domain.is_empty()),
        ("clientId", provider.client_id.is_empty()),
        ("callbackPorts", provider.callback_ports.is_empty()),
    ];
    match empty.into_iter().find(|(_, empty)| *empty) {
        Some((field, _)) => Err(Error::plain(format!(
            "{base_url} has no login set up: {field} is empty in its answer to {request}. Use an \
             anonymous identity instead (arkor login --anonymous)."
        ))),
        None => Ok(provider),
    }
}

/// The URL of the login page for the browser.
///
/// # Errors
/// When the provider's domain is invalid.
pub fn authorize_url(
    provider: &Provider,
    redirect_uri: &str,
    state: &str,
    challenge: &str,
) -> Result<String> {
    let mut query = vec![
        ("response_type", "code"),
        ("client_id", provider.client_id.as_str()),
        ("redirect_uri", redirect_uri),
        ("scope", SCOPE),
        ("state", state),
        ("code_challenge", challenge),
        ("code_challenge_method", "S256"),
    ];
    if let Some(audience) = &provider.audience {
        query.push(("audience", audience));
    }
    let origin = origin(&provider.auth0_domain).ok_or_else(no_domain)?;
    Ok(format!("{origin}/authorize?{}", form(&query)))
}

fn no_domain() -> Error {
    Error::plain("The login's auth0Domain is no host, or host:port")
}

/// Exchanges the authorization code for tokens.
///
/// # Errors
/// When the identity provider refuses, or issues no refresh token.
pub async fn exchange(
    env: &Environment,
    provider: &Provider,
    base_url: &str,
    grant: &Grant,
) -> Result<Credentials> {
    let domain = &provider.auth0_domain;
    let fields = [
        ("grant_type", "authorization_code"),
        ("client_id", provider.client_id.as_str()),
        ("code", grant.code.as_str()),
        ("code_verifier", grant.verifier.as_str()),
        ("redirect_uri", grant.redirect_uri.as_str()),
    ];
    let request = TokenRequest::new(domain, &fields).ok_or_else(no_domain)?;
    let answer = token::post(env, request).await?;
    let status = answer.status;
    if !(200..300).contains(&status) {
        let code = answer.error_code();
        let code = code.map(|code| format!(": {code}")).unwrap_or_default();
        return Err(Error::plain(format!(
            "{domain} refused the login (HTTP {status}{code}). Run arkor login again."
        )));
    }
    let tokens = answer.tokens().ok_or_else(|| {
        Error::plain(format!(
            "{domain} answered the login without an access_token"
        ))
    })?;
    let expires_at = tokens.expires_at();
    let refresh_token = tokens.refresh_token.filter(|token| !token.is_empty());
    let refresh_token = refresh_token.ok_or_else(|| {
        Error::plain(format!(
            "{domain} answered the login without a refresh_token, so it would end within hours. \
             Its application has to allow the refresh token grant, and its API offline access."
        ))
    })?;
    Ok(Credentials::OAuth {
        access_token: tokens.access_token,
        refresh_token,
        expires_at,
        auth0_domain: domain.clone(),
        audience: Some(provider.audience.clone().unwrap_or_default()),
        client_id: provider.client_id.clone(),
        arkor_cloud_api_url: Some(base_url.to_owned()),
        login_id: Some(format!("{:016x}", fastrand::u64(..))),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn the_browser_is_sent_off_with_everything_that_it_has_to_bring() {
        let provider = Provider {
            auth0_domain: "login.example".to_owned(),
            client_id: "client&1".to_owned(),
            audience: Some("https://api.example".to_owned()),
            callback_ports: vec![1],
        };
        let url = authorize_url(&provider, "http://127.0.0.1:1/callback", "st", "ch").unwrap();
        let url = reqwest::Url::parse(&url).unwrap();
        assert_eq!(url.origin().ascii_serialization(), "https://login.example");
        assert_eq!(url.path(), "/authorize");
        let query: Vec<(String, String)> = url.query_pairs().into_owned().collect();
        let expected = [
            ("response_type", "code"),
            ("client_id", "client&1"),
            ("redirect_uri", "http://127.0.0.1:1/callback"),
            ("scope", "openid profile email offline_access"),
            ("state", "st"),
            ("code_challenge", "ch"),
            ("code_challenge_method", "S256"),
            ("audience", "https://api.example"),
        ];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(query, expected);
    }
}
