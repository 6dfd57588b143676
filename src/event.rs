//! Turns a frame into a typed event: the only module that knows the events' names and fields.
//!
//! It parses JSON once, field by field, and only as far as dispatch needs. Values that the user gets as
//! objects (artifacts, metadata) stay JSON text. JavaScript parses them itself, so that key order, numbers
//! and lone surrogates are those of `JSON.parse` (T9).

mod flat;
mod lenient;

use std::borrow::Cow;

use serde::Serialize;
use serde_json::value::RawValue;

use crate::json;
use crate::sse::Frame;
use lenient::Fields;

/// What a frame means to the run loop.
#[derive(Debug, Clone, PartialEq)]
pub enum Meaning {
    /// A data event (T12): a JSON object with a `type`.
    Data(Event),
    /// `event: end`: the backend has no more events for this job.
    End,
    /// A keep-alive, or data that isn't a data event; skipped.
    Nothing,
}

/// A data event, typed.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// `training.started`; the text is a [`Detail`].
    Started(String),
    /// `training.log`.
    Log(Log),
    /// `checkpoint.saved`.
    Checkpoint {
        /// Optimiser step of the checkpoint; NaN if the event had none.
        step: f64,
        /// A [`Detail`].
        detail: String,
    },
    /// `training.completed`; the text is a [`Detail`].
    Completed(String),
    /// `training.failed`; the text is a [`Detail`].
    Failed(String),
    /// An unknown type, from a newer backend: it has no callback, but is still a data event. Holds its data
    /// if the run is observed.
    Unknown(Option<String>),
}

/// The numbers of a `training.log` event, in the order of the columns.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Log {
    /// Optimiser step; NaN if the event had none.
    pub step: f64,
    /// `loss`, `evalLoss`, `learningRate`, `epoch`, `samplesPerSecond`; `None` is JavaScript's
    /// `null` (T9).
    pub metrics: [Option<f64>; 5],
}

impl Event {
    /// Whether this event ends the run.
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        matches!(self, Self::Completed(_) | Self::Failed(_))
    }
}

/// The part of an event that isn't numbers, as JSON text for JavaScript.
#[derive(Serialize, Default)]
struct Detail<'a> {
    /// Fields to set on the job.
    #[serde(skip_serializing_if = "Option::is_none")]
    job: Option<JobPatch<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    artifacts: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<&'a RawValue>,
}

#[derive(Serialize, Default)]
#[serde(rename_all = "camelCase")]
struct JobPatch<'a> {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Cow<'a, RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    started_at: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    completed_at: Option<&'a RawValue>,
}

/// Reads a frame (T9, T12). It never fails: a frame that it can't parse is [`Meaning::Nothing`].
#[must_use]
pub fn read(frame: &Frame<'_>) -> Meaning {
    match frame.event.as_ref() {
        "end" => Meaning::End,
        "ping" => Meaning::Nothing,
        _ => read_data(&frame.data).map_or(Meaning::Nothing, Meaning::Data),
    }
}

fn read_data(data: &str) -> Option<Event> {
    if let Ok(fields) = Fields::read(data) {
        return typed(&fields);
    }
    // Python writes bare NaN and Infinity, which JSON doesn't have.
    let normal = json::normalise(data)?;
    Fields::read(&normal).ok().and_then(|fields| typed(&fields))
}

fn typed(fields: &Fields<'_>) -> Option<Event> {
    let kind = fields.kind()?;
    let timestamp = fields.timestamp.filter(|json| is_string(json));
    Some(match kind.as_ref() {
        "training.log" => {
            let metrics = fields.metrics.map(|raw| raw.and_then(lenient::number));
            Event::Log(Log {
                step: fields.step(),
                metrics,
            })
        }
        "training.started" => {
            let job = JobPatch {
                status: "running",
                started_at: timestamp.and_then(raw),
                ..JobPatch::default()
            };
            let metadata = fields
                .metadata
                .filter(|json| json.starts_with('{'))
                .and_then(raw);
            Event::Started(text(&Detail {
                job: Some(job),
                metadata,
                ..Detail::default()
            }))
        }
        "checkpoint.saved" => {
            let detail = text(&Detail {
                artifacts: fields.artifacts.and_then(raw),
                ..Detail::default()
            });
            Event::Checkpoint {
                step: fields.step(),
                detail,
            }
        }
        "training.completed" => {
            let job = JobPatch {
                status: "completed",
                completed_at: timestamp.and_then(raw),
                ..JobPatch::default()
            };
            let artifacts = fields
                .artifacts
                .filter(|json| json.starts_with('['))
                .and_then(raw);
            Event::Completed(text(&Detail {
                job: Some(job),
                artifacts,
                ..Detail::default()
            }))
        }
        "training.failed" => {
            let job = JobPatch {
                status: "failed",
                error: Some(failure(fields.error)),
                completed_at: timestamp.and_then(raw),
                ..JobPatch::default()
            };
            Event::Failed(text(&Detail {
                job: Some(job),
                ..Detail::default()
            }))
        }
        _ => Event::Unknown(None),
    })
}

/// The failure's message. It's always a JSON string, because the type of `onFailed` says so.
fn failure(error: Option<&str>) -> Cow<'_, RawValue> {
    if let Some(raw) = error.filter(|json| is_string(json)).and_then(raw) {
        return Cow::Borrowed(raw);
    }
    let message = match error {
        None | Some("null") => "The backend gave no reason".to_owned(),
        Some(json) => json::denormalise(json),
    };
    Cow::Owned(serde_json::value::to_raw_value(&message).unwrap_or_default())
}

fn is_string(json: &str) -> bool {
    json.starts_with('"') && !json::is_nan_marker(json)
}

/// JSON text that's known to be valid, to pass on unchanged.
fn raw(json: &str) -> Option<&RawValue> {
    serde_json::from_str(json).ok()
}

fn text(detail: &Detail<'_>) -> String {
    // It contains only raw JSON and constants, so this can't fail.
    serde_json::to_string(detail).unwrap_or_default()
}

#[cfg(test)]
mod tests;
