//! A job's config. Everything is checked before anything starts: a field that can't be honoured is
//! refused by its name, never ignored.

use serde_json::{Map, Value};

use crate::data::DatasetSource;
use crate::data::rows::Format;
use crate::error::{Result, refused};
use crate::json::kind;
use crate::train::schedule::Schedule;

/// Every field that is known. Another one is a mistake, or asks for something that would not happen.
const FIELDS: [&str; 22] = [
    "model",
    "datasetSource",
    "loraR",
    "loraAlpha",
    "maxLength",
    "loadIn4bit",
    "maxSteps",
    "numTrainEpochs",
    "learningRate",
    "batchSize",
    "optim",
    "lrSchedulerType",
    "weightDecay",
    "warmupSteps",
    "loggingSteps",
    "saveSteps",
    "evalSteps",
    "trainOnResponsesOnly",
    "datasetFormat",
    "datasetSplit",
    "dryRun",
    "seed",
];

/// Names of `AdamW`, the only optimizer.
const OPTIMIZERS: [&str; 4] = ["adamw", "adamw_torch", "adamw_torch_fused", "adamw_hf"];

/// Rows of a dry run.
pub const DRY_RUN_ROWS: usize = 32;

/// Steps of a dry run.
pub const DRY_RUN_STEPS: usize = 6;

/// A checked config.
#[derive(Debug, Clone, PartialEq)]
pub struct RunConfig {
    /// What the job calls its model.
    pub model: String,
    /// Where the rows come from.
    pub dataset: DatasetSource,
    /// The only kind of rows that is allowed, if any.
    pub format: Option<Format>,
    /// Rank of the adapter. 16 by default.
    pub lora_r: usize,
    /// Numerator of its scale. 16 by default.
    pub lora_alpha: f64,
    /// Longest row, in tokens. 512 by default.
    pub max_length: usize,
    /// Updates; wins over `epochs`.
    pub max_steps: Option<usize>,
    /// Passes over the rows. 1 by default.
    pub epochs: f64,
    /// The highest learning rate. 2e-4 by default.
    pub learning_rate: f64,
    /// Rows per update. 8 by default.
    pub batch_size: usize,
    /// How the learning rate changes. Linear by default.
    pub schedule: Schedule,
    /// 0 by default.
    pub weight_decay: f64,
    /// 0 by default.
    pub warmup_steps: usize,
    /// 1 by default.
    pub logging_steps: usize,
    /// A third of all steps by default.
    pub save_steps: Option<usize>,
    /// A fifth of all steps by default.
    pub eval_steps: Option<usize>,
    /// Whether only answers are trained. No by default.
    pub responses_only: bool,
    /// Whether a few steps on a few rows are enough.
    pub dry_run: bool,
    /// 42 by default.
    pub seed: u64,
}

impl RunConfig {
    /// Checks a config. Errors with a refusal that names the field.
    pub fn from_json(config: &Value) -> Result<Self> {
        let Some(map) = config.as_object() else {
            return refused(format!("config must be an object, it is {}", kind(config)));
        };
        if let Some(unknown) = map.keys().find(|name| !FIELDS.contains(&name.as_str())) {
            return refused(format!(
                "config.{unknown} is not known to the local backend. Remove it; known are {}.",
                FIELDS.join(", ")
            ));
        }
        let fields = Fields(map);
        let Some(model) = fields.string("model")?.filter(|model| !model.is_empty()) else {
            return refused("model is missing: name a model, a directory, or \"arkor-tiny\"");
        };
        let Some(dataset) = fields.get("datasetSource") else {
            return refused(
                "datasetSource is missing: give { type: \"blob\", url: \"file:///...\" }, or \
                 { type: \"huggingface\", name }",
            );
        };
        if fields.boolean("loadIn4bit")? {
            return refused(
                "loadIn4bit: true is not supported by the local backend. Remove it or set it to false.",
            );
        }
        check_optimizer(&fields)?;
        let split = fields.string("datasetSplit")?;
        Ok(Self {
            model: model.to_owned(),
            dataset: DatasetSource::from_json(dataset, split)?,
            format: format(&fields)?,
            lora_r: fields.count("loraR", 1, 1024)?.unwrap_or(16),
            lora_alpha: fields.number("loraAlpha", Bound::Above)?.unwrap_or(16.0),
            max_length: fields.count("maxLength", 2, 1 << 20)?.unwrap_or(512),
            max_steps: fields.count("maxSteps", 1, 1 << 24)?,
            epochs: fields
                .number("numTrainEpochs", Bound::Above)?
                .unwrap_or(1.0),
            learning_rate: fields.number("learningRate", Bound::Above)?.unwrap_or(2e-4),
            batch_size: fields.count("batchSize", 1, 4096)?.unwrap_or(8),
            schedule: schedule(&fields)?,
            weight_decay: fields.number("weightDecay", Bound::From)?.unwrap_or(0.0),
            warmup_steps: fields.count("warmupSteps", 0, 1 << 24)?.unwrap_or(0),
            logging_steps: fields.count("loggingSteps", 1, 1 << 24)?.unwrap_or(1),
            save_steps: fields.count("saveSteps", 1, 1 << 24)?,
            eval_steps: fields.count("evalSteps", 1, 1 << 24)?,
            responses_only: fields.boolean("trainOnResponsesOnly")?,
            dry_run: fields.boolean("dryRun")?,
            seed: fields.seed()?,
        })
    }
}

