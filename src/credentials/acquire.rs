//! Acquires an anonymous identity for anyone without a login.

use serde::Deserialize;

use super::store::{Change, change, network_lock};
use super::stored::{Credentials, Stored, path, read};
use super::whose::local_identity;
use crate::api::endpoints::ANONYMOUS;
use crate::api::request::Parts;
use crate::api::{self, Api, within_limit};
use crate::environment::{Environment, base_url};
use crate::error::{Error, Result, notice};
use crate::files::{self, Access};
use crate::json;

/// The stored credentials. If there are none, acquires and stores a new anonymous identity. Warns on stderr
/// if that replaced a corrupt file.
///
/// # Errors
/// When the file can't be read or written, holds a login that this version can't use, or the backend issues
/// no identity.
pub async fn ensure(env: &Environment) -> Result<Credentials> {
    if let Some(local) = local_identity(env)? {
        return Ok(local);
    }
    let home = env.home()?;
    let usable = |stored: Stored| {
        stored.refuse_unusable(home)?;
        Ok(match stored {
            Stored::Present(credentials) => Some(credentials),
            _ => None,
        })
    };
    if let Some(credentials) = usable(read(home)?)? {
        return Ok(credentials);
    }
    let _lock = network_lock(home).await?;
    if let Some(credentials) = usable(read(home)?)? {
        return Ok(credentials);
    }
    // An identity that can't be stored would be lost, and the next call would create another.
    let path = path(home);
    files::check_writable(&path, Access::Owner)
        .map_err(|error| Error::file("Can't write the credentials to", &path, &error))?;
    let url = base_url(None, env.cloud_api_url.as_deref(), None);
    let issued = anonymous(env, &url, "cli").await?;
    let mut credentials = Credentials::Anonymous {
        token: issued.token,
        anonymous_id: issued.anonymous_id,
        arkor_cloud_api_url: url,
        org_slug: issued.personal_org.slug,
    };
    let mut corrupt = false;
    change(home, |stored| {
        corrupt = matches!(stored, Stored::Corrupt);
        Ok(match usable(stored)? {
            // A login finished during the request.
            Some(found) => {
                credentials = found;
                Change::Keep
            }
            None => Change::Write(credentials.clone()),
        })
    })
    .await?;
    if corrupt {
        notice(&format!(
            "{} was not readable as credentials and was replaced by a new anonymous identity",
            path.display()
        ));
    }
    Ok(credentials)
}

/// The response to a request for an anonymous identity.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Issued {
    /// The access token.
    pub token: String,
    /// The identity's id.
    pub anonymous_id: String,
    /// `cli` or `web`.
    pub kind: String,
    /// The identity's own organisation.
    pub personal_org: PersonalOrg,
}

/// The organisation of an anonymous identity.
#[derive(Deserialize)]
pub struct PersonalOrg {
    /// The organisation's slug.
    pub slug: String,
}

/// Requests an anonymous identity from the backend.
///
/// # Errors
/// `AnonymousTokenRejectedError` when the backend refuses.
pub async fn anonymous(env: &Environment, base_url: &str, kind: &str) -> Result<Issued> {
    let api = Api::new(env, base_url, None)?;
    let body = json::raw(&serde_json::json!({ "kind": kind }))?;
    let request = ANONYMOUS.request(&Parts {
        body: Some(&body),
        ..Parts::default()
    })?;
    let (status, text) = within_limit(&request.to_string(), async {
        let response = api.send(&request).await?;
        let status = response.status();
        let text = if status.is_success() {
            api::text(response).await?
        } else {
            api::beginning(response).await
        };
        Ok((status, text))
    })
    .await?;
    if !status.is_success() {
        let status = status.as_u16();
        let why = if status == 426 {
            api::refusal_message(status, &text, None, env.package_manager.as_deref())
        } else {
            text.chars().take(500).collect()
        };
        return Err(Error::AnonymousTokenRejected {
            status,
            message: format!("Failed to acquire anonymous token ({status}): {why}"),
        });
    }
    // Don't quote serde's message: it may contain the token.
    serde_json::from_str(&json::strict(&text)).map_err(|_| {
        Error::plain(
            "The backend's answer to POST /v1/auth/anonymous is not \
             { token, anonymousId, kind, personalOrg: { slug } }",
        )
    })
}
