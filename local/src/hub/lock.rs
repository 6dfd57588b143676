//! Locks, so that only one process downloads a blob while the others wait. `huggingface_hub` locks the
//! same files in the same way, so that it waits too.

use std::fs::{File, TryLockError};
use std::path::Path;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::cache::create_parent;
use crate::error::{Error, Result};

/// How often to retry a lock that someone else holds.
const PAUSE: Duration = Duration::from_millis(100);

/// Waits for a lock. It's released when the file is closed, however the process ends.
pub(super) async fn lock(path: &Path, cancel: &CancellationToken) -> Result<File> {
    create_parent(path)?;
    loop {
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path)
            .map_err(|source| Error::io("can't write", path, source))?;
        match file.try_lock() {
            Ok(()) if is_linked(&file) => return Ok(file),
            Ok(()) => {}
            // Poll, because a thread that blocks on the lock can't be cancelled.
            Err(TryLockError::WouldBlock) => cancel
                .run_until_cancelled(tokio::time::sleep(PAUSE))
                .await
                .ok_or(Error::Stopped)?,
            Err(TryLockError::Error(source)) => {
                return Err(Error::io("can't lock", path, source));
            }
        }
    }
}

/// Whether the file still exists under its name. Some versions of Python's `filelock` delete a file when
/// they unlock it, and the next process then locks a new one.
#[cfg(unix)]
fn is_linked(file: &File) -> bool {
    use std::os::unix::fs::MetadataExt;
    file.metadata().is_ok_and(|metadata| metadata.nlink() > 0)
}

/// On these systems, an open file can't be deleted.
#[cfg(not(unix))]
fn is_linked(_file: &File) -> bool {
    true
}

#[cfg(all(test, unix))]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use super::*;

    #[tokio::test]
    async fn a_lock_on_a_file_that_was_deleted_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("locks/a.lock");
        let held = lock(&path, &CancellationToken::new()).await.unwrap();
        assert!(is_linked(&held));
        std::fs::remove_file(&path).unwrap();
        assert!(!is_linked(&held));
    }
}
