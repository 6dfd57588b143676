//! The settings of the Hub client: address, cache, token and timeouts.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// The settings of the Hub client.
#[derive(Clone)]
pub struct Hub {
    /// The URL of the Hub: `https://huggingface.co`, or a mirror.
    pub endpoint: String,
    /// Hugging Face's cache folder.
    pub cache: PathBuf,
    /// The user's token. It's only sent to `endpoint`.
    pub token: Option<String>,
    /// Whether downloads are forbidden.
    pub offline: bool,
    /// Timeouts and retries.
    pub timing: Timing,
}

/// Leaves out the token.
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

/// Timeouts and retries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// The timeout for connecting.
    pub connect: Duration,
    /// The timeout while no data arrives.
    pub silence: Duration,
    /// The pause before the first retry. It doubles with each further one.
    pub backoff: Duration,
    /// How many consecutive retries may bring no progress.
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
