//! An endpoint as the store keeps it. What is the same for all of them is only in [`Endpoint::to_json`].

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::key::Key;

/// An endpoint.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Endpoint {
    /// Made by this server.
    pub id: String,
    /// Its name in its address.
    pub slug: String,
    /// The slug of its project.
    pub project_id: String,
    /// What answers.
    pub target: Target,
    /// How its callers authenticate.
    pub auth_mode: AuthMode,
    /// Whether it can be called.
    pub enabled: bool,
    /// When it was made.
    pub created_at: String,
    /// When it was changed, its keys aside.
    pub updated_at: String,
    /// Its keys.
    pub keys: Vec<Key>,
}

/// How callers authenticate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuthMode {
    /// No authentication: only programs on this machine can call.
    None,
    /// With one of the endpoint's keys.
    FixedApiKey,
}

/// What answers.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(
    tag = "kind",
    rename_all = "snake_case",
    rename_all_fields = "camelCase"
)]
pub enum Target {
    /// An adapter of a job.
    Adapter {
        /// Which one.
        adapter: Adapter,
    },
    /// A base without an adapter.
    BaseModel {
        /// Its name.
        base_model: String,
    },
}

/// An adapter of a job.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(
    tag = "kind",
    rename_all = "lowercase",
    rename_all_fields = "camelCase"
)]
pub enum Adapter {
    /// The final one.
    Final {
        /// The job's id.
        job_id: String,
    },
    /// A checkpoint.
    Checkpoint {
        /// The job's id.
        job_id: String,
        /// Its step.
        step: usize,
    },
}

impl Endpoint {
    /// As the API shows it.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({
            "id": self.id,
            "slug": self.slug,
            "orgId": "local",
            "projectId": self.project_id,
            "target": self.target,
            "authMode": self.auth_mode,
            "urlFormat": "openai_compat",
            "enabled": self.enabled,
            "customDomain": null,
            // Requests and responses are never stored.
            "runRetentionMode": "disabled",
            "createdAt": self.created_at,
            "updatedAt": self.updated_at,
        })
    }

    /// Its key that a caller has sent.
    #[must_use]
    pub fn key(&self, given: &str) -> Option<&Key> {
        // All are compared, whichever it is.
        self.keys
            .iter()
            .fold(None, |found, key| key.is(given).then_some(key).or(found))
    }
}
