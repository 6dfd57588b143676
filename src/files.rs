//! Files that must never be half-written: temp file, then rename.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::Path;

/// Who may read a file.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Mode 0600 in a directory of mode 0700.
    Owner,
    /// What the umask says.
    Everyone,
}

/// Writes a file as a whole: other processes see the old content or the new one.
///
/// # Errors
/// Those of the file system; the old file is untouched then.
pub fn write_atomically(path: &Path, content: &[u8], access: Access) -> io::Result<()> {
    let directory = path.parent().unwrap_or(Path::new("."));
    create_directory(directory, access)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temp = directory.join(format!(".{name}.{:016x}.tmp", fastrand::u64(..)));
    let written = create(&temp, access).and_then(|mut file| {
        file.write_all(content)?;
        file.sync_all()
    });
    let renamed = written.and_then(|()| std::fs::rename(&temp, path));
    if renamed.is_err() {
        let _ = std::fs::remove_file(&temp);
    }
    renamed
}

/// Reads a file; `None` if there is none.
///
/// # Errors
/// Any other error: what is there but can't be read must not be overwritten by mistake.
pub fn read_if_present(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match std::fs::read(path) {
        Ok(content) => Ok(Some(content)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Takes the lock file of `path`, waiting for another process that has it. Dropping it lets go.
///
/// # Errors
/// Those of the file system.
pub fn lock(path: &Path, access: Access) -> io::Result<File> {
    create_directory(path.parent().unwrap_or(Path::new(".")), access)?;
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).write(true);
    restrict(&mut options, access);
    let file = options.open(path)?;
    file.lock()?;
    Ok(file)
}

fn create(path: &Path, access: Access) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.create_new(true).write(true);
    restrict(&mut options, access);
    options.open(path)
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
