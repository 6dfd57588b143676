//! Writes a Hugging Face directory: the base's files, with the adapter merged into its weights.

use std::fs;
use std::path::{Path, PathBuf};

use candle_core::DType;
use safetensors::View;

use super::dequantised;
use super::merge::{Files, Merger, check_values};
use super::progress::Progress;
use super::target::Target;
use crate::engine::candle::model::shard::Shard;
use crate::error::{Error, Result};

/// The files of a model next to its weights.
const FILES: [&str; 12] = [
    "added_tokens.json",
    "chat_template.jinja",
    "chat_template.json",
    "config.json",
    "generation_config.json",
    "merges.txt",
    "model.safetensors.index.json",
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "vocab.json",
];

/// The folder of additional chat templates.
pub const TEMPLATES: &str = "additional_chat_templates";

/// The files that will be written.
#[derive(Debug)]
pub struct Plan {
    /// The files to copy, with paths relative to the base's directory.
    copies: Vec<PathBuf>,
    /// The size of all files, in bytes.
    pub total: u64,
}

/// Whether a file name belongs to a model.
pub fn is_part(name: &str) -> bool {
    let upper = name.to_ascii_uppercase();
    FILES.contains(&name)
        || ["LICENSE", "NOTICE", "USE_POLICY"]
            .iter()
            .any(|start| upper.starts_with(start))
        || (name.starts_with("model") && name.ends_with(".safetensors"))
}

/// Plans the files.
pub fn plan(base: &Path, merger: &Merger) -> Result<Plan> {
    let mut copies = Vec::new();
    let whole = matches!(&merger.files, Files::Shards(shards) if shards.len() == 1);
    for name in names(base)? {
        // The index is only useful with several weight files.
        let idle = name.ends_with(".safetensors")
            || (whole
                && name == "model.safetensors.index.json"
                && base.join("model.safetensors").is_file());
        if is_part(&name) && !idle && base.join(&name).is_file() {
            copies.push(PathBuf::from(name));
        }
    }
    let templates = base.join(TEMPLATES);
    if templates.is_dir() {
        let paths = names(&templates)?
            .into_iter()
            .map(|name| Path::new(TEMPLATES).join(name));
        copies.extend(paths.filter(|path| path.extension().is_some_and(|kind| kind == "jinja")));
    }
    let size = |path: &Path| match fs::metadata(path) {
        Ok(file) => Ok(file.len()),
        Err(source) => Err(Error::io("can't read", path, source)),
    };
    let mut total = match &merger.files {
        Files::Gguf(_) => dequantised::size(base)?,
        Files::Shards(shards) => shards
            .iter()
            .map(|shard| size(shard.path()))
            .sum::<Result<_>>()?,
    };
    for name in &copies {
        total += size(&base.join(name))?;
    }
    Ok(Plan { copies, total })
}

/// Writes the files.
pub fn write(
    base: &Path,
    merger: &Merger,
    plan: &Plan,
    target: &Target,
    progress: &mut Progress,
) -> Result<()> {
    for name in &plan.copies {
        let path = base.join(name);
        let bytes = fs::read(&path).map_err(|source| Error::io("can't read", &path, source))?;
        target.write(&name.to_string_lossy(), &bytes, progress)?;
    }
    match &merger.files {
        Files::Gguf(_) => dequantised::write(base, merger, target, progress),
        Files::Shards(shards) => shards
            .iter()
            .try_for_each(|shard| write_shard(shard, merger, target, progress)),
    }
}

/// Writes a weight file with the adapter merged into it. Shapes and types don't change, so that the
/// header doesn't either.
fn write_shard(
    shard: &Shard,
    merger: &Merger,
    target: &Target,
    progress: &mut Progress,
) -> Result<()> {
    let name = shard.path().file_name().unwrap_or_default();
    let mut file = target.create(&name.to_string_lossy(), progress)?;
    shard.copy_header(&mut |piece| file.write(piece))?;
    for name in shard.in_order() {
        if merger.changes(name) {
            let dtype = shard.dtype(name)?;
            let tensor = merger.tensor(name)?;
            check_values(name, &tensor, largest(dtype))?;
            file.write(&tensor.to_dtype(dtype)?.data())?;
        } else {
            shard.copy_tensor(name, &mut |piece| file.write(piece))?;
        }
    }
    file.end()
}

/// The largest value that a type can hold.
pub fn largest(dtype: DType) -> f32 {
    if dtype == DType::F16 {
        65504.0
    } else {
        f32::MAX
    }
}

fn names(dir: &Path) -> Result<Vec<String>> {
    let entries = fs::read_dir(dir).map_err(|source| Error::io("can't read", dir, source))?;
    let mut names: Vec<String> = entries
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort();
    Ok(names)
}
