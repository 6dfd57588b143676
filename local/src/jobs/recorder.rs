//! Records a run as events and files.

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::handle::JobHandle;
use crate::adapter_folder::publish;
use crate::engine::{Log, Phase, Progress, RunEvents, Started};
use crate::error::{Error, Result};

/// How long work must take before its progress is reported, and the interval of further reports.
const PROGRESS_EVERY: Duration = Duration::from_secs(1);

/// Reports the progress of slow work.
#[derive(Debug, Default)]
pub struct ProgressReport {
    /// The current phase, and the time when it began or was last reported.
    phase: Option<(Phase, Instant)>,
}

impl ProgressReport {
    /// Emits an event if one is due. Work of less than a second isn't reported.
    pub fn report(&mut self, handle: &JobHandle, progress: &Progress) -> Result<()> {
        let now = Instant::now();
        let due = match self.phase {
            Some((phase, at)) if phase == progress.phase => now - at >= PROGRESS_EVERY,
            _ => false,
        };
        if due || self.phase.is_none_or(|(phase, _)| phase != progress.phase) {
            self.phase = Some((progress.phase, now));
        }
        if !due {
            return Ok(());
        }
        handle.emit("training.progress", &serde_json::to_value(progress)?)
    }
}

/// Turns the reports of an engine into events and files. Skips steps that an earlier server has already
/// reported.
#[derive(Debug)]
pub struct Recorder<'a> {
    /// The job.
    pub handle: &'a JobHandle,
    /// The metadata for `training.started`, to which the engine's is added.
    pub metadata: Value,
    /// `saveTotalLimit`.
    pub keep: Option<usize>,
    /// The step of the checkpoint that the run resumes from.
    pub resumed_at: usize,
    /// The model that stands in for the named one, and why.
    pub stand_in: Option<String>,
    /// The last step that was logged.
    pub step: &'a mut Option<usize>,
    /// Reports the progress before the first step.
    pub progress: &'a mut ProgressReport,
}

impl Recorder<'_> {
    fn is_known(&self, kind: &str, step: usize) -> bool {
        let last = self.handle.log.last_step(kind);
        last.is_some_and(|last| step <= last)
    }
}

impl RunEvents for Recorder<'_> {
    fn progress(&mut self, progress: &Progress) -> Result<()> {
        self.progress.report(self.handle, progress)
    }

    fn started(&mut self, started: &Started) -> Result<()> {
        if let Value::Object(more) = serde_json::to_value(started)?
            && let Some(metadata) = self.metadata.as_object_mut()
        {
            metadata.extend(more);
        }
        if let Some(reason) = &self.stand_in {
            crate::log(format_args!("job {}: {reason}", self.handle.id()));
        }
        if self.handle.start(&self.metadata, self.resumed_at)? {
            Ok(())
        } else {
            Err(Error::Stopped)
        }
    }

    fn log(&mut self, log: &Log) -> Result<()> {
        *self.step = Some(log.step);
        if self.is_known("training.log", log.step) {
            return Ok(());
        }
        let fields = serde_json::to_value(log)?;
        self.handle.emit("training.log", &fields)
    }

    fn checkpoint(&mut self, step: usize) -> Result<()> {
        let handle = self.handle;
        if handle.is_over() {
            return Err(Error::Stopped);
        }
        // A run that resumes from this checkpoint needs all logs up to its step.
        handle.log.sync()?;
        let dir = handle.checkpoint_dir(step);
        let artifacts = publish(&dir.with_extension("tmp"), &dir)?;
        if !self.is_known("checkpoint.saved", step) {
            let fields = json!({ "step": step, "artifacts": artifacts });
            handle.emit("checkpoint.saved", &fields)?;
        }
        self.keep.map_or(Ok(()), |keep| remove_others(handle, keep))
    }
}

/// Removes the oldest checkpoints if there are more than `keep`, except the last one and the best one.
fn remove_others(handle: &JobHandle, keep: usize) -> Result<()> {
    let steps = handle.checkpoints();
    let losses: BTreeMap<usize, f64> = handle.log.eval_losses()?;
    // The loss of a checkpoint is the last one that was measured up to its step.
    let loss = |step: &usize| losses.range(..=*step).next_back().map(|(_, loss)| *loss);
    let best = steps
        .iter()
        .filter(|step| loss(step).is_some_and(f64::is_finite))
        .min_by(|left, right| {
            f64::total_cmp(&loss(left).unwrap_or(0.0), &loss(right).unwrap_or(0.0))
        });
    let mut excess = steps.len().saturating_sub(keep);
    for step in &steps {
        let is_kept = Some(step) == best || Some(step) == steps.last();
        if excess == 0 || is_kept {
            continue;
        }
        excess -= 1;
        let dir = handle.checkpoint_dir(*step);
        fs::remove_dir_all(&dir).map_err(|source| Error::io("can't remove", &dir, source))?;
    }
    Ok(())
}
