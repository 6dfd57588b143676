//! The backend's job object: checked for what must be there, passed on as it came (T11).

use serde_json::value::RawValue;

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
    let unusable = unusable(call);
    let answer = fields(text).map_err(|error| unusable(&error.to_string()))?;
    let raw = answer
        .get(b"job".as_slice())
        .ok_or_else(|| unusable("job is missing"))?;
    check("job", raw).map_err(|what| unusable(&what))
}

/// Reads `{ jobs }`, the answer to `call`: the array as it came, JSON text.
///
/// # Errors
/// When a required field of a job is missing; the message names it.
pub fn read_list(text: &str, call: &str) -> Result<String> {
    let unusable = unusable(call);
    let answer = fields(text).map_err(|error| unusable(&error.to_string()))?;
    let raw = answer
        .get(b"jobs".as_slice())
        .ok_or_else(|| unusable("jobs is missing"))?;
    let jobs: Vec<&RawValue> =
        serde_json::from_str(raw.get()).map_err(|_| unusable("jobs is no array"))?;
    for (index, job) in jobs.into_iter().enumerate() {
        check(&format!("jobs[{index}]"), job).map_err(|what| unusable(&what))?;
    }
    Ok(raw.get().to_owned())
}

fn unusable(call: &str) -> impl Fn(&str) -> Error {
    move |what| {
        Error::plain(format!(
            "The backend's answer to {call} is not usable: {what}"
        ))
    }
}

/// Whether it is a job; the error says what is wrong with the field `name`.
fn check(name: &str, raw: &RawValue) -> std::result::Result<Job, String> {
    if !raw.get().starts_with('{') {
        return Err(format!("{name} is missing"));
    }
    let job = fields(raw.get()).map_err(|error| error.to_string())?;
    if let Some(missing) = REQUIRED
        .into_iter()
        .find(|field| !job.contains_key(field.as_bytes()))
    {
        return Err(format!("{name}.{missing} is missing"));
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
        None => Err(format!("{name}.id is no string")),
    }
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
    fn what_is_missing_of_a_listed_job_is_named() {
        let lacking = JOB.replace(r#""status":"queued","#, "");
        let cases = [
            (
                format!(r#"{{"jobs":[{JOB},{lacking}]}}"#),
                "jobs[1].status is missing",
            ),
            (r#"{"jobs":{}}"#.to_owned(), "jobs is no array"),
            ("{}".to_owned(), "jobs is missing"),
        ];
        for (text, expected) in cases {
            let Err(Error::Plain(message)) = read_list(&text, "GET /v1/jobs") else {
                panic!("{text} was read")
            };
            assert_eq!(
                message,
                format!("The backend's answer to GET /v1/jobs is not usable: {expected}")
            );
        }
    }
}
