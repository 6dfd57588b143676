//! The backend's job object. Its required fields are checked; the text is passed on unchanged (T11).

use serde_json::value::RawValue;

use crate::error::Result;
use crate::json::{self, fields};
use crate::shape::{self, Field, Kind};

/// A job as the backend sent it.
#[derive(Debug, Clone)]
pub struct Job {
    /// Its id.
    pub id: String,
    /// The whole object, as JSON text in which a marker stands for a bare NaN.
    pub text: String,
}

/// The required fields of a job. The others appear as the job advances.
pub const JOB: &[Field] = &[
    ("id", Kind::Id),
    ("orgId", Kind::Text),
    ("projectId", Kind::Text),
    ("name", Kind::Text),
    ("status", Kind::Text),
    ("config", Kind::Any),
    ("createdAt", Kind::Text),
];

/// Reads `{ job }`, the response to `call`.
///
/// # Errors
/// When a required field is missing or of another type; the message names it.
pub fn read(text: &str, call: &str) -> Result<Job> {
    let text = field(&json::strict(text), call, ("job", Kind::Object(JOB)))?;
    let id = fields(&text)
        .ok()
        .and_then(|job| serde_json::from_str(job.get(b"id".as_slice())?.get()).ok())
        .ok_or_else(|| shape::unusable(call, "job.id is no Unicode text"))?;
    Ok(Job { id, text })
}

/// Reads `{ jobs }`, the response to `call`. Returns the array unchanged, as JSON text.
///
/// # Errors
/// When a required field of a job is missing or of another type; the message names it.
pub fn read_list(text: &str, call: &str) -> Result<String> {
    field(&json::strict(text), call, ("jobs", Kind::Array(JOB)))
}

fn field(text: &str, call: &str, field: Field) -> Result<String> {
    let answer = shape::read(text, call, &[field])?;
    let raw = answer.get(field.0.as_bytes()).copied();
    Ok(raw.map_or_else(String::new, |raw: &RawValue| raw.get().to_owned()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    const JOB: &str = r#"{"id":"a","orgId":"o","projectId":"p","name":"n","status":"queued","config":{},"createdAt":"t","new":1}"#;

    #[test]
    fn a_list_of_jobs_is_passed_on_as_it_came() {
        let text = format!(r#"{{"jobs": [{JOB}, {JOB}], "next": null}}"#);
        let list = read_list(&text, "GET /v1/jobs").unwrap();
        assert_eq!(list, format!("[{JOB}, {JOB}]"));
    }

    #[test]
    fn t9_a_job_of_a_run_that_diverged_is_read() {
        let answer = format!(r#"{{"job":{JOB}}}"#).replace(r#""new":1"#, r#""loss":NaN"#);
        let read = read(&answer, "GET").unwrap();
        assert_eq!(
            read.text,
            JOB.replace(r#""new":1"#, &format!(r#""loss":"{}""#, json::nan_marker()))
        );
    }

    #[test]
    fn a_job_is_passed_on_as_it_came_by_its_id() {
        let odd = JOB.replace(r#""n""#, r#""\ud800""#);
        for job in [JOB, &odd] {
            let read = read(&format!(r#"{{"events":[], "job":{job}}}"#), "GET").unwrap();
            assert_eq!((read.id.as_str(), read.text.as_str()), ("a", job));
        }
    }
}
