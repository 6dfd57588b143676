//! Converts errors for JavaScript, and arguments from it.

use std::time::Duration;

use napi::Status;
use serde::de::DeserializeOwned;

use crate::error::Error;
use crate::json;

/// An error for JavaScript: its message is the text that the user sees, and its cause is JSON from which
/// `lib/errors.js` builds the user's error.
pub fn crossing(error: &Error) -> napi::Error {
    let mut crossing = napi::Error::new(Status::GenericFailure, error.to_string());
    crossing.set_cause(napi::Error::new(Status::GenericFailure, error.to_json()));
    crossing
}

/// Parses an argument of `function` that crossed as JSON text. The error names the problem but quotes no
/// value, because a value may be a token.
pub fn argument<T: DeserializeOwned>(function: &str, text: &str) -> Result<T, Error> {
    json::read(text).map_err(|what| Error::plain(format!("{function}: {what}")))
}

/// A duration that JavaScript gave in milliseconds. One too long to represent becomes the maximum.
pub fn milliseconds(span: f64) -> Duration {
    Duration::try_from_secs_f64(span / 1000.0).unwrap_or(Duration::MAX)
}
