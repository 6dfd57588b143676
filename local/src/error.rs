//! All errors, in one enum. The server turns `Refused` and `Unreachable` into a 400.

use std::io;
use std::path::Path;

/// The result of everything in this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of the local backend.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What the client asked for can't be done: HTTP 400. The text names the field.
    #[error("{0}")]
    Refused(String),
    /// A server that is needed for what the client asked for can't be reached: HTTP 400 too.
    #[error("{text}")]
    Unreachable {
        /// Which server, in a few words.
        what: String,
        /// The whole message, with the cause and what to do.
        text: String,
    },
    /// A file or a directory could not be used.
    #[error("{what}: {source}")]
    Io {
        /// What was tried, with the path.
        what: String,
        /// The system's error.
        source: io::Error,
    },
    /// The tensor library failed.
    #[error("tensor error: {0}")]
    Tensor(#[from] candle_core::Error),
    /// The tokenizer failed.
    #[error("tokenizer error: {0}")]
    Tokenizer(#[source] tokenizers::Error),
    /// The chat template failed.
    #[error("chat template error: {0:#}")]
    Template(#[from] minijinja::Error),
    /// An adapter or a weight file could not be written.
    #[error("safetensors error: {0}")]
    Safetensors(#[from] safetensors::SafeTensorError),
    /// A value could not be written as JSON, or a file of ours is no JSON.
    #[error("JSON error: {0}")]
    Json(#[from] serde_json::Error),
    /// A value of the run is no longer finite.
    #[error(
        "the run diverged at step {step}: the {what} is {value}. Use a smaller learningRate, or more warmupSteps."
    )]
    Diverged {
        /// The step at which it was seen.
        step: usize,
        /// What is not finite.
        what: &'static str,
        /// Its value: not a number, or infinite.
        value: f64,
    },
    /// An engine in another process failed.
    #[error("{0}")]
    Engine(String),
    /// A process of an engine is gone. Another one may do better.
    #[error("{0}")]
    Lost(String),
    /// The run was cancelled, or the server is stopping. Not a failure of the run.
    #[error("the run was stopped")]
    Stopped,
}

impl Error {
    /// An I/O error with what was tried on which path.
    #[must_use]
    pub fn io(what: &str, path: &Path, source: io::Error) -> Self {
        Self::Io {
            what: format!("{what} {}", path.display()),
            source,
        }
    }

    /// Whether the client is at fault (400), not the server (500).
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Refused(_) | Self::Unreachable { .. })
    }
}

/// `Error::Refused` from a message that names the field and what to do.
pub fn refused<T>(message: impl Into<String>) -> Result<T> {
    Err(Error::Refused(message.into()))
}
