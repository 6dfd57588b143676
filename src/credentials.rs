//! Who the user is: `~/.arkor/credentials.json`, read, written, acquired and refreshed.
//!
//! Tokens flow through here and nowhere into a message.

mod identity;
pub mod login;
mod refresh;
mod token;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::api::{self, Api, calls, within_limit};
use crate::environment::{Environment, base_url};
use crate::error::{Error, Result, notice};
use crate::files::{self, Access};
use crate::json::without_bom;
pub use identity::Identity;
pub use token::{Answer, Exchange, TokenRequest};

/// The content of the credentials file.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "mode", rename_all_fields = "camelCase")]
pub enum Credentials {
    /// An identity without an account.
    #[serde(rename = "anon")]
    Anonymous {
        /// The access token; it does not expire.
        token: String,
        /// The identity's id.
        anonymous_id: String,
        /// The deployment that issued it.
        arkor_cloud_api_url: String,
        /// The identity's own organisation.
        org_slug: String,
    },
    /// An account, by OAuth.
    #[serde(rename = "oauth")]
    OAuth {
        /// The access token.
        access_token: String,
        /// What gets the next one.
        refresh_token: String,
        /// When the access token expires, in seconds since the epoch.
        expires_at: f64,
        /// The identity provider's domain.
        auth0_domain: String,
        /// The audience that the token is for.
        audience: Option<String>,
        /// The OAuth client's id.
        client_id: String,
        /// The deployment that it is for.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        arkor_cloud_api_url: Option<String>,
        /// Which login it comes from, through all renewals.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        login_id: Option<String>,
    },
}

impl Credentials {
    /// The identity that `arkor start --local` sets up: the cloud's token never reaches the
    /// local process.
    #[must_use]
    pub fn local(token: &str) -> Self {
        Self::Anonymous {
            token: token.to_owned(),
            anonymous_id: "local".to_owned(),
            arkor_cloud_api_url: String::new(),
            org_slug: "local".to_owned(),
        }
    }

    /// The token that requests carry.
    #[must_use]
    pub fn token(&self) -> &str {
        match self {
            Self::Anonymous { token, .. } => token,
            Self::OAuth { access_token, .. } => access_token,
        }
    }

    /// The deployment that these credentials are for.
    #[must_use]
    pub fn cloud_api_url(&self) -> Option<&str> {
        let url = match self {
            Self::Anonymous {
                arkor_cloud_api_url,
                ..
            } => Some(arkor_cloud_api_url),
            Self::OAuth {
                arkor_cloud_api_url,
                ..
            } => arkor_cloud_api_url.as_ref(),
        };
        url.map(String::as_str).filter(|url| !url.is_empty())
    }
}

/// Where the credentials are: `~/.arkor/credentials.json`.
#[must_use]
pub fn path(home: &Path) -> PathBuf {
    home.join(".arkor").join("credentials.json")
}

/// What the file holds.
pub enum Stored {
    /// There is none.
    Absent,
    /// It is there, but no credentials are in it.
    Corrupt,
    /// These.
    Present(Credentials),
}

/// Reads the file.
///
/// # Errors
/// When it is there but can't be read, so that a login is never overwritten by mistake.
pub fn read(home: &Path) -> Result<Stored> {
    let path = path(home);
    let content = files::read_if_present(&path)
        .map_err(|error| Error::file("Can't read the credentials at", &path, &error))?;
    Ok(match content {
        None => Stored::Absent,
        Some(content) => {
            serde_json::from_slice(without_bom(&content)).map_or(Stored::Corrupt, Stored::Present)
        }
    })
}

/// Writes the file: as a whole, and for its owner only.
///
/// # Errors
/// Those of the file system.
pub fn write(home: &Path, credentials: &Credentials) -> Result<()> {
    let path = path(home);
    let text = serde_json::to_string_pretty(credentials)
        .map_err(|error| Error::plain(format!("Can't write the credentials: {error}")))?;
    files::write_atomically(&path, format!("{text}\n").as_bytes(), Access::Owner)
        .map_err(|error| Error::file("Can't write the credentials to", &path, &error))
}

