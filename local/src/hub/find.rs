//! Finds a repository on the Hub or in the cache.

use std::path::{Path, PathBuf};

use tokio_util::sync::CancellationToken;

use super::cache::Folder;
use super::http::{self, Http};
use super::listing::{self, Listing};
use super::repo::Repo;
use super::settings::Hub;
use crate::error::{Error, Result};

/// The result of [`Hub::find`].
#[derive(Debug)]
pub enum Found {
    /// The repository's current files on the Hub.
    Listed(Listing),
    /// The Hub couldn't be reached, but the cache has all the files that are needed.
    Cached {
        /// The snapshot directory.
        dir: PathBuf,
        /// Why the Hub couldn't be reached.
        reason: String,
    },
}

impl Hub {
    /// Returns the snapshot directory if the cache has every file of `wanted`. Makes no request.
    #[must_use]
    pub fn cached(&self, repo: &Repo, wanted: &[&str]) -> Option<PathBuf> {
        let dir = Folder::of(&self.cache, repo).current(&repo.revision)?;
        wanted
            .iter()
            .all(|path| dir.join(path).is_file())
            .then_some(dir)
    }

    /// Lists the repository's files and their sizes.
    pub async fn list(&self, repo: &Repo, cancel: &CancellationToken) -> Result<Listing> {
        self.ask(repo, self.timing.retries, cancel).await
    }

    /// Like [`list`](Self::list), but falls back to the snapshot in the cache if that is `complete` and
    /// the Hub can't be reached or denies access.
    pub async fn find(
        &self,
        repo: &Repo,
        complete: &(dyn Fn(&Path) -> bool + Sync),
        cancel: &CancellationToken,
    ) -> Result<Found> {
        let cached = self.cached(repo, &[]).filter(|dir| complete(dir));
        // Don't retry if the cache has everything: nobody should wait for a network that they don't need.
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
            return Err(http::offline(self, repo));
        }
        let http = Http::new(self, repo, cancel)?;
        let listing = listing::fetch(&http, retries).await;
        listing.map_err(|fault| http.final_error(fault))
    }
}
