//! The training loop. It knows nothing of jobs, files or HTTP, so that a test can run it twice and
//! compare every loss.

use std::time::Instant;

use candle_core::Var;
use candle_nn::{AdamW, Optimizer, ParamsAdamW};

use super::schedule::Schedule;
use super::step::{self, Stop};
use crate::base::Base;
use crate::data::{Example, Split};
use crate::error::{Error, Result};
use crate::model::Llama;
use crate::model::lora::Lora;
use crate::number::as_f64;

/// Gradients are scaled down to this norm, as Hugging Face's trainer does by default.
const MAX_GRADIENT_NORM: f64 = 1.0;

/// The numbers of a run, all decided.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Updates.
    pub total_steps: usize,
    /// Rows per update.
    pub batch_size: usize,
    /// The highest learning rate.
    pub learning_rate: f64,
    /// How it changes.
    pub schedule: Schedule,
    /// Updates until the highest learning rate.
    pub warmup_steps: usize,
    /// `AdamW`'s weight decay.
    pub weight_decay: f64,
    /// A log every so many steps.
    pub logging_steps: usize,
    /// A checkpoint every so many steps, and after the last one.
    pub save_steps: usize,
    /// An evaluation every so many steps, with the first log, and after the last step.
    pub eval_steps: usize,
    /// Rank of the adapter.
    pub lora_r: usize,
    /// Numerator of its scale.
    pub lora_alpha: f64,
    /// Decides the adapter's initial values and the order of the rows.
    pub seed: u64,
}

/// One `training.log`.
#[derive(Debug, Clone, PartialEq)]
pub struct Log {
    /// Updates done.
    pub step: usize,
    /// Mean loss per trained token since the last log.
    pub loss: f64,
    /// The same on the eval rows, after this step, when it was measured.
    pub eval_loss: Option<f64>,
    /// The learning rate of this step's update.
    pub learning_rate: f64,
    /// Passes over the rows so far.
    pub epoch: f64,
    /// Rows per second since the last log, evaluations not counted.
    pub samples_per_second: f64,
}

/// Receives a run's logs and checkpoints.
pub trait Observer {
    /// A log is due.
    fn log(&mut self, log: &Log) -> Result<()>;
    /// A checkpoint is due.
    fn checkpoint(&mut self, step: usize, lora: &Lora) -> Result<()>;
}

/// How a run ended.
#[derive(Debug)]
pub struct Trained {
    /// The adapter.
    pub lora: Lora,
    /// The last logged loss.
    pub loss: f64,
    /// The eval loss after the last step.
    pub eval_loss: f64,
}

/// Trains an adapter. Ends early with `Error::Stopped` when `stop` says so, and with
/// `Error::Diverged` when a loss, a gradient or the adapter is no longer finite. The log of that step
/// still comes; a checkpoint of it doesn't.
pub fn run(
    base: &Base,
    rows: &Split,
    plan: &Plan,
    stop: &dyn Stop,
    observer: &mut dyn Observer,
) -> Result<Trained> {
    let (lora, vars) = Lora::fresh(&base.config, plan.lora_r, plan.lora_alpha, plan.seed)?;
    let model = Llama::new(&base.config, &base.weights, Some(&lora))?;
    let measured = Llama::new(&base.config, &base.weights, Some(&lora.detached()))?;
    let params = ParamsAdamW {
        lr: plan.learning_rate,
        weight_decay: plan.weight_decay,
        ..ParamsAdamW::default()
    };
    let mut optimizer = AdamW::new(vars.clone(), params)?;
    let mut order = Order::new(rows.train.len(), plan.seed);
    let eval_rows: Vec<&Example> = rows.eval.iter().collect();
    let mut window = Window::new();
    let mut last = (f64::NAN, f64::NAN);
    for step in 1..=plan.total_steps {
        let batch: Vec<&Example> = order
            .next(plan.batch_size)
            .into_iter()
            .map(|index| &rows.train[index])
            .collect();
        let factor = plan
            .schedule
            .factor(step - 1, plan.warmup_steps, plan.total_steps);
        optimizer.set_learning_rate(plan.learning_rate * factor);
        let (loss, norm) = update(&model, &batch, &vars, &mut optimizer, stop)?;
        let broken = finite(step, "loss", loss).and_then(|()| finite(step, "gradient norm", norm));
        window.add(loss, batch.len());
        let done = step == plan.total_steps;
        let due = step % plan.eval_steps == 0 || step == plan.logging_steps || done;
        let evaluate = due && broken.is_ok();
        if step % plan.logging_steps == 0 || evaluate || broken.is_err() {
            let (loss, samples_per_second) = window.take();
            let eval_loss = if evaluate {
                Some(step::loss(&measured, &eval_rows, stop)?)
            } else {
                None
            };
            last = (loss, eval_loss.unwrap_or(last.1));
            observer.log(&Log {
                step,
                loss,
                eval_loss,
                learning_rate: plan.learning_rate * factor,
                epoch: order.epoch(),
                samples_per_second,
            })?;
            broken?;
            // The loss was computed before the update, so damage from the last update shows only here.
            finite(step, "eval loss", eval_loss.unwrap_or_default())?;
            window = Window::new();
        }
        if step % plan.save_steps == 0 || done {
            finite(step, "adapter", step::non_finite(&vars)?)?;
            observer.checkpoint(step, &lora)?;
        }
    }
    Ok(Trained {
        lora,
        loss: last.0,
        eval_loss: last.1,
    })
}

