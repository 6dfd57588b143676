//! Turns futures into promises.

use std::panic::AssertUnwindSafe;

use futures::FutureExt;
use napi::Env;
use napi::bindgen_prelude::{Object, ToNapiValue};

use super::crossing::crossing;
use super::runtime::{lifetime, runtime};
use crate::error::Error;

/// Runs a future on the runtime and gives JavaScript a promise of its result. The promise keeps the process
/// alive only while it's pending (T6).
pub fn promise<T, F>(env: &Env, future: F) -> napi::Result<Object<'_>>
where
    T: ToNapiValue + Send + 'static,
    F: Future<Output = Result<T, Error>> + Send + 'static,
{
    // Before the promise exists: one that nothing settles would keep the process alive.
    let runtime = runtime()?;
    let (deferred, promise) = env.create_deferred()?;
    let lifetime = lifetime();
    runtime.spawn(async move {
        let result = tokio::select! {
            biased;
            // The environment is gone, so nobody can receive the result.
            () = lifetime.cancelled() => return,
            result = AssertUnwindSafe(future).catch_unwind() => result,
        };
        // A panic is a bug in the engine: it fails this call but doesn't end the process.
        let result = result.unwrap_or_else(|panic| {
            let words = panic_message(&*panic);
            Err(Error::plain(format!("arkor: internal error: {words}")))
        });
        match result {
            Ok(value) => deferred.resolve(move |_| Ok(value)),
            Err(error) => deferred.reject(crossing(&error)),
        }
    });
    Ok(promise)
}

fn panic_message(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("a panic without words")
}
