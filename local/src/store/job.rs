//! A job as the API shows it and as `job.json` keeps it: the same record.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::atomic::write_atomically;
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
    /// When it was submitted.
    pub created_at: String,
    /// When its training began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<String>,
    /// When it ended, however it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<String>,
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
