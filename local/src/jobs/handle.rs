//! A job of a running server. The job's record and its events must agree at all times, even if the server
//! dies.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};

use super::prepare::TOKENS;
use crate::atomic::sync_folder;
use crate::base::Resolved;
use crate::error::{Error, Result};
use crate::store::{self, Attempts, EventLog, Job, PreparedRun, RunRecord, Status};
use crate::time;

const EVENTS: &str = "events.jsonl";

/// A job, its directory and its events.
#[derive(Debug)]
pub struct JobHandle {
    dir: PathBuf,
    job: Mutex<Job>,
    /// The events, which the event streams read.
    pub log: EventLog,
}

impl JobHandle {
    /// Adds the record to a job's staged folder, and moves that folder to its final place.
    pub fn create(jobs: &Path, folder: &Path, job: Job) -> Result<Self> {
        job.save(folder)?;
        let dir = jobs.join(&job.id);
        fs::rename(folder, &dir).map_err(|source| Error::io("can't create", &dir, source))?;
        sync_folder(jobs);
        let log = EventLog::open(&dir.join(EVENTS))?;
        Ok(Self {
            dir,
            job: Mutex::new(job),
            log,
        })
    }

    /// Opens a job from an earlier run of the server. An unfinished job will resume.
    pub fn reopen(dir: &Path) -> Result<Self> {
        let job = Job::load(dir)?;
        // Half-written files of a killed server. They were never part of the job.
        for name in ["job.tmp", "dataset.tmp", "tokens.tmp"] {
            let _ = fs::remove_file(dir.join(name));
        }
        let events = dir.join(EVENTS);
        let log = if job.status.is_final() {
            // If the disk was full, the log may lack the failure. Event streams must still get it.
            let failure = json!({ "error": job.error.as_deref().unwrap_or_default() });
            let is_failed = job.status == Status::Failed;
            let last = is_failed.then(|| event_of(&job, "training.failed", &failure));
            EventLog::over(&events, last)
        } else {
            EventLog::open(&events)?
        };
        let handle = Self {
            dir: dir.to_owned(),
            job: Mutex::new(job),
            log,
        };
        handle.recover()?;
        Ok(handle)
    }

    /// The job's id.
    #[must_use]
    pub fn id(&self) -> String {
        self.lock().id.clone()
    }

    /// The job's folder.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The job's record.
    #[must_use]
    pub fn job(&self) -> Job {
        self.lock().clone()
    }

