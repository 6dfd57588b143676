//! JSON objects field by field, as leniently as `JSON.parse` reads them: keys with escapes and
//! lone surrogates are no errors, the last of several equal keys wins, values stay unread.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde_json::value::RawValue;

/// Text without the byte order mark that some write in front of it.
#[must_use]
pub fn without_bom(text: &[u8]) -> &[u8] {
    text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text)
}

/// The words of an error of `serde_json` that have nothing of the text in them: a token may be
/// there.
#[must_use]
pub fn words(error: &serde_json::Error) -> String {
    let words = error.to_string();
    let words = words.split(" at line ").next().unwrap_or_default();
    if words.starts_with("missing field") {
        words.to_owned()
    } else {
        "a field has the wrong type or a value that can't be used".to_owned()
    }
}

/// The fields of an object by name; a lone surrogate in a name is in its bytes.
pub type Fields<'a> = HashMap<Cow<'a, [u8]>, &'a RawValue>;

/// Reads one JSON object.
///
/// # Errors
/// When the text is no JSON object.
pub fn fields(text: &str) -> serde_json::Result<Fields<'_>> {
    let mut fields = Fields::new();
    each_field(text, |key, value| {
        fields.insert(key, value);
    })?;
    Ok(fields)
}

/// Reads one JSON object and hands on its fields, in order.
///
/// # Errors
/// When the text is no JSON object.
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

/// An object key as bytes: a lone surrogate in one is no error that way.
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
                // As bytes, `serde_json` takes what no string may have in it.
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
