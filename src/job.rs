//! The backend's job object: checked for what must be there, passed on as it came (T11).

use crate::error::{Error, Result};
use crate::json::fields;

/// A job as the backend sent it.
#[derive(Debug, Clone)]
pub struct Job {
    /// Its id.
    pub id: String,
    /// The whole object, JSON text.
    pub text: String,
}

/// Every job has these; the others come with time.
const REQUIRED: [&str; 7] = [
    "id",
    "orgId",
    "projectId",
    "name",
    "status",
    "config",
    "createdAt",
];

/// Reads `{ job }`, the answer to `call`.
///
/// # Errors
/// When a required field is missing; the message names it.
pub fn read(text: &str, call: &str) -> Result<Job> {
    let lacks = |field: &str| {
        Error::plain(format!(
            "The backend's answer to {call} is not usable: {field} is missing"
        ))
    };
    let unusable = |error: serde_json::Error| {
        Error::plain(format!(
            "The backend's answer to {call} is not usable: {error}"
        ))
    };
    let answer = fields(text).map_err(unusable)?;
    let raw = *answer
        .get(b"job".as_slice())
        .filter(|raw| raw.get().starts_with('{'))
        .ok_or_else(|| lacks("job"))?;
    let job = fields(raw.get()).map_err(unusable)?;
    if let Some(missing) = REQUIRED
        .into_iter()
        .find(|field| !job.contains_key(field.as_bytes()))
    {
        return Err(lacks(&format!("job.{missing}")));
    }
    let id = job.get(b"id".as_slice()).and_then(|raw| {
        let id: Option<String> = serde_json::from_str(raw.get()).ok();
        id.filter(|id| !id.is_empty())
    });
    match id {
        Some(id) => Ok(Job {
            id,
            text: raw.get().to_owned(),
        }),
        None => Err(Error::plain(format!(
            "The backend's answer to {call} is not usable: job.id is no string"
        ))),
    }
}
