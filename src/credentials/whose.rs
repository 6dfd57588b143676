//! Decides which identity a call uses, and where its token may go.

use super::stored::{Credentials, Stored, read};
use crate::environment::{DEFAULT_BASE_URL, Environment};
use crate::error::{Error, Result};

/// The credentials of the signed-in user, or the local identity under `arkor start --local`.
///
/// # Errors
/// When nobody is signed in, or the file can't be read.
pub fn signed_in(env: &Environment) -> Result<Credentials> {
    if let Some(local) = local_identity(env)? {
        return Ok(local);
    }
    let home = env.home()?;
    let stored = read(home)?;
    stored.refuse_unusable(home)?;
    match stored {
        Stored::Present(credentials) => Ok(credentials),
        _ => Err(Error::plain("Not signed in. Run `arkor login` first.")),
    }
}

/// The identity that `arkor start --local` and `arkor local` set through two environment variables.
///
/// # Errors
/// When only the token is set, because it would go to the cloud.
pub fn local_identity(env: &Environment) -> Result<Option<Credentials>> {
    match (&env.local_token, &env.cloud_api_url) {
        (None, _) => Ok(None),
        (Some(token), Some(_)) => Ok(Some(Credentials::local(token))),
        (Some(_), None) => Err(Error::plain(
            "ARKOR_LOCAL_TOKEN is set but ARKOR_CLOUD_API_URL is not: the token of a local backend \
             would be sent to the cloud. Set both, as `arkor local` prints them, or unset \
             ARKOR_LOCAL_TOKEN.",
        )),
    }
}

/// Checks that stored credentials may be sent to `ARKOR_CLOUD_API_URL`. A login of a deployment with TLS is
/// never sent over plain HTTP: local backends use that, and another program on the port would get the cloud's
/// token.
///
/// # Errors
/// When they must not; the message names both variables.
pub fn check_destination(env: &Environment, credentials: &Credentials) -> Result<()> {
    let Some(url) = &env.cloud_api_url else {
        return Ok(());
    };
    let own = credentials.cloud_api_url().unwrap_or(DEFAULT_BASE_URL);
    if env.local_token.is_some() || !has_scheme(url, "http://") || !has_scheme(own, "https://") {
        return Ok(());
    }
    Err(Error::plain(
        "ARKOR_CLOUD_API_URL is set to an http:// address but ARKOR_LOCAL_TOKEN is not set: the \
         stored login of another deployment would be sent there, unencrypted. For a local backend \
         set both, as `arkor local` prints them; else unset ARKOR_CLOUD_API_URL, or sign in at that \
         address with `arkor login --oauth`.",
    ))
}

fn has_scheme(url: &str, scheme: &str) -> bool {
    // Trims like a URL parser.
    let start = url.trim_start().get(..scheme.len());
    start.is_some_and(|start| start.eq_ignore_ascii_case(scheme))
}
