//! Replaces files atomically.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use crate::error::{Error, Result};

/// Replaces a file atomically. Readers see either the old or the new content, even after a crash or a
/// power failure.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    replace(path, bytes, |unfinished: &Path| File::create(unfinished))
}

/// Like `write_atomically`, for a file that only its owner may read.
pub fn write_privately(path: &Path, bytes: &[u8]) -> Result<()> {
    replace(path, bytes, |unfinished| {
        // A temporary file from a crash may be readable by others.
        let _ = fs::remove_file(unfinished);
        private_file(unfinished)
    })
}

fn replace(path: &Path, bytes: &[u8], create: impl Fn(&Path) -> io::Result<File>) -> Result<()> {
    let unfinished = path.with_extension("tmp");
    let written = create(&unfinished).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    written
        .and_then(|()| fs::rename(&unfinished, path))
        .map_err(|source| Error::io("can't write", path, source))?;
    path.parent().into_iter().for_each(sync_folder);
    Ok(())
}

/// Waits until the names in a folder are on disk. Best effort: not every system supports it.
pub fn sync_folder(dir: &Path) {
    let _ = File::open(dir).and_then(|dir| dir.sync_all());
}

/// Creates a file that only its owner can read, on systems that support owners.
fn private_file(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    options.open(path)
}
