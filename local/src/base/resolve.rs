//! Finds the model for a name. Whenever another model stands in for the named one, the result says so. A
//! model's name can't lead out of the cache folder.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::built_in::NAME as BUILT_IN;
use crate::engine::auto::INSTALL;
use crate::error::{Result, refused};
use crate::folder::{self, FileStamp};
use crate::gguf::is_gguf;
use crate::hub::{RepoKind, cache_folder, is_repo_name, snapshot};

/// The place of a base's files.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Source {
    /// The built-in base of this program.
    BuiltIn,
    /// A Hugging Face directory.
    Dir(PathBuf),
    /// A GGUF file.
    Gguf(PathBuf),
}

impl Source {
    /// Looks at a path: a GGUF file, a directory with one that isn't a Hugging Face directory, or a
    /// directory.
    pub fn at(path: &Path) -> Result<Self> {
        if path.is_file() && is_gguf(path) {
            return Ok(Self::Gguf(path.to_owned()));
        }
        if path.join("config.json").is_file() {
            return Ok(Self::Dir(path.to_owned()));
        }
        let entries = fs::read_dir(path).into_iter().flatten().flatten();
        let mut files: Vec<PathBuf> = entries
            .map(|entry| entry.path())
            .filter(|file| is_gguf(file) && file.is_file())
            .collect();
        files.sort();
        match files.as_slice() {
            [] => Ok(Self::Dir(path.to_owned())),
            [only] => Ok(Self::Gguf(only.clone())),
            [first, second, ..] => refused(format!(
                "model: {} has several GGUF files, among them {} and {}. Name one of them by its path.",
                path.display(),
                file_name(first),
                file_name(second)
            )),
        }
    }

    /// The path of the files. `None` for the built-in base.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::BuiltIn => None,
            Self::Dir(path) | Self::Gguf(path) => Some(path),
        }
    }

    /// The sizes and times of the files, which tell whether they have changed.
    #[must_use]
    pub fn stamps(&self) -> Vec<FileStamp> {
        match self {
            Self::BuiltIn => Vec::new(),
            Self::Dir(dir) => folder::stamps(dir),
            Self::Gguf(file) => {
                let dir = file.parent().unwrap_or(file);
                let beside = super::TEXT_FILES.iter().map(|name| dir.join(name));
                folder::stamps_of([file.clone()].into_iter().chain(beside))
            }
        }
    }
}

fn file_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

/// The base that was found for a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Resolved {
    /// The requested name.
    pub requested: String,
    /// The place of its files.
    pub source: Source,
    /// Why another model stands in, if one does.
    pub stand_in: Option<String>,
    /// The name and state on the Hub, if the model comes from there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hub: Option<HubModel>,
}

/// A model on the Hugging Face Hub.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HubModel {
    /// The repository, as `owner/name`.
    pub name: String,
    /// The commit, if the cache only has its config and tokenizer and lacks its weights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing_weights: Option<String>,
}

impl Resolved {
    /// The base's name in the files of an adapter.
    #[must_use]
    pub fn used(&self) -> String {
        if let Some(model) = &self.hub {
            return model.name.clone();
        }
        match &self.source {
            Source::BuiltIn => BUILT_IN.to_owned(),
            Source::Dir(path) | Source::Gguf(path) => path.display().to_string(),
        }
    }

    /// Whether its weights have to be downloaded before it can be loaded.
    #[must_use]
    pub fn lacks_weights(&self) -> bool {
        let hub = self.hub.as_ref();
        hub.is_some_and(|model| model.missing_weights.is_some())
    }

    /// Refuses to use the built-in base in place of a model that can't be trained here. The message says
    /// what to do.
    pub fn refuse_stand_in(&self) -> Result<()> {
        let (Some(reason), Source::BuiltIn) = (&self.stand_in, &self.source) else {
            return Ok(());
        };
        let requested = &self.requested;
        refused(format!(
            "model: {}. With --strict-model, the default where CI is set, {BUILT_IN} doesn't stand in. To \
             train {requested}, be online, give its directory with --base-model, or install the torch \
             engine: {INSTALL}. To train {BUILT_IN}, name it as the model or pass --no-strict-model.",
            reason.trim_end_matches('.')
        ))
    }

    /// The metadata for `training.started`.
    #[must_use]
    pub fn metadata(&self) -> Value {
        json!({
            "requested": self.requested,
            "used": self.used(),
            "standIn": self.stand_in.is_some(),
            "reason": self.stand_in,
        })
    }
}