fn check_optimizer(fields: &Fields) -> Result<()> {
    match fields.string("optim")? {
        Some(name) if !OPTIMIZERS.contains(&name) => refused(format!(
            "optim: {name:?} is not supported by the local backend. Use one of {}.",
            OPTIMIZERS.join(", ")
        )),
        _ => Ok(()),
    }
}

fn schedule(fields: &Fields) -> Result<Schedule> {
    let name = fields.string("lrSchedulerType")?.unwrap_or("linear");
    Schedule::from_name(name).map_or_else(
        || {
            refused(format!(
                "lrSchedulerType: {name:?} is not supported by the local backend. Use linear, cosine or constant."
            ))
        },
        Ok,
    )
}

/// A name, or `{ type: name }`, which is what projects made from the published templates have.
fn format(fields: &Fields) -> Result<Option<Format>> {
    let name = match fields.get("datasetFormat") {
        None => return Ok(None),
        Some(Value::String(name)) => name,
        Some(Value::Object(map)) => {
            if let Some(other) = map.keys().find(|name| *name != "type") {
                return refused(format!(
                    "datasetFormat.{other} is not supported by the local backend. Remove it."
                ));
            }
            match map.get("type") {
                Some(Value::String(name)) => name,
                _ => return refused("datasetFormat.type must be a string"),
            }
        }
        Some(other) => {
            return refused(format!(
                "datasetFormat must be a string or {{ type }}, it is {}",
                kind(other)
            ));
        }
    };
    Format::from_name(name)
}

/// What a number must be.
#[derive(Clone, Copy)]
enum Bound {
    /// More than 0.
    Above,
    /// 0 or more.
    From,
}

struct Fields<'a>(&'a Map<String, Value>);

impl<'a> Fields<'a> {
    /// A field that is there. `null` is as good as absent.
    fn get(&self, name: &str) -> Option<&'a Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    fn string(&self, name: &str) -> Result<Option<&'a str>> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => refused(format!("{name} must be a string, it is {}", kind(other))),
        }
    }

    fn boolean(&self, name: &str) -> Result<bool> {
        match self.get(name) {
            None => Ok(false),
            Some(Value::Bool(value)) => Ok(*value),
            Some(other) => refused(format!(
                "{name} must be true or false, it is {}",
                kind(other)
            )),
        }
    }

    fn count(&self, name: &str, least: usize, most: usize) -> Result<Option<usize>> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        let count = whole(value).and_then(|number| usize::try_from(number).ok());
        match count.filter(|count| (least..=most).contains(count)) {
            Some(count) => Ok(Some(count)),
            None => refused(format!(
                "{name} must be a whole number from {least} to {most}, it is {value}"
            )),
        }
    }

    fn number(&self, name: &str, bound: Bound) -> Result<Option<f64>> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        let fits = |number: &f64| match bound {
            Bound::Above => *number > 0.0,
            Bound::From => *number >= 0.0,
        };
        let number = value
            .as_f64()
            .filter(|number| number.is_finite() && fits(number));
        if number.is_some() {
            return Ok(number);
        }
        let least = if matches!(bound, Bound::Above) {
            "above 0"
        } else {
            "of 0 or more"
        };
        refused(format!("{name} must be a number {least}, it is {value}"))
    }

    fn seed(&self) -> Result<u64> {
        match self.get("seed") {
            None => Ok(42),
            Some(value) => match whole(value) {
                Some(seed) => Ok(seed),
                None => refused(format!(
                    "seed must be a whole number of 0 or more, it is {value}"
                )),
            },
        }
    }
}

