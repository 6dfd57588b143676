//! The engines, which train and generate. The rest of this crate only knows their trait. A job gives an
//! engine the path of a run's tokens, and gets logs and folders back. The server gives it a prompt, and
//! gets text back.

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
    /// The engine's name. `training.started` contains the name of the engine that trains.
    fn name(&self) -> &str;

    /// The device that it computes on, such as `cpu`, if that's known before training.
    fn device(&self) -> Option<&str> {
        None
    }

    /// Refuses a model that it can't load, quantised if `in_4bit` is set. Only reads configs and headers,
    /// so that it's fast enough for a request.
    fn check_model(&self, source: &Source, in_4bit: bool) -> Result<()>;

    /// Refuses a model whose architecture it doesn't support. Only reads `config.json`.
    fn check_architecture(&self, dir: &Path) -> Result<()>;

    /// Refuses the parts of a model's config that it doesn't support, and names the field.
    fn check_config(&self, source: &Source, config: &RunConfig) -> Result<()>;

    /// Trains an adapter, using any number of threads, and returns when it's done. Returns
    /// `Error::Stopped` soon after `stop` returns true, which is checked at least twice a second.
    fn train(&self, task: &TrainTask, run: &mut dyn RunEvents, stop: &dyn Stop)
    -> Result<TrainEnd>;

    /// Loads the model for a chat. Problems with it are reported here, before the response begins.
    fn load(&self, source: &Source, adapter: Option<&Path>, stop: &dyn Stop) -> Result<()>;

    /// Answers a prompt. `on_text` receives complete characters, and returns whether to continue.
    fn chat(
        &self,
        task: ChatTask,
        cancel: &CancellationToken,
        on_text: &mut (dyn FnMut(&str) -> bool + Send),
    ) -> Result<Generated>;

    /// Ends everything that the engine has started, because the server is stopping.
    fn shut_down(&self) {}
}

/// The numbers of a run, with all defaults filled in. They are stored with the job, so that its run can
/// be repeated.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// The number of updates.
    pub total_steps: usize,
    /// The number of rows per update.
    pub batch_size: usize,
    /// The highest learning rate.
    pub learning_rate: f64,
    /// The shape of the learning rate over the run.
    #[serde(rename = "lrSchedulerType")]
    pub schedule: Schedule,
    /// The number of updates until the highest learning rate.
    pub warmup_steps: usize,
    /// The weight decay of `AdamW`.
    pub weight_decay: f64,
    /// The number of steps between two logs.
    pub logging_steps: usize,
    /// The number of steps between two checkpoints. There's also one after the last step.
    pub save_steps: usize,
    /// The number of steps between two evaluations. There's also one with the first log, and one after
    /// the last step.
    pub eval_steps: usize,
    /// The rank of the adapter.
    pub lora_r: usize,
    /// The numerator of the adapter's scale.
    pub lora_alpha: f64,
    /// The seed of the adapter's initial values and of the order of the rows.
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

    /// Whether the eval loss is measured after a step: every `eval_steps` steps, with the first log, and
    /// at the end.
    #[must_use]
    pub fn evaluates_at(&self, step: usize) -> bool {
        step.is_multiple_of(self.eval_steps)
            || step == self.logging_steps
            || step == self.total_steps
    }
}

/// A training run, as input for an engine.
#[derive(Debug)]
pub struct TrainTask<'a> {
    /// The place of the base's files.
    pub source: &'a Source,
    /// The base's name in the files of the adapter.
    pub base_name: &'a str,
    /// The numbers of the run.
    pub plan: &'a Plan,
    /// The encoded rows: see [`crate::data::tokens`].
    pub tokens: &'a Path,
    /// The number of rows to train on.
    pub rows: usize,
    /// The job's folder. The engine writes folders into it, which the core moves to their places.
    pub folder: &'a Path,
    /// The checkpoint to resume from, and its step.
    pub resume: Option<(usize, &'a Path)>,
}

impl TrainTask<'_> {
    /// The folder for the checkpoint of a step. It may contain leftovers.
    #[must_use]
    pub fn checkpoint_folder(&self, step: usize) -> PathBuf {
        let name = format!("checkpoint-{step}.tmp");
        self.folder.join("checkpoints").join(name)
    }

    /// The folder for the final adapter.
    #[must_use]
    pub fn adapter_folder(&self) -> PathBuf {
        self.folder.join("adapter.tmp")
    }
}

