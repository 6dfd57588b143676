//! Downloads files of a repository into the cache.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use reqwest::header::CONTENT_RANGE;
use reqwest::{Response, StatusCode};
use tokio_util::sync::CancellationToken;

use super::cache::{Folder, create, create_parent, is_whole, place};
use super::http::{Fault, Http, Tries};
use super::listing::{Listing, RemoteFile};
use super::lock::lock;
use super::partial::Partial;
use super::repo::Repo;
use super::settings::Hub;
use crate::error::{Error, Result, refused};
use crate::net::chain;

/// The progress of a download. `done_bytes` decreases when a file has to start over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress<'a> {
    /// How many bytes of the requested files are on disk.
    pub done_bytes: u64,
    /// The total size of the requested files.
    pub total_bytes: u64,
    /// The file that's being downloaded.
    pub file: &'a str,
}

/// Receives how many bytes of a file are on disk.
type Report<'a> = &'a (dyn Fn(u64) + Sync);

impl Hub {
    /// Downloads those `files` of a listing that aren't in the cache yet, one after the other. Returns
    /// the snapshot directory. If the download is cancelled or fails, the next one continues with the
    /// bytes that have arrived. `progress` is called for every chunk.
    pub async fn download(
        &self,
        repo: &Repo,
        listing: &Listing,
        files: &[RemoteFile],
        progress: &(dyn Fn(Progress<'_>) + Sync),
        cancel: &CancellationToken,
    ) -> Result<PathBuf> {
        let folder = Folder::of(&self.cache, repo);
        let snapshot = folder.snapshot(&listing.commit);
        let download = Download {
            http: Http::new(self, repo, cancel)?,
            commit: &listing.commit,
            snapshot: &snapshot,
            folder: &folder,
        };
        create(&snapshot)?;
        let total_bytes = files.iter().map(|file| file.size).sum();
        let mut before = 0;
        for file in files {
            let report = |bytes| {
                progress(Progress {
                    done_bytes: before + bytes,
                    total_bytes,
                    file: &file.path,
                });
            };
            // Report the file before waiting for its lock.
            report(0);
            download.file(file, &report).await?;
            report(file.size);
            before += file.size;
        }
        folder.point(&repo.revision, &listing.commit)?;
        Ok(snapshot)
    }
}

struct Download<'a> {
    http: Http<'a>,
    commit: &'a str,
    snapshot: &'a Path,
    folder: &'a Folder,
}

impl Download<'_> {
    async fn file(&self, file: &RemoteFile, report: Report<'_>) -> Result<()> {
        let shown = self.snapshot.join(&file.path);
        if is_whole(&shown, file.size) {
            return Ok(());
        }
        let _lock = lock(&self.folder.lock(&file.etag), self.http.cancel).await?;
        // The previous holder of the lock may have downloaded it.
        if is_whole(&shown, file.size) {
            return Ok(());
        }
        let blob = self.folder.blobs().join(&file.etag);
        let new = !is_whole(&blob, file.size);
        if new {
            create_parent(&blob)?;
            self.blob(file, &blob, report).await?;
        }
        place(self.snapshot, &file.path, &blob, new)
    }

    async fn blob(&self, file: &RemoteFile, blob: &Path, report: Report<'_>) -> Result<()> {
        let cancel = self.http.cancel;
        let path = blob.with_extension("incomplete");
        let broken = |source| self.unwritable(file, &path, source);
        let opened = Partial::open(&path, file, cancel).await.map_err(broken)?;
        let mut partial = opened.ok_or(Error::Stopped)?;
        let mut tries = Tries::new(&self.http, self.http.hub.timing.retries);
        let mut most = partial.length;
        while partial.length < file.size {
            report(partial.length);
            let outcome = self.fetch_rest(file, &mut partial, report).await;
            // Flush first: only bytes that were written may count as progress.
            partial.flush().await.map_err(broken)?;
            let Err(fault) = outcome else { break };
            if partial.length > most {
                most = partial.length;
                tries.failed = 0;
            }
            let again = tries.after(fault, &self.http).await;
            again.map_err(|fault| self.http.final_error(fault))?;
        }
        if !partial.finish().await.map_err(broken)? {
            return self.damaged(file, &path);
        }
        fs::rename(&path, blob).map_err(broken)
    }

    /// Requests the rest of a file, and writes it as it arrives.
    async fn fetch_rest(
        &self,
        file: &RemoteFile,
        partial: &mut Partial<'_>,
        report: Report<'_>,
    ) -> Result<(), Fault> {
        let url = self.http.file_url(self.commit, &file.path);
        let mut answer = self.http.get(url, partial.length).await?;
        let host = answer.url().host_str().unwrap_or_default().to_owned();
        let unwritable = |path: &Path, source| self.unwritable(file, path, source);
        if partial.length > 0 && start(&answer) != Some(partial.length) {
            let restarted = partial.restart().await;
            restarted.map_err(|source| unwritable(&partial.path, source))?;
        }
        // A server that ignores the range sends the whole file. Anything else isn't part of this file.
        if partial.length == 0 && answer.status() != StatusCode::OK {
            let what = format!(
                "{host} sent another part of {} than was asked for",
                file.path
            );
            return Err(Fault::passing(what));
        }
        loop {
            let chunk = self.http.cancel.run_until_cancelled(answer.chunk()).await;
            let chunk = chunk.ok_or(Error::Stopped)?.map_err(|error| {
                let why = chain(&error.without_url());
                Fault::passing(format!("{host} broke off {} ({why})", file.path))
            })?;
            let Some(chunk) = chunk else { break };
            if partial.length + chunk.len() as u64 > file.size {
                return Ok(self.damaged(file, &partial.path)?);
            }
            let written = partial.write(&chunk).await;
            written.map_err(|source| unwritable(&partial.path, source))?;
            report(partial.length);
        }
        if partial.length < file.size {
            let what = format!("{host} sent only a part of {}", file.path);
            return Err(Fault::passing(what));
        }
        Ok(())
    }

    fn damaged(&self, file: &RemoteFile, path: &Path) -> Result<()> {
        fs::remove_file(path).map_err(|source| Error::io("can't remove", path, source))?;
        let repo = self.http.repo;
        refused(format!(
            "{}: {} of {} arrived damaged: its length or its hash isn't the one that {} names. It was \
             removed. Try again.",
            repo.field(),
            file.path,
            repo.name,
            self.http.host()
        ))
    }

    fn unwritable(&self, file: &RemoteFile, path: &Path, source: io::Error) -> Error {
        if !matches!(
            source.kind(),
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded
        ) {
            return Error::io("can't write", path, source);
        }
        let repo = self.http.repo;
        Error::Io {
            what: format!(
                "{}: the disk is full: {} of {} has {} bytes. What has come of it is kept in {} for the next \
                 try",
                repo.field(),
                file.path,
                repo.name,
                file.size,
                path.display()
            ),
            source,
        }
    }
}

/// The byte at which a partial response begins.
fn start(answer: &Response) -> Option<u64> {
    let partial = answer.status() == StatusCode::PARTIAL_CONTENT;
    let range = answer.headers().get(CONTENT_RANGE).filter(|_| partial)?;
    let (start, _) = range
        .to_str()
        .ok()?
        .strip_prefix("bytes ")?
        .split_once('-')?;
    start.parse().ok()
}
