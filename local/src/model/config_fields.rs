//! The fields of `config.json`: of the right type and in their range, or refused by name.

use std::ops::RangeInclusive;

use serde_json::Value;

use crate::error::{Result, refused};

/// True or false; false when it's absent.
pub fn flag(json: &Value, name: &str) -> Result<bool> {
    match json.get(name) {
        None | Some(Value::Null) => Ok(false),
        Some(Value::Bool(value)) => Ok(*value),
        Some(value) => refused(format!(
            "model: config.json has {name}: {value}, expected true or false"
        )),
    }
}

/// `value` is that of the field `name`; it may be absent.
pub fn number(
    value: Option<&Value>,
    name: &str,
    range: RangeInclusive<f64>,
) -> Result<Option<f64>> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match value.as_f64().filter(|number| range.contains(number)) {
            Some(number) => Ok(Some(number)),
            None => refused(format!(
                "model: config.json has {name}: {value}, expected a number from {:?} to {:?}",
                range.start(),
                range.end()
            )),
        },
    }
}

/// A whole number that may be absent.
pub fn optional_size(
    json: &Value,
    name: &str,
    range: RangeInclusive<u64>,
) -> Result<Option<usize>> {
    match json.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match value
            .as_u64()
            .filter(|number| range.contains(number))
            .and_then(|number| usize::try_from(number).ok())
        {
            Some(number) => Ok(Some(number)),
            None => refused(format!(
                "model: config.json has {name}: {value}, expected a whole number from {} to {}",
                range.start(),
                range.end()
            )),
        },
    }
}

/// A whole number.
pub fn size(json: &Value, name: &str, range: RangeInclusive<u64>) -> Result<usize> {
    match optional_size(json, name, range)? {
        Some(number) => Ok(number),
        None => refused(format!("model: config.json lacks {name}")),
    }
}
