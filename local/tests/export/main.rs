//! `arkor-local export`: the real binary on jobs that it trained, its files read by others' readers.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod gguf;
mod gguf_base;
mod models;
mod refusals;
#[path = "../server/support.rs"]
#[allow(dead_code, reason = "the tests of the server need more of it")]
mod support;
#[path = "../worker/mod.rs"]
#[allow(dead_code, reason = "the tests of the server need it")]
mod worker;
mod world;
