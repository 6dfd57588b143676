//! A partially downloaded file, and the hash of its bytes so far.

use std::io;
use std::path::{Path, PathBuf};

use sha1::{Digest, Sha1};
use sha2::Sha256;
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt};
use tokio_util::sync::CancellationToken;

use super::listing::RemoteFile;

/// The length of a SHA-256, which names an LFS file. Any other file is named by git's SHA-1.
const SHA256_DIGITS: usize = 64;

enum Hash {
    Git(Sha1),
    Lfs(Sha256),
}

impl Hash {
    fn new(file: &RemoteFile) -> Self {
        if file.etag.len() == SHA256_DIGITS {
            return Self::Lfs(Sha256::new());
        }
        Self::Git(Sha1::new_with_prefix(format!("blob {}\0", file.size)))
    }

    fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Git(hash) => hash.update(bytes),
            Self::Lfs(hash) => hash.update(bytes),
        }
    }

    fn hex(self) -> String {
        match self {
            Self::Git(hash) => hex::encode(hash.finalize()),
            Self::Lfs(hash) => hex::encode(hash.finalize()),
        }
    }
}

/// The file `blobs/<etag>.incomplete`. Only the holder of the blob's lock opens it.
pub(super) struct Partial<'a> {
    pub(super) path: PathBuf,
    pub(super) length: u64,
    expected: &'a RemoteFile,
    file: File,
    hash: Hash,
}

impl<'a> Partial<'a> {
    /// Opens the file of an earlier try, if there is one, and hashes its bytes. `None` if that was
    /// cancelled.
    pub(super) async fn open(
        path: &Path,
        expected: &'a RemoteFile,
        cancel: &CancellationToken,
    ) -> io::Result<Option<Self>> {
        let mut options = File::options();
        options.read(true).write(true).create(true).truncate(false);
        let file = options.open(path).await?;
        let left = file.metadata().await?.len();
        let mut partial = Self {
            path: path.to_owned(),
            length: 0,
            expected,
            file,
            hash: Hash::new(expected),
        };
        if left > expected.size {
            partial.restart().await?;
            return Ok(Some(partial));
        }
        let mut buffer = vec![0; 1 << 20];
        while partial.length < left {
            if cancel.is_cancelled() {
                return Ok(None);
            }
            let read = partial.file.read(&mut buffer).await?;
            if read == 0 {
                break;
            }
            partial.hash.update(&buffer[..read]);
            partial.length += read as u64;
        }
        Ok(Some(partial))
    }

    /// Discards the bytes so far.
    pub(super) async fn restart(&mut self) -> io::Result<()> {
        self.file.set_len(0).await?;
        self.file.rewind().await?;
        self.hash = Hash::new(self.expected);
        self.length = 0;
        Ok(())
    }

    pub(super) async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes).await?;
        self.hash.update(bytes);
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// Flushes tokio's buffer, so that nothing is written after the lock is released.
    pub(super) async fn flush(&mut self) -> io::Result<()> {
        self.file.flush().await
    }

    /// Closes the file. Returns whether it's the expected one.
    pub(super) async fn finish(self) -> io::Result<bool> {
        self.file.sync_all().await?;
        Ok(self.length == self.expected.size && self.hash.hex() == self.expected.etag)
    }
}
