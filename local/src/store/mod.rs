//! The store on disk. Jobs outlive the server, and only one server at a time writes to a store.
//!
//! ```text
//! <store>/lock                      held while a server runs; the OS releases it if the server dies
//! <store>/server.json               the process that holds the lock, and its address
//! <store>/endpoints.json            the endpoints and the hashes of their keys, replaced as a whole
//! <store>/jobs/<id>/job.json        replaced as a whole
//! <store>/jobs/<id>/events.jsonl    appended to, one event per line
//! <store>/jobs/<id>/dataset.jsonl         the checked rows
//! <store>/jobs/<id>/tokens.safetensors    the encoded rows, until the job is over
//! <store>/jobs/<id>/checkpoints/checkpoint-<step>/
//! <store>/jobs/<id>/adapter/        the final adapter
//! ```

pub mod job;
pub mod log;

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::atomic::write_privately;
use crate::error::{Error, Result, refused};
pub use job::{Attempts, Job, PreparedRun, ResumedFrom, RunRecord, Status};
pub use log::EventLog;

/// The file with the process that holds a store, and its address.
const HOLDER: &str = "server.json";

/// A store that this process owns.
#[derive(Debug)]
pub struct Store {
    dir: PathBuf,
    /// Released when the process ends, in whatever way.
    _lock: File,
}

impl Store {
    /// Opens a store, and creates it if needed. Fails if the store can't be written, or another server
    /// holds it.
    pub fn open(dir: &Path) -> Result<Self> {
        let jobs = dir.join("jobs");
        fs::create_dir_all(&jobs)
            .map_err(|source| Error::io("--store: can't create", &jobs, source))?;
        let dir = fs::canonicalize(dir)
            .map_err(|source| Error::io("--store: can't open", dir, source))?;
        let path = dir.join("lock");
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(|source| Error::io("--store: can't write", &path, source))?;
        match lock.try_lock() {
            Ok(()) => {
                // Half-written files of a killed server.
                for name in ["server.tmp", "endpoints.tmp"] {
                    let _ = fs::remove_file(dir.join(name));
                }
                Ok(Self { dir, _lock: lock })
            }
            Err(TryLockError::Error(source)) => {
                Err(Error::io("--store: can't lock", &path, source))
            }
            Err(TryLockError::WouldBlock) => refused(format!(
                "--store: {} is in use by {}. Stop that server first, or work in another directory.",
                dir.display(),
                holder(&dir)
            )),
        }
    }

    /// Records which process holds the store, and its address. Another server shows that in an error
    /// message, and a command uses it to connect to this server. Only the store's owner may read the
    /// token. `runs` tells whether this server runs jobs.
    pub fn announce(&self, url: &str, token: &str, runs: bool) -> Result<()> {
        let holder = json!({
            "pid": std::process::id(),
            "url": url,
            "token": token,
            "version": crate::VERSION,
            "runs": runs,
        });
        write_privately(&self.dir.join(HOLDER), holder.to_string().as_bytes())
    }

    /// The folder of the jobs.
    #[must_use]
    pub fn jobs_dir(&self) -> PathBuf {
        self.dir.join("jobs")
    }

    /// The file of the endpoints.
    #[must_use]
    pub fn endpoints_file(&self) -> PathBuf {
        self.dir.join("endpoints.json")
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        // After a kill, the file remains, with an address where nothing listens.
        let _ = fs::remove_file(self.dir.join(HOLDER));
    }
}

/// The folder for the final adapter of the job in `dir`, whether it exists or not.
#[must_use]
pub fn adapter_dir(dir: &Path) -> PathBuf {
    dir.join("adapter")
}

/// The folder for a step's checkpoint of the job in `dir`, whether it exists or not.
#[must_use]
pub fn checkpoint_dir(dir: &Path, step: usize) -> PathBuf {
    dir.join("checkpoints").join(format!("checkpoint-{step}"))
}

/// The steps of the checkpoints of the job in `dir`, in order.
#[must_use]
pub fn checkpoints(dir: &Path) -> Vec<usize> {
    let entries = fs::read_dir(dir.join("checkpoints"));
    let mut steps: Vec<usize> = entries
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name();
            name.to_str()?.strip_prefix("checkpoint-")?.parse().ok()
        })
        .collect();
    steps.sort_unstable();
    steps
}

fn holder(dir: &Path) -> String {
    let text = fs::read_to_string(dir.join(HOLDER)).unwrap_or_default();
    match serde_json::from_str::<Value>(&text) {
        Ok(json) => format!(
            "another local backend (process {}, {})",
            json["pid"],
            json["url"].as_str().unwrap_or("starting")
        ),
        Err(_) => "another local backend".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use super::*;

    #[test]
    fn a_store_has_one_owner_and_says_who() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        store.announce("http://127.0.0.1:1", "t0ken", true).unwrap();
        let error = Store::open(dir.path()).unwrap_err().to_string();
        assert!(error.contains(&std::process::id().to_string()), "{error}");
        assert!(error.contains("http://127.0.0.1:1"), "{error}");
        assert!(!error.contains("t0ken"), "{error}");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let file = fs::metadata(dir.path().join("server.json")).unwrap();
            assert_eq!(file.permissions().mode() & 0o777, 0o600);
        }
        drop(store);
        assert!(!dir.path().join(HOLDER).exists());
        Store::open(dir.path()).unwrap();
    }
}
