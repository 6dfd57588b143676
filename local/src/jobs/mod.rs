//! All jobs of a store: in which order they run, and what a stop does to each of them.

pub mod config;
pub mod handle;
pub mod prepare;
pub mod worker;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::base::{Bases, Resolved, resolve};
use crate::data::fetch::fetch;
use crate::error::{Error, Result, refused};
use crate::store::{Job, Status, Store};
use crate::{time, train};
use config::RunConfig;
pub use handle::JobHandle;
use prepare::{PreparedJob, prepare};
use worker::Run;

/// Jobs whose rows are read and encoded at the same time. The others wait.
const PREPARING: usize = 2;

/// How long it may take. The SDK gives a submission up after 60 s, and should get the reason.
const PREPARING_LIMIT: Duration = Duration::from_secs(55);

const STOPPING: &str = "the local backend is stopping: start it again";

/// The jobs of a store, and the thread that runs them.
#[derive(Debug)]
pub struct Jobs {
    store: Store,
    base_model: Option<PathBuf>,
    bases: Arc<Bases>,
    /// Ids sort by the time of their making.
    by_id: RwLock<BTreeMap<String, Arc<JobHandle>>>,
    queue: Mutex<Option<Sender<Run>>>,
    stopping: Arc<AtomicBool>,
    worker: Mutex<Option<JoinHandle<()>>>,
    preparing: Arc<Semaphore>,
    /// For the encoded rows of all jobs that are not over.
    room: Arc<Semaphore>,
}

impl Jobs {
    /// Reads the jobs of a store and starts the thread that runs new ones. A job whose files can't
    /// be read is left out, and said so on stderr.
    pub fn open(store: Store, base_model: Option<PathBuf>) -> Result<Self> {
        let mut jobs = BTreeMap::new();
        let dir = store.jobs_dir();
        let entries = fs::read_dir(&dir).map_err(|source| Error::io("can't read", &dir, source))?;
        for entry in entries.flatten().filter(|entry| entry.path().is_dir()) {
            match JobHandle::reopen(&entry.path()) {
                Ok(handle) => {
                    jobs.insert(handle.job().id, Arc::new(handle));
                }
                Err(error) => {
                    crate::log(format_args!(
                        "{} is left out: {error}",
                        entry.path().display()
                    ));
                }
            }
        }
        let (sender, receiver) = channel();
        let bases = Arc::new(Bases::default());
        let stopping = Arc::new(AtomicBool::new(false));
        let worker = spawn_worker(receiver, Arc::clone(&bases), Arc::clone(&stopping))?;
        Ok(Self {
            store,
            base_model,
            bases,
            by_id: RwLock::new(jobs),
            queue: Mutex::new(Some(sender)),
            stopping,
            worker: Mutex::new(Some(worker)),
            preparing: Arc::new(Semaphore::new(PREPARING)),
            room: Arc::new(Semaphore::new(prepare::ROOM_KIB)),
        })
    }

    /// The store that they are in.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The bases that are in memory, and `--base-model`.
    #[must_use]
    pub fn bases(&self) -> (&Arc<Bases>, Option<&PathBuf>) {
        (&self.bases, self.base_model.as_ref())
    }

