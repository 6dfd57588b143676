//! A Hub, a cache, and the files for the tests.

use std::path::{Path, PathBuf};
use std::time::Duration;

use arkor_local::error::{Error, Result};
use arkor_local::hub::{Hub, Listing, Repo, RepoKind, Timing};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

pub use super::hub_server::{Fate, HubServer, etag};

/// The weights: large enough to be cut off, and small enough to fit into a socket's buffer.
pub const WEIGHTS: &str = "model.safetensors";

pub fn weights() -> Vec<u8> {
    (0..20_000_u32).map(|byte| (byte % 251) as u8).collect()
}

/// A pause that would outlast any test.
pub const FOREVER: Duration = Duration::from_secs(24 * 60 * 60);

/// A Hub with the model `acme/small`, and an empty cache.
pub struct World {
    pub server: HubServer,
    pub hub: Hub,
    pub repo: Repo,
    pub cancel: CancellationToken,
    pub commit: String,
    cache: TempDir,
}

impl World {
    pub fn new() -> Self {
        // An error means that another test has already installed it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let server = HubServer::start();
        let commit = server.add(
            "models/acme/small",
            &[
                ("config.json", b"{}", false),
                ("tokenizer.json", b"{\"a\":1}", false),
                ("tokenizer_config.json", b"{\"b\":2}", false),
                ("additional_chat_templates/rag.jinja", b"{{ x }}", false),
                (WEIGHTS, &weights(), true),
                ("README.md", b"", false),
            ],
        );
        let cache = tempfile::tempdir().unwrap();
        let hub = Hub {
            endpoint: server.url.clone(),
            cache: cache.path().to_owned(),
            token: None,
            offline: false,
            timing: Timing {
                // Retries needn't pause, because this server responds at once, and no response takes
                // longer than this timeout.
                backoff: Duration::ZERO,
                silence: Duration::from_secs(300),
                ..Timing::default()
            },
        };
        Self {
            server,
            hub,
            repo: Repo::new(RepoKind::Model, "acme/small").unwrap(),
            cancel: CancellationToken::new(),
            commit,
            cache,
        }
    }

    /// The folder of the repository in the cache.
    pub fn folder(&self) -> PathBuf {
        self.cache.path().join("models--acme--small")
    }

    pub fn blob(&self) -> PathBuf {
        self.folder().join("blobs").join(etag(&weights(), true))
    }

    pub fn incomplete(&self) -> PathBuf {
        self.blob().with_extension("incomplete")
    }

    /// Leaves a part of the weights in the cache, like an interrupted download.
    pub fn leave(&self, part: &[u8]) {
        std::fs::create_dir_all(self.folder().join("blobs")).unwrap();
        std::fs::write(self.incomplete(), part).unwrap();
    }

    pub async fn list(&self) -> Result<Listing> {
        self.hub.list(&self.repo, &self.cancel).await
    }

    /// Downloads the files with these names, or all files without names.
    pub async fn download(&self, names: &[&str]) -> Result<PathBuf> {
        let listing = self.list().await?;
        self.hub
            .download(
                &self.repo,
                &listing,
                &pick(&listing, names),
                &|_| {},
                &self.cancel,
            )
            .await
    }

    /// The refusal of a download of the weights.
    pub async fn refused(&self) -> String {
        refusal(self.download(&[WEIGHTS]).await.unwrap_err())
    }
}

/// The files of a listing with these names, or all files without names.
pub fn pick(listing: &Listing, names: &[&str]) -> Vec<arkor_local::hub::RemoteFile> {
    let mut files = listing.files.clone();
    files.retain(|file| names.is_empty() || names.contains(&file.path.as_str()));
    files
}

/// The text of a refusal. Checks that it names the field and contains no secret.
#[allow(
    clippy::needless_pass_by_value,
    reason = "it's called on `unwrap_err()`"
)]
pub fn refusal(error: Error) -> String {
    assert!(error.is_refusal(), "{error:?}");
    let text = error.to_string();
    assert!(
        text.starts_with("model: ") || text.starts_with("datasetSource.name: "),
        "{text}"
    );
    assert!(
        !text.contains("hf_secret") && !text.contains("SECRET"),
        "{text}"
    );
    text
}

/// Whether a snapshot contains the right weights.
pub fn has_weights(snapshot: &Path) -> bool {
    std::fs::read(snapshot.join(WEIGHTS)).is_ok_and(|bytes| bytes == weights())
}
