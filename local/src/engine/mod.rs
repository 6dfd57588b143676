//! The engines, which train and generate. Everything else in this crate knows only the trait: jobs hand an
//! engine the
//! path of a run's tokens and get logs and folders back, the server hands it a prompt and gets text back.

pub mod auto;
pub mod candle;

pub mod cores;
mod order;
pub mod process;
pub mod schedule;

use std::fmt::Debug;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::base::{Base, Source};
use crate::constrain::{Constraint, Guide};
use crate::error::Result;
use crate::run_config::RunConfig;
use crate::stop::Stop;
pub use order::RowOrder;
pub use schedule::Schedule;

/// Trains adapters and generates text.
pub trait Engine: Debug + Send + Sync {
    /// Its name. `training.started` has the name of the one that trains.
    fn name(&self) -> &str;

    /// What it computes on, such as `cpu`, if that's known before it trains.
    fn device(&self) -> Option<&str> {
        None
    }

    /// Refuses a model that it can't load, quantised or not. Reads configs and headers only: cheap enough for a
    /// request.
    fn check_model(&self, source: &Source, in_4bit: bool) -> Result<()>;

    /// Refuses a model of an architecture that it doesn't know. Reads `config.json` only.
    fn check_architecture(&self, dir: &Path) -> Result<()>;

    /// Refuses, by the field's name, what it can't do of a config for a model.
    fn check_config(&self, source: &Source, config: &RunConfig) -> Result<()>;

    /// Trains an adapter, on as many threads as it likes, and returns when it's done. Ends early with
    /// `Error::Stopped` if `stop` returns true; checks that at least twice a second.
    fn train(&self, task: &TrainTask, run: &mut dyn RunEvents, stop: &dyn Stop)
    -> Result<TrainEnd>;

    /// Loads what a chat needs. What's wrong with it shows here, before the answer begins.
    fn load(&self, source: &Source, adapter: Option<&Path>, stop: &dyn Stop) -> Result<()>;

    /// Answers a prompt. `on_text` gets whole characters and answers whether it wants more.
    fn chat(
        &self,
        task: ChatTask,
        cancel: &CancellationToken,
        on_text: &mut (dyn FnMut(&str) -> bool + Send),
    ) -> Result<Generated>;

    /// The server ends: whatever the engine has started ends too.
    fn shut_down(&self) {}
}

/// The numbers of a run, all decided. Stored with the job, so that a run can be repeated.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// Updates.
    pub total_steps: usize,
    /// Rows per update.
    pub batch_size: usize,
    /// The highest learning rate.
    pub learning_rate: f64,
    /// How it changes.
    #[serde(rename = "lrSchedulerType")]
    pub schedule: Schedule,
    /// Updates until the highest learning rate.
    pub warmup_steps: usize,
    /// `AdamW`'s weight decay.
    pub weight_decay: f64,
    /// How many steps there are between two logs.
    pub logging_steps: usize,
    /// How many steps there are between two checkpoints. There's also one after the last step.
    pub save_steps: usize,
    /// How many steps there are between two evaluations. There's also one with the first log, and one after the
    /// last step.
    pub eval_steps: usize,
    /// Rank of the adapter.
    pub lora_r: usize,
    /// Numerator of its scale.
    pub lora_alpha: f64,
    /// Decides the adapter's initial values and the order of the rows.
    pub seed: u64,
    /// Whether the base is quantised when it's loaded.
    #[serde(default, rename = "loadIn4bit")]
    pub load_in_4bit: bool,
}

impl Plan {
    /// The learning rate of a step's update. Steps count from 1.
    #[must_use]
    pub fn learning_rate_at(&self, step: usize) -> f64 {
        let done = step.saturating_sub(1);
        let factor = self
            .schedule
            .factor(done, self.warmup_steps, self.total_steps);
        self.learning_rate * factor
    }

    /// Whether the adapter is saved after a step.
    #[must_use]
    pub fn saves_at(&self, step: usize) -> bool {
        step.is_multiple_of(self.save_steps) || step == self.total_steps
    }

    /// Whether the eval loss is measured after a step: every `eval_steps`, with the first log, and at
    /// the end.
    #[must_use]
    pub fn evaluates_at(&self, step: usize) -> bool {
        step.is_multiple_of(self.eval_steps)
            || step == self.logging_steps
            || step == self.total_steps
    }
}

/// A run, for an engine.
#[derive(Debug)]
pub struct TrainTask<'a> {
    /// Where the base's files are.
    pub source: &'a Source,
    /// What the adapter names as its base.
    pub base_name: &'a str,
    /// The numbers of the run.
    pub plan: &'a Plan,
    /// The rows, encoded: see [`crate::data::tokens`].
    pub tokens: &'a Path,
    /// How many of them are trained.
    pub rows: usize,
    /// The job's folder. The engine writes folders into it; the core puts them in place.
    pub folder: &'a Path,
    /// The checkpoint to resume from, and its step.
    pub resume: Option<(usize, &'a Path)>,
}

