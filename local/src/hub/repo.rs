//! Repositories, and their names.

use super::path::is_safe;
use crate::error::{Result, refused};

/// The kind of a repository's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RepoKind {
    /// A model.
    Model,
    /// A dataset.
    Dataset,
}

/// A repository on the Hub, at a revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repo {
    pub(super) kind: RepoKind,
    pub(super) name: String,
    pub(super) revision: String,
}

impl Repo {
    /// The repository `name` at `main`. Refuses an invalid name.
    pub fn new(kind: RepoKind, name: &str) -> Result<Self> {
        Self::at(kind, name, "main")
    }

    /// The repository `name` at a branch, a tag or a commit.
    pub fn at(kind: RepoKind, name: &str, revision: &str) -> Result<Self> {
        let repo = Self {
            kind,
            name: name.to_owned(),
            revision: revision.to_owned(),
        };
        if !is_repo_name(name) {
            return refused(format!(
                "{}: {name:?} can't be the name of a {} on the Hugging Face Hub: use owner/name",
                repo.field(),
                repo.noun()
            ));
        }
        if !is_safe(revision) {
            return refused(format!(
                "{}: {revision:?} can't be a revision of {name}",
                repo.field()
            ));
        }
        Ok(repo)
    }

    /// The kind of its content.
    #[must_use]
    pub fn kind(&self) -> RepoKind {
        self.kind
    }

    /// Its name: `owner/name`, or `name` alone.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The field of a job's config that names the repository.
    pub(super) fn field(&self) -> &'static str {
        match self.kind {
            RepoKind::Model => "model",
            RepoKind::Dataset => "datasetSource.name",
        }
    }

    pub(super) fn noun(&self) -> &'static str {
        match self.kind {
            RepoKind::Model => "model",
            RepoKind::Dataset => "dataset",
        }
    }
}

/// Whether a text can be the name of a repository on Hugging Face: `owner/name`, or `name` alone. `--`
/// and `..` aren't allowed, because `--` stands for the slash in the cache folder.
#[must_use]
pub fn is_repo_name(text: &str) -> bool {
    let part = |part: &str| {
        !part.is_empty()
            && !part.starts_with(['.', '-'])
            && !part.ends_with(['.', '-'])
            && !part.contains("..")
            && !part.contains("--")
            && part
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
    };
    text.split('/').count() <= 2 && text.split('/').all(part)
}
