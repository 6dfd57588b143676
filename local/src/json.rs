//! Untrusted JSON: parses it within a memory budget, and describes it in messages.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// The approximate memory of a list element in bytes, even of a `null`, which only has four characters.
const VALUE_BYTES: usize = 64;

/// The approximate memory of an object's field in bytes, without its value.
const FIELD_BYTES: usize = 96;

/// The name of a value's type, for messages.
#[must_use]
pub fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// The approximate length of a value: its characters, and a few more for each part of it.
#[must_use]
pub fn length(value: &Value) -> usize {
    4 + match value {
        Value::String(text) => text.len(),
        Value::Array(list) => list.iter().map(length).sum(),
        Value::Object(map) => map.values().map(length).sum(),
        _ => 0,
    }
}

/// The estimated memory that a value may still take.
#[derive(Debug)]
pub struct Budget {
    limit: usize,
    left: Cell<usize>,
}

impl Budget {
    /// A budget of `limit` bytes.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            left: Cell::new(limit),
        }
    }

    /// Charges for a value with a text of this length. Fails if that exceeds the budget.
    pub fn value(&self, text: usize) -> Result<(), String> {
        self.take(VALUE_BYTES + text)
    }

    /// Charges for a field with a name of this length.
    pub fn field(&self, name: usize) -> Result<(), String> {
        self.take(FIELD_BYTES + name)
    }

    fn take(&self, bytes: usize) -> Result<(), String> {
        match self.left.get().checked_sub(bytes) {
            Some(left) => {
                self.left.set(left);
                Ok(())
            }
            None => Err(format!(
                "takes more than {} MiB of memory. Split it into smaller rows",
                self.limit >> 20
            )),
        }
    }
}

/// Replaces lone surrogate escapes, which would be an error, by the replacement character. JavaScript
/// writes them if a string was cut in the middle of a character.
#[must_use]
pub fn replace_lone_surrogates(text: &str) -> Cow<'_, str> {
    let unit = |at: usize| {
        let digits = text.get(at..at + 6)?.strip_prefix("\\u")?;
        u16::from_str_radix(digits, 16).ok()
    };
    let (mut out, mut copied, mut at) = (String::new(), 0, 0);
    while let Some(found) = text[at..].find('\\') {
        at += found;
        match unit(at) {
            Some(0xd800..=0xdbff) if matches!(unit(at + 6), Some(0xdc00..=0xdfff)) => at += 12,
            Some(0xd800..=0xdfff) => {
                out.push_str(&text[copied..at]);
                out.push('\u{fffd}');
                at += 6;
                copied = at;
            }
            // An escape has at least two bytes, and the escaped character may have several.
            _ => at += 1 + text[at + 1..].chars().next().map_or(0, char::len_utf8),
        }
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    out.push_str(&text[copied..]);
    Cow::Owned(out)
}

/// Parses a text within a budget.
pub fn parse(text: &str, budget: &Budget) -> Result<Value, serde_json::Error> {
    let text = &*replace_lone_surrogates(text);
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let value = Bounded(budget).deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(value)
}

/// Deserializes a `Value` within a budget.
#[derive(Debug, Clone, Copy)]
pub struct Bounded<'a>(pub &'a Budget);

impl Bounded<'_> {
    fn cost<E: Error>(self, text: usize) -> Result<(), E> {
        self.0.value(text).map_err(E::custom)
    }
}

impl<'de> DeserializeSeed<'de> for Bounded<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Bounded<'_> {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        self.cost(0).map(|()| Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        self.cost(0).map(|()| value.into())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        self.cost(0).map(|()| value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        self.cost(0).map(|()| value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        self.cost(0).map(|()| value.into())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Value, E> {
        self.cost(text.len()).map(|()| text.into())
    }

    fn visit_string<E: Error>(self, text: String) -> Result<Value, E> {
        self.cost(text.len()).map(|()| text.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        self.cost(0)?;
        let mut list = Vec::new();
        while let Some(element) = elements.next_element_seed(self)? {
            list.push(element);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        self.cost(0)?;
        let mut map = Map::new();
        while let Some(name) = fields.next_key::<String>()? {
            self.0.field(name.len()).map_err(Error::custom)?;
            map.insert(name, fields.next_value_seed(self)?);
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use super::*;

    #[test]
    fn a_value_is_read_as_serde_json_reads_it() {
        let text =
            r#"{"a":[null,true,-1,18446744073709551615,0.1,1e300,"ü\n"],"b":{"c":{}},"a ":[]}"#;
        let expected: Value = serde_json::from_str(text).unwrap();
        assert_eq!(parse(text, &Budget::new(10_000)).unwrap(), expected);
        for bad in ["", "{", "1 2", "NaN", "1e400", r#""\ud8""#] {
            assert!(parse(bad, &Budget::new(10_000)).is_err(), "{bad}");
        }
        assert!(parse(&"[".repeat(100_000), &Budget::new(1 << 30)).is_err());
    }

    #[test]
    fn half_a_character_made_a_text_unreadable() {
        let read = |text: &str| parse(text, &Budget::new(10_000)).unwrap();
        assert_eq!(read(r#""a\ud83d""#), "a\u{fffd}");
        assert_eq!(
            read(r#""\ude00\ud83d\ud83d\ude00b""#),
            "\u{fffd}\u{fffd}😀b"
        );
        assert_eq!(read(r#""\\ud83d ü\"\n""#), "\\ud83d ü\"\n");
    }

    #[test]
    fn what_is_short_as_text_and_large_in_memory_is_refused() {
        let nulls = format!("[{}null]", "null,".repeat(100_000));
        let budget = || Budget::new(5 << 20);
        let error = parse(&nulls, &budget()).unwrap_err().to_string();
        assert!(error.contains("more than 5 MiB of memory"), "{error}");
        let fields: Vec<String> = (0..100_000).map(|n| format!("\"{n:x}\":0")).collect();
        assert!(parse(&format!("{{{}}}", fields.join(",")), &budget()).is_err());
        assert!(parse(&format!("\"{}\"", "x".repeat(4 << 20)), &budget()).is_ok());
    }
}
