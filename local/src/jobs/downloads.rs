//! Downloads of models and datasets that a job names and that aren't on this machine. Submitting a job
//! checks on the Hub that they exist, and downloads the small files. A job that can't be trained is thus
//! refused at once. The large files are downloaded when the job runs: by then no request is waiting, and
//! the download can report its progress.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::base::resolve::HubModel;
use crate::base::{Resolved, Source};
use crate::data::hub::{HubDataset, README};
use crate::engine::{Engine, Phase, Progress, Unit};
use crate::error::{Error, Result, refused};
use crate::hub::{Found, Hub, Listing, RemoteFile, Repo, RepoKind, is_complete, model_files};
use crate::stop::Stop;

/// The retries of a request to the Hub while a client of ours waits for the response.
const RETRIES_WHILE_SOMEONE_WAITS: u32 = 1;

/// How often a download checks whether to stop.
const STOP_EVERY: Duration = Duration::from_millis(100);

const NO_CACHE: &str = "datasetSource.name: there is no home directory with a Hugging Face cache";

/// The largest total size of a dataset's files, in bytes.
const MAX_DATASET_BYTES: u64 = 256 * 1024 * 1024;

/// Whether a file is needed to check a job.
fn is_small(file: &RemoteFile) -> bool {
    let kind = Path::new(&file.path).extension();
    kind.is_none_or(|kind| kind != "safetensors")
}

/// The Hub client for a submission, whose client waits for the response.
fn hub_for_a_submission() -> Option<Hub> {
    let mut hub = Hub::from_env()?;
    hub.timing.retries = RETRIES_WHILE_SOMEONE_WAITS;
    Some(hub)
}

/// Whether the Hub may have missing files: the whole model, or the rest of one that's partly in the
/// cache.
fn is_incomplete(resolved: &Resolved) -> bool {
    match &resolved.source {
        Source::BuiltIn => resolved.stand_in.is_some(),
        Source::Gguf(_) => false,
        Source::Dir(dir) => resolved.hub.is_some() && !is_complete(dir),
    }
}

/// Looks for a model on the Hub if it isn't on this machine. If it exists there, downloads its config and
/// tokenizer, and leaves the weights to the run. The stand-in stays if the Hub can't be reached, or if
/// the engine doesn't know the architecture; its reason says so. A model that the Hub doesn't have is
/// refused, since its name must be wrong.
pub async fn find_model(resolved: Resolved, engine: &dyn Engine) -> Result<Resolved> {
    let Some(hub) = hub_for_a_submission().filter(|_| is_incomplete(&resolved)) else {
        return Ok(resolved);
    };
    if hub.offline {
        return Ok(without_hub(resolved, "and HF_HUB_OFFLINE is set"));
    }
    let repo = Repo::new(RepoKind::Model, &resolved.requested)?;
    let cancel = CancellationToken::new();
    // Dropped with this future when the client disconnects.
    let _client = cancel.clone().drop_guard();
    let listing = match hub.list(&repo, &cancel).await {
        Ok(listing) => listing,
        Err(Error::Unreachable { what, .. }) => {
            return Ok(without_hub(resolved, &format!("and {what}")));
        }
        Err(error) => return Err(error),
    };
    let config = |file: &RemoteFile| file.path == "config.json";
    let dir = download(&hub, &repo, &listing, &listing.files, config, &cancel).await?;
    match engine.check_architecture(&dir) {
        Ok(()) => {}
        Err(error) if error.is_refusal() => {
            let reason = error.to_string();
            let reason = reason.trim_start_matches("model: ").to_owned();
            return Ok(Resolved {
                source: Source::BuiltIn,
                stand_in: Some(reason),
                hub: None,
                ..resolved
            });
        }
        Err(error) => return Err(error),
    }
    let files = model_files(&repo, &listing)?;
    let dir = download(&hub, &repo, &listing, &files, is_small, &cancel).await?;
    Ok(Resolved {
        source: Source::Dir(dir),
        stand_in: None,
        hub: Some(HubModel {
            name: resolved.requested.clone(),
            missing_weights: Some(listing.commit),
        }),
        ..resolved
    })
}

/// Falls back to what's on this machine. `why` is added to the reason for the stand-in.
fn without_hub(resolved: Resolved, why: &str) -> Resolved {
    let stand_in = resolved.stand_in.map(|reason| format!("{reason}, {why}"));
    Resolved {
        stand_in,
        ..resolved
    }
}

/// Downloads those `files` that are `wanted`.
async fn download(
    hub: &Hub,
    repo: &Repo,
    listing: &Listing,
    files: &[RemoteFile],
    wanted: impl Fn(&RemoteFile) -> bool,
    cancel: &CancellationToken,
) -> Result<PathBuf> {
    let files: Vec<RemoteFile> = files.iter().filter(|file| wanted(file)).cloned().collect();
    hub.download(repo, listing, &files, &|_| {}, cancel).await
}

