//! The files of the built-in base.

use std::fs;
use std::path::Path;

use crate::atomic::write_atomically;
use crate::error::{Error, Result};

/// The name of the built-in base.
pub const NAME: &str = "arkor-tiny";

/// The content of its `config.json`.
pub const CONFIG: &str = include_str!("../../assets/arkor-tiny/config.json");

/// The content of its `tokenizer.json`.
pub const TOKENIZER: &[u8] = include_bytes!("../../assets/arkor-tiny/tokenizer.json");

/// The content of its `tokenizer_config.json`.
pub const TOKENIZER_CONFIG: &str = include_str!("../../assets/arkor-tiny/tokenizer_config.json");

/// The content of its `model.safetensors`.
pub const WEIGHTS: &[u8] = include_bytes!("../../assets/arkor-tiny/model.safetensors");

/// Writes the base to a Hugging Face directory, unless its files are already there.
pub fn export(dir: &Path) -> Result<()> {
    fs::create_dir_all(dir).map_err(|source| Error::io("can't create", dir, source))?;
    for (name, content) in [
        ("config.json", CONFIG.as_bytes()),
        ("tokenizer.json", TOKENIZER),
        ("tokenizer_config.json", TOKENIZER_CONFIG.as_bytes()),
        ("model.safetensors", WEIGHTS),
    ] {
        let path = dir.join(name);
        let length = fs::metadata(&path).map(|file| file.len());
        if length.ok() != Some(content.len() as u64) {
            write_atomically(&path, content)?;
        }
    }
    Ok(())
}
