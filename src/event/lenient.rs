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
        let text = self.kind.filter(|json| !is_nan_marker(json))?;
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
    let mut out = String::with_capacity(text.len());
    let mut copied = 0;
    let mut at = 0;
    let bytes = text.as_bytes();
    while at < bytes.len() {
        let (token, stands_for) = if bytes[at..].starts_with(NAN_MARKER.as_bytes()) {
            (NAN_MARKER.as_str(), "NaN")
        } else if bytes[at..].starts_with(INFINITE.as_bytes()) {
            (INFINITE, "Infinity")
        } else {
            at = end_of_element(bytes, at);
            continue;
        };
        out.push_str(&text[copied..at]);
        out.push_str(stands_for);
        at += token.len();
        copied = at;
    }
    out.push_str(&text[copied..]);
    out
}

/// A number as JavaScript reads it: rounded to the nearest double, infinite past the largest.
pub fn number(json: &str) -> Option<f64> {
    match json.as_bytes().first()? {
        b'-' | b'0'..=b'9' => json.parse().ok(),
        _ => is_nan_marker(json).then_some(f64::NAN),
    }
}

/// Rewrites Python's bare `NaN`, `Infinity` and `-Infinity`, where a value may stand, into JSON that
/// means the same to [`number`] and, with the marker, to JavaScript. `None` if there is none of them.
pub fn normalise(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len() + 64);
    let mut copied = 0;
    let mut at = 0;
    let bytes = text.as_bytes();
    while at < bytes.len() {
        let (token, stands_for, sign): (&str, &str, &[u8]) = match bytes[at] {
            b'N' => ("NaN", &NAN_MARKER, b""),
            b'I' => ("Infinity", INFINITE, b"-"),
            _ => {
                at = end_of_element(bytes, at);
                continue;
            }
        };
        let end = at + token.len();
        let before = bytes[..at].strip_suffix(sign).unwrap_or(&bytes[..at]);
        if text[at..].starts_with(token) && is_value(before, &bytes[end..]) {
            out.push_str(&text[copied..at]);
            out.push_str(stands_for);
            at = end;
            copied = at;
        } else {
            at += 1;
        }
    }
    out.push_str(&text[copied..]);
    (copied > 0).then_some(out)
}

/// Whether what stands between these is an element of an array or the value of a field.
fn is_value(before: &[u8], after: &[u8]) -> bool {
    let first = after.trim_ascii_start().first();
    match before.trim_ascii_end().last() {
        Some(b':') => matches!(first, Some(b',' | b'}')),
        Some(b'[' | b',') => matches!(first, Some(b',' | b']')),
        _ => false,
    }
}

/// The position after the string that opens at `at`, or after the byte there.
fn end_of_element(bytes: &[u8], at: usize) -> usize {
    if bytes[at] == b'"' {
        end_of_string(bytes, at)
    } else {
        at + 1
    }
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