    /// Whether the job has ended for good.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.lock().status.is_final()
    }

    /// Whether the training has begun.
    #[must_use]
    pub fn has_started(&self) -> bool {
        self.lock().started_at.is_some()
    }

    /// The folder for the checkpoint of a step, whether it exists or not.
    #[must_use]
    pub fn checkpoint_dir(&self, step: usize) -> PathBuf {
        store::checkpoint_dir(&self.dir, step)
    }

    /// The steps of the job's checkpoints, in order.
    #[must_use]
    pub fn checkpoints(&self) -> Vec<usize> {
        store::checkpoints(&self.dir)
    }

    /// The folder for the final adapter, whether it exists or not.
    #[must_use]
    pub fn adapter_dir(&self) -> PathBuf {
        store::adapter_dir(&self.dir)
    }

    /// The folder with the checkpoint of the job that this one resumes.
    #[must_use]
    pub fn resume_dir(&self) -> PathBuf {
        self.dir.join("resume")
    }

    /// The checkpoint that a run resumes from, and its step: the job's own last one, or else the one of
    /// the job that it resumes.
    #[must_use]
    pub fn last_checkpoint(&self) -> Option<(usize, PathBuf)> {
        let own = self.checkpoints().last().copied();
        let own = own.map(|step| (step, self.checkpoint_dir(step)));
        let other = || {
            let from = self.lock().run.as_ref()?.resumed_from.clone()?;
            Some((from.step, self.resume_dir()))
        };
        own.or_else(other).filter(|(_, dir)| dir.is_dir())
    }

    /// Records that training begins after `step`: 0, or the step of a checkpoint. Does nothing and returns
    /// `false` if the job is already over.
    pub fn start(&self, metadata: &Value, step: usize) -> Result<bool> {
        let mut job = self.lock();
        if job.status.is_final() {
            return Ok(false);
        }
        if job.started_at.is_some() {
            let fields = json!({ "step": step, "metadata": metadata });
            let event = event_of(&job, "training.resumed", &fields);
            self.log.append(&event)?;
            crate::log(format_args!(
                "job {} goes on after step {step}; to end it: arkor cancel {}",
                job.id, job.id
            ));
            return Ok(true);
        }
        let event = event_of(&job, "training.started", &json!({ "metadata": metadata }));
        job.status = Status::Running;
        job.started_at = event["timestamp"].as_str().map(str::to_owned);
        job.save(&self.dir)?;
        self.log.append(&event)?;
        Ok(true)
    }

    /// Records that the prepared rows are on disk.
    pub fn set_prepared(&self, prepared: &PreparedRun) -> Result<()> {
        self.update_run(|run| run.prepared = Some(prepared.clone()))
    }

    /// Records that the base has been downloaded.
    pub fn set_base(&self, base: &Resolved) -> Result<()> {
        self.update_run(|run| run.base = base.clone())
    }

    /// Counts an attempt to run from a step. Returns how many there have been, including this one.
    pub fn count_attempt(&self, step: usize) -> Result<u32> {
        let mut count = 0;
        self.update_run(|run| {
            let before = if run.attempts.step == step {
                run.attempts.count
            } else {
                0
            };
            count = before + 1;
            run.attempts = Attempts { step, count };
        })?;
        Ok(count)
    }

    /// Takes back an attempt, because stopping the server on purpose isn't the run's fault.
    pub fn forget_attempt(&self) {
        // If this fails, one attempt too many is counted, which does little harm.
        let _ = self.update_run(|run| run.attempts.count = run.attempts.count.saturating_sub(1));
    }

    /// Counts a lost worker. Returns how many have been lost, including this one.
    pub fn count_failure(&self) -> Result<u32> {
        let mut count = 0;
        self.update_run(|run| {
            run.failures += 1;
            count = run.failures;
        })?;
        Ok(count)
    }

    fn update_run(&self, change: impl FnOnce(&mut RunRecord)) -> Result<()> {
        let mut job = self.lock();
        if let Some(run) = &mut job.run {
            change(run);
        }
        if job.status.is_final() {
            return Ok(());
        }
        job.save(&self.dir)
    }

    /// Appends an event with this type and these other fields.
    pub fn emit(&self, kind: &str, fields: &Value) -> Result<()> {
        let event = event_of(&self.lock(), kind, fields);
        self.log.append(&event)
    }

    /// Completes the job. `fields` are the fields of `training.completed`.
    pub fn complete(&self, fields: &Value) -> Result<()> {
        self.finish(
            Status::Completed,
            Some(("training.completed", fields)),
            None,
        )
    }

    /// Fails the job. `step` is the last completed step, if any.
    pub fn fail(&self, error: &str, step: Option<usize>) -> Result<()> {
        let mut fields = json!({ "error": error });
        if let Some(step) = step {
            fields["step"] = json!(step);
        }
        self.finish(
            Status::Failed,
            Some(("training.failed", &fields)),
            Some(error.to_owned()),
        )
    }

    /// Cancels the job. As in the cloud, there's no event for that: the stream just ends. A job that is
    /// over stays unchanged.
    pub fn cancel(&self) -> Result<Job> {
        self.finish(Status::Cancelled, None, None)?;
        Ok(self.job())
    }

    fn finish(
        &self,
        status: Status,
        event: Option<(&str, &Value)>,
        error: Option<String>,
    ) -> Result<()> {
        // Held across both writes, so that a client that reads the last event and then requests the job
        // gets its final status.
        let mut job = self.lock();
        if job.status.is_final() {
            return Ok(());
        }
        let event = event.map(|(kind, fields)| event_of(&job, kind, fields));
        let logged = self.log.end(event.as_ref());
        job.status = status;
        job.error = error;
        job.completed_at = Some(time::now());
        let _ = fs::remove_file(self.dir.join(TOKENS));
        let _ = fs::remove_dir_all(self.resume_dir());
        // Do both: on a full disk, one of them may still succeed.
        logged.and(job.save(&self.dir))
    }

    /// Updates a job's record from its events, which alone decide whether it's over.
    fn recover(&self) -> Result<()> {
        if self.is_over() {
            return Ok(());
        }
        self.remove_unfinished();
        let last = self.log.last().unwrap_or_default();
        match last["type"].as_str() {
            Some("training.completed") => self.finish(Status::Completed, None, None),
            Some("training.failed") => {
                let error = last["error"].as_str().unwrap_or_default().to_owned();
                self.finish(Status::Failed, None, Some(error))
            }
            _ if self.lock().run.is_none() => self.fail(
                "the local backend stopped during the run, and this version can't go on with it. Its \
                 checkpoints are kept; start the job again.",
                None,
            ),
            _ => Ok(()),
        }
    }

    /// Removes adapters that were only partly written when the run ended.
    pub fn remove_unfinished(&self) {
        for dir in [self.adapter_dir(), self.dir.join("checkpoints")] {
            remove_unfinished(&dir);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Job> {
        self.job.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Removes half-written adapters: `DIR.tmp`, and `*.tmp` in `DIR`.
fn remove_unfinished(dir: &Path) {
    let _ = fs::remove_dir_all(dir.with_extension("tmp"));
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.path().extension().is_some_and(|name| name == "tmp") {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Creates an event for clients: its type, its job, the time, and the other fields.
fn event_of(job: &Job, kind: &str, fields: &Value) -> Value {
    let mut event = json!({ "type": kind, "jobId": job.id, "timestamp": time::now() });
    if let (Some(event), Some(fields)) = (event.as_object_mut(), fields.as_object()) {
        event.extend(fields.clone());
    }
    event
}

#[cfg(test)]
#[path = "handle_tests.rs"]
mod tests;
