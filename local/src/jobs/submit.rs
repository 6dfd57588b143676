//! The submission of a job. Checks its config and its rows, and puts everything that the job needs into
//! its folder. Only then is the job queued.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::downloads::{find_dataset, find_model};
use super::handle::JobHandle;
use super::prepare::{DATASET, Rows, prepare};
use super::{Jobs, STAGED};
use crate::base::{Base, Resolved, resolve};
use crate::data::DatasetSource;
use crate::data::fetch::{DataFile, fetch, measured};
use crate::error::{Error, Result, refused};
use crate::run_config::RunConfig;
use crate::stop::Stop;
use crate::store::{Attempts, Job, ResumedFrom, RunRecord, Status};
use crate::time;

/// How long reading and encoding the rows may take. The SDK gives up after 60 s, and should get the
/// reason before that.
const PREPARING_LIMIT: Duration = Duration::from_secs(55);

const RUNS_NOTHING: &str = "this local backend runs no jobs: it was started with --no-runs, for a command \
                            that only asks. Submit again when that command has ended";
const STOPPING: &str = "the local backend is stopping: start it again";

impl Jobs {
    /// Checks a config and its rows, and queues the job. Refuses one that can't be run.
    pub async fn submit(&self, project: &str, name: &str, config: &Value) -> Result<Job> {
        self.check_runs()?;
        let (parsed, base) = self.check(config).await?;
        self.check_stand_in(&base)?;
        let staged = Staged::new(&self.store.jobs_dir())?;
        let prepared = match self.files(&parsed).await? {
            Some(files) => {
                let folder = staged.path.clone();
                let work = move |base: &Base, stop: &dyn Stop| {
                    let rows = Rows::Files(files);
                    prepare(&parsed, base, rows, &folder, stop, &mut |_| Ok(()), None)
                };
                Some(self.read_rows(&base, work).await?)
            }
            None => None,
        };
        let run = RunRecord {
            base,
            prepared,
            resumed_from: None,
            attempts: Attempts::default(),
            failures: 0,
        };
        self.queue(project, name, without_token(config), run, &staged)
    }

    fn check_runs(&self) -> Result<()> {
        if self.runs {
            return Ok(());
        }
        refused(RUNS_NOTHING)
    }

    /// Checks a config, and finds its model.
    pub(super) async fn check(&self, config: &Value) -> Result<(RunConfig, Resolved)> {
        let engine = &self.runner.engine;
        let parsed = RunConfig::from_json(config)?;
        let base = resolve::resolve(&parsed.model, self.base_model.as_deref())?;
        let base = find_model(base, engine.as_ref()).await?;
        engine.check_config(&base.source, &parsed)?;
        if !base.lacks_weights() {
            engine.check_model(&base.source, parsed.load_in_4bit)?;
        }
        Ok((parsed, base))
    }

    fn check_stand_in(&self, base: &Resolved) -> Result<()> {
        if self.strict_model {
            base.refuse_stand_in()?;
        }
        Ok(())
    }

    /// Takes a job that failed or was cancelled, and queues a new one that resumes from its last
    /// checkpoint.
    pub fn resume(&self, handle: &JobHandle) -> Result<Job> {
        self.check_runs()?;
        let job = handle.job();
        let (Some(run), Some(step)) = (&job.run, handle.checkpoints().last().copied()) else {
            return refused(format!(
                "the job {} has no checkpoint to go on from. Start it again.",
                job.id
            ));
        };
        self.check_stand_in(&run.base)?;
        let staged = Staged::new(&self.store.jobs_dir())?;
        link_folder(&handle.checkpoint_dir(step), &staged.path.join("resume"))?;
        if run.prepared.is_some() {
            link(&handle.dir().join(DATASET), &staged.path.join(DATASET))?;
        }
        let run = RunRecord {
            resumed_from: Some(ResumedFrom {
                job_id: job.id.clone(),
                step,
            }),
            attempts: Attempts::default(),
            failures: 0,
            ..run.clone()
        };
        self.queue(&job.project_id, &job.name, job.config.clone(), run, &staged)
    }

    fn queue(
        &self,
        project: &str,
        name: &str,
        config: Value,
        run: RunRecord,
        staged: &Staged,
    ) -> Result<Job> {
        if self.runner.stopping.load(Ordering::Relaxed) {
            return refused(STOPPING);
        }
        let job = Job {
            id: new_id()?,
            org_id: "local".to_owned(),
            project_id: project.to_owned(),
            name: name.to_owned(),
            status: Status::Queued,
            config,
            run: Some(run),
            error: None,
            created_at: time::now(),
            started_at: None,
            completed_at: None,
        };
        let handle = JobHandle::create(&self.store.jobs_dir(), &staged.path, job)?;
        let job = handle.job();
        crate::log(format_args!("job {} is queued", job.id));
        self.add(Arc::new(handle));
        Ok(job)
    }

