//! The local backend of arkor: trains LoRA adapters on this machine and speaks the cloud's HTTP
//! API. `arkor-local` (`main.rs`) is a thin face over this library; the program that made the
//! built-in base (`examples/pretrain`) shares the model with it.
//!
//! ```text
//! server ──config──▶ jobs ──rows, plan──▶ train ──▶ model + lora
//!   ▲                 │                     │
//!   └──events── store ◀────logs, adapters───┘
//! ```

#![warn(missing_docs)]

pub mod adapter;
pub mod base;
pub mod cli;
pub mod data;
pub mod error;
pub mod generate;
pub mod jobs;
pub mod lora;
pub mod model;
pub mod server;
pub mod store;
pub mod time;
pub mod train;

/// 128 random bits in hexadecimal, from the system: good enough for a secret.
pub fn random_hex() -> error::Result<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|source| error::Error::Io {
        what: "the system has no random numbers".to_owned(),
        source: std::io::Error::other(source),
    })?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
