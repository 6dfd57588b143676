//! The Hugging Face Hub: which files a model or a dataset has, and their download into Hugging Face's own
//! cache folder. Python's `huggingface_hub` finds what was downloaded here, and the other way around.
//!
//! ```text
//! <cache>/models--owner--name/refs/main                    the commit, written last
//! <cache>/models--owner--name/blobs/<etag>                 named by their hash, which is checked
//! <cache>/models--owner--name/blobs/<etag>.incomplete      resumed by the next try
//! <cache>/models--owner--name/snapshots/<commit>/<path>    symlinks to the blobs
//! <cache>/.locks/models--owner--name/<etag>.lock           held while a blob is downloaded
//! ```

mod cache;
mod download;
mod env;
mod http;
mod listing;
mod lock;
mod model;
mod partial;
mod refusals;

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::base::resolve::is_repo_name;
use crate::error::{Error, Result, refused};
pub use cache::snapshot;
use cache::{Folder, is_safe};
pub use env::cache_folder;
use http::Http;
pub use listing::{Listing, RemoteFile};
pub use model::{is_complete, model_files};

/// Where the Hub is and what's known about its user.
#[derive(Clone)]
pub struct Hub {
    /// `https://huggingface.co`, or a mirror.
    pub endpoint: String,
    /// Hugging Face's cache folder.
    pub cache: PathBuf,
    /// Sent to `endpoint` and nowhere else.
    pub token: Option<String>,
    /// Nothing may be downloaded.
    pub offline: bool,
    /// How long to wait for what.
    pub timing: Timing,
}

/// Without the token.
impl fmt::Debug for Hub {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Hub")
            .field("endpoint", &self.endpoint)
            .field("cache", &self.cache)
            .field("offline", &self.offline)
            .finish_non_exhaustive()
    }
}

/// How long to wait for what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// For a connection.
    pub connect: Duration,
    /// Without a byte.
    pub silence: Duration,
    /// Before the second try; twice as long before each further one.
    pub backoff: Duration,
    /// How many further tries there are, in a row, that bring nothing new.
    pub retries: u32,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            silence: Duration::from_secs(30),
            backoff: Duration::from_secs(1),
            retries: 5,
        }
    }
}

/// What a repository holds.
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
    kind: RepoKind,
    name: String,
    revision: String,
}

impl Repo {
    /// The repository `name` at `main`. Refuses what can't be the name of one.
    pub fn new(kind: RepoKind, name: &str) -> Result<Self> {
        Self::at(kind, name, "main")
    }

    /// The same at a branch, a tag or a commit.
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

    /// What it holds.
    #[must_use]
    pub fn kind(&self) -> RepoKind {
        self.kind
    }

    /// `owner/name`, or `name` alone.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The field of a job that names it.
    fn field(&self) -> &'static str {
        match self.kind {
            RepoKind::Model => "model",
            RepoKind::Dataset => "datasetSource.name",
        }
    }

    fn noun(&self) -> &'static str {
        match self.kind {
            RepoKind::Model => "model",
            RepoKind::Dataset => "dataset",
        }
    }
}

/// How far a download is. `done_bytes` goes back when a file has to start anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress<'a> {
    /// What's on disk of the files that were asked for.
    pub done_bytes: u64,
    /// The size of all of them.
    pub total_bytes: u64,
    /// The file that's being downloaded.
    pub file: &'a str,
}

/// What [`Hub::find`] found.
#[derive(Debug)]
pub enum Found {
    /// What the Hub has now.
    Listed(Listing),
    /// The Hub couldn't be asked, but the cache has everything that's wanted.
    Cached {
        /// The snapshot directory.
        dir: PathBuf,
        /// Why the Hub couldn't be asked.
        reason: String,
    },
}

impl Hub {
    /// The snapshot directory in the cache, if every file of `wanted` is there. Asks no server.
    #[must_use]
    pub fn cached(&self, repo: &Repo, wanted: &[&str]) -> Option<PathBuf> {
        let dir = Folder::of(&self.cache, repo).current(&repo.revision)?;
        wanted
            .iter()
            .all(|path| dir.join(path).is_file())
            .then_some(dir)
    }

    /// Which files there are, and their sizes.
    pub async fn list(&self, repo: &Repo, cancel: &CancellationToken) -> Result<Listing> {
        self.ask(repo, self.timing.retries, cancel).await
    }

    /// Like [`list`](Self::list). If the Hub can't be asked, or doesn't let this user in, it's the snapshot
    /// in the cache, provided that `complete` says that everything is there.
    pub async fn find(
        &self,
        repo: &Repo,
        complete: &(dyn Fn(&Path) -> bool + Sync),
        cancel: &CancellationToken,
    ) -> Result<Found> {
        let cached = self.cached(repo, &[]).filter(|dir| complete(dir));
        // Nobody should wait for a network that they don't need.
        let retries = match cached {
            Some(_) => 0,
            None => self.timing.retries,
        };
        match (self.ask(repo, retries, cancel).await, cached) {
            (Ok(listing), _) => Ok(Found::Listed(listing)),
            (Err(Error::Stopped), _) => Err(Error::Stopped),
            (Err(error), Some(dir)) => Ok(Found::Cached {
                dir,
                reason: error.to_string(),
            }),
            (Err(error), None) => Err(error),
        }
    }

    async fn ask(&self, repo: &Repo, retries: u32, cancel: &CancellationToken) -> Result<Listing> {
        if self.offline {
            return Err(refusals::offline(self, repo));
        }
        let http = Http::new(self, repo, cancel)?;
        let listing = listing::fetch(&http, retries).await;
        listing.map_err(|fault| http.gave_up(fault))
    }
}