/// One update. Returns the loss before it and the norm of the gradients; leaves the adapter alone
/// when one of them isn't finite.
fn update(
    model: &Llama,
    batch: &[&Example],
    vars: &[Var],
    optimizer: &mut AdamW,
    stop: &dyn Stop,
) -> Result<(f64, f64)> {
    let (loss, mut grads) = step::gradients(model, batch, stop)?;
    let norm = step::clip(&mut grads, vars, MAX_GRADIENT_NORM)?;
    if loss.is_finite() && norm.is_finite() {
        optimizer.step(&grads)?;
    }
    Ok((loss, norm))
}

fn finite(step: usize, what: &'static str, value: f64) -> Result<()> {
    if value.is_finite() {
        Ok(())
    } else {
        Err(Error::Diverged { step, what, value })
    }
}

/// The rows in an order that the seed decides, another one in each epoch. The last batch of an
/// epoch may be smaller.
struct Order {
    indices: Vec<usize>,
    next: usize,
    epochs: usize,
    rng: fastrand::Rng,
}

impl Order {
    fn new(rows: usize, seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed.wrapping_add(1));
        let mut indices: Vec<usize> = (0..rows).collect();
        rng.shuffle(&mut indices);
        Self {
            indices,
            next: 0,
            epochs: 0,
            rng,
        }
    }

    fn next(&mut self, count: usize) -> Vec<usize> {
        if self.next == self.indices.len() {
            self.next = 0;
            self.epochs += 1;
            self.rng.shuffle(&mut self.indices);
        }
        let end = (self.next + count).min(self.indices.len());
        let batch = self.indices[self.next..end].to_vec();
        self.next = end;
        batch
    }

    fn epoch(&self) -> f64 {
        as_f64(self.epochs) + as_f64(self.next) / as_f64(self.indices.len().max(1))
    }
}

/// What happened since the last log.
struct Window {
    loss: f64,
    steps: usize,
    rows: usize,
    started: Instant,
}

impl Window {
    fn new() -> Self {
        Self {
            loss: 0.0,
            steps: 0,
            rows: 0,
            started: Instant::now(),
        }
    }

    fn add(&mut self, loss: f64, rows: usize) {
        self.loss += loss;
        self.steps += 1;
        self.rows += rows;
    }

    /// Mean loss, and rows per second.
    fn take(&self) -> (f64, f64) {
        let seconds = self.started.elapsed().as_secs_f64().max(1e-9);
        (
            self.loss / as_f64(self.steps.max(1)),
            as_f64(self.rows) / seconds,
        )
    }
}

#[cfg(test)]
#[path = "run_tests.rs"]
mod tests;
