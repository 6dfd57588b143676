//! A process's settings, as far as a call needs them.
//!
//! JavaScript reads them from `process.env` and `os.homedir()` at the time of the call (T36). A worker thread
//! has its own environment, which Rust's `std::env` can't see.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::error::{Error, Result};

/// The default backend.
pub const DEFAULT_BASE_URL: &str = "https://api.arkor.ai";

/// A snapshot of the process's environment.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Environment {
    /// `os.homedir()`, if it's usable.
    pub home: Option<PathBuf>,
    /// Why `home` is missing, as a message.
    pub home_fault: Option<String>,
    /// `ARKOR_CLOUD_API_URL`; an empty value is used as it is, so that a bad setting shows.
    pub cloud_api_url: Option<String>,
    /// `ARKOR_LOCAL_TOKEN`, set by `arkor start --local`.
    pub local_token: Option<String>,
    /// The settings of the HTTP client.
    pub network: Network,
    /// The package manager that started the process: `npm`, `pnpm`, `yarn` or `bun`.
    pub package_manager: Option<String>,
}

impl Environment {
    /// The home directory, for a call that needs a file in it.
    ///
    /// # Errors
    /// When there is none; the message says what to do.
    pub fn home(&self) -> Result<&Path> {
        self.home.as_deref().ok_or_else(|| {
            let fault = self.home_fault.as_deref();
            Error::plain(fault.unwrap_or("There is no home directory to keep the login in"))
        })
    }
}

/// The settings that make one HTTP client differ from another.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Network {
    /// `http_proxy` or `HTTP_PROXY`.
    pub http_proxy: Option<String>,
    /// `https_proxy` or `HTTPS_PROXY`.
    pub https_proxy: Option<String>,
    /// `no_proxy` or `NO_PROXY`.
    pub no_proxy: Option<String>,
    /// `NODE_EXTRA_CA_CERTS`: a PEM file, in addition to the system's roots.
    pub extra_ca_certs: Option<PathBuf>,
}

/// The backend's base URL, without trailing slashes: the explicit one, else the environment's, else the
/// credentials', else the default.
#[must_use]
pub fn base_url(explicit: Option<&str>, env: Option<&str>, credentials: Option<&str>) -> String {
    let url = explicit.or(env).or(credentials).unwrap_or(DEFAULT_BASE_URL);
    url.trim_end_matches('/').to_owned()
}
