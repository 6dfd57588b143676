//! Builds the body of the chat request from `infer`'s arguments (T31). Values are passed on verbatim.

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use crate::error::{Error, Result};
use crate::json::fields;

/// The checkpoint to chat with.
#[derive(Debug, Clone, Copy)]
pub struct Checkpoint<'a> {
    /// The id of its job.
    pub job: &'a str,
    /// The step at which it was saved; NaN if the event had none.
    pub step: f64,
}

/// The arguments that have the same name in the body. `stream` is one more, but has a default.
pub const FIELDS: [&str; 8] = [
    "messages",
    "temperature",
    "topP",
    "maxTokens",
    "tools",
    "toolChoice",
    "responseFormat",
    "structuredOutputs",
];

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Adapter<'a> {
    kind: &'static str,
    job_id: &'a str,
    step: Option<serde_json::Number>,
}

/// The body of a chat request. `stream` is true unless the arguments set it.
///
/// # Errors
/// When the arguments aren't an object.
pub fn body(arguments: &str, checkpoint: Checkpoint<'_>) -> Result<Box<RawValue>> {
    let given = fields(arguments)
        .map_err(|_| Error::plain("infer: the argument must be an object with `messages`"))?;
    let step = number(checkpoint.step);
    let adapter = Adapter {
        kind: "checkpoint",
        job_id: checkpoint.job,
        step,
    };
    let unusable = |error: serde_json::Error| Error::plain(format!("infer: {error}"));
    let adapter = to_raw_value(&adapter).map_err(unusable)?;
    let default_stream = to_raw_value(&true).map_err(unusable)?;
    let mut body = Map::new();
    body.insert("adapter", &*adapter);
    for field in FIELDS {
        if let Some(value) = given.get(field.as_bytes()) {
            body.insert(field, value);
        }
    }
    body.insert(
        "stream",
        given
            .get(b"stream".as_slice())
            .copied()
            .unwrap_or(&default_stream),
    );
    to_raw_value(&body).map_err(unusable)
}

/// A step as a JSON number: 50, not 50.0.
fn number(step: f64) -> Option<serde_json::Number> {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "checked: it is whole and in range"
    )]
    if step.fract() == 0.0 && step.abs() < 9e15 {
        return Some(serde_json::Number::from(step as i64));
    }
    serde_json::Number::from_f64(step)
}

type Map<'a> = std::collections::BTreeMap<&'static str, &'a RawValue>;

#[cfg(test)]
mod tests {
    use super::{Checkpoint, body};

    #[test]
    fn t31_stream_is_true_unless_said_otherwise_and_values_go_through_verbatim() {
        let checkpoint = Checkpoint {
            job: "j",
            step: 50.0,
        };
        let text = body(
            r#"{"messages":[{"role":"user"}],"topP":1e-3,"signal":{}}"#,
            checkpoint,
        );
        let expected = concat!(
            r#"{"adapter":{"kind":"checkpoint","jobId":"j","step":50},"#,
            r#""messages":[{"role":"user"}],"stream":true,"topP":1e-3}"#
        );
        assert_eq!(
            text.map(|text| text.get().to_owned()),
            Ok(expected.to_owned())
        );
        let text = body(
            r#"{"stream":false}"#,
            Checkpoint {
                job: "j",
                step: f64::NAN,
            },
        );
        let expected =
            r#"{"adapter":{"kind":"checkpoint","jobId":"j","step":null},"stream":false}"#;
        assert_eq!(
            text.map(|text| text.get().to_owned()),
            Ok(expected.to_owned())
        );
        assert!(body("3", checkpoint).is_err());
    }
}
