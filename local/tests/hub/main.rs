//! Downloads from a Hub on this machine, each into its own cache. Tests wait for progress and channels,
//! and never for time to pass.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod access;
mod cache;
mod faults;
#[path = "../hub_server/mod.rs"]
mod hub_server;
mod listing;
mod locks;
mod network;
mod support;