/// Finds the base for `model`. Tries the name of the built-in base, `--base-model`, a path, and Hugging
/// Face's cache, in this order. The built-in base only stands in for a model name that isn't found: a
/// path that doesn't exist is refused. The engine decides whether the model can be trained.
pub fn resolve(model: &str, base_model: Option<&Path>) -> Result<Resolved> {
    let found = |source: Source, stand_in: Option<String>| Resolved {
        requested: model.to_owned(),
        source,
        stand_in,
        hub: None,
    };
    if model == BUILT_IN {
        return Ok(found(Source::BuiltIn, None));
    }
    if let Some(path) = base_model {
        let same = Path::new(model) == path;
        let reason = (!same).then(|| "the local backend was started with --base-model".to_owned());
        return Ok(found(Source::at(path)?, reason));
    }
    if is_path(model) {
        let path = existing(model)?;
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        return Ok(found(Source::at(&path)?, None));
    }
    if let Some(dir) = cache_folder().and_then(|cache| cached(&cache, model)) {
        let hub = HubModel {
            name: model.to_owned(),
            missing_weights: None,
        };
        return Ok(Resolved {
            hub: Some(hub),
            ..found(Source::at(&dir)?, None)
        });
    }
    let reason = format!("{model} is not on this machine");
    Ok(found(Source::BuiltIn, Some(reason)))
}

/// Whether `model` is a path: one that exists, as in transformers, or a text that can't be the name of a
/// model.
#[must_use]
pub fn is_path(model: &str) -> bool {
    Path::new(model).exists() || !is_name(model)
}

/// Whether a text can be the name of a model on Hugging Face, and isn't a file name.
fn is_name(text: &str) -> bool {
    let file = [".gguf", ".bin", ".safetensors", ".pt", ".pth"]
        .iter()
        .any(|ending| text.to_ascii_lowercase().ends_with(ending));
    !file && is_repo_name(text)
}

/// Returns the path of a directory or a GGUF file. For anything else, the error says why it can't be a
/// model.
fn existing(model: &str) -> Result<&Path> {
    let path = Path::new(model);
    if path.is_dir() || (path.is_file() && is_gguf(path)) {
        return Ok(path);
    }
    let instead = format!(
        "Give a GGUF file, the directory of a model with config.json and safetensors files, or \"{BUILT_IN}\"."
    );
    if path.exists() {
        return refused(format!("model: {model} is a file. {instead}"));
    }
    let what = if is_gguf(path) { "file" } else { "directory" };
    refused(format!("model: there is no {what} {model}. {instead}"))
}

/// The snapshot of the model `owner/name` that `main` points to. `None` if it has no weights, because
/// only the config or the tokenizer was ever downloaded. Weights in an unsupported format count as
/// present: the engine refuses them later.
fn cached(cache: &Path, model: &str) -> Option<PathBuf> {
    let dir = snapshot(cache, RepoKind::Model, model)?;
    let weights = |entry: fs::DirEntry| {
        let name = entry.file_name();
        let kind = Path::new(&name).extension().and_then(|kind| kind.to_str());
        matches!(kind, Some("safetensors" | "bin" | "gguf" | "pt" | "pth"))
            || name == "model.safetensors.index.json"
    };
    let there = fs::read_dir(&dir).ok()?.flatten().any(weights);
    there.then_some(dir)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use super::*;

    #[test]
    fn the_built_in_base_is_no_stand_in_for_itself() {
        let resolved = resolve(BUILT_IN, None).unwrap();
        assert_eq!(
            (resolved.source, resolved.stand_in),
            (Source::BuiltIn, None)
        );
    }

    #[test]
    fn what_is_no_models_name_and_is_not_there_is_refused_and_never_stood_in_for() {
        for model in [
            "./no/such/dir",
            "../no",
            "/no/such/dir",
            "no/such/dir",
            "models/smol/",
            "~/models/smol",
            "models\\smol",
            "C:\\models\\smol",
            "smol.Q4_K_M.gguf",
            "acme/smol.gguf",
            "model.safetensors",
            "llama3:8b",
            "https://huggingface.co/acme/smol",
            "",
        ] {
            let error = resolve(model, None).unwrap_err();
            assert!(
                error.is_refusal() && error.to_string().starts_with("model:"),
                "{model}: {error}"
            );
        }
        for model in ["acme/no-such-model.v2_1", "no-such-model"] {
            assert!(resolve(model, None).unwrap().stand_in.is_some(), "{model}");
        }
    }

    #[test]
    fn a_model_is_found_in_the_cache_folder_and_its_name_can_not_leave_it() {
        let cache = tempfile::tempdir().unwrap();
        let folder = cache.path().join("models--acme--small");
        let snapshot = folder.join("snapshots").join("abc");
        fs::create_dir_all(folder.join("refs")).unwrap();
        fs::create_dir_all(&snapshot).unwrap();
        fs::write(folder.join("refs").join("main"), "abc\n").unwrap();
        fs::write(snapshot.join("config.json"), "{}").unwrap();
        assert_eq!(cached(cache.path(), "acme/small"), None, "no weights yet");
        fs::write(snapshot.join("model.safetensors"), "").unwrap();
        assert_eq!(cached(cache.path(), "acme/small"), Some(snapshot));
        fs::rename(
            folder.join("snapshots/abc/model.safetensors"),
            folder.join("snapshots/abc/pytorch_model.bin"),
        )
        .unwrap();
        let found = cached(cache.path(), "acme/small");
        assert!(found.is_some(), "there, and refused: never stood in for");
        assert_eq!(cached(cache.path(), "../small"), None);
        assert_eq!(cached(cache.path(), "a/b/c"), None);
    }
}