    /// A job by its id.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<Arc<JobHandle>> {
        self.by_id
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(id)
            .cloned()
    }

    /// The jobs of a project, or all, the newest first.
    #[must_use]
    pub fn list(&self, project: Option<&str>) -> Vec<Job> {
        let jobs = self.by_id.read().unwrap_or_else(PoisonError::into_inner);
        jobs.values()
            .rev()
            .map(|handle| handle.job())
            .filter(|job| project.is_none_or(|project| job.project_id == project))
            .collect()
    }

    /// Checks a config and its rows, and queues the job. Refuses what can't be done.
    pub async fn submit(&self, project: &str, name: &str, config: &Value) -> Result<Job> {
        let parsed = RunConfig::from_json(config)?;
        let base = resolve::resolve(&parsed.model, self.base_model.as_deref())?;
        let prepared = self.prepare(&parsed, &base).await?;
        let job = Job {
            id: new_id()?,
            org_id: "local".to_owned(),
            project_id: project.to_owned(),
            name: name.to_owned(),
            status: Status::Queued,
            config: without_token(config),
            error: None,
            created_at: time::now(),
            started_at: None,
            completed_at: None,
        };
        let handle = Arc::new(JobHandle::create(&self.store.jobs_dir(), job)?);
        let job = handle.job();
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(queue) = queue.as_ref() else {
            handle.fail("the local backend is stopping", None)?;
            return refused(STOPPING);
        };
        let run = Run {
            handle: Arc::clone(&handle),
            config: parsed,
            base,
            prepared,
        };
        self.by_id
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(job.id.clone(), handle);
        queue.send(run).map_err(|_| Error::Stopped)?;
        crate::log(format_args!("job {} is queued", job.id));
        Ok(job)
    }

    /// Reads and encodes the rows of a job. Ends early when its caller is gone, or the server stops.
    async fn prepare(&self, config: &RunConfig, base: &Resolved) -> Result<PreparedJob> {
        let turn = Arc::clone(&self.preparing)
            .acquire_owned()
            .await
            .map_err(|_| Error::Stopped)?;
        let work = self.prepare_now(config, base, turn);
        match tokio::time::timeout(PREPARING_LIMIT, work).await {
            Ok(prepared) => prepared,
            Err(_) => refused(format!(
                "datasetSource: reading and encoding the rows takes more than {PREPARING_LIMIT:?}. Use fewer rows."
            )),
        }
    }

    async fn prepare_now(
        &self,
        config: &RunConfig,
        base: &Resolved,
        turn: OwnedSemaphorePermit,
    ) -> Result<PreparedJob> {
        let files = fetch(&config.dataset()?).await?;
        // Dropped with this future, which is how `stop` sees that the caller is gone.
        let caller = Arc::new(());
        let (watched, stopping) = (Arc::downgrade(&caller), Arc::clone(&self.stopping));
        let (bases, room) = (Arc::clone(&self.bases), Arc::clone(&self.room));
        let (config, source) = (config.clone(), base.source.clone());
        let work = move || {
            let _turn = turn;
            let stop = || watched.strong_count() == 0 || stopping.load(Ordering::Relaxed);
            let base = bases.get(&source)?;
            train::with_all_cores(|| prepare(&config, &base, files, &room, &stop))
        };
        match tokio::task::spawn_blocking(work).await {
            Ok(Err(Error::Stopped)) => refused(STOPPING),
            Ok(prepared) => prepared,
            Err(_) => Err(Error::Io {
                what: "the local backend has a bug".to_owned(),
                source: io::Error::other("reading the rows panicked, see its log"),
            }),
        }
    }

    /// Ends the running job as failed, and the queued ones too; waits until that is stored.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
        self.queue
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let worker = self
            .worker
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(worker) = worker {
            // A panic in it has been reported by itself.
            let _ = worker.join();
        }
    }
}

/// One thread for all runs: one at a time, on all cores.
fn spawn_worker(
    queue: Receiver<Run>,
    bases: Arc<Bases>,
    stopping: Arc<AtomicBool>,
) -> Result<JoinHandle<()>> {
    let work = move || {
        train::with_all_cores(|| {
            for run in queue {
                run.run(&bases, &stopping);
            }
        });
    };
    thread::Builder::new()
        .name("training".to_owned())
        .spawn(work)
        .map_err(|source| Error::Io {
            what: "can't start the training thread".to_owned(),
            source,
        })
}

/// `job_`, the time in milliseconds, and random letters.
fn new_id() -> Result<String> {
    Ok(format!(
        "job_{:012x}{}",
        time::unix_millis(),
        &crate::random_hex()?[..8]
    ))
}

/// What is secret about a dataset is used once and never stored: its token, and a web address's user
/// and query, which may be a password and a signature.
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
            // Both fail only for addresses that can't have a user.
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
