//! Events as JSON texts. Like in Python's `json`, numbers that aren't finite are written as bare words: a
//! client must be able to see that a run diverged, and plain JSON only offers `null` for that.

use serde_json::Value;

/// How a number that isn't finite is represented in a `Value`, and in the text.
const WORDS: [(&str, &str); 3] = [
    ("\0NaN", "NaN"),
    ("\0Infinity", "Infinity"),
    ("\0-Infinity", "-Infinity"),
];

/// Converts a number, which may not be finite.
#[must_use]
pub fn number(value: f64) -> Value {
    let word = if value.is_nan() {
        WORDS[0].0
    } else if value == f64::INFINITY {
        WORDS[1].0
    } else if value == f64::NEG_INFINITY {
        WORDS[2].0
    } else {
        return value.into();
    };
    word.into()
}

/// Converts a value of [`number`] back.
fn read_number(value: &Value) -> Option<f64> {
    match value.as_str() {
        None => value.as_f64(),
        Some(word) => WORDS
            .iter()
            .position(|(known, _)| *known == word)
            .map(|index| [f64::NAN, f64::INFINITY, f64::NEG_INFINITY][index]),
    }
}

/// Converts an event to text.
#[must_use]
pub fn text(event: &Value) -> String {
    let mut text = event.to_string();
    if text.contains("\"\\u0000") {
        for (word, bare) in WORDS {
            text = text.replace(&Value::from(word).to_string(), bare);
        }
    }
    text
}

/// Converts text to an event.
#[must_use]
pub fn value(text: &[u8]) -> Option<Value> {
    if let Ok(value) = serde_json::from_slice(text) {
        return Some(value);
    }
    let mut text = std::str::from_utf8(text).ok()?.to_owned();
    for (word, bare) in WORDS {
        let word = Value::from(word).to_string();
        for end in [",", "}"] {
            text = text.replace(&format!(":{bare}{end}"), &format!(":{word}{end}"));
        }
    }
    serde_json::from_str(&text).ok()
}

/// Serde support for a number that may not be finite, in the format of [`number`].
pub mod loose_number {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use serde_json::Value;

    /// Serialises the number.
    pub fn serialize<S: Serializer>(number: &f64, serializer: S) -> Result<S::Ok, S::Error> {
        super::number(*number).serialize(serializer)
    }

    /// Deserialises the number.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
        let value = Value::deserialize(deserializer)?;
        super::read_number(&value).ok_or_else(|| serde::de::Error::custom("expected a number"))
    }
}

/// Serde support for an optional number that may not be finite. `None` is `null`.
pub mod some_loose_number {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use serde_json::Value;

    /// Serialises the number.
    pub fn serialize<S: Serializer>(
        number: &Option<f64>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        number.map(super::number).serialize(serializer)
    }

    /// Deserialises the number.
    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<f64>, D::Error> {
        match Option::<Value>::deserialize(deserializer)? {
            None | Some(Value::Null) => Ok(None),
            Some(value) => super::read_number(&value)
                .map(Some)
                .ok_or_else(|| serde::de::Error::custom("expected a number or null")),
        }
    }
}
