//! The native engine of the `arkor` npm package: Rust reads and decides, JavaScript calls the
//! user's callbacks, and one batch of events at a time passes between them.
//!
//! From the bytes of the stream to the callbacks:
//!
//! - `sse`: bytes become the blocks of an event stream
//! - `event`: a block becomes a typed event
//! - `batch`: events are laid out as they cross to JavaScript
//! - `run`: the loop that opens, reads, dispatches and decides what's next
//! - `reconnect`: how long to wait after a failure, and when to give up
//!
//! Requests and answers:
//!
//! - `api`: the HTTP client, the table of endpoints, TLS, compression
//! - `client_calls`: what `CloudApiClient` sends and gets
//! - `job_config`, `inference`: the bodies of a submission and of a chat request
//! - `job`, `shape`: what answers must have
//! - `json`: JSON as leniently as JavaScript reads it
//!
//! Who and where:
//!
//! - `credentials`: `~/.arkor/credentials.json`, logins and their renewal
//! - `whoami`: who the backend says that the user is
//! - `project`: `.arkor/state.json`
//! - `session`: a trainer's identity and project, together
//! - `environment`, `files`: the process's surroundings
//!
//! The rest: `error`, `interrupts` (Ctrl-C while a callback blocks the thread), and `node`, the only
//! module that knows Node. It may use everything; nothing uses it.

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
pub mod whoami;

#[cfg_attr(
    test,
    allow(
        dead_code,
        reason = "napi registers what JavaScript calls outside of tests only"
    )
)]
mod node;
