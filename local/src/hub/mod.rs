//! A client for the Hugging Face Hub: lists the files of models and datasets, and downloads them into
//! Hugging Face's own cache folder. Python's `huggingface_hub` finds files that were downloaded here, and
//! vice versa.
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
mod find;
mod http;
mod listing;
mod lock;
mod model;
mod partial;
mod path;
mod repo;
mod settings;

pub use cache::snapshot;
pub use download::Progress;
pub use env::cache_folder;
pub use find::Found;
pub use listing::{Listing, RemoteFile};
pub use model::{is_complete, model_files};
pub use repo::{Repo, RepoKind, is_repo_name};
pub use settings::{Hub, Timing};
