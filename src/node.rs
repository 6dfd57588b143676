//! The Node addon: the only place that knows `napi`.
//!
//! Work runs on a runtime of our own, which outlives every environment; each environment (the
//! main thread, a worker) has a token that is cancelled when it dies (T35).

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
