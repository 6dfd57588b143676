//! The error type of this crate. The server responds to `Refused` and `Unreachable` with a 400.

use std::io;
use std::path::Path;

/// The result type of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of the local backend.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The request can't be fulfilled, which is an HTTP 400. The text names the field.
    #[error("{0}")]
    Refused(String),
    /// A server that the request depends on can't be reached, which is an HTTP 400 too.
    #[error("{text}")]
    Unreachable {
        /// The server, in a few words.
        what: String,
        /// The complete message, with the cause and advice.
        text: String,
    },
    /// A file or a directory could not be used.
    #[error("{what}: {source}")]
    Io {
        /// The attempted operation, with the path.
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
    /// A value couldn't be written as JSON, or one of our files isn't valid JSON.
    #[error("JSON error: {0}")]
    Json(#[from] serde_json::Error),
    /// A value of the run is no longer finite.
    #[error(
        "the run diverged at step {step}: the {what} is {value}. Use a smaller learningRate, or more warmupSteps."
    )]
    Diverged {
        /// The step at which it was noticed.
        step: usize,
        /// The value that isn't finite.
        what: &'static str,
        /// The value: NaN or infinite.
        value: f64,
    },
    /// An engine in another process failed.
    #[error("{0}")]
    Engine(String),
    /// A process of an engine is gone. A new one may succeed.
    #[error("{0}")]
    Lost(String),
    /// The run was cancelled, or the server is stopping. This isn't a failure of the run.
    #[error("the run was stopped")]
    Stopped,
}

impl Error {
    /// Creates an I/O error for an operation on a path.
    #[must_use]
    pub fn io(what: &str, path: &Path, source: io::Error) -> Self {
        Self::Io {
            what: format!("{what} {}", path.display()),
            source,
        }
    }

    /// Whether the request is at fault (400), not the server (500).
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Refused(_) | Self::Unreachable { .. })
    }
}

/// Returns `Error::Refused`. The message names the field and says what to do.
pub fn refused<T>(message: impl Into<String>) -> Result<T> {
    Err(Error::Refused(message.into()))
}
