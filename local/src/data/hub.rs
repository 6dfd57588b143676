//! Datasets in Hugging Face's cache folder. Flow in: a dataset's name, subset and split. Flow out: its
//! files on this machine. A module because nothing is downloaded here, and because a dataset's name
//! must not lead out of the cache.

use std::fs;
use std::path::{Path, PathBuf};

use crate::base::resolve::{cache_folder, snapshot};
use crate::error::{Error, Result, refused};

/// Endings of files that hold rows.
const ENDINGS: [&str; 4] = [".jsonl", ".json", ".jsonl.gz", ".parquet"];

/// Words by which files name their split.
const SPLITS: [&str; 6] = ["train", "test", "validation", "valid", "dev", "eval"];

/// Folders of a snapshot are searched this deep.
const DEPTH: usize = 4;

/// A dataset on Hugging Face, as a config names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubDataset {
    /// `owner/name`.
    pub name: String,
    /// A folder, or a part of its files' names.
    pub subset: Option<String>,
    /// `train` by default.
    pub split: String,
}

impl HubDataset {
    /// Its files in the cache folder, in the order of their names. Refuses a dataset, a subset or a
    /// split that is not there, and says what is.
    pub fn files(&self) -> Result<Vec<PathBuf>> {
        let Some(cache) = cache_folder() else {
            return refused(
                "datasetSource.name: there is no home directory with a Hugging Face cache",
            );
        };
        self.files_in(&cache)
    }

    fn files_in(&self, cache: &Path) -> Result<Vec<PathBuf>> {
        let name = &self.name;
        let Some(dir) = snapshot(cache, "datasets", name) else {
            return refused(format!(
                "datasetSource.name: {name} is not in the Hugging Face cache ({}). Download it first, for \
                 example with `hf download --repo-type dataset {name}`.",
                cache.display()
            ));
        };
        let mut all = Vec::new();
        collect(&dir, DEPTH, &mut all)
            .map_err(|source| Error::io("datasetSource.name: can't read", &dir, source))?;
        all.sort();
        if all.is_empty() {
            return refused(format!(
                "datasetSource.name: {name} has no JSONL or Parquet files in the cache, only these can be read"
            ));
        }
        let of = |path: &Path| words(path.strip_prefix(&dir).unwrap_or(path));
        let in_subset = |path: &PathBuf| {
            self.subset
                .as_ref()
                .is_none_or(|subset| of(path).contains(&subset.to_lowercase()))
        };
        let subset: Vec<PathBuf> = all.iter().filter(|path| in_subset(path)).cloned().collect();
        if subset.is_empty() {
            return refused(format!(
                "datasetSource.subset: {name} has no files of {:?}, it has {}",
                self.subset.as_deref().unwrap_or_default(),
                listed(&dir, &all)
            ));
        }
        let named = subset.iter().any(|path| {
            SPLITS
                .iter()
                .any(|split| of(path).contains(&(*split).to_owned()))
        });
        let split = self.split.to_lowercase();
        let files: Vec<PathBuf> = subset
            .iter()
            .filter(|path| of(path).contains(&split))
            .cloned()
            .collect();
        match (files.is_empty(), named) {
            (false, _) => Ok(files),
            // As in Hugging Face's library: files that name no split are for training.
            (true, false) if split == "train" => Ok(subset),
            _ => refused(format!(
                "datasetSource.split: {name} has no files of {split:?}, it has {}",
                listed(&dir, &subset)
            )),
        }
    }
}

fn collect(dir: &Path, depth: usize, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        // Files of a snapshot are links: asked what they lead to.
        if path.is_dir() {
            if depth > 0 && !name.starts_with('.') {
                collect(&path, depth - 1, files)?;
            }
        } else if ENDINGS.iter().any(|ending| name.ends_with(ending)) {
            files.push(path);
        }
    }
    Ok(())
}

/// The folders of a path, and its file's name whole and in parts.
fn words(path: &Path) -> Vec<String> {
    let path = path.to_string_lossy().to_lowercase();
    let parts = path.split(['/', '\\']);
    parts
        .clone()
        .chain(parts.flat_map(|part| part.split(['-', '_', '.'])))
        .map(str::to_owned)
        .collect()
}

fn listed(dir: &Path, files: &[PathBuf]) -> String {
    let names: Vec<String> = files
        .iter()
        .take(10)
        .map(|path| path.strip_prefix(dir).unwrap_or(path).display().to_string())
        .collect();
    let more = if files.len() > names.len() {
        ", …"
    } else {
        ""
    };
    format!("{}{more}", names.join(", "))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use super::*;

    fn cache(files: &[&str]) -> tempfile::TempDir {
        let cache = tempfile::tempdir().unwrap();
        let folder = cache.path().join("datasets--acme--rows");
        fs::create_dir_all(folder.join("refs")).unwrap();
        fs::write(folder.join("refs/main"), "abc").unwrap();
        for file in files {
            let path = folder.join("snapshots/abc").join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        cache
    }

    fn found(files: &[&str], subset: Option<&str>, split: &str) -> Result<Vec<String>, String> {
        let cache = cache(files);
        let dataset = HubDataset {
            name: "acme/rows".to_owned(),
            subset: subset.map(str::to_owned),
            split: split.to_owned(),
        };
        let names = |path: PathBuf| path.file_name().unwrap().to_string_lossy().into_owned();
        match dataset.files_in(cache.path()) {
            Ok(files) => Ok(files.into_iter().map(names).collect()),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn files_are_found_by_split_and_subset() {
        let parquet = [
            "data/train-00001-of-00002.parquet",
            "data/train-00000-of-00002.parquet",
            "data/test-0.parquet",
            "README.md",
        ];
        assert_eq!(
            found(&parquet, None, "train").unwrap(),
            [
                "train-00000-of-00002.parquet",
                "train-00001-of-00002.parquet"
            ]
        );
        assert_eq!(found(&parquet, None, "test").unwrap(), ["test-0.parquet"]);
        let error = found(&parquet, None, "validation").unwrap_err();
        assert!(
            error.contains("datasetSource.split") && error.contains("test-0"),
            "{error}"
        );
        let subsets = ["en/train.jsonl", "de/train.jsonl"];
        assert_eq!(found(&subsets, Some("de"), "train").unwrap().len(), 1);
        assert!(
            found(&subsets, Some("fr"), "train")
                .unwrap_err()
                .contains("datasetSource.subset")
        );
        assert_eq!(
            found(&["rows.jsonl"], None, "train").unwrap(),
            ["rows.jsonl"]
        );
        assert!(found(&["rows.jsonl"], None, "test").is_err());
        assert!(
            found(&["README.md"], None, "train")
                .unwrap_err()
                .contains("Parquet")
        );
    }

    #[test]
    fn a_name_can_not_leave_the_cache() {
        let cache = cache(&["rows.jsonl"]);
        for name in ["../rows", "acme/../rows", "/etc", "", "a/b/c"] {
            let dataset = HubDataset {
                name: name.to_owned(),
                subset: None,
                split: "train".to_owned(),
            };
            assert!(dataset.files_in(cache.path()).is_err(), "{name}");
        }
    }
}
