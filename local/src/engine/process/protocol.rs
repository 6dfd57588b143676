//! The protocol between the core and a worker: one JSON object per line, with requests on the worker's
//! stdin and messages on its stdout. `docs/engine-protocol.md` describes it for authors of workers.

use std::path::Path;

use llguidance::api::TopLevelGrammar;
use serde::{Deserialize, Serialize};

use crate::constrain::Constraint;
use crate::engine::{Finish, Log, Plan, Progress, Sampling, Started};
use crate::wire;

/// The version of this protocol. It changes whenever workers of the previous version would misunderstand
/// a message.
pub const PROTOCOL: u32 = 1;

/// A request from the core to a worker. Every message about it repeats its `id`.
#[derive(Debug, Serialize)]
#[serde(
    tag = "type",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
pub enum Request<'a> {
    /// Train an adapter.
    Train {
        /// The request's id.
        id: u64,
        /// The model's directory.
        base: &'a Path,
        /// The base's name in the files of adapters.
        base_name: &'a str,
        /// The numbers of the run.
        plan: &'a Plan,
        /// The encoded rows: see `data::tokens`.
        tokens: &'a Path,
        /// The order of the rows, batch by batch: `rows` (U32) are indices of training rows, and `ends`
        /// (U64) are the ends of the batches in `rows`.
        order: &'a Path,
        /// The path of a step's checkpoint, with `{step}` in place of the step.
        checkpoint: &'a str,
        /// The folder for the final adapter.
        adapter: &'a Path,
        /// The checkpoint to resume from.
        #[serde(skip_serializing_if = "Option::is_none")]
        resume: Option<&'a Path>,
    },
    /// Load the model for a chat.
    Load {
        /// The request's id.
        id: u64,
        /// The model's directory.
        base: &'a Path,
        /// The adapter's directory.
        #[serde(skip_serializing_if = "Option::is_none")]
        adapter: Option<&'a Path>,
    },
    /// Answer a prompt.
    Chat {
        /// The request's id.
        id: u64,
        /// The model's directory.
        base: &'a Path,
        /// The adapter's directory.
        #[serde(skip_serializing_if = "Option::is_none")]
        adapter: Option<&'a Path>,
        /// Token ids.
        prompt: &'a [u32],
        /// The sampling parameters.
        sampling: &'a Sampling,
        /// Tokens that end the answer.
        stop: &'a [u32],
        /// The constraint on the answer.
        #[serde(skip_serializing_if = "Option::is_none")]
        constraint: Option<&'a Constraint>,
        /// The constraint as a grammar for `llguidance`.
        #[serde(skip_serializing_if = "Option::is_none")]
        grammar: Option<TopLevelGrammar>,
    },
    /// End a request. Its last message is `cancelled`, or whichever would have come anyway.
    Cancel {
        /// The id of the request to end.
        id: u64,
    },
    /// End the process.
    Shutdown,
}

/// A message from a worker to the core.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(
    tag = "type",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
pub enum Message {
    /// The first message, which introduces the worker.
    Hello(Hello),
    /// A heartbeat, due every few seconds while a worker handles a request.
    Alive,
    /// Progress before the first step.
    Progress {
        /// The request's id.
        id: u64,
        /// The progress.
        #[serde(flatten)]
        progress: Progress,
    },
    /// The model is loaded, and the first step comes next.
    Started {
        /// The request's id.
        id: u64,
        /// Facts about the model.
        #[serde(flatten)]
        started: Started,
    },
    /// A log is due.
    Log {
        /// The request's id.
        id: u64,
        /// The log.
        #[serde(flatten)]
        log: Log,
    },
    /// A checkpoint has been written.
    Checkpoint {
        /// The request's id.
        id: u64,
        /// The step of the checkpoint.
        step: usize,
    },
    /// The adapter has been written.
    Completed {
        /// The request's id.
        id: u64,
        /// The last logged loss.
        #[serde(with = "wire::loose_number")]
        loss: f64,
        /// The eval loss after the last step.
        #[serde(with = "wire::loose_number")]
        eval_loss: f64,
    },
    /// The model for a chat is loaded.
    Loaded {
        /// The request's id.
        id: u64,
    },
    /// A piece of an answer, which consists of complete characters.
    Text {
        /// The request's id.
        id: u64,
        /// The piece.
        text: String,
    },
    /// The end of an answer.
    Done {
        /// The request's id.
        id: u64,
        /// The reason why it ended.
        finish: Finish,
        /// The number of generated tokens, including the one that ended the answer.
        tokens: usize,
    },
    /// The request was ended by `cancel`.
    Cancelled {
        /// The request's id.
        id: u64,
    },
    /// The request was refused, or failed.
    Failed {
        /// The request's id.
        id: u64,
        /// The kind of failure.
        kind: Failure,
        /// A sentence that says what happened, and what to change.
        message: String,
    },
}

/// A worker's introduction, and the features that it supports.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Hello {
    /// The version of this protocol.
    pub protocol: u32,
    /// The engine's name, for events and messages.
    pub name: String,
    /// The engine's version.
    pub version: String,
    /// The architectures that it supports, by their names in `config.json`. Default: all.
    #[serde(default)]
    pub architectures: Option<Vec<String>>,
    /// Whether it can quantise a base when it's loaded.
    #[serde(default)]
    pub load_in_4bit: bool,
    /// Whether it supports constraints on answers.
    #[serde(default)]
    pub constraints: bool,
}

/// Why a request failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Failure {
    /// The request is at fault. The message names the field.
    Refused,
    /// There isn't enough memory on the device or the machine.
    OutOfMemory,
    /// A value of the run is no longer finite.
    Diverged,
    /// A process of the engine is gone: one of several workers, or a node.
    Lost,
    /// Any other failure.
    Error,
}

impl Message {
    /// Whether this is the last message about a request.
    #[must_use]
    pub fn is_last(&self) -> bool {
        matches!(
            self,
            Self::Completed { .. }
                | Self::Loaded { .. }
                | Self::Done { .. }
                | Self::Cancelled { .. }
                | Self::Failed { .. }
        )
    }

    /// The id of the request that it's about.
    #[must_use]
    pub fn id(&self) -> Option<u64> {
        match self {
            Self::Hello(_) | Self::Alive => None,
            Self::Progress { id, .. }
            | Self::Started { id, .. }
            | Self::Log { id, .. }
            | Self::Checkpoint { id, .. }
            | Self::Completed { id, .. }
            | Self::Loaded { id }
            | Self::Text { id, .. }
            | Self::Done { id, .. }
            | Self::Cancelled { id }
            | Self::Failed { id, .. } => Some(*id),
        }
    }
}
