//! The contract of the program, seen from outside: the real binary, real HTTP, real training on the
//! built-in base. Waits are on lines and events, never on time.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod attacks;
mod calls;
mod chat;
mod conformance;
mod damaged_models;
mod data;
mod endpoint_targets;
mod endpoints;
mod http;
mod lifecycle;
mod model_folder;
mod models;
mod outside;
mod resume;
mod run;
mod support;
mod templates;
mod turns;
