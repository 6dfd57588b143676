//! Builds the requests of `CloudApiClient` and reads its answers, without sending anything. Clients
//! with the user's own `fetch` and clients that use [`crate::api`] share this code.

use crate::api::Request;
use crate::api::endpoints::{CLIENT_ENDPOINTS, Endpoint};
use crate::api::request::Parts;
use crate::error::{Error, Result};
use crate::{json, shape};

/// The request of a call; `arguments` is a JSON object.
///
/// # Errors
/// When the arguments don't fit; the message names the field.
pub fn request(call: &str, arguments: &str) -> Result<Request> {
    let named =
        |what: &dyn std::fmt::Display| Error::plain(format!("CloudApiClient.{call}: {what}"));
    let parts: Parts<'_> = json::read(arguments).map_err(|what| named(&what))?;
    endpoint(call)?
        .request(&parts)
        .map_err(|error| named(&error))
}

/// What the caller gets of a 2xx answer: JSON text in which a marker stands for a bare NaN.
///
/// # Errors
/// When the answer isn't what the call promises; the message names the field.
pub fn answer(call: &str, text: &str) -> Result<String> {
    let text = json::strict(text);
    shape::read(
        &text,
        &format!("CloudApiClient.{call}"),
        endpoint(call)?.answer,
    )?;
    Ok(text.into_owned())
}

fn endpoint(call: &str) -> Result<&'static Endpoint> {
    CLIENT_ENDPOINTS
        .iter()
        .find(|endpoint| endpoint.name == call)
        .ok_or_else(|| Error::plain(format!("CloudApiClient has no call {call}")))
}
