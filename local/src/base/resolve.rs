//! Which base a job gets. Flows in: the `model` of a config. Flows out: where its files are, and
//! whether it is the model that was asked for. A module because a stand-in must never be silent,
//! and because a model's name must not lead outside of the cache folder.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::BUILT_IN;
use crate::error::{Result, refused};
use crate::model::LlamaConfig;

/// Where a base's files are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// In this program.
    BuiltIn,
    /// In a Hugging Face directory.
    Dir(PathBuf),
}

/// The base that was found for a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// The name that was asked for.
    pub requested: String,
    /// Where it is.
    pub source: Source,
    /// Why another model stands in, when one does.
    pub stand_in: Option<String>,
}

impl Resolved {
    /// What adapters name as their base.
    #[must_use]
    pub fn used(&self) -> String {
        match &self.source {
            Source::BuiltIn => BUILT_IN.to_owned(),
            Source::Dir(dir) => dir.display().to_string(),
        }
    }

    /// For `training.started`.
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

/// Finds the base for `model`: the built-in one by its name, else what `--base-model` says, else a
/// directory, else Hugging Face's cache, else the built-in one as a stand-in. Refuses a directory
/// that is missing or holds another architecture.
pub fn resolve(model: &str, base_model: Option<&Path>) -> Result<Resolved> {
    let found = |source: Source, stand_in: Option<String>| Resolved {
        requested: model.to_owned(),
        source,
        stand_in,
    };
    if model == BUILT_IN {
        return Ok(found(Source::BuiltIn, None));
    }
    if let Some(dir) = base_model {
        check(dir)?;
        let same = Path::new(model) == dir;
        let reason = (!same).then(|| "the local backend was started with --base-model".to_owned());
        return Ok(found(Source::Dir(dir.to_owned()), reason));
    }
    if is_path(model) {
        let dir = Path::new(model);
        if !dir.is_dir() {
            return refused(format!(
                "model: there is no directory {model}. Give a Hugging Face directory, or \"{BUILT_IN}\"."
            ));
        }
        check(dir)?;
        let dir = fs::canonicalize(dir).unwrap_or_else(|_| dir.to_owned());
        return Ok(found(Source::Dir(dir), None));
    }
    if let Some(dir) = cache_folder().and_then(|cache| cached(&cache, model)) {
        check(&dir)?;
        return Ok(found(Source::Dir(dir), None));
    }
    let reason = format!(
        "{model} is not on this machine (no such directory, not in the Hugging Face cache)"
    );
    Ok(found(Source::BuiltIn, Some(reason)))
}

/// Whether a model is named by a path.
#[must_use]
pub fn is_path(model: &str) -> bool {
    Path::new(model).is_absolute() || model.starts_with("./") || model.starts_with("../")
}

/// Refuses a directory that does not hold a model of a supported shape. Only the config is read:
/// cheap enough for a request.
pub fn check(dir: &Path) -> Result<()> {
    LlamaConfig::from_json(&super::read_text(dir, "config.json")?).map(|_| ())
}

/// Hugging Face's cache folder, as its libraries find it.
#[must_use]
pub fn cache_folder() -> Option<PathBuf> {
    let set = |name: &str| {
        env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    set("HF_HUB_CACHE")
        .or_else(|| set("HF_HOME").map(|home| home.join("hub")))
        .or_else(|| {
            let home = set("HOME").or_else(|| set("USERPROFILE"))?;
            Some(home.join(".cache").join("huggingface").join("hub"))
        })
}

/// The snapshot of the model `owner/name` that `main` points to, if its weights are there.
fn cached(cache: &Path, model: &str) -> Option<PathBuf> {
    let dir = snapshot(cache, "models", model)?;
    let has = |name: &str| dir.join(name).exists();
    let weights = has("model.safetensors") || has("model.safetensors.index.json");
    (has("config.json") && weights).then_some(dir)
}

/// The snapshot of `owner/name` that `main` points to. `kind` is `models` or `datasets`. The name can't
/// lead out of the cache.
#[must_use]
pub fn snapshot(cache: &Path, kind: &str, name: &str) -> Option<PathBuf> {
    let plain = |part: &str| {
        !part.is_empty()
            && !part.contains("..")
            && part
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
    };
    let parts: Vec<&str> = name.split('/').collect();
    if parts.len() > 2 || !parts.iter().all(|part| plain(part)) {
        return None;
    }
    let folder = cache.join(format!("{kind}--{}", parts.join("--")));
    let revision = fs::read_to_string(folder.join("refs").join("main")).ok()?;
    let revision = revision.trim();
    plain(revision).then(|| folder.join("snapshots").join(revision))
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
    fn a_missing_directory_is_refused() {
        let error = resolve("./no/such/dir", None).unwrap_err();
        assert!(
            error.is_refusal() && error.to_string().starts_with("model:"),
            "{error}"
        );
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
        assert_eq!(cached(cache.path(), "../small"), None);
        assert_eq!(cached(cache.path(), "a/b/c"), None);
    }
}
