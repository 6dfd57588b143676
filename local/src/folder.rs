//! Reads small files of a model's or an adapter's folder. Their size is limited, and a refusal names the
//! file.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde_json::Value;

use crate::error::{Error, Result, refused};

const MEBIBYTE: u64 = 1024 * 1024;

/// Reads a file. Refuses one that's missing, too large, or no regular file: a pipe might never end.
pub fn read(dir: &Path, name: &str) -> Result<Vec<u8>> {
    let path = dir.join(name);
    let failed = |why: &dyn std::fmt::Display| {
        Error::Refused(format!("model: can't read {}: {why}", path.display()))
    };
    let metadata = fs::metadata(&path).map_err(|source| failed(&source))?;
    if !metadata.is_file() {
        return Err(failed(&"it isn't a file"));
    }
    let most = match name {
        "tokenizer.json" => 512 * MEBIBYTE,
        "model.safetensors.index.json" | "tokenizer_config.json" => 64 * MEBIBYTE,
        _ => 4 * MEBIBYTE,
    };
    if metadata.len() > most {
        return Err(failed(&format_args!(
            "it has {} bytes, at most {most} are supported",
            metadata.len()
        )));
    }
    fs::read(&path).map_err(|source| failed(&source))
}

/// Reads a file of UTF-8 text.
pub fn read_text(dir: &Path, name: &str) -> Result<String> {
    String::from_utf8(read(dir, name)?).map_err(|_| {
        Error::Refused(format!(
            "model: {} is not UTF-8 text",
            dir.join(name).display()
        ))
    })
}

/// Reads a file with a JSON object.
pub fn read_json(dir: &Path, name: &str) -> Result<Value> {
    let path = dir.join(name);
    let json: Value = serde_json::from_slice(&read(dir, name)?).map_err(|error| {
        Error::Refused(format!("model: {} is not JSON: {error}", path.display()))
    })?;
    if !json.is_object() {
        return refused(format!("model: {} is not an object", path.display()));
    }
    Ok(json)
}

/// Reads a file with a JSON object, if the file exists.
pub fn read_json_if_any(dir: &Path, name: &str) -> Result<Option<Value>> {
    dir.join(name)
        .exists()
        .then(|| read_json(dir, name))
        .transpose()
}

/// A file's name, length and modification time. If any of them changes, the file was edited.
pub type FileStamp = (OsString, u64, Option<SystemTime>);

/// The stamps of a folder's files.
#[must_use]
pub fn stamps(dir: &Path) -> Vec<FileStamp> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    stamps_of(entries.map(|entry| entry.path()))
}

/// The stamps of files. Missing ones are left out.
pub fn stamps_of(paths: impl Iterator<Item = PathBuf>) -> Vec<FileStamp> {
    let mut stamps: Vec<FileStamp> = paths
        .filter_map(|path| {
            // Follow symlinks, so that the stamp is that of the target file.
            let meta = fs::metadata(&path).ok()?;
            Some((
                path.file_name()?.to_owned(),
                meta.len(),
                meta.modified().ok(),
            ))
        })
        .collect();
    stamps.sort();
    stamps
}
