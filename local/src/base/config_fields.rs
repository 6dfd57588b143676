//! The fields of `config.json`. One that has the wrong type or is out of range is refused by name.

use std::ops::RangeInclusive;

use serde_json::Value;

use crate::error::{Result, refused};

/// The number of tokens that a model may have.
pub const VOCAB: RangeInclusive<u64> = 1..=1 << 22;

/// The context length that a model may have, in tokens.
pub const POSITIONS: RangeInclusive<u64> = 1..=1 << 24;

/// A boolean. False if it's absent.
pub fn flag(json: &Value, name: &str) -> Result<bool> {
    match json.get(name) {
        None | Some(Value::Null) => Ok(false),
        Some(Value::Bool(value)) => Ok(*value),
        Some(value) => refused(format!(
            "model: config.json has {name}: {value}, expected true or false"
        )),
    }
}

/// Checks the number `value` of the field `name`, which may be absent.
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

/// A whole number. It may be absent.
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

/// A whole number. It must be present.
pub fn size(json: &Value, name: &str, range: RangeInclusive<u64>) -> Result<usize> {
    match optional_size(json, name, range)? {
        Some(number) => Ok(number),
        None => refused(format!("model: config.json lacks {name}")),
    }
}

/// `eos_token_id`: absent, one id, or a list of ids.
pub fn token_ids(json: &Value, file: &str, vocab_size: usize) -> Result<Vec<u32>> {
    let list = match json.get("eos_token_id") {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Array(list)) => list.as_slice(),
        Some(value) => std::slice::from_ref(value),
    };
    let id = |value: &Value| {
        let id = value.as_u64().and_then(|id| u32::try_from(id).ok());
        id.filter(|id| usize::try_from(*id).is_ok_and(|id| id < vocab_size))
    };
    let ids: Option<Vec<u32>> = list.iter().map(id).collect();
    ids.map_or_else(
        || {
            refused(format!(
                "model: {file} has eos_token_id: {}, token ids are below the vocab_size of {vocab_size}",
                json["eos_token_id"]
            ))
        },
        Ok,
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use serde_json::json;

    use super::*;

    #[test]
    fn the_tokens_that_end_a_text_are_one_or_several_and_ones_that_the_model_has() {
        let ids = |value: Value| token_ids(&json!({ "eos_token_id": value }), "config.json", 100);
        assert_eq!(ids(Value::Null).unwrap(), [0_u32; 0]);
        assert_eq!(ids(json!(7)).unwrap(), [7]);
        assert_eq!(ids(json!([7, 99])).unwrap(), [7, 99]);
        for value in [json!(100), json!(4_000_000_000_u64), json!(-1), json!("7")] {
            let error = ids(value).unwrap_err();
            assert!(error.is_refusal() && error.to_string().contains("eos_token_id"));
        }
    }
}
