//! The native engine of the `arkor` npm package. Rust follows the training and decides what to do; JavaScript
//! calls the user's callbacks. Events pass between them one batch at a time.
//!
//! From the bytes of the stream to the callbacks:
//!
//! - `sse`: splits the bytes into the blocks of an event stream
//! - `event`: parses a block into a typed event
//! - `batch`: lays events out for JavaScript
//! - `run`: the loop that opens the stream, reads it, dispatches events and decides what comes next
//! - `reconnect`: how long to wait after a failure, and when to give up
//!
//! Requests and responses:
//!
//! - `api`: the HTTP client, the table of endpoints, TLS, compression
//! - `client_calls`: the requests and return values of `CloudApiClient`
//! - `job_config`, `inference`: the bodies of a submission and of a chat request
//! - `job`, `shape`: the fields that a response must have
//! - `json`: parses JSON as leniently as JavaScript does
//!
//! Identity and surroundings:
//!
//! - `credentials`: `~/.arkor/credentials.json`, logins and their renewal
//! - `whoami`: who the user is, according to the backend
//! - `project`: `.arkor/state.json`
//! - `session`: a trainer's identity and project, together
//! - `environment`, `files`: environment variables and the file system
//!
//! The rest: `error`, `interrupts` (Ctrl-C while a callback blocks the thread), and `node`, the only module
//! that knows Node. `node` may use every module; none uses `node`.

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
