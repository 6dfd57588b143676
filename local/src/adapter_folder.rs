//! Folders of adapters and checkpoints, whichever engine wrote them. They are either complete or don't
//! exist.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::atomic::sync_folder;
use crate::error::{Error, Result, refused};
use crate::folder;

/// PEFT's name for an adapter's settings.
pub const CONFIG: &str = "adapter_config.json";

/// PEFT's name for an adapter's weights.
pub const WEIGHTS: &str = "adapter_model.safetensors";

/// A file of an adapter, as it's listed in events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Artifact {
    /// The file's name.
    pub name: String,
    /// Its absolute path.
    pub path: String,
    /// Its size in bytes.
    pub size: u64,
    /// The SHA-256 of its content, in hexadecimal.
    pub sha256: String,
}

/// Whether a directory contains an adapter in PEFT's format.
#[must_use]
pub fn is_adapter(dir: &Path) -> bool {
    dir.join(CONFIG).is_file()
}

/// The base that an adapter names.
pub fn base_name(dir: &Path) -> Result<String> {
    let config = folder::read_json(dir, CONFIG)?;
    match config["base_model_name_or_path"].as_str() {
        Some(name) if !name.is_empty() => Ok(name.to_owned()),
        _ => refused(
            "adapter: its adapter_config.json has no base_model_name_or_path. Name the base there.",
        ),
    }
}

/// Moves a folder that an engine has written to its place, and waits until it's on disk: an announced
/// checkpoint must exist. Fails if the folder isn't an adapter.
pub fn publish(unfinished: &Path, dir: &Path) -> Result<Vec<Artifact>> {
    for name in [CONFIG, WEIGHTS] {
        let path = unfinished.join(name);
        let there = fs::metadata(&path);
        if !there.is_ok_and(|file| file.is_file() && file.len() > 0) {
            let source = io::Error::from(io::ErrorKind::NotFound);
            return Err(Error::io("the engine didn't write", &path, source));
        }
    }
    for path in files(unfinished)? {
        File::open(&path)
            .and_then(|file| file.sync_all())
            .map_err(|source| Error::io("can't write", &path, source))?;
    }
    sync_folder(unfinished);
    // A folder from an attempt that ended before it could announce the checkpoint.
    let _ = fs::remove_dir_all(dir);
    fs::rename(unfinished, dir).map_err(|source| Error::io("can't write", dir, source))?;
    dir.parent().into_iter().for_each(sync_folder);
    artifacts(dir)
}

/// The public files of an adapter, with their hashes. Files that only an engine needs for resuming aren't
/// included.
pub fn artifacts(dir: &Path) -> Result<Vec<Artifact>> {
    [CONFIG, WEIGHTS]
        .iter()
        .map(|name| artifact(dir, name))
        .collect()
}

fn files(dir: &Path) -> Result<Vec<std::path::PathBuf>> {
    let entries = fs::read_dir(dir).map_err(|source| Error::io("can't read", dir, source))?;
    let paths = entries.flatten().map(|entry| entry.path());
    Ok(paths.filter(|path| path.is_file()).collect())
}

fn artifact(dir: &Path, name: &str) -> Result<Artifact> {
    let path = dir.join(name);
    let failed = |source| Error::io("can't read", &path, source);
    let mut file = File::open(&path).map_err(failed)?;
    let mut digest = Sha256::new();
    let size = io::copy(&mut file, &mut digest).map_err(failed)?;
    Ok(Artifact {
        name: name.to_owned(),
        path: path.display().to_string(),
        size,
        sha256: hex::encode(digest.finalize()),
    })
}
