//! The run of one job. Flow in: a checked config and its rows. Flow out: events and adapters, and a
//! terminal event whatever happens. A module because this is where training meets jobs: the loop
//! itself knows nothing of either.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use super::config::{DRY_RUN_ROWS, DRY_RUN_STEPS, RunConfig};
use super::handle::JobHandle;
use crate::adapter;
use crate::base::{Base, Bases, Resolved};
use crate::data::{Row, Split, encode, split};
use crate::error::{Error, Result, refused};
use crate::lora::Lora;
use crate::model::layers::as_f64;
use crate::train::{self, Log, Observer, Plan};

/// A job that waits for its turn.
#[derive(Debug)]
pub struct Run {
    /// The job.
    pub handle: Arc<JobHandle>,
    /// Its config.
    pub config: RunConfig,
    /// The base that was found for its model.
    pub base: Resolved,
    /// Its rows.
    pub rows: Vec<Row>,
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
        let prepared = self.prepare(&base)?;
        if !self.handle.start(&self.metadata(&base, &prepared))? {
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

    /// Tokens, the split, and the numbers that depend on how many rows there are.
    fn prepare(&self, base: &Base) -> Result<Prepared> {
        let config = &self.config;
        let max_length = config.max_length.min(base.config.max_positions);
        let limit = if config.dry_run {
            DRY_RUN_ROWS
        } else {
            usize::MAX
        };
        let mut examples = Vec::new();
        let mut without_target = 0;
        for row in self.rows.iter().take(limit) {
            let example = encode::encode(row, &base.text, max_length, config.responses_only)?;
            if example.targets() > 0 {
                examples.push(example);
            } else {
                without_target += 1;
            }
        }
        if examples.is_empty() {
            return refused(format!(
                "maxLength: no row has a trained token within {max_length} tokens. Use a larger maxLength or shorter rows."
            ));
        }
        let rows = split(examples, config.seed);
        let plan = self.plan(&rows);
        Ok(Prepared {
            rows,
            plan,
            max_length,
            without_target,
        })
    }

    fn plan(&self, rows: &Split) -> Plan {
        let config = &self.config;
        let per_epoch = rows.train.len().div_ceil(config.batch_size);
        let mut total_steps = config
            .max_steps
            .unwrap_or_else(|| round_up(as_f64(per_epoch) * config.epochs))
            .max(1);
        if config.dry_run {
            total_steps = total_steps.min(DRY_RUN_STEPS);
        }
        let part = |count: usize| total_steps.div_ceil(count);
        let within = |steps: Option<usize>, default: usize| {
            if config.dry_run {
                default
            } else {
                steps.unwrap_or(default)
            }
        };
        Plan {
            total_steps,
            batch_size: config.batch_size,
            learning_rate: config.learning_rate,
            schedule: config.schedule,
            warmup_steps: config.warmup_steps,
            weight_decay: config.weight_decay,
            logging_steps: if config.dry_run {
                1
            } else {
                config.logging_steps
            },
            save_steps: within(config.save_steps, part(3)),
            eval_steps: within(config.eval_steps, part(5)),
            lora_r: config.lora_r,
            lora_alpha: config.lora_alpha,
            seed: config.seed,
        }
    }

    fn metadata(&self, base: &Base, prepared: &Prepared) -> Value {
        if let Some(reason) = &self.base.stand_in {
            let id = self.handle.job().id;
            crate::log(format_args!(
                "job {id}: {} stands in: {reason}",
                self.base.used()
            ));
        }
        let rows = &prepared.rows;
        let tokens = |examples: &[crate::data::Example]| -> usize {
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

struct Prepared {
    rows: Split,
    plan: Plan,
    max_length: usize,
    without_target: usize,
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
            "loss": log.loss,
            "evalLoss": log.eval_loss,
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

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a number of steps; a float that is too large becomes the largest integer"
)]
fn round_up(steps: f64) -> usize {
    steps.ceil() as usize
}