    /// The files of the dataset. `None` if some are only on the Hub: the run downloads them.
    pub(super) async fn files(&self, config: &RunConfig) -> Result<Option<Vec<DataFile>>> {
        let dataset = match config.dataset()? {
            DatasetSource::Blob(blob) => return fetch(&blob).await.map(Some),
            DatasetSource::Hub(dataset) => dataset,
        };
        let cancel = CancellationToken::new();
        let _client = cancel.clone().drop_guard();
        let paths = find_dataset(&dataset, &cancel).await?;
        paths.map(measured).transpose()
    }

    /// Runs work that reads and encodes rows. It ends early if its caller is gone, or the server is
    /// stopping.
    pub(super) async fn read_rows<T: Send + 'static>(
        &self,
        base: &Resolved,
        read: impl FnOnce(&Base, &dyn Stop) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let turn = Arc::clone(&self.preparing)
            .acquire_owned()
            .await
            .map_err(|_| Error::Stopped)?;
        let work = async {
            // Dropped with this future, which tells `stop` that the caller is gone.
            let caller = Arc::new(());
            let watched = Arc::downgrade(&caller);
            let stopping = Arc::clone(&self.runner.stopping);
            let bases = Arc::clone(&self.runner.bases);
            let source = base.source.clone();
            let work = move || {
                let _turn = turn;
                let stop = || watched.strong_count() == 0 || stopping.load(Ordering::Relaxed);
                read(&*bases.get(&source)?, &stop)
            };
            match tokio::task::spawn_blocking(work).await {
                Ok(Err(Error::Stopped)) => refused(STOPPING),
                Ok(done) => done,
                Err(_) => Err(Error::Io {
                    what: "the local backend has a bug".to_owned(),
                    source: io::Error::other("reading the rows panicked, see its log"),
                }),
            }
        };
        match tokio::time::timeout(PREPARING_LIMIT, work).await {
            Ok(done) => done,
            Err(_) => refused(format!(
                "datasetSource: reading and encoding the rows takes more than {PREPARING_LIMIT:?}. Use fewer rows."
            )),
        }
    }
}

/// A folder that either becomes a job's folder or is removed.
pub(super) struct Staged {
    pub path: PathBuf,
}

impl Staged {
    pub fn new(jobs: &Path) -> Result<Self> {
        let path = jobs.join(format!("{STAGED}{}", crate::random_hex()?));
        fs::create_dir_all(&path).map_err(|source| Error::io("can't create", &path, source))?;
        Ok(Self { path })
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        // If the folder became a job's, it's no longer here.
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// Hard-links a file into another job's folder. Files there never change, so that jobs can share them.
fn link(from: &Path, to: &Path) -> Result<()> {
    fs::hard_link(from, to)
        .or_else(|_| fs::copy(from, to).map(drop))
        .map_err(|source| Error::io("can't copy", from, source))
}

fn link_folder(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to).map_err(|source| Error::io("can't create", to, source))?;
    let entries = fs::read_dir(from).map_err(|source| Error::io("can't read", from, source))?;
    for entry in entries.flatten().filter(|entry| entry.path().is_file()) {
        link(&entry.path(), &to.join(entry.file_name()))?;
    }
    Ok(())
}

/// Creates an id: `job_`, the time in milliseconds, and random letters.
fn new_id() -> Result<String> {
    Ok(format!(
        "job_{:012x}{}",
        time::unix_millis(),
        &crate::random_hex()?[..8]
    ))
}

/// Removes a dataset's secrets, which are used once and never stored: its token, and the user and query
/// of its URL, which may contain a password and a signature.
fn without_token(config: &Value) -> Value {
    let mut config = config.clone();
    if let Some(source) = config
        .get_mut("datasetSource")
        .and_then(Value::as_object_mut)
    {
        source.remove("token");
        if let Some(url) = source.get_mut("url")
            && let Some(mut parsed) = url.as_str().and_then(|text| reqwest::Url::parse(text).ok())
            && parsed.scheme().starts_with("http")
        {
            // Both only fail for URLs that can't have a user.
            let _ = parsed.set_username("");
            let _ = parsed.set_password(None);
            parsed.set_query(None);
            *url = parsed.as_str().into();
        }
    }
    config
}

#[cfg(test)]
mod secret_tests {
    use serde_json::json;

    #[test]
    fn nothing_secret_of_a_dataset_is_stored() {
        let url = "http://user:hunter2@127.0.0.1:9/a.jsonl?sig=SECRET";
        let source = json!({ "type": "blob", "url": url, "token": "t" });
        let stored = super::without_token(&json!({ "model": "m", "datasetSource": source }));
        let expected = json!({ "type": "blob", "url": "http://127.0.0.1:9/a.jsonl" });
        assert_eq!(stored, json!({ "model": "m", "datasetSource": expected }));
        let file = json!({ "datasetSource": { "type": "blob", "url": "file:///a b.jsonl?x" } });
        assert_eq!(super::without_token(&file), file);
    }
}
