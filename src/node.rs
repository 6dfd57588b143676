//! The Node addon: the only module that uses `napi`.
//!
//! Work runs on a runtime of its own, which outlives every environment. Each environment (the main thread or
//! a worker) has a token that's cancelled when the environment is torn down (T35).

mod account;
mod client;
mod crossing;
mod dispatch;
mod given_fetch;
mod interrupt_watch;
mod listener;
mod log;
#[cfg(feature = "probe")]
mod probe;
mod promise;
mod response;
mod runtime;
mod sse;
mod stored_files;
mod trainer;
