//! Reads JSON objects field by field, as leniently as `JSON.parse`. Escapes and lone surrogates in keys are
//! accepted, the last of several equal keys wins, and values aren't parsed.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::sync::LazyLock;

use serde::Serialize;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde_json::value::{RawValue, to_raw_value};

/// Text without a leading byte order mark.
#[must_use]
pub fn without_bom(text: &[u8]) -> &[u8] {
    text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text)
}

/// Reads JSON text that may hold a token.
///
/// # Errors
/// The path of the invalid field, and what's wrong with it. The message never quotes the text.
pub fn read<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, String> {
    let mut json = serde_json::Deserializer::from_str(text);
    serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        let words = error.into_inner().to_string();
        let words = words.split(" at line ").next().unwrap_or_default();
        match path.as_str() {
            // The only serde message that can't quote the text.
            _ if words.starts_with("missing field") => words.to_owned(),
            "." => "must be an object".to_owned(),
            path => format!("`{path}` has the wrong type, or a value that can't be used"),
        }
    })
}

/// A value as JSON text.
///
/// # Errors
/// When it has a map whose keys aren't strings.
pub fn raw<T: Serialize>(value: &T) -> Result<Box<RawValue>, crate::error::Error> {
    to_raw_value(value).map_err(|error| crate::error::Error::plain(error.to_string()))
}

/// The text of a JSON string, with lone surrogates replaced; `None` if it isn't a string.
#[must_use]
pub fn text(json: &str) -> Option<String> {
    if is_nan_marker(json) {
        return None;
    }
    let Key(bytes) = serde_json::from_str(json).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// The fields of an object by name. Names are bytes, because they may have a lone surrogate.
pub type Fields<'a> = HashMap<Cow<'a, [u8]>, &'a RawValue>;

/// Reads one JSON object.
///
/// # Errors
/// When the text isn't a JSON object.
pub fn fields(text: &str) -> serde_json::Result<Fields<'_>> {
    let mut fields = Fields::new();
    each_field(text, |key, value| {
        fields.insert(key, value);
    })?;
    Ok(fields)
}

/// Reads one JSON object and calls `sink` with each field, in order.
///
/// # Errors
/// When the text isn't a JSON object.
pub fn each_field<'a>(
    text: &'a str,
    sink: impl FnMut(Cow<'a, [u8]>, &'a RawValue),
) -> serde_json::Result<()> {
    let mut json = serde_json::Deserializer::from_str(text);
    (&mut json).deserialize_map(ObjectVisitor(sink))?;
    json.end()
}

struct ObjectVisitor<F>(F);

impl<'de, F: FnMut(Cow<'de, [u8]>, &'de RawValue)> Visitor<'de> for ObjectVisitor<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(Key(key)) = map.next_key()? {
            (self.0)(key, map.next_value()?);
        }
        Ok(())
    }
}

/// An object key as bytes, so that a lone surrogate isn't an error.
struct Key<'a>(Cow<'a, [u8]>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KeyVisitor;
        impl<'de> Visitor<'de> for KeyVisitor {
            type Value = Key<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }
            fn visit_borrowed_bytes<E: Error>(self, key: &'de [u8]) -> Result<Self::Value, E> {
                // For bytes, `serde_json` also accepts control characters, which no string may contain.
                if key.iter().any(|byte| *byte < 0x20) {
                    return Err(E::custom("a control character in a key"));
                }
                Ok(Key(Cow::Borrowed(key)))
            }
            fn visit_bytes<E>(self, key: &[u8]) -> Result<Self::Value, E> {
                Ok(Key(Cow::Owned(key.to_vec())))
            }
            fn visit_borrowed_str<E>(self, key: &'de str) -> Result<Self::Value, E> {
                Ok(Key(Cow::Borrowed(key.as_bytes())))
            }
            fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
                Ok(Key(Cow::Owned(key.as_bytes().to_vec())))
            }
        }
        deserializer.deserialize_bytes(KeyVisitor)
    }
}

/// Stands for NaN in JSON text, which can't express it. It's random, so that no event can contain it by
/// accident or on purpose.
static NAN_MARKER: LazyLock<String> =
    LazyLock::new(|| format!("\"arkor:nan:{:016x}\"", fastrand::u64(..)));

/// Stands for Infinity: `f64::from_str` and `JSON.parse` both read it as infinite.
const INFINITE: &str = "1e999";

/// The string that stands for NaN in the text of an event, without its quotes.
#[must_use]
pub fn nan_marker() -> &'static str {
    NAN_MARKER.trim_matches('"')
}

/// Whether a JSON text is the NaN marker.
#[must_use]
pub fn is_nan_marker(json: &str) -> bool {
    json == *NAN_MARKER
}

/// A response's text as strict JSON: unchanged, unless Python wrote a bare NaN or Infinity in it.
#[must_use]
pub fn strict(text: &str) -> Cow<'_, str> {
    // Most responses have no such token, and needn't be parsed twice.
    if text.contains("NaN") || text.contains("Infinity") {
        return normalise(text).map_or(Cow::Borrowed(text), Cow::Owned);
    }
    Cow::Borrowed(text)
}

/// Undoes [`normalise`]: the text as Python wrote it.
#[must_use]
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

/// Rewrites Python's bare `NaN`, `Infinity` and `-Infinity`, where a value may stand, into valid JSON.
/// [`number`] and JavaScript, which knows the marker, read the result as the same values. `None` if there are
/// none.
#[must_use]
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

/// Whether the token between `before` and `after` is an array element or a field's value.
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
