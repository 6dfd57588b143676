//! What a job needs before it is accepted: every row read, rendered and encoded, and the numbers that
//! depend on how many rows there are.

use std::sync::Arc;

use rayon::prelude::*;
use serde_json::Value;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::config::{DRY_RUN_ROWS, DRY_RUN_STEPS, RunConfig};
use crate::base::Base;
use crate::data::fetch::DataFile;
use crate::data::reader::{self, RowPlace};
use crate::data::rows::{Row, RowRules, row};
use crate::data::{Example, Split, encode, held_out, split};
use crate::error::{Error, Result, refused};
use crate::json;
use crate::number::as_f64;
use crate::train::Plan;
use crate::train::step::Stop;

/// The memory for the encoded rows of all jobs that wait or train, in KiB: a hundred million tokens.
pub const ROOM_KIB: usize = 512 * 1024;

/// Rows are encoded together, one per core at a time, once there are so many or they have so many bytes.
const BATCH_ROWS: usize = 256;
const BATCH_BYTES: usize = 1024 * 1024;

/// A job's rows, and its plan.
#[derive(Debug)]
pub struct PreparedJob {
    /// The rows.
    pub rows: Split,
    /// The numbers of the run.
    pub plan: Plan,
    /// The longest row, in tokens.
    pub max_length: usize,
    /// Rows that were left out because nothing of them would be learned.
    pub without_target: usize,
    /// Given back when the job is over.
    _room: Option<OwnedSemaphorePermit>,
}

/// Reads, checks and encodes all rows of a job. Refuses it with the row that is wrong. Asks `stop` between
/// rows.
pub fn prepare(
    config: &RunConfig,
    base: &Base,
    files: Vec<DataFile>,
    room: &Arc<Semaphore>,
    stop: &dyn Stop,
) -> Result<PreparedJob> {
    let max_length = config.max_length.min(base.config.max_positions);
    let mut encoder = Encoder {
        config,
        wanted: RowRules {
            format: config.format()?,
            responses_only: config.responses_only,
        },
        base,
        max_length,
        memory: room,
        stop,
        count: 0,
        batch: Vec::new(),
        batch_bytes: 0,
        examples: Vec::new(),
        without_target: 0,
        room: None,
    };
    for file in files {
        let name = file.name.clone();
        reader::read(file.open()?, name.as_deref(), &mut |place, value| {
            encoder.add(place, &value)
        })?;
    }
    encoder.flush()?;
    if encoder.count == 0 {
        return reader::no_rows();
    }
    if encoder.examples.is_empty() {
        return refused(format!(
            "maxLength: no row has a trained token within {max_length} tokens. Use a larger maxLength or shorter rows."
        ));
    }
    let count = encoder.count;
    let rows = split(encoder.examples, config.seed);
    Ok(PreparedJob {
        plan: plan(config, rows.train.len(), count),
        rows,
        max_length,
        without_target: encoder.without_target,
        _room: encoder.room,
    })
}

struct Encoder<'a> {
    config: &'a RunConfig,
    wanted: RowRules,
    base: &'a Base,
    max_length: usize,
    memory: &'a Arc<Semaphore>,
    stop: &'a dyn Stop,
    count: usize,
    batch: Vec<(RowPlace, Row)>,
    batch_bytes: usize,
    examples: Vec<Example>,
    without_target: usize,
    room: Option<OwnedSemaphorePermit>,
}

