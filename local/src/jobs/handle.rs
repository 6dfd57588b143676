//! One job while the server runs. Its record and its events must agree at every moment, even if the server
//! dies then.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};

use crate::error::{Error, Result};
use crate::store::{EventLog, Job, Status};
use crate::time;

/// A job, its directory and its events.
#[derive(Debug)]
pub struct JobHandle {
    dir: PathBuf,
    job: Mutex<Job>,
    /// What the event stream reads from.
    pub log: EventLog,
}

impl JobHandle {
    /// Creates a job's directory and its record.
    pub fn create(jobs: &Path, job: Job) -> Result<Self> {
        let dir = jobs.join(&job.id);
        fs::create_dir_all(&dir).map_err(|source| Error::io("can't create", &dir, source))?;
        job.save(&dir)?;
        let log = EventLog::open(&dir.join("events.jsonl"))?;
        Ok(Self {
            dir,
            job: Mutex::new(job),
            log,
        })
    }

    /// Reads a job that an earlier server left. One that was not over is over now.
    pub fn reopen(dir: &Path) -> Result<Self> {
        let job = Job::load(dir)?;
        // What a kill left half-written; it was never part of the job.
        let _ = fs::remove_file(dir.join("job.tmp"));
        let events = dir.join("events.jsonl");
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

    /// Where the checkpoint of a step is, or will be.
    #[must_use]
    pub fn checkpoint_dir(&self, step: u64) -> PathBuf {
        self.dir
            .join("checkpoints")
            .join(format!("checkpoint-{step}"))
    }

    /// The steps of its checkpoints.
    #[must_use]
    pub fn checkpoints(&self) -> Vec<u64> {
        let entries = fs::read_dir(self.dir.join("checkpoints"));
        let mut steps: Vec<u64> = entries
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| {
                let name = entry.file_name();
                name.to_str()?.strip_prefix("checkpoint-")?.parse().ok()
            })
            .collect();
        steps.sort_unstable();
        steps
    }

    /// Where the final adapter is, or will be.
    #[must_use]
    pub fn adapter_dir(&self) -> PathBuf {
        self.dir.join("adapter")
    }

