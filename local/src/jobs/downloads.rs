//! Models and datasets that a job names and that aren't on this machine. When a job is submitted, the Hub is
//! asked whether they exist, and the small files are downloaded: what can't be trained is refused at once.
//! The large files come when the job runs, where progress is seen and nobody waits for an answer.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::base::resolve::HubModel;
use crate::base::{Resolved, Source};
use crate::data::hub::{HubDataset, README};
use crate::engine::{Engine, Phase, Progress, Unit};
use crate::error::{Error, Result, refused};
use crate::hub::{Hub, Listing, RemoteFile, Repo, RepoKind, model_files};
use crate::stop::Stop;

/// A client waits for the answer: one more try, and no more.
const RETRIES_WHILE_SOMEONE_WAITS: u32 = 1;

/// How often a download is asked whether to stop.
const STOP_EVERY: Duration = Duration::from_millis(100);

/// The files of a dataset may have this many bytes.
const MAX_DATASET_BYTES: u64 = 256 * 1024 * 1024;

/// Whether a file is needed to check a job.
fn is_small(file: &RemoteFile) -> bool {
    let kind = Path::new(&file.path).extension();
    kind.is_none_or(|kind| kind != "safetensors")
}

/// The Hub, for somebody who waits for an answer.
fn patient_enough() -> Option<Hub> {
    let mut hub = Hub::from_env()?;
    hub.timing.retries = RETRIES_WHILE_SOMEONE_WAITS;
    Some(hub)
}

/// Looks on the Hub for a model that isn't on this machine. If it's there, its config and tokenizer are
/// downloaded, and its weights are left to the run. The stand-in stays if the Hub can't be reached, or if
/// the engine doesn't know the architecture; its reason says so. A model that the Hub doesn't have is
/// refused: its name is wrong.
pub async fn find_model(resolved: Resolved, engine: &dyn Engine) -> Result<Resolved> {
    let (Some(reason), Some(hub)) = (&resolved.stand_in, patient_enough()) else {
        return Ok(resolved);
    };
    if hub.offline {
        let reason = format!("{reason}, and HF_HUB_OFFLINE is set");
        return Ok(stood_in(resolved, reason));
    }
    let repo = Repo::new(RepoKind::Model, &resolved.requested)?;
    let cancel = CancellationToken::new();
    // Dropped with this future when the client goes.
    let _client = cancel.clone().drop_guard();
    let listing = match hub.list(&repo, &cancel).await {
        Ok(listing) => listing,
        Err(Error::Unreachable(why)) => {
            let why = why.trim_start_matches("model: ");
            return Ok(stood_in(resolved, format!("it {why}")));
        }
        Err(error) => return Err(error),
    };
    let config = |file: &RemoteFile| file.path == "config.json";
    let dir = download(&hub, &repo, &listing, &listing.files, config, &cancel).await?;
    if let Err(error) = engine.check_architecture(&dir) {
        let reason = error.to_string();
        return Ok(stood_in(
            resolved,
            reason.trim_start_matches("model: ").to_owned(),
        ));
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

fn stood_in(resolved: Resolved, reason: String) -> Resolved {
    Resolved {
        stand_in: Some(reason),
        ..resolved
    }
}

/// Downloads some of `files`.
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

/// Where the files of a dataset are.
pub enum DatasetFiles {
    /// On this machine.
    Here(Vec<PathBuf>),
    /// On the Hub.
    Remote(Box<RemoteDataset>),
}

/// The files of a dataset on the Hub.
pub struct RemoteDataset {
    hub: Hub,
    repo: Repo,
    listing: Listing,
    files: Vec<RemoteFile>,
}

/// Finds the files of a dataset, in the cache or on the Hub. Refuses a dataset, a subset or a split that
/// isn't there.
pub async fn find_dataset(
    dataset: &HubDataset,
    cancel: &CancellationToken,
) -> Result<DatasetFiles> {
    let Some(hub) = patient_enough() else {
        return refused("datasetSource.name: there is no home directory with a Hugging Face cache");
    };
    let cached = dataset.cached(&hub.cache);
    if let Ok(Some(files)) = cached {
        return Ok(DatasetFiles::Here(files));
    }
    let repo = Repo::new(RepoKind::Dataset, &dataset.name)?;
    let listing = match (hub.list(&repo, cancel).await, cached) {
        (Ok(listing), _) => listing,
        // The cache has it, but not what's asked for, and can't be compared with the Hub.
        (Err(_), Err(error)) | (Err(error), Ok(_)) => return Err(error),
    };
    let readme = |file: &RemoteFile| file.path == README;
    let dir = download(&hub, &repo, &listing, &listing.files, readme, cancel).await?;
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
    Ok(DatasetFiles::Remote(Box::new(RemoteDataset {
        hub,
        repo,
        listing,
        files,
    })))
}

/// Gets how far a download is. An error from it ends the download.
type Report<'a> = &'a mut (dyn FnMut(&Progress) -> Result<()> + Send);

impl RemoteDataset {
    /// Downloads the files.
    pub async fn fetch(mut self, stop: &dyn Stop, report: Report<'_>) -> Result<Vec<PathBuf>> {
        self.hub.timing = crate::hub::Timing::default();
        let (hub, repo, files) = (&self.hub, &self.repo, &self.files);
        let dir = watched(hub, repo, &self.listing, files, stop, report).await?;
        Ok(files.iter().map(|file| dir.join(&file.path)).collect())
    }
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
    let listing = until_stopped(stop, &cancel, hub.list(&repo, &cancel)).await?;
    let files = model_files(&repo, &listing)?;
    watched(&hub, &main, &listing, &files, stop, report).await
}

/// A download that is reported, and asked whether to stop.
async fn watched(
    hub: &Hub,
    repo: &Repo,
    listing: &Listing,
    files: &[RemoteFile],
    stop: &dyn Stop,
    report: Report<'_>,
) -> Result<PathBuf> {
    let cancel = CancellationToken::new();
    // The first error of `report`.
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

/// Cancels some work when it's time to stop.
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
