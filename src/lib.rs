//! The native engine of the `arkor` npm package: Rust reads and decides, JavaScript calls the
//! user, and between them goes one batch of events at a time.
//!
//! `node` may use everything; nothing uses `node`.

pub mod account;
pub mod api;
pub mod batch;
pub mod client_calls;
pub mod credentials;
pub mod environment;
pub mod error;
pub mod event;
pub mod files;
pub mod inference;
pub mod interrupts;
pub mod job;
pub mod job_config;
pub mod json;
pub mod project;
pub mod reconnect;
pub mod run;
pub mod session;
pub mod shape;
pub mod sse;

#[cfg_attr(
    test,
    allow(
        dead_code,
        reason = "napi registers what JavaScript calls outside of tests only"
    )
)]
mod node;
