//! Builds the requests of `CloudApiClient` and reads its responses, without sending anything. Clients with
//! the user's own `fetch` and clients that use [`crate::api`] share this code.

use crate::api::Request;
use crate::api::endpoints::{CLIENT_ENDPOINTS, Endpoint};
use crate::api::request::Parts;
use crate::error::{Error, Result};
use crate::{json, shape};

/// Builds the request of a call. `arguments` is a JSON object.
///
/// # Errors
/// When the arguments are invalid; the message names the field.
pub fn request(call: &str, arguments: &str) -> Result<Request> {
    let named =
        |what: &dyn std::fmt::Display| Error::plain(format!("CloudApiClient.{call}: {what}"));
    let parts: Parts<'_> = json::read(arguments).map_err(|what| named(&what))?;
    endpoint(call)?
        .request(&parts)
        .map_err(|error| named(&error))
}

/// The return value for a 2xx response: JSON text in which a marker stands for a bare NaN.
///
/// # Errors
/// When a required field of the response is missing or invalid; the message names it.
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
