//! Turns a `TrainerInput` into the job's config, field by field. Values are passed on verbatim; the backend
//! checks them.

use serde::ser::SerializeMap;
use serde_json::value::{RawValue, to_raw_value};

use crate::error::{Error, Result};
use crate::json::{Fields, fields};

/// Each field of the input, with its name in the config. Fields of `lora` are written `lora.…`.
const FIELDS: [(&str, &str); 22] = [
    ("model", "model"),
    ("dataset", "datasetSource"),
    ("lora.r", "loraR"),
    ("lora.alpha", "loraAlpha"),
    ("lora.maxLength", "maxLength"),
    ("lora.loadIn4bit", "loadIn4bit"),
    ("maxSteps", "maxSteps"),
    ("numTrainEpochs", "numTrainEpochs"),
    ("learningRate", "learningRate"),
    ("batchSize", "batchSize"),
    ("optim", "optim"),
    ("lrSchedulerType", "lrSchedulerType"),
    ("weightDecay", "weightDecay"),
    ("warmupSteps", "warmupSteps"),
    ("loggingSteps", "loggingSteps"),
    ("saveSteps", "saveSteps"),
    ("saveTotalLimit", "saveTotalLimit"),
    ("evalSteps", "evalSteps"),
    ("trainOnResponsesOnly", "trainOnResponsesOnly"),
    ("datasetFormat", "datasetFormat"),
    ("datasetSplit", "datasetSplit"),
    ("dryRun", "dryRun"),
];

/// The path (`lora.r`) of every input option that becomes part of the config.
#[must_use]
pub fn input_paths() -> Vec<&'static str> {
    FIELDS.iter().map(|(from, _)| *from).collect()
}

/// The fields of the input that go into the config.
#[must_use]
pub fn input_fields() -> Vec<&'static str> {
    let mut names: Vec<_> = FIELDS
        .iter()
        .map(|(from, _)| from.split('.').next().unwrap_or(from))
        .collect();
    names.dedup();
    names
}

/// The config of an input. Both are JSON text.
///
/// # Errors
/// When the input or its `lora` isn't an object.
pub fn from_input(input: &str) -> Result<Box<RawValue>> {
    let input =
        fields(input).map_err(|_| Error::plain("createTrainer: the input must be an object"))?;
    let lora = match input.get(b"lora".as_slice()).map(|raw| raw.get()) {
        None | Some("null") => Fields::new(),
        Some(lora) => fields(lora).map_err(|_| {
            Error::plain("createTrainer: `lora` must be an object such as { r: 16, alpha: 32 }")
        })?,
    };
    let entries = FIELDS.iter().filter_map(|(from, to)| {
        let value = match from.strip_prefix("lora.") {
            Some(field) => lora.get(field.as_bytes()),
            None => input.get(from.as_bytes()),
        };
        value.map(|value| (*to, *value))
    });
    to_raw_value(&Entries(entries.collect()))
        .map_err(|error| Error::plain(format!("createTrainer: {error}")))
}

/// Serialises as an object with its keys in this order.
struct Entries<'a>(Vec<(&'static str, &'a RawValue)>);

impl serde::Serialize for Entries<'_> {
    fn serialize<S: serde::Serializer>(
        &self,
        serializer: S,
    ) -> std::result::Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::from_input;

    #[test]
    fn every_field_gets_its_name_and_keeps_its_value() {
        let input = r#"{"model":"m","dataset":{"type":"blob","url":"u"},
            "lora":{"r":8,"alpha":16,"maxLength":256,"loadIn4bit":false},
            "learningRate":1e-7,"warmupSteps":{"any":[1,null]},"saveSteps":null,"saveTotalLimit":2,"oth\"er":1}"#;
        let config = from_input(input).map(|raw| raw.get().to_owned());
        let expected = concat!(
            r#"{"model":"m","datasetSource":{"type":"blob","url":"u"},"#,
            r#""loraR":8,"loraAlpha":16,"maxLength":256,"loadIn4bit":false,"#,
            r#""learningRate":1e-7,"warmupSteps":{"any":[1,null]},"saveSteps":null,"saveTotalLimit":2}"#
        );
        assert_eq!(config, Ok(expected.to_owned()));
    }

    #[test]
    fn an_input_that_is_no_object_is_refused_by_name() {
        assert!(from_input("[]").is_err());
        let error = from_input(r#"{"lora":16}"#).map_err(|error| error.to_string());
        assert!(error.is_err_and(|message| message.contains("`lora` must be an object")));
    }
}