/// Receives the events of a run in order. An error from it ends the run.
pub trait RunEvents: Send {
    /// Reports progress before the first step.
    fn progress(&mut self, progress: &Progress) -> Result<()>;
    /// Reports that the model is loaded, just before the first step.
    fn started(&mut self, started: &Started) -> Result<()>;
    /// Reports a log.
    fn log(&mut self, log: &Log) -> Result<()>;
    /// Reports that a checkpoint has been written to [`TrainTask::checkpoint_folder`].
    fn checkpoint(&mut self, step: usize) -> Result<()>;
}

/// The progress of the work before the first step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    /// The current phase.
    pub phase: Phase,
    /// The subject of the phase, such as a repository or a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The amount of work that is done.
    pub done: u64,
    /// The total amount of work, or 0 while it's unknown.
    pub total: u64,
    /// The unit of `done` and `total`.
    pub unit: Unit,
}

/// The phases of a run before its first step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Files are downloaded from the Hub.
    Downloading,
    /// Rows are read and encoded.
    Encoding,
    /// The model is loaded.
    Loading,
}

/// The units of progress.
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

/// Facts about a run that are known once the model is loaded. All of them are in `training.started`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Started {
    /// The engine's name. A worker gives it in its `hello` instead.
    #[serde(default)]
    pub engine: String,
    /// The device that it computes on, such as `cpu` or `cuda:0`.
    pub device: String,
    /// The number of parameters in the base.
    pub base_parameters: usize,
    /// The number of parameters in the adapter.
    pub trainable_parameters: usize,
    /// The data type that it computes in, such as `bfloat16`, or the type of a quantised base, such as
    /// `q4_1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dtype: Option<String>,
    /// About how many bytes of memory the run takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
    /// The number of processes that train. Default: 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub processes: Option<usize>,
    /// The class of the loaded model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model_class: Option<String>,
    /// The modules that the adapter changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub targets: Option<Vec<String>>,
}

/// The content of a `training.log`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Log {
    /// The number of updates so far.
    pub step: usize,
    /// The mean loss per trained token since the last log.
    #[serde(with = "crate::wire::loose_number")]
    pub loss: f64,
    /// The mean loss on the eval rows after this step, if it was measured.
    #[serde(default, with = "crate::wire::some_loose_number")]
    pub eval_loss: Option<f64>,
    /// The learning rate of this step's update.
    pub learning_rate: f64,
    /// The number of passes over the rows so far.
    pub epoch: f64,
    /// Rows per second since the last log, without the time for evaluations.
    pub samples_per_second: f64,
}

/// The result of a run. The adapter is in [`TrainTask::adapter_folder`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TrainEnd {
    /// The last logged loss.
    pub loss: f64,
    /// The eval loss after the last step.
    pub eval_loss: f64,
}

/// A prompt, as input for an engine.
pub struct ChatTask<'a> {
    /// The base, for its tokenizer and its files.
    pub base: &'a Base,
    /// The folder of an adapter in PEFT's format.
    pub adapter: Option<&'a Path>,
    /// The rendered conversation, as tokens.
    pub prompt: &'a [u32],
    /// The sampling parameters.
    pub sampling: &'a Sampling,
    /// The constraint on the answer.
    pub constraint: Option<CompiledConstraint>,
}

/// A constraint, and the guide built from it.
pub struct CompiledConstraint {
    /// The source, for an engine that compiles it itself.
    pub source: Constraint,
    /// The guide, for an engine in this process.
    pub guide: Guide,
}

/// The parameters for choosing the next token.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Sampling {
    /// 0 always picks the likeliest token.
    pub temperature: f64,
    /// Only considers the likeliest tokens whose probabilities add up to this.
    pub top_p: f64,
    /// The most tokens to generate.
    pub max_tokens: usize,
    /// The seed of the random choices.
    pub seed: u64,
}

/// The reason why a text ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Finish {
    /// The model ended the text.
    Stop,
    /// The text reached `max_tokens`, or the end of the model's context.
    Length,
}

impl Finish {
    /// Its name in `finish_reason`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Length => "length",
        }
    }
}

/// The result of a generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Generated {
    /// The reason why the text ended.
    pub finish: Finish,
    /// The number of generated tokens, including the one that ended the text.
    pub tokens: usize,
}
