//! The directory that an export writes. Files are written to a working directory, and moved when all are
//! complete. A failure leaves nothing behind, and a killed process leaves nothing that looks complete.

use std::fs::{self, File, TryLockError};
use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::progress::Progress;
use crate::adapter_folder;
use crate::atomic::sync_folder;
use crate::base::built_in;
use crate::error::{Error, Result, refused};

/// The working directory, which is next to a new directory but inside an existing one. Files can only be
/// moved within a file system, and the parent of an existing directory may be on another one.
const WORK: &str = ".arkor-export";

/// The lock file, held while an export uses the working directory.
const LOCK: &str = "lock";

/// Progress is counted after every piece of this many bytes.
const PIECE: usize = 1 << 20;

/// A file of an export.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Exported {
    /// Its absolute path.
    pub path: String,
    /// Its size, in bytes.
    pub bytes: u64,
}

/// The target directory of an export in progress.
#[derive(Debug)]
pub struct Target {
    dir: PathBuf,
    work: PathBuf,
    existed: bool,
    /// Parents that had to be created, the outermost first.
    parents: Vec<PathBuf>,
    lock: Option<File>,
    /// Whether this export created the working directory.
    mine: bool,
    published: bool,
}

impl Target {
    /// Creates the working directory. Refuses a target directory with files in it, unless `force` is set.
    pub fn open(to: &Path, force: bool) -> Result<Self> {
        let dir =
            std::path::absolute(to).map_err(|source| Error::io("--to: can't use", to, source))?;
        let existed = dir.exists();
        if existed && !dir.is_dir() {
            return refused(format!(
                "--to: {} is a file. Choose a directory.",
                dir.display()
            ));
        }
        if existed && !force && entries(&dir)?.iter().any(|name| name != WORK) {
            return refused(format!(
                "--to: {} is not empty. Choose another directory, or replace an export in it with --force.",
                dir.display()
            ));
        }
        let (Some(parent), Some(name)) = (dir.parent(), dir.file_name()) else {
            return refused(format!(
                "--to: {} can't be written. Choose a directory in it.",
                dir.display()
            ));
        };
        let work = if existed {
            dir.join(WORK)
        } else {
            parent.join(format!(".{}{WORK}", name.to_string_lossy()))
        };
        let missing = parent.ancestors().take_while(|parent| !parent.exists());
        let mut parents: Vec<PathBuf> = missing.map(Path::to_owned).collect();
        parents.reverse();
        let mut target = Self {
            dir,
            work,
            existed,
            parents,
            lock: None,
            mine: false,
            published: false,
        };
        target.start()?;
        Ok(target)
    }

    fn start(&mut self) -> Result<()> {
        for parent in &self.parents {
            fs::create_dir(parent).map_err(|source| failed(parent, source))?;
        }
        let path = self.work.join(LOCK);
        let created = match fs::create_dir(&self.work) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => false,
            created => created
                .map(|()| true)
                .map_err(|source| failed(&self.work, source))?,
        };
        if !created {
            self.take_over(&path)?;
        }
        self.mine = true;
        let lock = File::create_new(&path).map_err(|source| failed(&path, source))?;
        lock.try_lock()
            .map_err(|error| failed(&path, error.into()))?;
        self.lock = Some(lock);
        Ok(())
    }

    /// Clears the working directory of a killed export.
    fn take_over(&self, path: &Path) -> Result<()> {
        let old = match File::open(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            old => Some(old.map_err(|source| failed(path, source))?),
        };
        match old.as_ref().map(File::try_lock) {
            Some(Ok(())) => {}
            Some(Err(TryLockError::WouldBlock)) => {
                return refused(format!(
                    "--to: another export writes {}. Wait for it, or choose another directory.",
                    self.dir.display()
                ));
            }
            Some(Err(TryLockError::Error(source))) => return Err(failed(path, source)),
            None => {
                return refused(format!(
                    "--to: {} is in the way. Remove it, or choose another directory.",
                    self.work.display()
                ));
            }
        }
        drop(old);
        fs::remove_dir_all(&self.work)
            .and_then(|()| fs::create_dir(&self.work))
            .map_err(|source| failed(&self.work, source))
    }

    /// The absolute path of the directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The directory for files that aren't complete yet.
    #[must_use]
    pub fn work(&self) -> &Path {
        &self.work
    }

    /// Fails if the disk doesn't have enough space for the export. Passes if the free space is unknown.
    pub fn check_space(&self, bytes: u64) -> Result<()> {
        match free_space(&self.work) {
            Some(free) if free < bytes => refused(format!(
                "--to: {} has {} free, and the export needs {}. Make room, or choose a directory on another disk.",
                self.dir.display(),
                size(free),
                size(bytes)
            )),
            _ => Ok(()),
        }
    }

    /// Creates a file.
    pub fn create<'a, 'b>(
        &'a self,
        name: &str,
        progress: &'a mut Progress<'b>,
    ) -> Result<TargetFile<'a, 'b>> {
        let path = self.work.join(name);
        progress.begin(name)?;
        let file = path.parent().map_or(Ok(()), fs::create_dir_all);
        let file = file.and_then(|()| File::create(&path));
        let file = file.map_err(|source| failed(&path, source))?;
        Ok(TargetFile {
            file: BufWriter::new(file),
            path,
            progress,
        })
    }

    /// Writes a small file.
    pub fn write(&self, name: &str, bytes: &[u8], progress: &mut Progress) -> Result<()> {
        let mut file = self.create(name, progress)?;
        file.write(bytes)?;
        file.end()
    }

    /// Moves the files to the target directory. Returns them in the order of their names.
    pub fn publish(mut self) -> Result<Vec<Exported>> {
        // Some systems can't remove an open file.
        self.lock = None;
        let names = self.move_files()?;
        self.published = true;
        sync_folder(&self.dir);
        self.dir.parent().into_iter().for_each(sync_folder);
        let mut files = Vec::new();
        for name in names {
            let listed = list(&self.dir.join(name), &mut files);
            listed.map_err(|source| failed(&self.dir, source))?;
        }
        Ok(files)
    }

    fn move_files(&self) -> Result<Vec<String>> {
        let failed = |source| failed(&self.dir, source);
        fs::remove_file(self.work.join(LOCK)).map_err(failed)?;
        let names = entries(&self.work)?;
        if !self.existed {
            fs::rename(&self.work, &self.dir).map_err(failed)?;
            return Ok(names);
        }
        // Remove the files of an earlier export, and nothing else.
        for name in entries(&self.dir)? {
            if is_exported(&name) && !names.contains(&name) {
                remove(&self.dir.join(name)).map_err(failed)?;
            }
        }
        for name in &names {
            let path = self.dir.join(name);
            if path.is_dir() {
                remove(&path).map_err(failed)?;
            }
            fs::rename(self.work.join(name), path).map_err(failed)?;
        }
        fs::remove_dir(&self.work).map_err(failed)?;
        Ok(names)
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        if self.published {
            return;
        }
        if self.mine {
            let _ = fs::remove_dir_all(&self.work);
        }
        for parent in self.parents.iter().rev() {
            let _ = fs::remove_dir(parent);
        }
    }
}