/// Who is signed in; under `arkor start --local` the local identity.
///
/// # Errors
/// When there is nothing, or the file can't be read.
pub fn signed_in(env: &Environment) -> Result<Credentials> {
    if let Some(token) = &env.local_token {
        return Ok(Credentials::local(token));
    }
    match read(&env.home)? {
        Stored::Present(credentials) => Ok(credentials),
        Stored::Absent | Stored::Corrupt => {
            Err(Error::plain("Not signed in. Run `arkor login` first."))
        }
    }
}

/// What is there, else a fresh anonymous identity, stored. Says on stderr when that replaced a
/// corrupt file.
///
/// # Errors
/// When the file can't be read or written, or no identity can be had.
pub async fn ensure(env: &Environment) -> Result<Credentials> {
    if let Some(token) = &env.local_token {
        return Ok(Credentials::local(token));
    }
    if let Stored::Present(credentials) = read(&env.home)? {
        return Ok(credentials);
    }
    // Two processes at once must end with one identity.
    let _lock = lock(&env.home).await?;
    let stored = read(&env.home)?;
    let corrupt = matches!(stored, Stored::Corrupt);
    if let Stored::Present(credentials) = stored {
        return Ok(credentials);
    }
    let url = base_url(None, env.cloud_api_url.as_deref(), None);
    let issued = anonymous(env, &url, "cli").await?;
    let credentials = Credentials::Anonymous {
        token: issued.token,
        anonymous_id: issued.anonymous_id,
        arkor_cloud_api_url: url,
        org_slug: issued.personal_org.slug,
    };
    write(&env.home, &credentials)?;
    if corrupt {
        let path = path(&env.home);
        notice(&format!(
            "{} was not readable as credentials and was replaced by a new anonymous \
             identity",
            path.display()
        ));
    }
    Ok(credentials)
}

/// The answer to a request for an anonymous identity.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Issued {
    /// The access token.
    pub token: String,
    /// The identity's id.
    pub anonymous_id: String,
    /// `cli` or `web`.
    pub kind: String,
    /// Its own organisation.
    pub personal_org: PersonalOrg,
}

/// The organisation of an anonymous identity.
#[derive(Deserialize)]
pub struct PersonalOrg {
    /// Its slug.
    pub slug: String,
}

/// Asks the backend for an anonymous identity.
///
/// # Errors
/// `AnonymousTokenRejectedError` when it refuses.
pub async fn anonymous(env: &Environment, base_url: &str, kind: &str) -> Result<Issued> {
    let api = Api::new(env, base_url, None)?;
    let request = calls::anonymous(kind);
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
        let body: String = text.chars().take(500).collect();
        let status = status.as_u16();
        let mut message = format!("Failed to acquire anonymous token ({status}): {body}");
        if status == 426 {
            let manager = env.package_manager.as_deref();
            message = api::refusal_message(status, &text, None, manager);
        }
        let name = "AnonymousTokenRejectedError";
        return Err(Error::Named {
            name,
            message,
            status: Some(status),
        });
    }
    // Not serde's words for what it found: the token is in there.
    serde_json::from_str(&text).map_err(|_| {
        Error::plain(
            "The backend's answer to POST /v1/auth/anonymous is not \
             { token, anonymousId, kind, personalOrg: { slug } }",
        )
    })
}

/// One process at a time changes the file.
async fn lock(home: &Path) -> Result<std::fs::File> {
    let path = path(home).with_extension("lock");
    let held = path.clone();
    let taken = within_limit("the lock of the credentials", async {
        let taking = tokio::task::spawn_blocking(move || files::lock(&held, Access::Owner));
        taking
            .await
            .map_err(|error| Error::plain(format!("Can't lock the credentials: {error}")))
    });
    taken
        .await?
        .map_err(|error| Error::file("Can't lock the credentials with", &path, &error))
}