/// Finds the files of a dataset in the cache. `None` if some of them are only on the Hub. Refuses a
/// dataset, a subset or a split that doesn't exist. If the Hub can't be reached, the cache decides that.
pub async fn find_dataset(
    dataset: &HubDataset,
    cancel: &CancellationToken,
) -> Result<Option<Vec<PathBuf>>> {
    let Some(hub) = hub_for_a_submission() else {
        return refused(NO_CACHE);
    };
    let cached = dataset.cached(&hub.cache);
    let repo = Repo::new(RepoKind::Dataset, &dataset.name)?;
    let complete = |_: &Path| matches!(cached, Ok(Some(_)));
    let found = hub.find(&repo, &complete, cancel).await;
    let listing = match (found, cached) {
        // Part of the split may be in the cache. Only the Hub knows how many files it has.
        (Ok(Found::Listed(listing)), _) => listing,
        (Ok(Found::Cached { .. }), cached) => return cached,
        // The dataset is in the cache, but not the requested subset or split.
        (Err(error), Err(in_cache)) if error.is_refusal() => {
            return refused(format!("{error} In the cache: {in_cache}"));
        }
        (Err(error), _) => return Err(error),
    };
    let files = dataset_files(&hub, &repo, &listing, dataset, cancel).await?;
    let repo = Repo::at(RepoKind::Dataset, &dataset.name, &listing.commit)?;
    let paths: Vec<&str> = files.iter().map(|file| file.path.as_str()).collect();
    let dir = hub.cached(&repo, &paths);
    Ok(dir.map(|dir| paths.iter().map(|path| dir.join(path)).collect()))
}

/// Selects a dataset's files from a listing. Downloads the README, which may list them.
async fn dataset_files(
    hub: &Hub,
    repo: &Repo,
    listing: &Listing,
    dataset: &HubDataset,
    cancel: &CancellationToken,
) -> Result<Vec<RemoteFile>> {
    let readme = |file: &RemoteFile| file.path == README;
    let dir = download(hub, repo, listing, &listing.files, readme, cancel).await?;
    let readme = std::fs::read_to_string(dir.join(README)).ok();
    let paths = listing.files.iter().map(|file| file.path.clone());
    let wanted = dataset.files_of(readme.as_deref(), paths.collect())?;
    let mut files: Vec<RemoteFile> = Vec::with_capacity(wanted.len());
    for path in wanted {
        files.extend(listing.files.iter().find(|file| file.path == path).cloned());
    }
    if files.iter().map(|file| file.size).sum::<u64>() > MAX_DATASET_BYTES {
        return refused(format!(
            "datasetSource: the dataset is larger than {} MiB",
            MAX_DATASET_BYTES >> 20
        ));
    }
    Ok(files)
}

/// Receives the progress of a download. An error from it ends the download.
type Report<'a> = &'a mut (dyn FnMut(&Progress) -> Result<()> + Send);

/// Downloads the files of a dataset that aren't in the cache yet.
pub async fn fetch_dataset(
    dataset: &HubDataset,
    stop: &dyn Stop,
    report: Report<'_>,
) -> Result<Vec<PathBuf>> {
    let Some(hub) = Hub::from_env() else {
        return refused(NO_CACHE);
    };
    let repo = Repo::new(RepoKind::Dataset, &dataset.name)?;
    let cancel = CancellationToken::new();
    let find = async {
        let listing = hub.list(&repo, &cancel).await?;
        let files = dataset_files(&hub, &repo, &listing, dataset, &cancel).await?;
        Ok((listing, files))
    };
    let (listing, files) = until_stopped(stop, &cancel, find).await?;
    let dir = watched(&hub, &repo, &listing, &files, stop, report).await?;
    Ok(files.iter().map(|file| dir.join(&file.path)).collect())
}

/// Downloads the weights of a model.
pub async fn fetch_weights(
    model: &str,
    commit: &str,
    stop: &dyn Stop,
    report: Report<'_>,
) -> Result<PathBuf> {
    let Some(hub) = Hub::from_env() else {
        return refused("model: there is no home directory with a Hugging Face cache");
    };
    let main = Repo::new(RepoKind::Model, model)?;
    let repo = Repo::at(RepoKind::Model, model, commit)?;
    let cancel = CancellationToken::new();
    let found = hub.find(&repo, &is_complete, &cancel);
    let listing = match until_stopped(stop, &cancel, found).await? {
        Found::Listed(listing) => listing,
        // Another process has downloaded the weights.
        Found::Cached { dir, .. } => return Ok(dir),
    };
    let files = model_files(&repo, &listing)?;
    watched(&hub, &main, &listing, &files, stop, report).await
}

/// Runs a download that reports its progress and checks `stop`.
async fn watched(
    hub: &Hub,
    repo: &Repo,
    listing: &Listing,
    files: &[RemoteFile],
    stop: &dyn Stop,
    report: Report<'_>,
) -> Result<PathBuf> {
    let cancel = CancellationToken::new();
    // `report`, and its first error.
    let state = Mutex::new((report, None));
    let progress = |progress: crate::hub::Progress<'_>| {
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        let (report, failed) = &mut *state;
        let reported = report(&Progress {
            phase: Phase::Downloading,
            name: Some(repo.name().to_owned()),
            done: progress.done_bytes,
            total: progress.total_bytes,
            unit: Unit::Bytes,
        });
        if let Err(error) = reported
            && failed.is_none()
        {
            *failed = Some(error);
            cancel.cancel();
        }
    };
    let download = hub.download(repo, listing, files, &progress, &cancel);
    let dir = until_stopped(stop, &cancel, download).await;
    let (_, failed) = state.into_inner().unwrap_or_else(PoisonError::into_inner);
    failed.map_or(dir, Err)
}

/// Does some work, and cancels it if `stop` says so.
async fn until_stopped<T>(
    stop: &dyn Stop,
    cancel: &CancellationToken,
    work: impl Future<Output = Result<T>>,
) -> Result<T> {
    let watch = async {
        while !stop.stopped() {
            tokio::time::sleep(STOP_EVERY).await;
        }
        cancel.cancel();
        std::future::pending::<()>().await;
    };
    tokio::select! {
        done = work => done,
        () = watch => Err(Error::Stopped),
    }
}
