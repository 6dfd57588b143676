//! Stopping long work.

use crate::error::{Error, Result};

/// Asked by long work, so that it ends soon after it's no longer wanted.
pub trait Stop: Sync {
    /// Whether to stop now.
    fn stopped(&self) -> bool;

    /// `Error::Stopped` when it's time to stop.
    fn check(&self) -> Result<()> {
        if self.stopped() {
            Err(Error::Stopped)
        } else {
            Ok(())
        }
    }
}

impl<F: Fn() -> bool + Sync> Stop for F {
    fn stopped(&self) -> bool {
        self()
    }
}
