//! The fields of an event, taken as JSON text and typed one by one (T9). A field of a wrong type never drops
//! the event, numbers are rounded as in JavaScript, and `1e400` is infinite.

use std::borrow::Cow;

use super::flat;
use crate::json::{each_field, is_nan_marker};

/// The fields of an event that the engine uses, as JSON text.
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

    /// The event's type; `None` if there is none, or it isn't a string.
    pub fn kind(&self) -> Option<Cow<'a, str>> {
        let text = self.kind.filter(|json| !is_nan_marker(json))?;
        let inner = text.strip_prefix('"')?.strip_suffix('"')?;
        if inner.contains('\\') {
            // With a lone surrogate, it can't be a known type.
            return Some(serde_json::from_str::<String>(text).map_or("".into(), Cow::Owned));
        }
        Some(Cow::Borrowed(inner))
    }

    /// The event's step; NaN if there is none, or it isn't a number.
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

/// Parses a number like JavaScript: rounded to the nearest double, infinite beyond the largest.
pub fn number(json: &str) -> Option<f64> {
    match json.as_bytes().first()? {
        b'-' | b'0'..=b'9' => json.parse().ok(),
        _ => is_nan_marker(json).then_some(f64::NAN),
    }
}
