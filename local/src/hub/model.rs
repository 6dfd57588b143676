//! Selects the files of a model that are needed.

use std::path::Path;

use super::listing::{Listing, RemoteFile};
use super::repo::Repo;
use crate::error::{Result, refused};
use crate::folder;

/// Files without which no model can be loaded.
const NEEDED: [&str; 3] = ["config.json", "tokenizer.json", "tokenizer_config.json"];

/// Files that are downloaded if they exist.
const WELCOME: [&str; 3] = [
    "generation_config.json",
    "special_tokens_map.json",
    "chat_template.jinja",
];

const TEMPLATES: &str = "additional_chat_templates/";
const WHOLE: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";

/// Selects the files of a model to download: config, tokenizer, chat templates, and safetensors weights.
/// Refuses a model that lacks a required file. If it only has weights in other formats, the message lists
/// them.
pub fn model_files(repo: &Repo, listing: &Listing) -> Result<Vec<RemoteFile>> {
    let has = |name: &str| listing.files.iter().any(|file| file.path == name);
    for name in NEEDED {
        if !has(name) {
            return refused(format!("model: {} has no {name}", repo.name));
        }
    }
    let sharded = !has(WHOLE);
    // A single weights file takes precedence over an index, both in transformers and here.
    let is_weights = |path: &str| {
        if sharded {
            path == INDEX || is_shard(path)
        } else {
            path == WHOLE
        }
    };
    if sharded && !(has(INDEX) && listing.files.iter().any(|file| is_shard(&file.path))) {
        return refused(format!(
            "model: {} has no weights in {WHOLE}, or in shards with an index. {} Name a model with \
             safetensors files.",
            repo.name,
            others(listing)
        ));
    }
    let wanted = |path: &str| {
        NEEDED.contains(&path)
            || WELCOME.contains(&path)
            || path
                .strip_prefix(TEMPLATES)
                .is_some_and(|name| !name.contains('/'))
            || is_weights(path)
    };
    let files = listing.files.iter().filter(|file| wanted(&file.path));
    Ok(files.cloned().collect())
}

/// Whether a directory has all the required files among those that [`model_files`] selects.
#[must_use]
pub fn is_complete(dir: &Path) -> bool {
    let has = |name: &str| dir.join(name).is_file();
    NEEDED.iter().all(|name| has(name)) && (has(WHOLE) || has_shards(dir))
}

fn has_shards(dir: &Path) -> bool {
    let Ok(index) = folder::read_json(dir, INDEX) else {
        return false;
    };
    let shards = index.get("weight_map").and_then(|map| map.as_object());
    shards.is_some_and(|shards| {
        let there = |name: &str| dir.join(name).is_file();
        shards.values().all(|name| name.as_str().is_some_and(there))
    })
}

/// Whether a path looks like `model-00001-of-00003.safetensors`.
fn is_shard(path: &str) -> bool {
    let number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    path.strip_prefix("model-")
        .and_then(|rest| rest.strip_suffix(".safetensors"))
        .and_then(|rest| rest.split_once("-of-"))
        .is_some_and(|(this, all)| number(this) && number(all))
}

/// Lists the weights that can't be used.
fn others(listing: &Listing) -> String {
    let is_weights = |path: &str| {
        let kind = Path::new(path).extension().and_then(|kind| kind.to_str());
        matches!(
            kind,
            Some("bin" | "gguf" | "pt" | "pth" | "h5" | "msgpack" | "onnx" | "safetensors")
        )
    };
    let paths = listing.files.iter().map(|file| file.path.as_str());
    let found: Vec<&str> = paths.filter(|path| is_weights(path)).collect();
    match found.as_slice() {
        [] => "It has none at all.".to_owned(),
        [some @ .., _] if some.len() >= 5 => format!("It has {}, …", found[..5].join(", ")),
        _ => format!("It has {}.", found.join(", ")),
    }
}
