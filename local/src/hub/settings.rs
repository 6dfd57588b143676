//! Where the Hub is, and how patient to be with it.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// Where the Hub is and what's known about its user.
#[derive(Clone)]
pub struct Hub {
    /// `https://huggingface.co`, or a mirror.
    pub endpoint: String,
    /// Hugging Face's cache folder.
    pub cache: PathBuf,
    /// Sent to `endpoint` and nowhere else.
    pub token: Option<String>,
    /// Nothing may be downloaded.
    pub offline: bool,
    /// How long to wait for what.
    pub timing: Timing,
}

/// Without the token.
impl fmt::Debug for Hub {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Hub")
            .field("endpoint", &self.endpoint)
            .field("cache", &self.cache)
            .field("offline", &self.offline)
            .finish_non_exhaustive()
    }
}

/// How long to wait for what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// For a connection.
    pub connect: Duration,
    /// Without a byte.
    pub silence: Duration,
    /// Before the second try; twice as long before each further one.
    pub backoff: Duration,
    /// How many further tries there are, in a row, that bring nothing new.
    pub retries: u32,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            silence: Duration::from_secs(30),
            backoff: Duration::from_secs(1),
            retries: 5,
        }
    }
}
