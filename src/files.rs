//! Writes files atomically: to a temp file, which is then renamed. If the path is a symbolic link, it's
//! followed: the link stays and its target changes.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

/// How many links to follow before a chain counts as a loop. Linux has the same limit.
const MOST_LINKS: usize = 40;

/// Who may read a file.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Mode 0600 in a directory of mode 0700.
    Owner,
    /// As the umask allows.
    Everyone,
}

/// Writes a whole file: other processes see either the old or the new content.
///
/// # Errors
/// Those of the file system. The old file is then untouched.
pub fn write_atomically(path: &Path, content: &[u8], access: Access) -> io::Result<()> {
    let put = |temp: &Path, target: &Path| std::fs::rename(temp, target).map(|()| true);
    write(path, content, access, put).map(drop)
}

/// Writes a whole file if its content is still `seen` (`None`: if there's still no file). Returns whether it
/// was. The check comes last, to give other writers as little time as possible.
///
/// # Errors
/// Those of the file system. The old file is then untouched.
pub fn write_if_unchanged(
    path: &Path,
    content: &[u8],
    access: Access,
    seen: Option<&[u8]>,
) -> io::Result<bool> {
    write(path, content, access, |temp, target| {
        if read_if_present(target)?.as_deref() != seen {
            return Ok(false);
        }
        if let Some(done) = put_in_place_of(temp, target, seen) {
            return done;
        }
        std::fs::rename(temp, target).map(|()| true)
    })
}

/// Writes the temp file and calls `put` to move it into place. Deletes it if it's still there afterwards.
fn write(
    path: &Path,
    content: &[u8],
    access: Access,
    put: impl FnOnce(&Path, &Path) -> io::Result<bool>,
) -> io::Result<bool> {
    let (target, temp, mut file) = begin(path, access)?;
    let written = file.write_all(content).and_then(|()| file.sync_all());
    drop(file);
    let result = written.and_then(|()| put(&temp, &target));
    let _ = std::fs::remove_file(&temp);
    result
}

/// Replaces a file whose content is `seen`, or creates it if `seen` is `None`, in one system call: a plain
/// rename would restore a file that was deleted since the check. `None` where that isn't supported.
#[cfg(any(target_os = "linux", target_os = "macos"))]
fn put_in_place_of(temp: &Path, target: &Path, seen: Option<&[u8]>) -> Option<io::Result<bool>> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    use rustix::io::Errno;

    let flag = match seen {
        None => RenameFlags::NOREPLACE,
        Some(_) => RenameFlags::EXCHANGE,
    };
    match renameat_with(CWD, temp, CWD, target, flag) {
        Ok(()) => {}
        Err(Errno::NOENT | Errno::EXIST) => return Some(Ok(false)),
        // Not every file system supports it.
        Err(_) => return None,
    }
    let Some(seen) = seen else {
        return Some(Ok(true));
    };
    // The temp file now has the replaced content. If another process wrote in between, put its content back.
    match std::fs::read(temp) {
        Ok(replaced) if replaced != seen => Some(std::fs::rename(temp, target).map(|()| false)),
        _ => Some(Ok(true)),
    }
}

#[cfg(not(any(target_os = "linux", target_os = "macos")))]
fn put_in_place_of(_: &Path, _: &Path, _: Option<&[u8]>) -> Option<io::Result<bool>> {
    None
}

/// Checks that the file could be written, without touching it.
///
/// # Errors
/// Those that [`write_atomically`] would have.
pub fn check_writable(path: &Path, access: Access) -> io::Result<()> {
    let (_, temp, _) = begin(path, access)?;
    std::fs::remove_file(temp)
}

