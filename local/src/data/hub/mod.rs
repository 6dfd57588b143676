//! Datasets of the Hugging Face Hub. Files are assigned to splits as in Hugging Face's `datasets`: by
//! the README's `configs`, or else by the names of files and folders.

mod layout;
mod readme;

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result, refused};
use crate::hub::{RepoKind, snapshot};
use layout::Splits;

/// How deep the folders of a snapshot are searched.
const DEPTH: usize = 16;

/// The most files in a snapshot.
const MAX_FILES: usize = 100_000;

/// The file whose front matter may assign files to splits.
pub const README: &str = "README.md";

/// The name of a dataset's only config.
const DEFAULT: &str = "default";

/// A dataset on Hugging Face, as it's named in a job's config.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubDataset {
    /// The repository, as `owner/name`.
    pub name: String,
    /// A config of its README, or a folder if the README has none.
    pub subset: Option<String>,
    /// The split. Default: `train`.
    pub split: String,
}

/// A config, which assigns files to splits.
struct Config {
    name: String,
    default: bool,
    data: Data,
}

enum Data {
    /// Splits and file patterns that the README lists.
    Listed(Vec<(String, Vec<String>)>),
    /// Splits that are found by file names in this folder.
    Found(String),
}

impl HubDataset {
    /// Its files in the cache folder. `None` if the dataset, or any of these files, isn't there. Refuses
    /// a subset or a split that doesn't exist, and lists the ones that do.
    pub fn cached(&self, cache: &Path) -> Result<Option<Vec<PathBuf>>> {
        let Some(dir) = snapshot(cache, RepoKind::Dataset, &self.name) else {
            return Ok(None);
        };
        let mut all = Vec::new();
        collect(&dir, "", DEPTH, &mut all)
            .map_err(|source| Error::io("datasetSource.name: can't read", &dir, source))?;
        let readme = fs::read_to_string(dir.join(README)).ok();
        let files = self.files_of(readme.as_deref(), all)?;
        Ok(Some(files.iter().map(|file| dir.join(file)).collect()))
    }

    /// Selects the requested files from `all` files of the dataset. Refuses a subset or a split that
    /// doesn't exist, and lists the ones that do.
    pub fn files_of(&self, readme: Option<&str>, mut all: Vec<String>) -> Result<Vec<String>> {
        let name = &self.name;
        if all.len() > MAX_FILES {
            return refused(format!(
                "datasetSource.name: {name} has more than {MAX_FILES} files"
            ));
        }
        all.sort();
        let config = self.config(readme, &all)?;
        let splits = match config.data {
            Data::Listed(splits) => layout::listed(&splits, &all),
            Data::Found(folder) => layout::found(&folder, &all),
        }
        .map_err(|reason| Error::Refused(format!("datasetSource.name: {name} {reason}")))?;
        self.split_of(&splits).map(<[String]>::to_vec)
    }

    /// Selects the config that `subset` names, or else the only one, or the default one.
    fn config(&self, readme: Option<&str>, all: &[String]) -> Result<Config> {
        let name = &self.name;
        let mut configs = match readme {
            Some(text) => readme::configs(text).map_err(|reason| {
                Error::Refused(format!("datasetSource.name: the README of {name} {reason}"))
            })?,
            None => Vec::new(),
        };
        if configs.is_empty() {
            return self.folder(all);
        }
        let mut names: Vec<&str> = configs.iter().map(|config| config.name.as_str()).collect();
        let joined = names.join(", ");
        let defaults = configs.iter().filter(|config| config.default).count();
        names.sort_unstable();
        if names.windows(2).any(|pair| pair[0] == pair[1]) {
            return refused(format!(
                "datasetSource.name: the README of {name} has two configs of one name: {joined}"
            ));
        }
        let names = joined;
        if self.subset.is_none() && defaults > 1 {
            return refused(format!(
                "datasetSource.subset: {name} has several default configs. Name one of {names}."
            ));
        }
        let found = match &self.subset {
            Some(subset) => configs.iter().position(|config| config.name == *subset),
            None if configs.len() == 1 => Some(0),
            None => configs
                .iter()
                .position(|config| config.default || config.name == DEFAULT),
        };
        match (found, &self.subset) {
            (Some(index), _) => Ok(configs.swap_remove(index)),
            (None, Some(subset)) => refused(format!(
                "datasetSource.subset: {name} has no config {subset:?}, it has {names}"
            )),
            (None, None) => refused(format!(
                "datasetSource.subset: {name} has several configs. Name one of {names}."
            )),
        }
    }

    /// Treats the subset as a folder, for a dataset without configs.
    fn folder(&self, all: &[String]) -> Result<Config> {
        let folder = match self.subset.as_deref() {
            None | Some(DEFAULT) => String::new(),
            Some(subset) => {
                let folder = format!("{}/", subset.trim_end_matches('/'));
                if !all.iter().any(|file| file.starts_with(&folder)) {
                    return refused(format!(
                        "datasetSource.subset: {} has no config and no folder {subset:?}. Its files are {}.",
                        self.name,
                        some(all)
                    ));
                }
                folder
            }
        };
        Ok(Config {
            name: DEFAULT.to_owned(),
            default: true,
            data: Data::Found(folder),
        })
    }

    fn split_of<'a>(&self, splits: &'a Splits) -> Result<&'a [String]> {
        if let Some((_, files)) = splits.iter().find(|(name, _)| *name == self.split) {
            return Ok(files);
        }
        let names: Vec<&str> = splits.iter().map(|(name, _)| name.as_str()).collect();
        refused(format!(
            "datasetSource.split: {} has no split {:?}, it has {}",
            self.name,
            self.split,
            names.join(", ")
        ))
    }
}

/// Collects the files below a folder, as paths that are relative to the snapshot and use `/`.
fn collect(dir: &Path, prefix: &str, depth: usize, files: &mut Vec<String>) -> std::io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
            continue;
        };
        let relative = format!("{prefix}{name}");
        // The files in a snapshot are symlinks, which `is_dir` follows.
        if path.is_dir() {
            if depth > 0 && files.len() <= MAX_FILES {
                collect(&path, &format!("{relative}/"), depth - 1, files)?;
            }
        } else {
            files.push(relative);
        }
    }
    Ok(())
}

fn some(files: &[String]) -> String {
    let more = if files.len() > 10 { ", …" } else { "" };
    format!("{}{more}", files[..files.len().min(10)].join(", "))
}

#[cfg(test)]
mod tests;
