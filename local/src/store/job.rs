//! A job as the API shows it and as `job.json` keeps it: the same record.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::atomic::write_atomically;
use crate::base::Resolved;
use crate::data::dataset_file::DatasetInfo;
use crate::data::tokens::TokenCounts;
use crate::engine::Plan;
use crate::error::{Error, Result};

/// Where a job is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Waits for its turn.
    Queued,
    /// Trains.
    Running,
    /// Has its adapter.
    Completed,
    /// Ended by an error.
    Failed,
    /// Ended by a request.
    Cancelled,
}

impl Status {
    /// Whether nothing more will happen.
    #[must_use]
    pub fn is_final(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled)
    }

    /// As the API names it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// A job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Job {
    /// Made by this server.
    pub id: String,
    /// Always `local`.
    pub org_id: String,
    /// The slug of its project.
    pub project_id: String,
    /// The name that the client gave it.
    pub name: String,
    /// Where it is in its life.
    pub status: Status,
    /// The config as submitted, without the dataset's token.
    pub config: Value,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The resolved config. A job of an older version has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunRecord>,
    /// When it was submitted.
    pub created_at: String,
    /// When its training began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<String>,
    /// When it ended, however it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<String>,
}

/// A config with all its defaults filled in, and how far its run is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunRecord {
    /// The base that was found for its model.
    pub base: Resolved,
    /// Its rows and its plan. None until the rows are on disk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prepared: Option<PreparedRun>,
    /// The job whose checkpoint it resumes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resumed_from: Option<ResumedFrom>,
    /// How often it was begun since its last checkpoint.
    #[serde(default)]
    pub attempts: Attempts,
    /// How often its worker was lost.
    #[serde(default)]
    pub failures: u32,
}

/// What we know about a run once its rows are on disk.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PreparedRun {
    /// The numbers of the run.
    pub plan: Plan,
    /// The longest row, in tokens.
    pub max_length: usize,
    /// The rows that were checked.
    pub dataset: DatasetInfo,
    /// The rows that are trained and measured.
    pub tokens: TokenCounts,
    /// Rows that were left out because nothing of them would be learned.
    pub without_target: usize,
}

/// A checkpoint of another job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ResumedFrom {
    /// The job.
    pub job_id: String,
    /// The step of the checkpoint.
    pub step: usize,
}

/// How often a run was begun at a step.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempts {
    /// The step of the checkpoint that it began from, or 0.
    pub step: usize,
    /// How often.
    pub count: u32,
}

impl Job {
    /// Reads the `job.json` of a job's directory.
    pub fn load(dir: &Path) -> Result<Self> {
        let path = dir.join("job.json");
        let text =
            fs::read_to_string(&path).map_err(|source| Error::io("can't read", &path, source))?;
        Ok(serde_json::from_str(&text)?)
    }

    /// Writes the `job.json` of a job's directory.
    pub fn save(&self, dir: &Path) -> Result<()> {
        write_atomically(&dir.join("job.json"), &serde_json::to_vec_pretty(self)?)
    }
}
