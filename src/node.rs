//! The Node addon: the only place that knows `napi`.
//!
//! Work runs on a runtime of our own, which outlives every environment; each environment (the
//! main thread, a worker) has a token that is cancelled when it dies (T35).

mod account;
mod client;
mod dispatch;
mod environment;
mod files;
mod interrupts;
mod listener;
mod probe;
mod promise;
mod response;
mod sse;
mod trainer;
