//! All jobs of a store: in which order they run, and what a stop does to each of them.

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

/// Jobs whose rows are read and encoded at the same time. The others wait.
const PREPARING: usize = 2;

/// How the name of a folder begins that isn't a job's yet, or no more.
const STAGED: &str = ".new-";
const DELETED: &str = ".deleted-";

/// The jobs of a store, and the thread that runs them.
#[derive(Debug)]
pub struct Jobs {
    store: Store,
    base_model: Option<PathBuf>,
    strict_model: bool,
    runner: Arc<Runner>,
    /// Ids sort by the time of their making.
    by_id: RwLock<BTreeMap<String, Arc<JobHandle>>>,
    /// Whether this server runs jobs at all.
    runs: bool,
    queue: Mutex<Option<Sender<Arc<JobHandle>>>>,
    worker: Mutex<Option<JoinHandle<()>>>,
    preparing: Arc<Semaphore>,
}

/// A part of a list of jobs.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// The jobs, the newest first.
    pub jobs: Vec<Job>,
    /// Where the next part begins, when there is one.
    pub next: Option<String>,
}

impl Jobs {
    /// Reads the jobs of a store, and starts the thread that runs them: unfinished ones resume. A job whose
    /// files can't be read is left out, with a line on stderr. Without `runs`, nothing runs: such
    /// jobs wait for the next server.
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
                // The other end is right here.
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

    /// Whether a job is refused whose model another one would stand in for.
    #[must_use]
    pub fn with_strict_model(self, strict_model: bool) -> Self {
        Self {
            strict_model,
            ..self
        }
    }

    /// The store that they are in.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// What trains and generates.
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

    /// The jobs of a project, or all, the newest first.
    #[must_use]
    pub fn list(&self, project: Option<&str>) -> Vec<Job> {
        self.page(project, usize::MAX, None).jobs
    }

    /// At most `limit` jobs of a project, or of all, the newest first. They are older than the job `before`.
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

    /// Removes a job that is over, with its files. Answers `false`, and does nothing, when it isn't over.
    pub fn delete(&self, handle: &JobHandle) -> Result<bool> {
        if !handle.is_over() {
            return Ok(false);
        }
        let id = handle.id();
        let gone = self.store.jobs_dir().join(format!("{DELETED}{id}"));
        // Rename first: a job exists with all its files, or not at all.
        fs::rename(handle.dir(), &gone)
            .map_err(|source| Error::io("can't remove", handle.dir(), source))?;
        self.by_id
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&id);
        fs::remove_dir_all(&gone).map_err(|source| Error::io("can't remove", &gone, source))?;
        Ok(true)
    }

    /// Makes a job known, and queues it.
    fn add(&self, handle: Arc<JobHandle>) {
        self.by_id
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(handle.id(), Arc::clone(&handle));
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(queue) = &*queue {
            // Without a worker the server is stopping, and the next one runs it.
            let _ = queue.send(handle);
        }
    }

    /// Interrupts the running job. It resumes when the store is opened again, and so do the queued ones.
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
            // A panic in it has been reported by itself.
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
            // Best effort: what is left is never read, it only takes room.
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

/// One thread for all runs: one at a time.
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