    /// The run begins. Answers `false`, and does nothing, when the job is over already.
    pub fn start(&self, metadata: &Value) -> Result<bool> {
        let mut job = self.lock();
        if job.status.is_final() {
            return Ok(false);
        }
        let event = event_of(&job, "training.started", &json!({ "metadata": metadata }));
        job.status = Status::Running;
        job.started_at = event["timestamp"].as_str().map(str::to_owned);
        job.save(&self.dir)?;
        self.log.append(&event)?;
        Ok(true)
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

    /// Fails the job because its server has stopped or is stopping; `how` says which.
    pub fn interrupt(&self, how: &str, step: Option<usize>) -> Result<()> {
        let queued = self.job().status == Status::Queued;
        let (state, rest) = if queued {
            ("queued", "Start the job again.")
        } else {
            ("running", "Its checkpoints are kept; start the job again.")
        };
        self.fail(
            &format!("the local backend {how} while the job was {state}. {rest}"),
            step,
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
        // Both are tried: on a full disk one of them may still fit.
        told.and(job.save(&self.dir))
    }

    /// Ends a job that an earlier server left in the middle: its events say how far it came.
    fn recover(&self) -> Result<()> {
        if self.is_over() {
            return Ok(());
        }
        for unfinished in [self.adapter_dir(), self.dir.join("checkpoints")] {
            remove_unfinished(&unfinished);
        }
        let last = self.log.last().unwrap_or_default();
        let (status, error) = match last["type"].as_str() {
            Some("training.completed") => (Status::Completed, None),
            Some("training.failed") => (
                Status::Failed,
                Some(last["error"].as_str().unwrap_or_default().to_owned()),
            ),
            _ => {
                let step = last["step"]
                    .as_u64()
                    .and_then(|step| usize::try_from(step).ok());
                return self.interrupt("stopped", step);
            }
        };
        self.finish(status, None, error)
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
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use super::*;

    fn handle(jobs: &Path) -> JobHandle {
        let job = Job {
            id: "job-1".to_owned(),
            org_id: "local".to_owned(),
            project_id: "p".to_owned(),
            name: "n".to_owned(),
            status: Status::Queued,
            config: json!({}),
            error: None,
            created_at: time::now(),
            started_at: None,
            completed_at: None,
        };
        JobHandle::create(jobs, job).unwrap()
    }

    fn last_event(handle: &JobHandle) -> Value {
        let text = fs::read_to_string(handle.dir.join("events.jsonl")).unwrap();
        let mut line: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
        line["data"].take()
    }

    #[test]
    fn leftovers_of_a_killed_server_are_removed() {
        let jobs = tempfile::tempdir().unwrap();
        let first = handle(jobs.path());
        first.start(&json!({})).unwrap();
        let dir = jobs.path().join("job-1");
        drop(first);
        fs::create_dir_all(dir.join("checkpoints/checkpoint-3")).unwrap();
        for left in ["adapter.tmp", "checkpoints/checkpoint-6.tmp"] {
            fs::create_dir_all(dir.join(left)).unwrap();
        }
        fs::write(dir.join("job.tmp"), "{").unwrap();
        let second = JobHandle::reopen(&dir).unwrap();
        for left in ["adapter.tmp", "checkpoints/checkpoint-6.tmp", "job.tmp"] {
            assert!(!dir.join(left).exists(), "{left}");
        }
        assert_eq!(second.checkpoints(), [3]);
    }

    #[test]
    fn a_failure_that_could_not_be_written_is_still_the_last_event_after_a_restart() {
        let jobs = tempfile::tempdir().unwrap();
        let first = handle(jobs.path());
        first.start(&json!({})).unwrap();
        first.fail("no space", None).unwrap();
        let dir = jobs.path().join("job-1");
        let events = fs::read_to_string(dir.join("events.jsonl")).unwrap();
        let before = events.lines().next().unwrap();
        fs::write(dir.join("events.jsonl"), format!("{before}\n")).unwrap();
        drop(first);
        let read = JobHandle::reopen(&dir).unwrap().log.read(1).unwrap();
        assert!(String::from_utf8_lossy(&read.bytes).contains("no space"));
        assert!(read.ended);
    }

    #[test]
    fn a_job_that_was_running_is_failed_at_the_next_start_with_the_reason_as_an_event() {
        let jobs = tempfile::tempdir().unwrap();
        let first = handle(jobs.path());
        first.start(&json!({})).unwrap();
        first.emit("training.log", &json!({ "step": 3 })).unwrap();
        drop(first);
        let second = JobHandle::reopen(&jobs.path().join("job-1")).unwrap();
        assert_eq!(second.job().status, Status::Failed);
        assert!(
            second
                .job()
                .error
                .unwrap()
                .contains("stopped while the job was running")
        );
        let last = last_event(&second);
        assert_eq!(
            (last["type"].as_str(), last["step"].as_u64()),
            (Some("training.failed"), Some(3))
        );
        let events = second.log.read(0).unwrap().next;
        drop(second);
        let third = JobHandle::reopen(&jobs.path().join("job-1")).unwrap();
        assert_eq!(third.log.read(0).unwrap().next, events, "said once");
    }

    #[test]
    fn a_completed_run_stays_completed_when_its_record_was_not_written_any_more() {
        let jobs = tempfile::tempdir().unwrap();
        let first = handle(jobs.path());
        first.start(&json!({})).unwrap();
        let before = first.job();
        first.complete(&json!({ "artifacts": [] })).unwrap();
        before.save(&jobs.path().join("job-1")).unwrap();
        drop(first);
        let second = JobHandle::reopen(&jobs.path().join("job-1")).unwrap();
        assert_eq!(
            (second.job().status, second.log.read(0).unwrap().next),
            (Status::Completed, 2)
        );
    }

    #[test]
    fn a_cancelled_job_has_no_terminal_event_and_nothing_follows() {
        let jobs = tempfile::tempdir().unwrap();
        let handle = handle(jobs.path());
        handle.start(&json!({})).unwrap();
        assert_eq!(handle.cancel().unwrap().status, Status::Cancelled);
        handle.emit("training.log", &json!({ "step": 1 })).unwrap();
        handle.fail("late", None).unwrap();
        assert_eq!(handle.job().status, Status::Cancelled);
        let read = handle.log.read(0).unwrap();
        assert_eq!((read.next, read.ended), (1, true));
        assert!(!handle.start(&json!({})).unwrap());
    }
}