impl Encoder<'_> {
    fn add(&mut self, place: RowPlace, value: &Value) -> Result<()> {
        if self.stop.stopped() {
            return Err(Error::Stopped);
        }
        let row = row(value, self.wanted).map_err(|error| place.blame(error))?;
        self.batch_bytes += json::length(value);
        self.batch.push((place, row));
        if self.batch.len() >= BATCH_ROWS || self.batch_bytes >= BATCH_BYTES {
            self.flush()?;
        }
        Ok(())
    }

    /// Encodes the rows that wait. A dry run only checks those beyond its own.
    fn flush(&mut self) -> Result<()> {
        let limit = if self.config.dry_run {
            DRY_RUN_ROWS.saturating_sub(self.count)
        } else {
            usize::MAX
        };
        let batch = std::mem::take(&mut self.batch);
        self.batch_bytes = 0;
        self.count += batch.len();
        let (text, config) = (&self.base.text, self.config);
        let (max_length, stop) = (self.max_length, self.stop);
        let work = |(index, (place, row)): (usize, (RowPlace, Row))| {
            if stop.stopped() {
                return Err(Error::Stopped);
            }
            let encoded = if index < limit {
                encode::encode(row, text, max_length, config.responses_only).map(Some)
            } else {
                encode::check(row, text).map(|()| None)
            };
            encoded.map_err(|error| place.blame(error))
        };
        let encoded: Vec<Result<Option<Example>>> =
            batch.into_par_iter().enumerate().map(work).collect();
        let mut bytes = 0;
        for example in encoded {
            let Some(example) = example? else { continue };
            if example.targets() > 0 {
                bytes += example.bytes();
                self.examples.push(example);
            } else {
                self.without_target += 1;
            }
        }
        self.take_room(bytes)
    }

    fn take_room(&mut self, bytes: usize) -> Result<()> {
        let kib = u32::try_from(bytes.div_ceil(1024)).unwrap_or(u32::MAX);
        let Ok(more) = Arc::clone(self.memory).try_acquire_many_owned(kib) else {
            let alone = self.memory.available_permits()
                + self
                    .room
                    .as_ref()
                    .map_or(0, OwnedSemaphorePermit::num_permits);
            let reason = if alone == ROOM_KIB {
                "Use fewer or shorter rows."
            } else {
                "Wait until other jobs are over, or use fewer rows."
            };
            return refused(format!(
                "datasetSource: the encoded rows take more than {} MiB of memory. {reason}",
                ROOM_KIB >> 10
            ));
        };
        match &mut self.room {
            Some(room) => room.merge(more),
            none => *none = Some(more),
        }
        Ok(())
    }
}

/// The numbers of a run with so many rows to train on. `all` are the rows of the dataset, of which a dry run
/// takes a few.
fn plan(config: &RunConfig, rows: usize, all: usize) -> Plan {
    let steps = |rows: usize| {
        let per_epoch = rows.div_ceil(config.batch_size);
        let by_epochs = || round(as_f64(per_epoch) * config.num_train_epochs, f64::ceil);
        config.max_steps.unwrap_or_else(by_epochs).max(1)
    };
    let mut total_steps = steps(rows);
    let mut warmup_steps = config.warmup_steps;
    if config.dry_run {
        total_steps = total_steps.min(DRY_RUN_STEPS);
        // The same part of the run as in the real one.
        let real = steps(all - held_out(all));
        let part = as_f64(warmup_steps) / as_f64(real);
        warmup_steps = round(part * as_f64(total_steps), f64::round);
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
        warmup_steps,
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

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a number of steps; a float that is too large becomes the largest integer"
)]
fn round(steps: f64, how: fn(f64) -> f64) -> usize {
    how(steps) as usize
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use serde_json::json;

    use super::*;

    fn config(more: &Value) -> RunConfig {
        let mut config = json!({
            "model": "arkor-tiny",
            "datasetSource": { "type": "blob", "url": "https://data.example/rows.jsonl" },
        });
        config
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        RunConfig::from_json(&config).unwrap()
    }

    #[test]
    fn a_dry_run_kept_a_warm_up_of_100_in_6_steps() {
        let warmup = |more: Value, rows: usize, all: usize| {
            let plan = plan(&config(&more), rows, all);
            (plan.warmup_steps, plan.total_steps)
        };
        let long = json!({ "dryRun": true, "maxSteps": 1000, "warmupSteps": 100 });
        assert_eq!(warmup(long, 29, 10_000), (1, 6));
        let half = json!({ "dryRun": true, "maxSteps": 200, "warmupSteps": 100 });
        assert_eq!(warmup(half, 29, 10_000), (3, 6));
        // 8000 rows in steps of 8, of which 32 are held out.
        let epoch = json!({ "dryRun": true, "warmupSteps": 498 });
        assert_eq!(warmup(epoch, 29, 8000), (2, 4));
        let real = json!({ "maxSteps": 1000, "warmupSteps": 100 });
        assert_eq!(warmup(real, 900, 1000), (100, 1000));
    }
}
