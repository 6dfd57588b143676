//! An expired access token → a fresh one, by the refresh token (RFC 6749, section 6).

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use serde::Deserialize;

use super::{Credentials, Stored, lock, read, write};
use crate::api::http::{client, network_error};
use crate::api::within_limit;
use crate::environment::Environment;
use crate::error::{Error, Result};

/// A token that expires within this many seconds counts as expired: it has to last for the
/// request.
const MARGIN: f64 = 30.0;

#[derive(Deserialize)]
struct Tokens {
    access_token: String,
    refresh_token: Option<String>,
    expires_in: Option<f64>,
}

/// The credentials as they are, or with a fresh access token if theirs has expired.
///
/// The identity provider may rotate the refresh token, so one process at a time does this, and
/// the others find the result in the file.
///
/// # Errors
/// When the identity provider refuses; the message says to log in again.
pub async fn fresh(env: &Environment, credentials: &Credentials) -> Result<Credentials> {
    if !expired(credentials) {
        return Ok(credentials.clone());
    }
    let _lock = lock(&env.home).await?;
    let mut current = credentials.clone();
    let mut stored = false;
    if let Stored::Present(found) = read(&env.home)?
        && same_login(&found, credentials)
    {
        stored = true;
        current = found;
    }
    if !expired(&current) {
        return Ok(current);
    }
    let renewed = request(env, &current).await?;
    if stored {
        write(&env.home, &renewed)?;
    }
    Ok(renewed)
}

fn now() -> f64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0.0, |now| now.as_secs_f64())
}

fn expired(credentials: &Credentials) -> bool {
    matches!(credentials, Credentials::OAuth { expires_at, .. } if *expires_at <= now() + MARGIN)
}

fn same_login(a: &Credentials, b: &Credentials) -> bool {
    match (a, b) {
        (
            Credentials::OAuth {
                auth0_domain: domain_a,
                client_id: client_a,
                ..
            },
            Credentials::OAuth {
                auth0_domain: domain_b,
                client_id: client_b,
                ..
            },
        ) => domain_a == domain_b && client_a == client_b && subject(a) == subject(b),
        _ => false,
    }
}

/// Whose token it is, where it is a JWT (RFC 7519) and says so: the file may hold another user's
/// login by now, and a token and its project belong together.
fn subject(credentials: &Credentials) -> Option<String> {
    #[derive(Deserialize)]
    struct Claims {
        sub: String,
    }
    let payload = credentials.token().split('.').nth(1)?;
    let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD
        .decode(payload)
        .ok()?;
    Some(serde_json::from_slice::<Claims>(&claims).ok()?.sub)
}

async fn request(env: &Environment, credentials: &Credentials) -> Result<Credentials> {
    let Credentials::OAuth {
        refresh_token,
        auth0_domain,
        client_id,
        ..
    } = credentials
    else {
        return Ok(credentials.clone());
    };
    let body = serde_json::json!({
        "grant_type": "refresh_token",
        "client_id": client_id,
        "refresh_token": refresh_token,
    });
    let url = format!("{}/oauth/token", origin(auth0_domain));
    let (status, text) = within_limit(&url, async {
        let response = client(&env.network)?
            .post(&url)
            .header("content-type", "application/json")
            .body(body.to_string())
            .send()
            .await
            .map_err(|error| network_error(&error))?;
        let status = response.status().as_u16();
        let text = response
            .text()
            .await
            .map_err(|error| network_error(&error))?;
        Ok((status, text))
    })
    .await?;
    // Not the body: an identity provider may echo what it was sent.
    match status {
        200..300 => {}
        400 | 401 | 403 => {
            return Err(Error::Api {
                status: 401,
                message: format!(
                    "The login has expired and {auth0_domain} refused to renew it \
                     (HTTP {status}). Log in again."
                ),
            });
        }
        _ => {
            return Err(Error::plain(format!(
                "{auth0_domain} could not renew the login (HTTP {status})"
            )));
        }
    }
    let tokens: Tokens = serde_json::from_str(&text).map_err(|_| {
        Error::plain(format!(
            "{auth0_domain} answered the renewal of the login without an access_token"
        ))
    })?;
    let mut renewed = credentials.clone();
    if let Credentials::OAuth {
        access_token,
        refresh_token,
        expires_at,
        ..
    } = &mut renewed
    {
        *access_token = tokens.access_token;
        *expires_at = now() + tokens.expires_in.unwrap_or(3600.0);
        if let Some(rotated) = tokens.refresh_token {
            *refresh_token = rotated;
        }
    }
    Ok(renewed)
}

/// HTTPS, except on this machine itself, where an identity server for tests has no certificate.
fn origin(domain: &str) -> String {
    let host = domain.rsplit_once(':').map_or(domain, |(host, _)| host);
    let scheme = if matches!(host, "127.0.0.1" | "localhost") {
        "http"
    } else {
        "https"
    };
    format!("{scheme}://{domain}")
}
