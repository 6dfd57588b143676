//! Credentials and project state for the functions that the package exports. Arguments and results cross as
//! JSON text.

#![allow(
    clippy::needless_pass_by_value,
    reason = "napi hands arguments over by value"
)]

use std::path::{Path, PathBuf};

use napi::Env;
use napi::bindgen_prelude::Object;
use napi_derive::napi;
use serde::Serialize;

use super::crossing::{argument, crossing};
use super::promise::promise;
use crate::api::tls;
use crate::credentials::{self, Stored};
use crate::environment::{self, Environment};
use crate::error::{Error, Result};
use crate::project;

/// The path of `~/.arkor/credentials.json`.
#[napi(catch_unwind)]
pub fn credentials_path(home: String) -> String {
    credentials::path(Path::new(&home))
        .to_string_lossy()
        .into_owned()
}

/// The path of a project's `.arkor/state.json`.
#[napi(catch_unwind)]
pub fn state_path(directory: String) -> String {
    project::path(Path::new(&directory))
        .to_string_lossy()
        .into_owned()
}

/// The slug for a directory's project.
#[napi(catch_unwind)]
pub fn project_slug(directory: String) -> String {
    project::slug(Path::new(&directory))
}

/// The backend's base URL: from the environment, else from the credentials, else the default.
#[napi(catch_unwind)]
pub fn default_base_url(
    from_environment: Option<String>,
    of_credentials: Option<String>,
) -> String {
    environment::base_url(None, from_environment.as_deref(), of_credentials.as_deref())
}

/// Takes the root certificates that come with Node, as PEM text, for a system that has none of its own.
#[napi(catch_unwind)]
pub fn take_nodes_roots(pem: String) -> napi::Result<()> {
    tls::take_nodes_roots(&pem).map_err(|error| crossing(&error))
}

/// The stored credentials, or null; under `arkor start --local` the local identity.
#[napi(catch_unwind, ts_return_type = "Promise<string | null>")]
pub fn read_credentials(env: &Env, environment: String) -> napi::Result<Object<'_>> {
    promise(env, async move {
        let environment: Environment = argument("environment", &environment)?;
        if let Some(local) = credentials::local_identity(&environment)? {
            return text(&local).map(Some);
        }
        match credentials::read(environment.home()?)? {
            Stored::Present(credentials) => text(&credentials).map(Some),
            Stored::Absent | Stored::Corrupt | Stored::Unusable { .. } => Ok(None),
        }
    })
}

/// Stores credentials.
#[napi(catch_unwind, ts_return_type = "Promise<void>")]
pub fn write_credentials(env: &Env, home: String, credentials: String) -> napi::Result<Object<'_>> {
    promise(env, async move {
        let credentials = argument("writeCredentials", &credentials)?;
        credentials::write(Path::new(&home), &credentials).await
    })
}

/// The stored credentials. If there are none, requests an anonymous identity and stores it.
#[napi(catch_unwind, ts_return_type = "Promise<string>")]
pub fn ensure_credentials(env: &Env, environment: String) -> napi::Result<Object<'_>> {
    let environment: Environment =
        argument("environment", &environment).map_err(|error| crossing(&error))?;
    promise(env, async move {
        let credentials = credentials::ensure(&environment).await?;
        credentials::check_destination(&environment, &credentials)?;
        text(&credentials)
    })
}

/// Requests a new anonymous identity, without storing it.
#[napi(catch_unwind, ts_return_type = "Promise<string>")]
pub fn request_anonymous_token(
    env: &Env,
    environment: String,
    base_url: String,
    kind: String,
) -> napi::Result<Object<'_>> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Crossing {
        token: String,
        anonymous_id: String,
        kind: String,
        org_slug: String,
    }
    let environment: Environment =
        argument("environment", &environment).map_err(|error| crossing(&error))?;
    if kind != "cli" && kind != "web" {
        let message =
            format!("requestAnonymousToken: kind must be \"cli\" or \"web\", not {kind:?}");
        return Err(crossing(&Error::plain(message)));
    }
    promise(env, async move {
        let issued = credentials::anonymous(&environment, &base_url, &kind).await?;
        text(&Crossing {
            token: issued.token,
            anonymous_id: issued.anonymous_id,
            kind: issued.kind,
            org_slug: issued.personal_org.slug,
        })
    })
}

/// The project's state, or null.
#[napi(catch_unwind, ts_return_type = "Promise<string | null>")]
pub fn read_state(env: &Env, directory: String) -> napi::Result<Object<'_>> {
    promise(env, async move {
        project::read(Path::new(&directory))?
            .as_ref()
            .map(text)
            .transpose()
    })
}

/// Stores the project's state.
#[napi(catch_unwind, ts_return_type = "Promise<void>")]
pub fn write_state(env: &Env, directory: String, state: String) -> napi::Result<Object<'_>> {
    promise(env, async move {
        let state: project::State = argument("writeState", &state)?;
        project::write(&PathBuf::from(directory), &state)
    })
}

pub fn text(value: &impl Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(|error| Error::plain(error.to_string()))
}
