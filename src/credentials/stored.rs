//! The contents of the credentials file, and reading it.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::files;
use crate::json::without_bom;

/// The content of the credentials file.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "mode", rename_all_fields = "camelCase")]
pub enum Credentials {
    /// An identity without an account.
    #[serde(rename = "anon")]
    Anonymous {
        /// The access token, which doesn't expire.
        token: String,
        /// The identity's id.
        anonymous_id: String,
        /// The deployment that issued it.
        arkor_cloud_api_url: String,
        /// The identity's own organisation.
        org_slug: String,
    },
    /// A user account, by OAuth.
    #[serde(rename = "oauth")]
    OAuth {
        /// The access token.
        access_token: String,
        /// The refresh token.
        refresh_token: String,
        /// When the access token expires, in seconds since the epoch.
        expires_at: f64,
        /// The identity provider's domain.
        auth0_domain: String,
        /// The audience that the token is for.
        audience: Option<String>,
        /// The OAuth client's id.
        client_id: String,
        /// The deployment that the login is for.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        arkor_cloud_api_url: Option<String>,
        /// The id of the login, which stays the same through all renewals.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        login_id: Option<String>,
    },
}

impl Credentials {
    /// The identity that `arkor start --local` sets up, so that the cloud's token never reaches the local
    /// process.
    #[must_use]
    pub fn local(token: &str) -> Self {
        Self::Anonymous {
            token: token.to_owned(),
            anonymous_id: "local".to_owned(),
            arkor_cloud_api_url: String::new(),
            org_slug: "local".to_owned(),
        }
    }

    /// The access token for requests.
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
        url.map(String::as_str)
    }
}

/// The path of `~/.arkor/credentials.json`.
#[must_use]
pub fn path(home: &Path) -> PathBuf {
    home.join(".arkor").join("credentials.json")
}

/// The file's state.
pub enum Stored {
    /// There's no file.
    Absent,
    /// The file exists, but holds no credentials.
    Corrupt,
    /// A login that this version can't read: its mode is unknown, or a required field is missing.
    Unusable {
        /// The login's `mode`.
        mode: String,
    },
    /// Usable credentials.
    Present(Credentials),
}

impl Stored {
    pub(super) fn of(content: Option<&[u8]>) -> Self {
        #[derive(Deserialize)]
        struct Tagged {
            mode: String,
        }
        let Some(content) = content.map(without_bom) else {
            return Self::Absent;
        };
        if let Ok(credentials) = serde_json::from_slice(content) {
            return Self::Present(credentials);
        }
        match serde_json::from_slice(content) {
            Ok(Tagged { mode }) => Self::Unusable { mode },
            Err(_) => Self::Corrupt,
        }
    }

    /// Refuses a login that this version can't read: another version may have stored it, so it must not be
    /// overwritten.
    pub(super) fn refuse_unusable(&self, home: &Path) -> Result<()> {
        let Self::Unusable { mode } = self else {
            return Ok(());
        };
        let (what, way_out) = match mode.as_str() {
            "anon" | "oauth" => (
                "which lacks a field, or has one of a wrong type",
                "Correct it",
            ),
            _ => ("which this version of arkor does not know", "Upgrade arkor"),
        };
        Err(Error::plain(format!(
            "{} holds a login of mode {mode:?}, {what}, so it was kept. {way_out}, or delete \
             the login with `arkor logout`.",
            path(home).display()
        )))
    }
}

/// Reads the file.
///
/// # Errors
/// When the file exists but can't be read, so that a login is never overwritten by mistake.
pub fn read(home: &Path) -> Result<Stored> {
    Ok(Stored::of(content(&path(home))?.as_deref()))
}

/// Checks that a login could be stored, before asking the user anything.
///
/// # Errors
/// When the file can't be read, or holds a login that this version can't use.
pub fn check_replaceable(home: &Path) -> Result<()> {
    read(home)?.refuse_unusable(home)
}

pub(super) fn content(path: &Path) -> Result<Option<Vec<u8>>> {
    files::read_if_present(path)
        .map_err(|error| Error::file("Can't read the credentials at", path, &error))
}
