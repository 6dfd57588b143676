//! The backend's job object: checked for what must be there, passed on as it came (T11).

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::error::{Error, Result};

/// A job as the backend sent it.
#[derive(Debug, Clone)]
pub struct Job {
    /// Its id.
    pub id: String,
    /// The whole object, JSON text.
    pub text: String,
}

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    job: Option<&'a RawValue>,
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
    let answer: Answer<'_> = serde_json::from_str(text).map_err(|error| {
        Error::plain(format!(
            "The backend's answer to {call} is not usable: {error}"
        ))
    })?;
    let raw = answer.job.ok_or_else(|| lacks("job"))?;
    let fields: serde_json::Map<String, Value> =
        serde_json::from_str(raw.get()).map_err(|_| lacks("job"))?;
    if let Some(missing) = REQUIRED
        .into_iter()
        .find(|field| !fields.contains_key(*field))
    {
        return Err(lacks(&format!("job.{missing}")));
    }
    match fields.get("id") {
        Some(Value::String(id)) if !id.is_empty() => Ok(Job {
            id: id.clone(),
            text: raw.get().to_owned(),
        }),
        _ => Err(Error::plain(format!(
            "The backend's answer to {call} is not usable: job.id is no string"
        ))),
    }
}
