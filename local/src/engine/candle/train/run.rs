//! The training loop. It knows nothing of jobs, files or HTTP, so that a test can run it twice and
//! compare every loss.

use std::path::Path;
use std::time::Instant;

use candle_core::Var;

use super::adamw::AdamW;
use super::resume::{self, TrainerState};
use super::step;
use crate::data::{Example, Split};
use crate::engine::candle::loaded::CandleModel;
use crate::engine::candle::model::Llama;
use crate::engine::candle::model::lora::Lora;
use crate::engine::{Log, Plan, RowOrder};
use crate::error::{Error, Result};
use crate::number::as_f64;
use crate::stop::Stop;

/// Gradients are scaled down to this norm, as Hugging Face's trainer does by default.
const MAX_GRADIENT_NORM: f64 = 1.0;

/// Receives a run's logs and checkpoints.
pub trait Observer {
    /// A log is due.
    fn log(&mut self, log: &Log) -> Result<()>;
    /// A checkpoint is due.
    fn checkpoint(&mut self, checkpoint: &Checkpoint) -> Result<()>;
}

/// Everything that a checkpoint holds.
#[derive(Debug)]
pub struct Checkpoint<'a> {
    /// The adapter.
    pub lora: &'a Lora,
    /// The optimizer.
    pub optimizer: &'a AdamW,
    /// Where the run is.
    pub state: TrainerState,
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

/// Trains an adapter, from the beginning or from the checkpoint in the folder `resume`. The first `recomputed`
/// layers are computed twice in each step, to save memory. Ends early with
/// `Error::Stopped` when `stop` says so, and with `Error::Diverged` when a loss, a gradient or the adapter
/// is no longer finite. The log of that step still comes; a checkpoint of it doesn't.
pub fn run(
    model: &CandleModel,
    rows: &Split,
    plan: &Plan,
    (resume, recomputed): (Option<&Path>, usize),
    stop: &dyn Stop,
    observer: &mut dyn Observer,
) -> Result<Trained> {
    let CandleModel { config, weights } = model;
    let (lora, vars) = Lora::fresh(config, plan.lora_r, plan.lora_alpha, plan.seed)?;
    let mut optimizer = AdamW::new(vars.clone(), plan.weight_decay)?;
    let mut order = RowOrder::new(rows.train.len(), plan.seed);
    let mut window = Window::new();
    let mut last = (f64::NAN, f64::NAN);
    let mut done = 0;
    if let Some(folder) = resume {
        let state = resume::restore(folder, &lora, &vars, &mut optimizer)?;
        for _ in 0..state.step {
            order.next_batch(plan.batch_size);
        }
        window.resume(&state);
        last = (state.last_loss, state.last_eval_loss);
        done = state.step;
    }
    let vars: Vec<Var> = vars.into_iter().map(|(_, var)| var).collect();
    let trained = Llama::for_training(config, weights, &lora)?;
    let measured = Llama::for_training(config, weights, &lora.detached())?;
    let eval_rows: Vec<&Example> = rows.eval.iter().collect();
    for step in done + 1..=plan.total_steps {
        let indices = order.next_batch(plan.batch_size).iter();
        let batch: Vec<&Example> = indices.map(|index| &rows.train[*index]).collect();
        let learning_rate = plan.learning_rate_at(step);
        let (loss, norm) = {
            let (loss, mut grads) = step::gradients(&trained, &batch, recomputed, stop)?;
            let norm = step::clip(&mut grads, &vars, MAX_GRADIENT_NORM)?;
            // If they aren't finite, leave the adapter alone.
            if loss.is_finite() && norm.is_finite() {
                optimizer.step(&grads, learning_rate)?;
            }
            (loss, norm)
        };
        let broken = finite(step, "loss", loss).and_then(|()| finite(step, "gradient norm", norm));
        window.add(loss, batch.len());
        let evaluate = plan.evaluates_at(step) && broken.is_ok();
        if step % plan.logging_steps == 0 || evaluate || broken.is_err() {
            let (loss, samples_per_second) = window.mean();
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
                learning_rate,
                epoch: order.epoch(),
                samples_per_second,
            })?;
            broken?;
            // The loss was computed before the update, so damage from the last update shows only here.
            finite(step, "eval loss", eval_loss.unwrap_or_default())?;
            window = Window::new();
        }
        if plan.saves_at(step) {
            finite(step, "adapter", step::non_finite(&vars)?)?;
            observer.checkpoint(&Checkpoint {
                lora: &lora,
                optimizer: &optimizer,
                state: TrainerState {
                    engine: resume::engine(),
                    step,
                    loss_since_log: window.loss,
                    steps_since_log: window.steps,
                    last_loss: last.0,
                    last_eval_loss: last.1,
                },
            })?;
        }
    }
    Ok(Trained {
        lora,
        loss: last.0,
        eval_loss: last.1,
    })
}

fn finite(step: usize, what: &'static str, value: f64) -> Result<()> {
    if value.is_finite() {
        Ok(())
    } else {
        Err(Error::Diverged { step, what, value })
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

    /// Takes over the steps of an earlier process. Their rows don't count towards the speed: we don't know how
    /// long they took.
    fn resume(&mut self, state: &TrainerState) {
        self.loss = state.loss_since_log;
        self.steps = state.steps_since_log;
    }

    /// Mean loss, and rows per second.
    fn mean(&self) -> (f64, f64) {
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
