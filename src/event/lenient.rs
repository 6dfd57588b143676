//! JSON as `JSON.parse` reads it, and as Python writes it (T9).
//!
//! Fields are taken as JSON text and typed one by one, so that a field of a wrong type never
//! costs the event, numbers are rounded as JavaScript rounds them, and `1e400` is infinite.

use std::borrow::Cow;
use std::sync::LazyLock;

use super::flat;
use crate::json::each_field;

/// Stands for NaN in JSON text, which has no number for it. Random, so that no event contains it
/// by chance or on purpose.
static NAN_MARKER: LazyLock<String> =
    LazyLock::new(|| format!("\"arkor:nan:{:016x}\"", fastrand::u64(..)));

/// Stands for Infinity: both `f64::from_str` and `JSON.parse` take it for that.
const INFINITE: &str = "1e999";

/// The string that stands for NaN in the text of an event, without its quotes.
#[must_use]
pub fn nan_marker() -> &'static str {
    NAN_MARKER.trim_matches('"')
}

pub fn is_nan_marker(json: &str) -> bool {
    json == *NAN_MARKER
}

/// The fields of an event that anything depends on, as JSON text.
#[derive(Default)]
pub struct Fields<'a> {
    kind: Option<&'a str>,
    step: Option<&'a str>,
    /// In the order of [`super::Log::metrics`].
    pub metrics: [Option<&'a str>; 5],
    pub artifacts: Option<&'a str>,
    pub metadata: Option<&'a str>,
    pub error: Option<&'a str>,
    pub timestamp: Option<&'a str>,
}

impl<'a> Fields<'a> {
    /// Reads one JSON object.
    ///
    /// # Errors
    /// When the text is no JSON object.
    pub fn read(text: &'a str) -> serde_json::Result<Self> {
        let mut fields = Self::default();
        let flat = flat::each_field(text, |key, value| fields.set(key.as_bytes(), value));
        if flat.is_none() {
            fields = Self::default();
            each_field(text, |key, value| fields.set(&key, value.get()))?;
        }
        Ok(fields)
    }

    /// The event's type; `None` if there is none, or it is no string.
    pub fn kind(&self) -> Option<Cow<'a, str>> {
        let text = self.kind?;
        let inner = text.strip_prefix('"')?.strip_suffix('"')?;
        if inner.contains('\\') {
            // A lone surrogate in it can't be any type that is known.
            return Some(serde_json::from_str::<String>(text).map_or("".into(), Cow::Owned));
        }
        Some(Cow::Borrowed(inner))
    }

    /// The event's step; NaN if there is none, or it is no number.
    pub fn step(&self) -> f64 {
        self.step.and_then(number).unwrap_or(f64::NAN)
    }

    fn set(&mut self, key: &[u8], value: &'a str) {
        let slot = match key {
            b"type" => &mut self.kind,
            b"step" => &mut self.step,
            b"loss" => &mut self.metrics[0],
            b"evalLoss" => &mut self.metrics[1],
            b"learningRate" => &mut self.metrics[2],
            b"epoch" => &mut self.metrics[3],
            b"samplesPerSecond" => &mut self.metrics[4],
            b"artifacts" => &mut self.artifacts,
            b"metadata" => &mut self.metadata,
            b"error" => &mut self.error,
            b"timestamp" => &mut self.timestamp,
            _ => return,
        };
        *slot = Some(value);
    }
}

/// What was rewritten, as Python wrote it.
pub fn denormalise(text: &str) -> String {
    text.replace(NAN_MARKER.as_str(), "NaN")
        .replace(INFINITE, "Infinity")
}

/// A number as JavaScript reads it: rounded to the nearest double, infinite past the largest.
pub fn number(json: &str) -> Option<f64> {
    match json.as_bytes().first()? {
        b'-' | b'0'..=b'9' => json.parse().ok(),
        _ => is_nan_marker(json).then_some(f64::NAN),
    }
}

/// Rewrites Python's bare `NaN`, `Infinity` and `-Infinity` into JSON that means the same to
/// [`number`] and, with the marker, to JavaScript. `None` if there is none of them.
pub fn normalise(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len() + 64);
    let mut copied = 0;
    let mut at = 0;
    let bytes = text.as_bytes();
    while at < bytes.len() {
        let (token, stands_for): (&str, &str) = match bytes[at] {
            b'"' => {
                at = end_of_string(bytes, at);
                continue;
            }
            b'N' => ("NaN", &NAN_MARKER),
            b'I' => ("Infinity", INFINITE),
            _ => {
                at += 1;
                continue;
            }
        };
        if text[at..].starts_with(token) {
            out.push_str(&text[copied..at]);
            out.push_str(stands_for);
            at += token.len();
            copied = at;
        } else {
            at += 1;
        }
    }
    out.push_str(&text[copied..]);
    (copied > 0).then_some(out)
}

/// The position after the string that opens at `open`.
fn end_of_string(bytes: &[u8], open: usize) -> usize {
    let mut at = open + 1;
    while at < bytes.len() {
        match bytes[at] {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    bytes.len()
}
