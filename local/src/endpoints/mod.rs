//! Endpoints: models that other programs call by a name, usually with a key. They are stored in one file.

mod key;
mod record;

use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use serde::{Deserialize, Serialize};

use crate::atomic::write_privately;
use crate::error::{Error, Result, refused};
pub use key::Key;
pub use record::{Adapter, AuthMode, Endpoint, Target};

/// The endpoints of a store.
#[derive(Debug)]
pub struct Endpoints {
    file: PathBuf,
    now: RwLock<Arc<Vec<Endpoint>>>,
    /// Held while the file is written, so that readers don't have to wait for the disk.
    writing: Mutex<()>,
}

#[derive(Default, Serialize, Deserialize)]
struct Content {
    endpoints: Vec<Endpoint>,
}

impl Endpoints {
    /// Reads a store's file. Fails if the file can't be read, because the next change would overwrite it.
    pub fn open(file: PathBuf) -> Result<Self> {
        let content = match fs::read(&file) {
            Ok(bytes) => serde_json::from_slice::<Content>(&bytes).or_else(|error| {
                refused(format!(
                    "--store: {} is damaged: {error}. Repair it, or move it away to start without endpoints.",
                    file.display()
                ))
            })?,
            Err(error) if error.kind() == ErrorKind::NotFound => Content::default(),
            Err(source) => return Err(Error::io("--store: can't read", &file, source)),
        };
        Ok(Self {
            file,
            now: RwLock::new(Arc::new(content.endpoints)),
            writing: Mutex::default(),
        })
    }

    /// All endpoints, the oldest first.
    #[must_use]
    pub fn all(&self) -> Arc<Vec<Endpoint>> {
        Arc::clone(&self.now.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes the endpoints, first in the file and then in memory. After an error, they are unchanged.
    pub fn change<T, E: From<Error>>(
        &self,
        change: impl FnOnce(&mut Vec<Endpoint>) -> Result<T, E>,
    ) -> Result<T, E> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut endpoints = Vec::clone(&self.all());
        let changed = change(&mut endpoints)?;
        let content = Content { endpoints };
        let bytes = serde_json::to_vec_pretty(&content).map_err(Error::from)?;
        write_privately(&self.file, &bytes)?;
        *self.now.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(content.endpoints);
        Ok(changed)
    }
}