/// Converts a file system error, and adds advice.
fn failed(path: &Path, source: io::Error) -> Error {
    match source.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
            Error::Refused(format!(
                "--to: there's no space left for {} ({source}). Make room, or choose a directory on another disk.",
                path.display()
            ))
        }
        _ => Error::io("--to: can't write", path, source),
    }
}

/// A file in progress.
pub struct TargetFile<'a, 'b> {
    file: BufWriter<File>,
    path: PathBuf,
    progress: &'a mut Progress<'b>,
}

impl TargetFile<'_, '_> {
    /// Appends bytes.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        for piece in bytes.chunks(PIECE) {
            let written = self.file.write_all(piece);
            written.map_err(|source| failed(&self.path, source))?;
            self.progress.add(piece.len())?;
        }
        Ok(())
    }

    /// Flushes the file, and waits until it's on disk.
    pub fn end(mut self) -> Result<()> {
        let flushed = self
            .file
            .flush()
            .and_then(|()| self.file.get_ref().sync_all());
        flushed.map_err(|source| failed(&self.path, source))
    }
}

/// Whether this is the name of an exported file.
fn is_exported(name: &str) -> bool {
    const NAMES: [&str; 5] = [
        adapter_folder::CONFIG,
        adapter_folder::WEIGHTS,
        super::gguf::FILE,
        super::ollama::FILE,
        built_in::NAME,
    ];
    NAMES.contains(&name) || name == super::merged::TEMPLATES || super::merged::is_part(name)
}

fn remove(path: &Path) -> io::Result<()> {
    if path.is_dir() && !path.is_symlink() {
        fs::remove_dir_all(path)
    } else {
        fs::remove_file(path)
    }
}

/// The names in a directory, sorted.
fn entries(dir: &Path) -> Result<Vec<String>> {
    let entries = fs::read_dir(dir).map_err(|source| Error::io("--to: can't read", dir, source))?;
    let mut names: Vec<String> = entries
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    Ok(names)
}

/// Collects a file, or the files of a directory.
fn list(path: &Path, files: &mut Vec<Exported>) -> io::Result<()> {
    if path.is_dir() {
        let mut paths: Vec<PathBuf> = fs::read_dir(path)?
            .flatten()
            .map(|entry| entry.path())
            .collect();
        paths.sort();
        return paths.iter().try_for_each(|path| list(path, files));
    }
    files.push(Exported {
        path: path.display().to_string(),
        bytes: fs::metadata(path)?.len(),
    });
    Ok(())
}

/// Formats a size for people.
fn size(bytes: u64) -> String {
    match bytes {
        0..1_000_000 => format!("{} kB", bytes / 1000),
        1_000_000..10_000_000_000 => format!("{} MB", bytes / 1_000_000),
        _ => format!("{} GB", bytes / 1_000_000_000),
    }
}

/// The space that is free for this user, in bytes.
#[cfg(unix)]
fn free_space(dir: &Path) -> Option<u64> {
    let space = rustix::fs::statvfs(dir).ok()?;
    space.f_bavail.checked_mul(space.f_frsize)
}

#[cfg(not(unix))]
fn free_space(_: &Path) -> Option<u64> {
    None
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use super::*;

    #[cfg(unix)]
    #[test]
    fn what_there_is_no_room_for_is_not_begun() {
        let dir = tempfile::tempdir().unwrap();
        let target = Target::open(&dir.path().join("out"), false).unwrap();
        target.check_space(1).unwrap();
        let error = target.check_space(u64::MAX).unwrap_err().to_string();
        assert!(error.contains("Make room"), "{error}");
        drop(target);
        assert!(entries(dir.path()).unwrap().is_empty());
    }
}
