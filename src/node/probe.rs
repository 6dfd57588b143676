//! Panics on purpose, so that a test can show that no panic ends the process. Only compiled with the feature
//! `probe`, which no release enables.

use napi::Env;
use napi::bindgen_prelude::Object;
use napi_derive::napi;

use super::promise::promise;

/// Panics while JavaScript waits for the call to return.
#[napi(catch_unwind)]
pub fn panic_in_a_call() {
    panic!("a panic in {}", "a call");
}

/// Panics on the runtime's thread, behind a promise.
#[napi(catch_unwind, ts_return_type = "Promise<void>")]
pub fn panic_in_a_promise(env: &Env) -> napi::Result<Object<'_>> {
    promise::<(), _>(env, async { panic!("a panic in {}", "a promise") })
}
