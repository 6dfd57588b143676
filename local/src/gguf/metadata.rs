//! The metadata of a GGUF file. A value of the wrong type is refused by name.

use candle_core::quantized::gguf_file::Value;

use super::Gguf;
use crate::error::{Error, Result, refused};

/// The metadata in a file's header.
#[derive(Debug, Clone, Copy)]
pub struct Metadata<'a>(pub &'a Gguf);

impl<'a> Metadata<'a> {
    /// The value of a key, whatever its type.
    pub fn get(self, key: &str) -> Option<&'a Value> {
        self.0.content.metadata.get(key)
    }

    /// A text. It may be absent.
    pub fn text(self, key: &str) -> Result<Option<&'a str>> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => self.unexpected(key, "a text"),
        }
    }

    /// A whole number. It may be absent.
    pub fn whole(self, key: &str) -> Result<Option<u64>> {
        let Some(value) = self.get(key) else {
            return Ok(None);
        };
        let signed = |number: i64| u64::try_from(number).ok();
        let number = match value {
            Value::U8(number) => Some(u64::from(*number)),
            Value::U16(number) => Some(u64::from(*number)),
            Value::U32(number) => Some(u64::from(*number)),
            Value::U64(number) => Some(*number),
            Value::I8(number) => signed(i64::from(*number)),
            Value::I16(number) => signed(i64::from(*number)),
            Value::I32(number) => signed(i64::from(*number)),
            Value::I64(number) => signed(*number),
            _ => None,
        };
        match number {
            Some(number) => Ok(Some(number)),
            None => self.unexpected(key, "a whole number"),
        }
    }

    /// A number. It may be absent.
    pub fn number(self, key: &str) -> Result<Option<f64>> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::F32(number)) => Ok(Some(f64::from(*number))),
            Some(Value::F64(number)) => Ok(Some(*number)),
            Some(_) => self.unexpected(key, "a number"),
        }
    }

    /// A boolean. It may be absent.
    pub fn flag(self, key: &str) -> Result<Option<bool>> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Bool(value)) => Ok(Some(*value)),
            Some(_) => self.unexpected(key, "true or false"),
        }
    }

    /// A list whose values are read with `read`. It may be absent.
    pub fn list<T>(
        self,
        key: &str,
        what: &str,
        read: impl Fn(&'a Value) -> Option<T>,
    ) -> Result<Option<Vec<T>>> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Array(values)) => match values.iter().map(read).collect() {
                Some(values) => Ok(Some(values)),
                None => self.unexpected(key, what),
            },
            Some(_) => self.unexpected(key, what),
        }
    }

    /// A list of texts. It may be absent.
    pub fn texts(self, key: &str) -> Result<Option<Vec<&'a str>>> {
        self.list(key, "a list of texts", |value| match value {
            Value::String(text) => Some(text.as_str()),
            _ => None,
        })
    }

    /// The error for a required key that is absent.
    pub fn missing(self, key: &str) -> Error {
        Error::Refused(format!(
            "model: {} has no {key} in its metadata",
            self.0.path().display()
        ))
    }

    fn unexpected<T>(self, key: &str, what: &str) -> Result<T> {
        refused(format!(
            "model: {} has {key} in its metadata as something else than {what}",
            self.0.path().display()
        ))
    }
}