/// Deletes a file. If the path is a link, it deletes the link's target, because the content must be gone.
///
/// # Errors
/// Those of the file system. A missing file isn't an error.
pub fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(target_of(path)?) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Reads a file; `None` if there is none.
///
/// # Errors
/// Any other error. Otherwise an unreadable file might be overwritten by mistake.
pub fn read_if_present(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match std::fs::read(path) {
        Ok(content) => Ok(Some(content)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Locks the file at `path`, waiting while another process holds it. Dropping the file releases the lock.
///
/// # Errors
/// Those of the file system.
pub fn lock(path: &Path, access: Access) -> io::Result<File> {
    create_directory(parent(path), access)?;
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).write(true);
    restrict(&mut options, access);
    let file = options.open(path)?;
    file.lock()?;
    Ok(file)
}

/// Locks a directory itself, which leaves no lock file in it and needs no write permission.
///
/// # Errors
/// Those of the file system. Windows and some network file systems can't lock directories.
pub fn lock_directory(path: &Path, access: Access) -> io::Result<File> {
    create_directory(path, access)?;
    let directory = File::open(path)?;
    directory.lock()?;
    Ok(directory)
}

/// Resolves the file to replace and creates an empty temp file beside it. Returns both paths and the open
/// temp file.
fn begin(path: &Path, access: Access) -> io::Result<(PathBuf, PathBuf, File)> {
    create_directory(parent(path), access)?;
    let target = target_of(path)?;
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    let temp = parent(&target).join(format!(".{name}.{:016x}.tmp", fastrand::u64(..)));
    let mut options = OpenOptions::new();
    options.create_new(true).write(true);
    restrict(&mut options, access);
    let file = options.open(&temp)?;
    Ok((target, temp, file))
}

/// Follows a path's links to the actual file, which need not exist.
fn target_of(path: &Path) -> io::Result<PathBuf> {
    let mut target = path.to_owned();
    for _ in 0..MOST_LINKS {
        match std::fs::read_link(&target) {
            Ok(next) => target = parent(&target).join(next),
            // Not a link, or nothing there yet.
            Err(error) if matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::NotFound) => {
                return Ok(target);
            }
            // Windows has its own error code for a file that isn't a link.
            Err(_)
                if target
                    .symlink_metadata()
                    .is_ok_and(|file| !file.is_symlink()) =>
            {
                return Ok(target);
            }
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::other("too many links lead from one to the next"))
}

fn parent(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("."))
}

#[cfg(unix)]
fn restrict(options: &mut OpenOptions, access: Access) {
    use std::os::unix::fs::OpenOptionsExt;
    if access == Access::Owner {
        options.mode(0o600);
    }
}

#[cfg(not(unix))]
fn restrict(_: &mut OpenOptions, _: Access) {}

fn create_directory(path: &Path, access: Access) -> io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    if access == Access::Owner {
        use std::os::unix::fs::DirBuilderExt;
        builder.mode(0o700);
    }
    #[cfg(not(unix))]
    let _ = access;
    builder.create(path)
}

#[cfg(all(test, unix))]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_chain_of_links_is_followed_also_to_a_file_that_is_not_there_yet() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        std::fs::create_dir(at("real")).unwrap();
        symlink("second", at("first")).unwrap();
        symlink("real/file", at("second")).unwrap();
        for content in ["one", "two"] {
            write_atomically(&at("first"), content.as_bytes(), Access::Owner).unwrap();
            assert_eq!(std::fs::read_to_string(at("real/file")).unwrap(), content);
        }
        assert!(at("first").is_symlink() && at("second").is_symlink());
        assert_eq!(std::fs::read_dir(at("real")).unwrap().count(), 1);
        remove(&at("first")).unwrap();
        assert!(!at("real/file").exists() && at("first").is_symlink());
    }

    #[test]
    fn links_in_a_circle_are_an_error_and_no_endless_loop() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        symlink("b", at("a")).unwrap();
        symlink("a", at("b")).unwrap();
        assert!(write_atomically(&at("a"), b"x", Access::Owner).is_err());
        assert!(at("a").is_symlink());
    }

    #[test]
    fn a_file_that_has_changed_since_it_was_seen_is_kept_and_no_temp_file_is_left() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        let write = |seen| write_if_unchanged(&path, b"new", Access::Owner, seen).unwrap();
        let content = || read_if_present(&path).unwrap();
        assert!(!write(Some(b"deleted since")));
        assert_eq!(content(), None);
        assert!(write(None));
        assert_eq!(content().as_deref(), Some(&b"new"[..]));
        std::fs::write(&path, "of another").unwrap();
        assert!(!write(None) && !write(Some(b"new")));
        assert_eq!(content().as_deref(), Some(&b"of another"[..]));
        assert!(write(Some(b"of another")));
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    /// Tests the moment between the check and the rename, which an end-to-end test can't hit.
    #[cfg(any(target_os = "linux", target_os = "macos"))]
    #[test]
    fn a_file_that_is_deleted_or_written_after_the_last_look_is_not_brought_back() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        let put = |seen| {
            std::fs::write(at("temp"), "new").unwrap();
            put_in_place_of(&at("temp"), &at("file"), seen)
        };
        let Some(done) = put(Some(b"seen")) else {
            return; // This file system has no such call.
        };
        assert!(!done.unwrap() && !at("file").exists());
        std::fs::write(at("file"), "of another").unwrap();
        assert!(!put(Some(b"seen")).unwrap().unwrap() && !put(None).unwrap().unwrap());
        assert_eq!(std::fs::read_to_string(at("file")).unwrap(), "of another");
        assert!(put(Some(b"of another")).unwrap().unwrap());
        assert_eq!(std::fs::read_to_string(at("file")).unwrap(), "new");
    }
}
