//! Downloads from a Hub on this machine, into a cache of their own. Waits are on progress and channels,
//! never on time.

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
