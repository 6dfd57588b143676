//! All jobs of a store: the order in which they run, and what happens to them when the server stops.

mod downloads;
pub mod handle;
mod plan;
pub mod prepare;
pub mod preview;
mod recorder;
mod run;
mod submit;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread::{self, JoinHandle};

use tokio::sync::Semaphore;

use crate::base::Bases;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::store::{Job, Store};
pub use handle::JobHandle;
pub use run::Runner;

/// How many jobs may have their rows read and encoded at the same time.
const PREPARING: usize = 2;

/// Prefixes of the folders of jobs that are being created or deleted.
const STAGED: &str = ".new-";
const DELETED: &str = ".deleted-";

/// The jobs of a store, and the thread that runs them.
#[derive(Debug)]
pub struct Jobs {
    store: Store,
    base_model: Option<PathBuf>,
    strict_model: bool,
    runner: Arc<Runner>,
    /// The jobs by id. Ids sort by creation time.
    by_id: RwLock<BTreeMap<String, Arc<JobHandle>>>,
    /// Whether this server runs jobs at all.
    runs: bool,
    queue: Mutex<Option<Sender<Arc<JobHandle>>>>,
    worker: Mutex<Option<JoinHandle<()>>>,
    preparing: Arc<Semaphore>,
}

/// One page of a list of jobs.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// The jobs, the newest first.
    pub jobs: Vec<Job>,
    /// The cursor of the next page, if there is one.
    pub next: Option<String>,
}

impl Jobs {
    /// Reads the jobs of a store, and starts the thread that runs them. Unfinished jobs resume. A job
    /// whose files can't be read is skipped, and logged on stderr. Without `runs`, unfinished jobs wait
    /// for the next server.
    pub fn open(
        store: Store,
        base_model: Option<PathBuf>,
        runner: Runner,
        runs: bool,
    ) -> Result<Self> {
        let by_id = read_jobs(&store)?;
        let runner = Arc::new(runner);
        let (queue, worker) = if runs {
            let (sender, receiver) = channel();
            for handle in by_id.values().filter(|handle| !handle.is_over()) {
                // Can't fail: the receiver still exists.
                let _ = sender.send(Arc::clone(handle));
            }
            (
                Some(sender),
                Some(spawn_worker(receiver, Arc::clone(&runner))?),
            )
        } else {
            (None, None)
        };
        Ok(Self {
            store,
            base_model,
            strict_model: false,
            runner,
            by_id: RwLock::new(by_id),
            runs,
            queue: Mutex::new(queue),
            worker: Mutex::new(worker),
            preparing: Arc::new(Semaphore::new(PREPARING)),
        })
    }

    /// Whether to refuse a job if another model would stand in for its own.
    #[must_use]
    pub fn with_strict_model(self, strict_model: bool) -> Self {
        Self {
            strict_model,
            ..self
        }
    }

    /// The store of the jobs.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The engine that trains and generates.
    #[must_use]
    pub fn engine(&self) -> &Arc<dyn Engine> {
        &self.runner.engine
    }

    /// The bases that are in memory, and `--base-model`.
    #[must_use]
    pub fn bases(&self) -> (&Arc<Bases>, Option<&PathBuf>) {
        (&self.runner.bases, self.base_model.as_ref())
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

    /// The jobs of a project, or of all projects, the newest first.
    #[must_use]
    pub fn list(&self, project: Option<&str>) -> Vec<Job> {
        self.page(project, usize::MAX, None).jobs
    }

    /// At most `limit` jobs of a project, or of all projects, the newest first. If `before` is given,
    /// only those older than that job.
    #[must_use]
    pub fn page(&self, project: Option<&str>, limit: usize, before: Option<&str>) -> Page {
        let jobs = self.by_id.read().unwrap_or_else(PoisonError::into_inner);
        let older = jobs
            .iter()
            .rev()
            .filter(|(id, _)| before.is_none_or(|before| id.as_str() < before));
        let mut jobs = older
            .map(|(_, handle)| handle.job())
            .filter(|job| project.is_none_or(|project| job.project_id == project));
        let page: Vec<Job> = jobs.by_ref().take(limit).collect();
        let more = jobs.next().is_some();
        let next = page.last().filter(|_| more).map(|job| job.id.clone());
        Page { jobs: page, next }
    }

    /// Removes a job and its files. Returns `false`, and does nothing, if the job isn't over.
    pub fn delete(&self, handle: &JobHandle) -> Result<bool> {
        if !handle.is_over() {
            return Ok(false);
        }
        let id = handle.id();
        let gone = self.store.jobs_dir().join(format!("{DELETED}{id}"));
        // Rename the folder first: a job must exist with all its files, or not at all.
        fs::rename(handle.dir(), &gone)
            .map_err(|source| Error::io("can't remove", handle.dir(), source))?;
        self.by_id
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&id);
        fs::remove_dir_all(&gone).map_err(|source| Error::io("can't remove", &gone, source))?;
        Ok(true)
    }

    /// Registers a job, and queues it.
    fn add(&self, handle: Arc<JobHandle>) {
        self.by_id
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(handle.id(), Arc::clone(&handle));
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(queue) = &*queue {
            // Without a worker, the server is stopping, and the next one runs the job.
            let _ = queue.send(handle);
        }
    }

    /// Interrupts the running job. This job and the queued ones resume when the store is opened again.
    pub fn stop(&self) {
        self.runner.stopping.store(true, Ordering::Relaxed);
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
            // A panic in the worker has already been reported.
            let _ = worker.join();
        }
        self.runner.engine.shut_down();
    }
}

fn read_jobs(store: &Store) -> Result<BTreeMap<String, Arc<JobHandle>>> {
    let mut jobs = BTreeMap::new();
    let dir = store.jobs_dir();
    let entries = fs::read_dir(&dir).map_err(|source| Error::io("can't read", &dir, source))?;
    for entry in entries.flatten().filter(|entry| entry.path().is_dir()) {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with(STAGED) || name.starts_with(DELETED) {
            // Best effort: the leftovers are never read, they only take up space.
            let _ = fs::remove_dir_all(entry.path());
            continue;
        }
        match JobHandle::reopen(&entry.path()) {
            Ok(handle) => {
                jobs.insert(handle.id(), Arc::new(handle));
            }
            Err(error) => crate::log(format_args!(
                "{} is left out: {error}",
                entry.path().display()
            )),
        }
    }
    Ok(jobs)
}

/// Spawns the thread that runs the jobs, one at a time.
fn spawn_worker(queue: Receiver<Arc<JobHandle>>, runner: Arc<Runner>) -> Result<JoinHandle<()>> {
    let work = move || {
        for handle in queue {
            if runner.stopping.load(Ordering::Relaxed) {
                break;
            }
            if !handle.is_over() {
                runner.run(&handle);
            }
        }
    };
    thread::Builder::new()
        .name("training".to_owned())
        .spawn(work)
        .map_err(|source| Error::Io {
            what: "can't start the training thread".to_owned(),
            source,
        })
}