impl TrainTask<'_> {
    /// Where the engine writes the checkpoint of a step. The folder may hold leftovers.
    #[must_use]
    pub fn checkpoint_folder(&self, step: usize) -> PathBuf {
        let name = format!("checkpoint-{step}.tmp");
        self.folder.join("checkpoints").join(name)
    }

    /// Where the engine writes the final adapter.
    #[must_use]
    pub fn adapter_folder(&self) -> PathBuf {
        self.folder.join("adapter.tmp")
    }
}

/// Receives what happens in a run, in order. An error from it ends the run.
pub trait RunEvents: Send {
    /// Reports progress before the first step.
    fn progress(&mut self, progress: &Progress) -> Result<()>;
    /// The model is loaded, and the first step comes next.
    fn started(&mut self, started: &Started) -> Result<()>;
    /// A log is due.
    fn log(&mut self, log: &Log) -> Result<()>;
    /// The checkpoint of a step has been written to [`TrainTask::checkpoint_folder`].
    fn checkpoint(&mut self, step: usize) -> Result<()>;
}

/// How far the work before the first step is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    /// What is going on.
    pub phase: Phase,
    /// What it's about: a repository, a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// How much of it is done.
    pub done: u64,
    /// How much there is; 0 while that isn't known.
    pub total: u64,
    /// What `done` and `total` count.
    pub unit: Unit,
}

/// What a run does before its first step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Files come from the Hub.
    Downloading,
    /// Rows are read and encoded.
    Encoding,
    /// The model is loaded.
    Loading,
}

/// What progress is counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// Bytes.
    Bytes,
    /// Rows of a dataset.
    Rows,
    /// Tensors of a model.
    Tensors,
}

/// What an engine knows once it has loaded the model. All of it is in `training.started`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Started {
    /// The engine's name. A worker has said it in its `hello`.
    #[serde(default)]
    pub engine: String,
    /// What it computes on, such as `cpu` or `cuda:0`.
    pub device: String,
    /// Number of values in the base.
    pub base_parameters: usize,
    /// Number of values in the adapter.
    pub trainable_parameters: usize,
    /// The type that it computes in, such as `bfloat16`, or that the base is held in, such as `q4_1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dtype: Option<String>,
    /// About how many bytes of memory it takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
    /// How many processes train. One, if it doesn't say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub processes: Option<usize>,
    /// The class that the model was loaded as.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model_class: Option<String>,
    /// The modules that the adapter changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub targets: Option<Vec<String>>,
}

/// One `training.log`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Log {
    /// Updates done.
    pub step: usize,
    /// Mean loss per trained token since the last log.
    #[serde(with = "crate::wire::loose_number")]
    pub loss: f64,
    /// The same on the eval rows, after this step, when it was measured.
    #[serde(default, with = "crate::wire::some_loose_number")]
    pub eval_loss: Option<f64>,
    /// The learning rate of this step's update.
    pub learning_rate: f64,
    /// Passes over the rows so far.
    pub epoch: f64,
    /// Rows per second since the last log, evaluations not counted.
    pub samples_per_second: f64,
}

/// How a run ended. The adapter is in [`TrainTask::adapter_folder`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TrainEnd {
    /// The last logged loss.
    pub loss: f64,
    /// The eval loss after the last step.
    pub eval_loss: f64,
}

/// A prompt, for an engine.
pub struct ChatTask<'a> {
    /// The base, for its tokenizer and its files.
    pub base: &'a Base,
    /// The folder of an adapter in PEFT's format.
    pub adapter: Option<&'a Path>,
    /// The rendered conversation, as tokens.
    pub prompt: &'a [u32],
    /// How to choose tokens.
    pub sampling: &'a Sampling,
    /// What the answer must look like.
    pub constraint: Option<CompiledConstraint>,
}

/// A constraint, and the guide built from it.
pub struct CompiledConstraint {
    /// For an engine that compiles it itself.
    pub source: Constraint,
    /// For an engine in this process.
    pub guide: Guide,
}

/// How to choose the next token.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Sampling {
    /// 0 always takes the likeliest token.
    pub temperature: f64,
    /// Only the likeliest tokens whose probabilities add up to this.
    pub top_p: f64,
    /// At most this many tokens.
    pub max_tokens: usize,
    /// Seeds the random choices.
    pub seed: u64,
}

/// Why a text ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Finish {
    /// The model ended it.
    Stop,
    /// It reached `max_tokens`, or the end of the model's context.
    Length,
}

impl Finish {
    /// As `finish_reason` names it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Length => "length",
        }
    }
}

/// How a generation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Generated {
    /// Why.
    pub finish: Finish,
    /// Tokens that were generated, the ending one included.
    pub tokens: usize,
}
