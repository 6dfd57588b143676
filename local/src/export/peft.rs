//! Exports an adapter for PEFT, with a base that PEFT can find.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::job::Trained;
use super::progress::Progress;
use super::target::Target;
use crate::adapter_folder::{CONFIG, WEIGHTS};
use crate::base::{Source, built_in};
use crate::error::{Error, Result};
use crate::folder;

/// The total size of the files, in bytes.
pub fn size(adapter: &Path) -> Result<u64> {
    [CONFIG, WEIGHTS]
        .iter()
        .map(|name| {
            let path = adapter.join(name);
            let file =
                fs::metadata(&path).map_err(|source| Error::io("can't read", &path, source))?;
            Ok(file.len())
        })
        .sum()
}

/// Writes the files. Returns a note about the base, if the user needs one.
pub fn write(
    trained: &Trained,
    target: &Target,
    progress: &mut Progress,
) -> Result<Option<String>> {
    let (base, note) = base(trained, target)?;
    let mut config: Value = folder::read_json(&trained.adapter, CONFIG)?;
    config["base_model_name_or_path"] = Value::from(base);
    let config = format!("{}\n", serde_json::to_string_pretty(&config)?);
    target.write(CONFIG, config.as_bytes(), progress)?;
    let path = trained.adapter.join(WEIGHTS);
    let weights = fs::read(&path).map_err(|source| Error::io("can't read", &path, source))?;
    target.write(WEIGHTS, &weights, progress)?;
    Ok(note)
}

/// The base that the adapter names, as a name on the Hub or an absolute path.
fn base(trained: &Trained, target: &Target) -> Result<(String, Option<String>)> {
    let moved = |dir: &str| {
        format!(
            "The adapter names its base by its path, {dir}. After moving it, correct base_model_name_or_path in {CONFIG}."
        )
    };
    match &trained.source {
        Ok(Source::BuiltIn) => {
            built_in::export(&target.work().join(built_in::NAME))?;
            let dir = target.dir().join(built_in::NAME).display().to_string();
            let note = moved(&dir);
            Ok((dir, Some(note)))
        }
        _ if trained.on_hub => Ok((trained.base.clone(), None)),
        Ok(Source::Gguf(_)) => {
            let note = format!(
                "The adapter names its base by its path, {}, a GGUF file. PEFT needs a directory: transformers loads \
                 the file with gguf_file=, and --format merged writes the model with the adapter in it.",
                trained.base
            );
            Ok((trained.base.clone(), Some(note)))
        }
        Ok(Source::Dir(_)) => Ok((trained.base.clone(), Some(moved(&trained.base)))),
        Err(_) => {
            let note = format!(
                "The base, {}, is not on this machine any more. Correct base_model_name_or_path in {CONFIG}.",
                trained.base
            );
            Ok((trained.base.clone(), Some(note)))
        }
    }
}
