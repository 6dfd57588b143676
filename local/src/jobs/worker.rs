//! The run of one job: where training, which knows nothing of jobs, meets events and files. It ends with a
//! terminal event, whatever happens.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use super::config::RunConfig;
use super::handle::JobHandle;
use super::prepare::PreparedJob;
use crate::adapter;
use crate::base::{Base, Bases, Resolved};
use crate::data::Example;
use crate::error::{Error, Result};
use crate::model::lora::Lora;
use crate::store::wire;
use crate::train::{self, Log, Observer};

/// A job that waits for its turn.
#[derive(Debug)]
pub struct Run {
    /// The job.
    pub handle: Arc<JobHandle>,
    /// Its config.
    pub config: RunConfig,
    /// The base that was found for its model.
    pub base: Resolved,
    /// Its rows, encoded.
    pub prepared: PreparedJob,
}

impl Run {
    /// Runs the job. It is over when this returns.
    pub fn run(self, bases: &Bases, stopping: &AtomicBool) {
        let mut progress = Progress {
            handle: &self.handle,
            base: self.base.used(),
            step: None,
        };
        let result = catch_unwind(AssertUnwindSafe(|| {
            self.train(bases, stopping, &mut progress)
        }));
        let step = progress.step;
        let ended = match result {
            Ok(Ok(())) => Ok(()),
            Ok(Err(Error::Stopped)) if self.handle.is_over() => Ok(()),
            Ok(Err(Error::Stopped)) => self.handle.interrupt("was stopped", step),
            Ok(Err(error)) => self.handle.fail(&error.to_string(), step),
            Err(_) => self.handle.fail(
                "the local backend has a bug: the run panicked, see its log",
                step,
            ),
        };
        let job = self.handle.job();
        let status = serde_json::to_value(job.status).unwrap_or_default();
        crate::log(format_args!(
            "job {} is {}",
            job.id,
            status.as_str().unwrap_or_default()
        ));
        if let Some(error) = job.error {
            crate::log(format_args!("job {}: {error}", job.id));
        }
        if let Err(error) = ended {
            crate::log(format_args!(
                "job {}: its end could not be stored: {error}",
                job.id
            ));
        }
    }

    fn train(&self, bases: &Bases, stopping: &AtomicBool, progress: &mut Progress) -> Result<()> {
        let stop = || stopping.load(Ordering::Relaxed) || self.handle.is_over();
        if stop() {
            return Err(Error::Stopped);
        }
        let base = bases.get(&self.base.source)?;
        let prepared = &self.prepared;
        if !self.handle.start(&self.metadata(&base))? {
            return Ok(());
        }
        let trained = train::run(&base, &prepared.rows, &prepared.plan, &stop, progress)?;
        let artifacts = adapter::save(&self.handle.adapter_dir(), &trained.lora, &progress.base)?;
        let metrics = json!({
            "steps": prepared.plan.total_steps,
            "loss": trained.loss,
            "evalLoss": trained.eval_loss,
        });
        self.handle
            .complete(&json!({ "metrics": metrics, "artifacts": artifacts }))
    }

    fn metadata(&self, base: &Base) -> Value {
        let prepared = &self.prepared;
        if let Some(reason) = &self.base.stand_in {
            let id = self.handle.job().id;
            crate::log(format_args!(
                "job {id}: {} stands in: {reason}",
                self.base.used()
            ));
        }
        let rows = &prepared.rows;
        let tokens = |examples: &[Example]| -> usize {
            examples.iter().map(|example| example.ids.len()).sum()
        };
        json!({
            "backend": "arkor-local",
            "device": "cpu",
            "baseModel": self.base.metadata(),
            "baseParameters": base.weights.parameters(),
            "trainableParameters": Lora::parameters_for(&base.config, self.config.lora_r),
            "totalSteps": prepared.plan.total_steps,
            "batchSize": prepared.plan.batch_size,
            "maxLength": { "requested": self.config.max_length, "used": prepared.max_length },
            "seed": prepared.plan.seed,
            "dryRun": self.config.dry_run,
            "rows": {
                "train": rows.train.len(),
                "eval": rows.eval.len(),
                "evalHeldOut": rows.held_out,
                "withoutTarget": prepared.without_target,
            },
            "tokens": { "train": tokens(&rows.train), "eval": tokens(&rows.eval) },
        })
    }
}

/// Turns what the loop tells into events and files.
struct Progress<'a> {
    handle: &'a JobHandle,
    base: String,
    step: Option<usize>,
}

impl Observer for Progress<'_> {
    fn log(&mut self, log: &Log) -> Result<()> {
        self.step = Some(log.step);
        let fields = json!({
            "step": log.step,
            "loss": wire::number(log.loss),
            "evalLoss": log.eval_loss.map(wire::number),
            "learningRate": log.learning_rate,
            "epoch": log.epoch,
            "samplesPerSecond": log.samples_per_second,
        });
        self.handle.emit("training.log", &fields)
    }

    fn checkpoint(&mut self, step: usize, lora: &Lora) -> Result<()> {
        if self.handle.is_over() {
            return Err(Error::Stopped);
        }
        let dir = self
            .handle
            .checkpoint_dir(u64::try_from(step).unwrap_or(u64::MAX));
        let artifacts = adapter::save(&dir, lora, &self.base)?;
        self.handle.emit(
            "checkpoint.saved",
            &json!({ "step": step, "artifacts": artifacts }),
        )
    }
}
