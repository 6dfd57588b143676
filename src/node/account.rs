//! The command's calls besides training: whoami, listing, cancelling and resuming jobs, login and logout.
//! Arguments and results cross as JSON text.

#![allow(
    clippy::needless_pass_by_value,
    reason = "napi hands arguments over by value"
)]

use std::path::PathBuf;

use napi::Env;
use napi::bindgen_prelude::{Buffer, Object};
use napi_derive::napi;

use super::crossing::{argument, crossing};
use super::promise::promise;
use super::stored_files::text;
use crate::api::endpoints::{CANCEL_JOB, LIST_JOBS, RESUME_JOB};
use crate::api::request::Parts;
use crate::api::within_limit;
use crate::credentials::login::{self, Grant, Provider};
use crate::credentials::{self, Credentials, Stored};
use crate::environment::Environment;
use crate::error::Result;
use crate::job;
use crate::session::{Session, SessionOptions};
use crate::whoami;

/// The response of `GET /v1/me`, or null when nobody is signed in.
#[napi(catch_unwind, ts_return_type = "Promise<string | null>")]
pub fn whoami(env: &Env, environment: String) -> napi::Result<Object<'_>> {
    let environment: Environment =
        argument("environment", &environment).map_err(|error| crossing(&error))?;
    promise(env, async move {
        let is_local = environment.local_token.is_some();
        if !is_local
            && matches!(
                credentials::read(environment.home()?)?,
                Stored::Absent | Stored::Corrupt
            )
        {
            return Ok(None);
        }
        whoami::me(&environment).await.map(Some)
    })
}

/// The jobs of a directory's project, as the backend lists them: a JSON array.
#[napi(catch_unwind, ts_return_type = "Promise<string>")]
pub fn list_jobs(env: &Env, environment: String, directory: String) -> napi::Result<Object<'_>> {
    promise(env, async move {
        let session = open(&environment, directory).await?;
        let request = LIST_JOBS.request(&Parts {
            scope: Some(session.scope().clone()),
            ..Parts::default()
        })?;
        let answer = session.api().await?.call(&request).await?;
        job::read_list(&answer, &request.to_string())
    })
}

/// Cancels a job of a directory's project.
#[napi(catch_unwind, ts_return_type = "Promise<void>")]
pub fn cancel_job(
    env: &Env,
    environment: String,
    directory: String,
    id: String,
) -> napi::Result<Object<'_>> {
    promise(env, async move {
        let session = open(&environment, directory).await?;
        let request = CANCEL_JOB.of_job(session.scope(), &id)?;
        // The status code is enough: a failure to read the body can't undo the cancellation.
        within_limit(&request.to_string(), async {
            session.api().await?.open(&request).await
        })
        .await
        .map(drop)
    })
}

/// Resumes a job of a directory's project from its last checkpoint. Resolves with the id of the new job.
#[napi(catch_unwind, ts_return_type = "Promise<string>")]
pub fn resume_job(
    env: &Env,
    environment: String,
    directory: String,
    id: String,
) -> napi::Result<Object<'_>> {
    promise(env, async move {
        let session = open(&environment, directory).await?;
        let request = RESUME_JOB.of_job(session.scope(), &id)?;
        let answer = session.api().await?.call(&request).await?;
        Ok(job::read(&answer, &request.to_string())?.id)
    })
}

/// Opens a session for a project that already exists.
async fn open(environment: &str, directory: String) -> Result<Session> {
    Session::open(SessionOptions {
        env: argument("environment", environment)?,
        directory: PathBuf::from(directory),
        existing: true,
        ..SessionOptions::default()
    })
    .await
}

/// Rejects when a login couldn't be stored because of the existing credentials file.
#[napi(catch_unwind, ts_return_type = "Promise<void>")]
pub fn check_login(env: &Env, environment: String) -> napi::Result<Object<'_>> {
    promise(env, async move {
        let environment: Environment = argument("environment", &environment)?;
        credentials::check_replaceable(environment.home()?)
    })
}

/// How to log in at a deployment: the OAuth provider that it names.
#[napi(catch_unwind, ts_return_type = "Promise<string>")]
pub fn login_provider(
    env: &Env,
    environment: String,
    base_url: String,
) -> napi::Result<Object<'_>> {
    promise(env, async move {
        let environment: Environment = argument("environment", &environment)?;
        text(&login::provider(&environment, &base_url).await?)
    })
}

/// The page on which the user logs in.
#[napi(catch_unwind)]
pub fn login_url(
    provider: String,
    redirect_uri: String,
    state: String,
    challenge: String,
) -> napi::Result<String> {
    let provider: Provider = argument("loginUrl", &provider).map_err(|error| crossing(&error))?;
    login::authorize_url(&provider, &redirect_uri, &state, &challenge)
        .map_err(|error| crossing(&error))
}

/// Exchanges the authorization code from the browser for credentials, and stores them. `seen` is the
/// credentials file as it was when the login began, or JSON `null`.
#[napi(catch_unwind, ts_return_type = "Promise<void>")]
pub fn finish_login(
    env: &Env,
    environment: String,
    base_url: String,
    provider: String,
    grant: String,
    seen: String,
) -> napi::Result<Object<'_>> {
    promise(env, async move {
        let environment: Environment = argument("environment", &environment)?;
        let provider: Provider = argument("finishLogin", &provider)?;
        let grant: Grant = argument("finishLogin", &grant)?;
        let seen: Option<Credentials> = argument("finishLogin", &seen)?;
        let home = environment.home()?;
        let credentials = login::exchange(&environment, &provider, &base_url, &grant).await?;
        credentials::sign_in(home, &credentials, seen.as_ref()).await
    })
}

/// Stores an identity that the user asked for. Like `finishLogin`, it compares the file with `seen` first.
#[napi(catch_unwind, ts_return_type = "Promise<void>")]
pub fn sign_in(
    env: &Env,
    environment: String,
    credentials: String,
    seen: String,
) -> napi::Result<Object<'_>> {
    promise(env, async move {
        let environment: Environment = argument("environment", &environment)?;
        let credentials: Credentials = argument("signIn", &credentials)?;
        let seen: Option<Credentials> = argument("signIn", &seen)?;
        credentials::sign_in(environment.home()?, &credentials, seen.as_ref()).await
    })
}

/// Deletes the stored credentials. `seen` is the content of the file when the user was asked; without it, the
/// file is deleted whatever it holds.
#[napi(catch_unwind, ts_return_type = "Promise<void>")]
pub fn sign_out(env: &Env, environment: String, seen: Option<Buffer>) -> napi::Result<Object<'_>> {
    let seen = seen.map(|content| content.to_vec());
    promise(env, async move {
        let environment: Environment = argument("environment", &environment)?;
        credentials::sign_out(environment.home()?, seen.as_deref()).await
    })
}
