//! The local backend of arkor, which trains LoRA adapters on this machine and speaks the cloud's HTTP
//! API. `arkor-local` (`main.rs`) is a thin wrapper around this library. `examples/pretrain`, which
//! created the built-in base, also uses its model code.
//!
//! ```text
//! server ──config──▶ jobs ──tokens, plan──▶ engine ─┬─▶ engine/candle     in this process
//!   ▲                │ ▲                      │     └─▶ engine/process    a worker process
//!   └─events─ store ◀┘ └──logs, checkpoints───┘
//! ```

#![warn(missing_docs)]
#![allow(clippy::doc_markdown, reason = "LoRA and OpenAI are names, not code")]
#![allow(
    clippy::missing_errors_doc,
    reason = "there is one error type, and what it says is documented there; a function's own sentence tells when"
)]

pub mod adapter_folder;
pub mod atomic;
pub mod base;
pub mod cli;
pub mod constrain;
pub mod conversation;
pub mod data;
pub mod endpoints;
pub mod engine;
pub mod error;
pub mod export;
pub mod folder;
pub mod gguf;
pub mod hub;
pub mod jobs;
pub mod json;
mod net;
mod number;
pub mod request_fields;
pub mod run_config;
pub mod server;
pub mod stop;
pub mod store;
pub mod time;
pub mod wire;

use std::fmt::Display;
use std::io::{self, Write};

/// The version, which is the same as that of the matching `arkor` package.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Returns 128 random bits from the system in hexadecimal. They're good enough for a secret.
pub fn random_hex() -> error::Result<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|source| error::Error::Io {
        what: "the system has no random numbers".to_owned(),
        source: io::Error::other(source),
    })?;
    Ok(hex::encode(bytes))
}

/// Logs a line on stderr. Unlike `eprintln!`, it doesn't panic if stderr is closed: when the program that
/// started this one dies, the run must still be stored.
pub fn log(message: impl Display) {
    let _ = writeln!(io::stderr(), "arkor-local: {message}");
}
