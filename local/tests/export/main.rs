//! `arkor-local export`: the real binary exports jobs that it trained, and other libraries read the
//! files.

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
