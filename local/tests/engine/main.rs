//! The engine in another process, with every way in which a worker may misbehave. The worker is
//! `examples/worker`.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod faults;
mod support;
#[path = "../worker/mod.rs"]
mod worker;
