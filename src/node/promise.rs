//! Futures become promises, and errors become what `lib/errors.js` reads.

use std::panic::AssertUnwindSafe;

use futures::FutureExt;
use napi::bindgen_prelude::{Object, ToNapiValue};
use napi::{Env, Status};
use serde::de::DeserializeOwned;

use super::environment::{lifetime, runtime};
use crate::error::Error;
use crate::json;

/// Runs a future on the runtime and hands JavaScript a promise of its result. The promise keeps
/// the process alive while it is pending, and nothing after (T6).
pub fn promise<T, F>(env: &Env, future: F) -> napi::Result<Object<'_>>
where
    T: ToNapiValue + Send + 'static,
    F: Future<Output = Result<T, Error>> + Send + 'static,
{
    // First of all: a promise that nothing will settle keeps the process alive.
    let runtime = runtime()?;
    let (deferred, promise) = env.create_deferred()?;
    let lifetime = lifetime();
    runtime.spawn(async move {
        let result = tokio::select! {
            biased;
            // Nobody is there to hear it.
            () = lifetime.cancelled() => return,
            result = AssertUnwindSafe(future).catch_unwind() => result,
        };
        // A panic is a mistake of ours: it ends this call, not the process.
        let result = result.unwrap_or_else(|panic| {
            let words = words(&*panic);
            Err(Error::plain(format!("arkor: internal error: {words}")))
        });
        match result {
            Ok(value) => deferred.resolve(move |_| Ok(value)),
            Err(error) => deferred.reject(crossing(&error)),
        }
    });
    Ok(promise)
}

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

fn words(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("a panic without words")
}
