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
