//! One job while the server runs. Its record and its events must agree at every moment, even if the server
//! dies then.

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
    /// What the event stream reads from.
    pub log: EventLog,
}

impl JobHandle {
    /// Takes a folder that was made ready for a job, and puts it in place with its record.
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

    /// Reads a job that an earlier server left. One that isn't over yet goes on.
    pub fn reopen(dir: &Path) -> Result<Self> {
        let job = Job::load(dir)?;
        // What a kill left half-written; it was never part of the job.
        for name in ["job.tmp", "dataset.tmp", "tokens.tmp"] {
            let _ = fs::remove_file(dir.join(name));
        }
        let events = dir.join(EVENTS);
        let log = if job.status.is_final() {
            // A full disk may have kept the failure out of the log; readers must still get it.
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

    /// Its id.
    #[must_use]
    pub fn id(&self) -> String {
        self.lock().id.clone()
    }

    /// Its folder.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Its record.
    #[must_use]
    pub fn job(&self) -> Job {
        self.lock().clone()
    }

    /// Whether nothing more will happen to it.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.lock().status.is_final()
    }

    /// Whether its training has begun.
    #[must_use]
    pub fn has_started(&self) -> bool {
        self.lock().started_at.is_some()
    }

    /// Where the checkpoint of a step is, or will be.
    #[must_use]
    pub fn checkpoint_dir(&self, step: usize) -> PathBuf {
        store::checkpoint_dir(&self.dir, step)
    }

    /// The steps of its checkpoints, in order.
    #[must_use]
    pub fn checkpoints(&self) -> Vec<usize> {
        store::checkpoints(&self.dir)
    }

    /// Where the final adapter is, or will be.
    #[must_use]
    pub fn adapter_dir(&self) -> PathBuf {
        store::adapter_dir(&self.dir)
    }

    /// Where the checkpoint of another job is that this one goes on from.
    #[must_use]
    pub fn resume_dir(&self) -> PathBuf {
        self.dir.join("resume")
    }

    /// The checkpoint that a run goes on from, and its step: its last one, or else another job's.
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

    /// The first step comes next: at first, or after the step of a checkpoint. Answers `false`, and does
    /// nothing, when the job is over already.
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

    /// The rows are on disk.
    pub fn set_prepared(&self, prepared: &PreparedRun) -> Result<()> {
        self.update_run(|run| run.prepared = Some(prepared.clone()))
    }

    /// The base is on this machine.
    pub fn set_base(&self, base: &Resolved) -> Result<()> {
        self.update_run(|run| run.base = base.clone())
    }

    /// A run begins after a step. Returns how often it has begun there, this time included.
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

    /// The server stops because it was asked to: that says nothing about the run.
    pub fn forget_attempt(&self) {
        // At worst, one attempt too many is counted.
        let _ = self.update_run(|run| run.attempts.count = run.attempts.count.saturating_sub(1));
    }

    /// A worker of the run was lost. Returns how often that has happened, this time included.
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

    /// Something happens in the run. `kind` is the event's type, `fields` are the rest.
    pub fn emit(&self, kind: &str, fields: &Value) -> Result<()> {
        let event = event_of(&self.lock(), kind, fields);
        self.log.append(&event)
    }

    /// The run has its adapter. `fields` are those of `training.completed`.
    pub fn complete(&self, fields: &Value) -> Result<()> {
        self.finish(
            Status::Completed,
            Some(("training.completed", fields)),
            None,
        )
    }

    /// The run can't go on. `step` is the last one that was done, when there was one.
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

    /// Ends the job, as the cloud does it: no event, the stream just ends. A job that is over stays
    /// as it is.
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
        // Held over both writes: who reads the terminal event and then asks for the job gets the
        // final status.
        let mut job = self.lock();
        if job.status.is_final() {
            return Ok(());
        }
        let event = event.map(|(kind, fields)| event_of(&job, kind, fields));
        let told = self.log.end(event.as_ref());
        job.status = status;
        job.error = error;
        job.completed_at = Some(time::now());
        let _ = fs::remove_file(self.dir.join(TOKENS));
        let _ = fs::remove_dir_all(self.resume_dir());
        // Both are tried: on a full disk one of them may still fit.
        told.and(job.save(&self.dir))
    }

    /// Brings a job in line with its events: they may say that it's over when its record doesn't.
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

    /// Removes what was left of adapters that were being written when the run ended.
    pub fn remove_unfinished(&self) {
        for dir in [self.adapter_dir(), self.dir.join("checkpoints")] {
            remove_unfinished(&dir);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Job> {
        self.job.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Removes what a kill left of an adapter that was being written: `DIR.tmp`, and `*.tmp` in `DIR`.
fn remove_unfinished(dir: &Path) {
    let _ = fs::remove_dir_all(dir.with_extension("tmp"));
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.path().extension().is_some_and(|name| name == "tmp") {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// A wire event: its type, its job, the time, and the rest.
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
