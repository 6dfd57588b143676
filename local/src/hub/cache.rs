//! Hugging Face's cache folder.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::path::is_safe;
use super::repo::{Repo, RepoKind, is_repo_name};
use crate::error::{Error, Result};

/// The snapshot of `name` that `main` points to. The name can't lead out of the cache.
#[must_use]
pub fn snapshot(cache: &Path, kind: RepoKind, name: &str) -> Option<PathBuf> {
    if !is_repo_name(name) {
        return None;
    }
    Folder::named(cache, kind, name).current("main")
}

/// Whether a file is complete. Its content was checked when it was downloaded.
pub(super) fn is_whole(path: &Path, size: u64) -> bool {
    fs::metadata(path).is_ok_and(|file| file.is_file() && file.len() == size)
}

/// The folder of one repository.
#[derive(Debug)]
pub(super) struct Folder {
    dir: PathBuf,
    locks: PathBuf,
}

impl Folder {
    pub(super) fn of(cache: &Path, repo: &Repo) -> Self {
        Self::named(cache, repo.kind, &repo.name)
    }

    fn named(cache: &Path, kind: RepoKind, name: &str) -> Self {
        let kind = match kind {
            RepoKind::Model => "models",
            RepoKind::Dataset => "datasets",
        };
        let folder = format!("{kind}--{}", name.replace('/', "--"));
        Self {
            dir: cache.join(&folder),
            locks: cache.join(".locks").join(folder),
        }
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(super) fn blobs(&self) -> PathBuf {
        self.dir.join("blobs")
    }

    pub(super) fn snapshot(&self, commit: &str) -> PathBuf {
        self.dir.join("snapshots").join(commit)
    }

    pub(super) fn lock(&self, etag: &str) -> PathBuf {
        self.locks.join(format!("{etag}.lock"))
    }

    /// The snapshot of a branch, a tag or a commit.
    pub(super) fn current(&self, revision: &str) -> Option<PathBuf> {
        let commit = match fs::read_to_string(self.dir.join("refs").join(revision)) {
            Ok(commit) => commit.trim().to_owned(),
            Err(_) => revision.to_owned(),
        };
        let plain = is_safe(&commit) && !commit.contains('/');
        let dir = plain.then(|| self.snapshot(&commit))?;
        dir.is_dir().then_some(dir)
    }

    /// Makes a branch or a tag point to a commit. Two processes may do that at the same time.
    pub(super) fn point(&self, revision: &str, commit: &str) -> Result<()> {
        let path = self.dir.join("refs").join(revision);
        // A commit needs no ref. A ref that's already right isn't written: the cache may be read-only.
        if revision == commit || fs::read_to_string(&path).is_ok_and(|old| old.trim() == commit) {
            return Ok(());
        }
        create_parent(&path)?;
        let mut builder = tempfile::Builder::new();
        builder.prefix("ref-");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            // By default, other users couldn't read a temporary file.
            builder.permissions(fs::Permissions::from_mode(0o666));
        }
        // Not in `refs`, where every file is taken for a revision.
        let written = builder.tempfile_in(&self.dir).and_then(|mut file| {
            file.write_all(commit.as_bytes())?;
            file.persist(&path).map_err(|error| error.error)
        });
        written
            .map(drop)
            .map_err(|source| Error::io("can't write", &path, source))
    }
}

pub(super) fn create(dir: &Path) -> Result<()> {
    fs::create_dir_all(dir).map_err(|source| Error::io("can't create", dir, source))
}

pub(super) fn create_parent(path: &Path) -> Result<()> {
    create(path.parent().unwrap_or(path))
}

/// Puts a blob at `path` in a snapshot, as a symlink if possible. Without symlinks, a new blob is moved
/// there. An old one is copied, because another snapshot may need it. `huggingface_hub` does the same.
pub(super) fn place(snapshot: &Path, path: &str, blob: &Path, new: bool) -> Result<()> {
    place_with(symlink, snapshot, path, blob, new)
}

fn place_with(
    link: fn(&Path, &Path) -> io::Result<()>,
    snapshot: &Path,
    path: &str,
    blob: &Path,
    new: bool,
) -> Result<()> {
    let shown = snapshot.join(path);
    create_parent(&shown)?;
    // The link is relative, so that the cache can be moved. `../..` leads from the snapshot to the
    // repository.
    let up = "../".repeat(path.matches('/').count() + 2);
    let name = blob.file_name().unwrap_or_default();
    let target = Path::new(&up).join("blobs").join(name);
    // Remove an incomplete file or a broken link.
    let _ = fs::remove_file(&shown);
    let placed = link(&target, &shown).or_else(|_| {
        if new {
            return fs::rename(blob, &shown);
        }
        let copy = blob.with_extension("copy");
        fs::copy(blob, &copy)?;
        fs::rename(&copy, &shown)
    });
    placed.map_err(|source| Error::io("can't write", &shown, source))
}

#[cfg(unix)]
fn symlink(target: &Path, link: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(target, link)
}

#[cfg(windows)]
fn symlink(target: &Path, link: &Path) -> io::Result<()> {
    // Windows doesn't follow a link target with slashes.
    let target: PathBuf = target.components().collect();
    std::os::windows::fs::symlink_file(target, link)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use super::*;

    #[test]
    fn without_symlinks_a_new_blob_is_moved_and_an_old_one_copied() {
        let cache = tempfile::tempdir().unwrap();
        let folder = Folder::named(cache.path(), RepoKind::Model, "acme/small");
        let blob = folder.blobs().join("e7a9");
        let refuse: fn(&Path, &Path) -> io::Result<()> =
            |_, _| Err(io::ErrorKind::PermissionDenied.into());
        for new in [false, true] {
            let snapshot = folder.snapshot(if new { "new" } else { "old" });
            create_parent(&blob).unwrap();
            fs::write(&blob, "weights").unwrap();
            place_with(refuse, &snapshot, "a/b.bin", &blob, new).unwrap();
            let shown = snapshot.join("a/b.bin");
            assert_eq!(fs::read_to_string(&shown).unwrap(), "weights");
            assert!(!shown.is_symlink());
            assert_eq!(blob.exists(), !new);
        }
    }

    #[test]
    fn a_path_that_leads_out_of_its_folder_is_not_safe() {
        for path in [
            "",
            "/a",
            "a//b",
            "a/",
            ".",
            "./a",
            "..",
            "../a",
            "a/../../b",
            "a\\b",
            "..\\a",
            "C:",
            "C:a",
            "c:/a",
            "a/C:/b",
            "a\0b",
        ] {
            assert!(!is_safe(path), "{path:?}");
        }
        for path in [
            "a",
            "a/b.c",
            "..a/b..",
            "data/train-00000-of-00001.parquet",
            "ä/日本 x",
        ] {
            assert!(is_safe(path), "{path:?}");
        }
    }
}
