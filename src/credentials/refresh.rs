//! The refresh request (RFC 6749, section 6), and the comparison of logins.

use base64::Engine;
use serde::Deserialize;

use super::stored::Credentials;
use super::token::{Exchange, TokenRequest, now};
use crate::error::{Error, Result};

/// A token that expires within this many seconds counts as expired, because it has to last for the request.
const MARGIN: f64 = 30.0;

pub fn expired(credentials: &Credentials) -> bool {
    matches!(credentials, Credentials::OAuth { expires_at, .. } if *expires_at <= now() + MARGIN)
}

/// Whether `found` is still the login `held`, perhaps renewed or replaced by the same user. The file may hold
/// another user's login by now, whose token doesn't fit this project.
pub fn same_login(found: &Credentials, held: &Credentials) -> bool {
    let (
        Credentials::OAuth {
            auth0_domain: found_domain,
            client_id: found_client,
            login_id: found_id,
            audience: found_audience,
            arkor_cloud_api_url: found_url,
            ..
        },
        Credentials::OAuth {
            auth0_domain: held_domain,
            client_id: held_client,
            login_id: held_id,
            audience: held_audience,
            arkor_cloud_api_url: held_url,
            ..
        },
    ) = (found, held)
    else {
        return false;
    };
    if (found_domain, found_client) != (held_domain, held_client) {
        return false;
    }
    if found_id.is_some() && found_id == held_id {
        return true;
    }
    // A token for another deployment must not be sent to this one.
    let other_url = found_url.is_some() && held_url.is_some() && found_url != held_url;
    if other_url
        || found_audience.as_deref().unwrap_or_default()
            != held_audience.as_deref().unwrap_or_default()
    {
        return false;
    }
    match (subject(found), subject(held)) {
        // Equal subjects mean the same user, even after a new login.
        (Some(found), Some(held)) => found == held,
        // If another SDK wrote one of them, there's no id to compare.
        (None, None) => found_id.is_none() || held_id.is_none(),
        _ => false,
    }
}

/// The `sub` claim of the token, if it's a JWT (RFC 7519) that has one.
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

/// Requests a new access token. Returns the login with it, and with the next refresh token if they are
/// rotated.
///
/// # Errors
/// When the identity provider refuses; the message asks the user to log in again.
pub async fn request(credentials: &Credentials, exchange: &Exchange) -> Result<Credentials> {
    let mut renewed = credentials.clone();
    let Credentials::OAuth {
        access_token,
        refresh_token,
        expires_at,
        auth0_domain,
        client_id,
        ..
    } = &mut renewed
    else {
        return Ok(renewed);
    };
    let fields = [
        ("grant_type", "refresh_token"),
        ("client_id", client_id.as_str()),
        ("refresh_token", refresh_token.as_str()),
    ];
    let request = TokenRequest::new(auth0_domain, &fields).ok_or_else(|| {
        Error::api(
            401,
            "The login can't be renewed: its auth0Domain is no host, or host:port. Log in again.",
        )
    })?;
    let answer = exchange(request).await?;
    let status = answer.status;
    // Don't quote the body: an identity provider may echo the request.
    match status {
        200..300 => {}
        400 | 401 | 403 => {
            return Err(Error::api(
                401,
                format!(
                    "The login has expired and {auth0_domain} refused to renew it \
                     (HTTP {status}). Log in again."
                ),
            ));
        }
        _ => {
            return Err(Error::plain(format!(
                "{auth0_domain} could not renew the login (HTTP {status})"
            )));
        }
    }
    let tokens = answer.tokens().ok_or_else(|| {
        Error::plain(format!(
            "{auth0_domain} answered the renewal of the login without an access_token"
        ))
    })?;
    *expires_at = tokens.expires_at();
    *access_token = tokens.access_token;
    if let Some(rotated) = tokens.refresh_token {
        *refresh_token = rotated;
    }
    Ok(renewed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(domain: &str, login_id: Option<&str>, sub: Option<&str>) -> Credentials {
        let claims = sub.map(|sub| format!(r#"{{"sub":"{sub}"}}"#));
        let encoded = claims.map(|text| {
            let engine = base64::engine::general_purpose::URL_SAFE_NO_PAD;
            format!("h.{}.s", engine.encode(text))
        });
        Credentials::OAuth {
            access_token: encoded.unwrap_or_else(|| "opaque".to_owned()),
            refresh_token: String::new(),
            expires_at: 0.0,
            auth0_domain: domain.to_owned(),
            audience: None,
            client_id: "client".to_owned(),
            arkor_cloud_api_url: None,
            login_id: login_id.map(str::to_owned),
        }
    }

    #[test]
    fn a_login_is_told_by_its_id_then_by_its_subject() {
        type Side = (&'static str, Option<&'static str>, Option<&'static str>);
        let cases: [(Side, Side, bool); 9] = [
            (("d", Some("1"), None), ("d", Some("1"), None), true),
            (
                ("d", Some("1"), Some("a")),
                ("d", Some("1"), Some("b")),
                true,
            ),
            (
                ("d", Some("1"), Some("a")),
                ("d", Some("2"), Some("a")),
                true,
            ),
            (
                ("d", Some("1"), Some("a")),
                ("d", Some("2"), Some("b")),
                false,
            ),
            (("d", Some("1"), None), ("d", Some("2"), None), false),
            (("d", None, None), ("d", Some("2"), None), true),
            (("d", None, Some("a")), ("d", None, Some("b")), false),
            (("d", None, Some("a")), ("d", None, None), false),
            (
                ("d", Some("1"), Some("a")),
                ("e", Some("1"), Some("a")),
                false,
            ),
        ];
        for (a, b, expected) in cases {
            let (first, second) = (login(a.0, a.1, a.2), login(b.0, b.1, b.2));
            assert_eq!(same_login(&first, &second), expected, "{a:?} {b:?}");
            assert_eq!(same_login(&second, &first), expected, "{b:?} {a:?}");
        }
        let mut staging = login("d", Some("2"), Some("a"));
        let production = login("d", Some("1"), Some("a"));
        if let Credentials::OAuth { audience, .. } = &mut staging {
            *audience = Some("https://staging".to_owned());
        }
        assert!(!same_login(&staging, &production));
        let at = |url: &str| {
            let mut login = login("d", None, Some("a"));
            if let Credentials::OAuth {
                arkor_cloud_api_url,
                ..
            } = &mut login
            {
                *arkor_cloud_api_url = Some(url.to_owned());
            }
            login
        };
        assert!(!same_login(&at("https://a"), &at("https://b")));
        assert!(same_login(&at("https://a"), &login("d", None, Some("a"))));
        let anonymous = Credentials::local("t");
        assert!(!same_login(&anonymous, &anonymous));
    }
}
