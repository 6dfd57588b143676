//! Events as JSON texts. Numbers that aren't finite are bare words in them, as Python's `json` writes
//! them: a client must be able to see that a run diverged, and JSON itself has only `null` for it.

use serde_json::Value;

/// What stands for a number that isn't finite in a `Value`, and in the text.
const WORDS: [(&str, &str); 3] = [
    ("\0NaN", "NaN"),
    ("\0Infinity", "Infinity"),
    ("\0-Infinity", "-Infinity"),
];

/// A number, also one that isn't finite.
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

/// The number that [`number`] made a value of.
fn read_number(value: &Value) -> Option<f64> {
    match value.as_str() {
        None => value.as_f64(),
        Some(word) => WORDS
            .iter()
            .position(|(known, _)| *known == word)
            .map(|index| [f64::NAN, f64::INFINITY, f64::NEG_INFINITY][index]),
    }
}

/// The text of an event.
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

/// The event of a text.
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

/// For serde: a number that may not be finite, as [`number`] writes it.
pub mod loose_number {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use serde_json::Value;

    /// As a value.
    pub fn serialize<S: Serializer>(number: &f64, serializer: S) -> Result<S::Ok, S::Error> {
        super::number(*number).serialize(serializer)
    }

    /// From a value.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
        let value = Value::deserialize(deserializer)?;
        super::read_number(&value).ok_or_else(|| serde::de::Error::custom("expected a number"))
    }
}

/// For serde: the same, or `null`.
pub mod some_loose_number {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use serde_json::Value;

    /// As a value.
    pub fn serialize<S: Serializer>(
        number: &Option<f64>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        number.map(super::number).serialize(serializer)
    }

    /// From a value.
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
