//! The protocol between the core and a worker: one JSON object per line, requests on the worker's stdin,
//! messages on its stdout. `docs/engine-protocol.md` describes it for people who write a worker.

use std::path::Path;

use llguidance::api::TopLevelGrammar;
use serde::{Deserialize, Serialize};

use crate::constrain::Constraint;
use crate::engine::{Finish, Log, Plan, Progress, Sampling, Started};
use crate::wire;

/// The version of this protocol. It changes when a worker of an older one would misunderstand something.
pub const PROTOCOL: u32 = 1;

/// From the core to a worker. `id` comes back in every message about the request.
#[derive(Debug, Serialize)]
#[serde(
    tag = "type",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
pub enum Request<'a> {
    /// Train an adapter.
    Train {
        /// The request.
        id: u64,
        /// The model's directory.
        base: &'a Path,
        /// What adapters name as their base.
        base_name: &'a str,
        /// The numbers of the run.
        plan: &'a Plan,
        /// The rows: see `data::tokens`.
        tokens: &'a Path,
        /// The order of the rows, batch by batch: `rows` (U32) are numbers of trained rows, `ends` (U64) is
        /// where each batch ends in them.
        order: &'a Path,
        /// Where the checkpoint of a step goes, with `{step}` in place of the step.
        checkpoint: &'a str,
        /// Where the final adapter goes.
        adapter: &'a Path,
        /// The checkpoint to resume from.
        #[serde(skip_serializing_if = "Option::is_none")]
        resume: Option<&'a Path>,
    },
    /// Load what a chat needs.
    Load {
        /// The request.
        id: u64,
        /// The model's directory.
        base: &'a Path,
        /// The adapter's directory.
        #[serde(skip_serializing_if = "Option::is_none")]
        adapter: Option<&'a Path>,
    },
    /// Answer a prompt.
    Chat {
        /// The request.
        id: u64,
        /// The model's directory.
        base: &'a Path,
        /// The adapter's directory.
        #[serde(skip_serializing_if = "Option::is_none")]
        adapter: Option<&'a Path>,
        /// Token ids.
        prompt: &'a [u32],
        /// How to choose tokens.
        sampling: &'a Sampling,
        /// Tokens that end the answer.
        stop: &'a [u32],
        /// What the answer must look like.
        #[serde(skip_serializing_if = "Option::is_none")]
        constraint: Option<&'a Constraint>,
        /// The constraint as a grammar of `llguidance`'s.
        #[serde(skip_serializing_if = "Option::is_none")]
        grammar: Option<TopLevelGrammar>,
    },
    /// End a request. Its last message is `cancelled`, or what it would have been anyway.
    Cancel {
        /// The request to end.
        id: u64,
    },
    /// End the process.
    Shutdown,
}

/// From a worker to the core.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(
    tag = "type",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
pub enum Message {
    /// The first message.
    Hello(Hello),
    /// The worker is well, and has nothing to report. Due every few seconds while a request is worked on.
    Alive,
    /// Progress before the first step.
    Progress {
        /// The request.
        id: u64,
        /// How far it is.
        #[serde(flatten)]
        progress: Progress,
    },
    /// The first step comes next.
    Started {
        /// The request.
        id: u64,
        /// Facts about the model.
        #[serde(flatten)]
        started: Started,
    },
    /// A log is due.
    Log {
        /// The request.
        id: u64,
        /// The log.
        #[serde(flatten)]
        log: Log,
    },
    /// A checkpoint has been written.
    Checkpoint {
        /// The request.
        id: u64,
        /// Its step.
        step: usize,
    },
    /// The adapter has been written.
    Completed {
        /// The request.
        id: u64,
        /// The last logged loss.
        #[serde(with = "wire::loose_number")]
        loss: f64,
        /// The eval loss after the last step.
        #[serde(with = "wire::loose_number")]
        eval_loss: f64,
    },
    /// What a chat needs is loaded.
    Loaded {
        /// The request.
        id: u64,
    },
    /// A piece of an answer, of whole characters.
    Text {
        /// The request.
        id: u64,
        /// The piece.
        text: String,
    },
    /// The end of an answer.
    Done {
        /// The request.
        id: u64,
        /// Why it ended.
        finish: Finish,
        /// Tokens that were generated, the ending one included.
        tokens: usize,
    },
    /// The request was ended by `cancel`.
    Cancelled {
        /// The request.
        id: u64,
    },
    /// The request can't be done, or went wrong.
    Failed {
        /// The request.
        id: u64,
        /// What kind of failure it is.
        kind: Failure,
        /// A sentence that says what happened, and what to change.
        message: String,
    },
}

/// How a worker introduces itself, and what it supports.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Hello {
    /// The version of this protocol.
    pub protocol: u32,
    /// The engine's name, for events and messages.
    pub name: String,
    /// The engine's version.
    pub version: String,
    /// The architectures that it knows, as `config.json` names them. All, if it doesn't say.
    #[serde(default)]
    pub architectures: Option<Vec<String>>,
    /// Whether it can quantise a base when it's loaded.
    #[serde(default)]
    pub load_in_4bit: bool,
    /// Whether it can hold an answer to a constraint.
    #[serde(default)]
    pub constraints: bool,
}

/// Why a request failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Failure {
    /// Something about the request: the message names it.
    Refused,
    /// Memory, the device's or the machine's.
    OutOfMemory,
    /// A value of the run is no longer finite.
    Diverged,
    /// A process of the engine disappeared: a worker of several, a node.
    Lost,
    /// Anything else.
    Error,
}

impl Message {
    /// Whether nothing more comes about the request.
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

    /// The request that it's about.
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
