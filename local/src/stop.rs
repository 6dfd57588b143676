//! Stops long work early.

use crate::error::{Error, Result};

/// A condition that long work checks, so that it ends soon after it should stop.
pub trait Stop: Sync {
    /// Whether to stop now.
    fn stopped(&self) -> bool;

    /// Fails with `Error::Stopped` if it's time to stop.
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
