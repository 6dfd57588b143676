//! Errors on their way to JavaScript, and arguments on their way here.

use std::time::Duration;

use napi::Status;
use serde::de::DeserializeOwned;

use crate::error::Error;
use crate::json;

/// An error as it crosses: the message that the user sees, and as its cause what `lib/errors.js` makes the
/// user's error of.
pub fn crossing(error: &Error) -> napi::Error {
    let mut crossing = napi::Error::new(Status::GenericFailure, error.to_string());
    crossing.set_cause(napi::Error::new(Status::GenericFailure, error.to_json()));
    crossing
}

/// Reads an argument of `function` that crossed as JSON text. The error names what is wrong,
/// never a value: a token may be among them.
pub fn argument<T: DeserializeOwned>(function: &str, text: &str) -> Result<T, Error> {
    json::read(text).map_err(|what| Error::plain(format!("{function}: {what}")))
}

/// A duration that JavaScript gave in milliseconds. One too long to represent becomes the maximum.
pub fn milliseconds(span: f64) -> Duration {
    Duration::try_from_secs_f64(span / 1000.0).unwrap_or(Duration::MAX)
}