/// `8` and `8.0` are both eight: JavaScript knows no difference.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "checked to be a whole number in range"
)]
fn whole(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| {
        let number = value.as_f64()?;
        ((0.0..9e15).contains(&number) && number.fract() == 0.0).then_some(number as u64)
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use serde_json::json;

    use super::*;

    fn with(name: &str, value: Value) -> Result<RunConfig> {
        let mut config = json!({
            "model": "arkor-tiny",
            "datasetSource": { "type": "blob", "url": "https://data.example/rows.jsonl" },
        });
        config[name] = value;
        RunConfig::from_json(&config)
    }

    #[test]
    fn absent_fields_have_defaults() {
        let config = with("batchSize", Value::Null).unwrap();
        assert_eq!(
            (config.lora_r, config.batch_size, config.max_length),
            (16, 8, 512)
        );
        assert_eq!(
            (config.max_steps, config.save_steps, config.seed),
            (None, None, 42)
        );
        assert_eq!(config.schedule, Schedule::Linear);
        assert!(!config.responses_only && !config.dry_run);
    }

    #[test]
    fn what_can_not_be_honoured_is_refused_by_name() {
        for (name, value) in [
            ("loadIn4bit", json!(true)),
            ("optim", json!("adafactor")),
            ("lrSchedulerType", json!("polynomial")),
            ("datasetFormat", json!("parquet")),
            ("datasetFormat", json!({ "type": "dpo" })),
            ("datasetFormat", json!({ "type": "chatml", "field": "m" })),
            ("datasetFormat", json!({})),
            ("datasetFormat", json!(1)),
            ("datasetSplit", json!("test")),
            ("datasetSource", json!("rows.jsonl")),
            ("model", json!("")),
            ("loraR", json!(0)),
            ("loraR", json!("16")),
            ("loraAlpha", json!(-1)),
            ("maxSteps", json!(1.5)),
            ("maxSteps", json!(-1)),
            ("learningRate", json!("2e-4")),
            ("learningRate", json!(0)),
            ("weightDecay", json!(-0.1)),
            ("batchSize", json!([8])),
            ("saveSteps", json!(0.5)),
            ("evalSteps", json!({})),
            ("warmupSteps", json!(-3)),
            ("trainOnResponsesOnly", json!("yes")),
            ("dryRun", json!(1)),
            ("seed", json!(-1)),
            ("quantum", json!(1)),
        ] {
            let error = with(name, value.clone()).unwrap_err();
            assert!(
                error.is_refusal() && error.to_string().contains(name),
                "{name} {value}: {error}"
            );
        }
    }

    #[test]
    fn what_can_be_honoured_is_read() {
        assert_eq!(
            with("optim", json!("adamw_torch"))
                .unwrap()
                .epochs
                .to_string(),
            "1"
        );
        assert!(!with("loadIn4bit", json!(false)).unwrap().dry_run);
        assert_eq!(with("maxSteps", json!(150.0)).unwrap().max_steps, Some(150));
        assert_eq!(
            with("lrSchedulerType", json!("cosine")).unwrap().schedule,
            Schedule::Cosine
        );
        assert_eq!(with("datasetFormat", json!("auto")).unwrap().format, None);
        for name in ["messages", "chatml", "sharegpt", "alpaca", "text"] {
            let plain = with("datasetFormat", json!(name)).unwrap().format;
            assert_eq!(plain, Format::from_name(name).unwrap());
            let typed = with("datasetFormat", json!({ "type": name })).unwrap();
            assert_eq!(typed.format, plain, "{name}");
        }
    }
}
