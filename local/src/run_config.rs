//! A job's config, which is checked before anything starts. An unsupported field is refused by name, and
//! never ignored.

use serde::Deserialize;
use serde_json::Value;

use crate::data::DatasetSource;
use crate::data::shapes::Format;
use crate::data::source::SourceFields;
use crate::engine::schedule::Schedule;
use crate::error::{Result, refused};
use crate::request_fields::{self, not_negative, positive, seed, some_whole, whole};

/// How many rows a dry run uses.
pub const DRY_RUN_ROWS: usize = 32;

/// How many steps a dry run has.
pub const DRY_RUN_STEPS: usize = 6;

const MOST_STEPS: u64 = 1 << 24;

/// A checked config.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct RunConfig {
    /// The model's name.
    pub model: String,
    dataset_source: Option<SourceFields>,
    dataset_split: Option<String>,
    dataset_format: Option<FormatField>,
    /// The rank of the adapter. Default: 16.
    #[serde(deserialize_with = "whole::<1, 1024, _>")]
    pub lora_r: usize,
    /// The numerator of its scale. Default: 16.
    #[serde(deserialize_with = "positive")]
    pub lora_alpha: f64,
    /// The longest row, in tokens. Default: 512.
    #[serde(deserialize_with = "whole::<2, 1_048_576, _>")]
    pub max_length: usize,
    /// Whether the base is quantised when it's loaded. Default: false.
    #[serde(rename = "loadIn4bit")]
    pub load_in_4bit: bool,
    /// The number of updates. Takes precedence over `num_train_epochs`.
    #[serde(deserialize_with = "some_whole::<1, MOST_STEPS, _>")]
    pub max_steps: Option<usize>,
    /// The number of passes over the rows. Default: 1.
    #[serde(deserialize_with = "positive")]
    pub num_train_epochs: f64,
    /// The highest learning rate. Default: 2e-4.
    #[serde(deserialize_with = "positive")]
    pub learning_rate: f64,
    /// The number of rows per update. Default: 8.
    #[serde(deserialize_with = "whole::<1, 4096, _>")]
    pub batch_size: usize,
    #[serde(rename = "optim")]
    _optim: Option<Optimizer>,
    /// The shape of the learning rate over the run. Default: linear.
    #[serde(rename = "lrSchedulerType")]
    pub schedule: Schedule,
    /// The weight decay of `AdamW`. Default: 0.
    #[serde(deserialize_with = "not_negative")]
    pub weight_decay: f64,
    /// The number of warm-up steps. Default: 0.
    #[serde(deserialize_with = "whole::<0, MOST_STEPS, _>")]
    pub warmup_steps: usize,
    /// The number of steps between two logs. Default: 1.
    #[serde(deserialize_with = "whole::<1, MOST_STEPS, _>")]
    pub logging_steps: usize,
    /// The number of steps between two checkpoints. Default: a third of all steps.
    #[serde(deserialize_with = "some_whole::<1, MOST_STEPS, _>")]
    pub save_steps: Option<usize>,
    /// How many checkpoints are kept, including the last and the best one. Default: all.
    #[serde(deserialize_with = "some_whole::<1, MOST_STEPS, _>")]
    pub save_total_limit: Option<usize>,
    /// The number of steps between two evaluations. Default: a fifth of all steps.
    #[serde(deserialize_with = "some_whole::<1, MOST_STEPS, _>")]
    pub eval_steps: Option<usize>,
    /// Whether only answers are trained. Default: false.
    #[serde(rename = "trainOnResponsesOnly")]
    pub responses_only: bool,
    /// Whether to run only a few steps on a few rows.
    pub dry_run: bool,
    /// The seed of a run. Default: 42.
    #[serde(deserialize_with = "seed")]
    pub seed: u64,
}

/// Names of `AdamW`, the only optimizer.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Optimizer {
    Adamw,
    AdamwTorch,
    AdamwTorchFused,
    AdamwHf,
}

/// A name, or `{ type: name }`, which projects from the published templates contain.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged, expecting = "a string or { type }")]
enum FormatField {
    Name(String),
    Typed(Typed),
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Typed {
    r#type: String,
}

impl Default for RunConfig {
    fn default() -> Self {
        Self {
            model: String::new(),
            dataset_source: None,
            dataset_split: None,
            dataset_format: None,
            lora_r: 16,
            lora_alpha: 16.0,
            max_length: 512,
            load_in_4bit: false,
            max_steps: None,
            num_train_epochs: 1.0,
            learning_rate: 2e-4,
            batch_size: 8,
            _optim: None,
            schedule: Schedule::Linear,
            weight_decay: 0.0,
            warmup_steps: 0,
            logging_steps: 1,
            save_steps: None,
            save_total_limit: None,
            eval_steps: None,
            responses_only: false,
            dry_run: false,
            seed: 42,
        }
    }
}

impl RunConfig {
    /// Checks a config. A refusal names the field.
    pub fn from_json(config: &Value) -> Result<Self> {
        let config: Self = request_fields::read(config)?;
        if config.model.is_empty() {
            return refused("model is missing: name a model, a directory, or \"arkor-tiny\"");
        }
        config.dataset()?;
        config.format()?;
        Ok(config)
    }

    /// The source of the rows.
    pub fn dataset(&self) -> Result<DatasetSource> {
        let Some(source) = &self.dataset_source else {
            return refused(
                "datasetSource is missing: give { type: \"blob\", url: \"file:///...\" }, or \
                 { type: \"huggingface\", name }",
            );
        };
        source.dataset(self.dataset_split.as_deref())
    }

    /// The only format of rows that is allowed. `None` allows all formats.
    pub fn format(&self) -> Result<Option<Format>> {
        match &self.dataset_format {
            None => Ok(None),
            Some(FormatField::Name(name) | FormatField::Typed(Typed { r#type: name })) => {
                Format::from_name(name)
            }
        }
    }
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
            ("saveTotalLimit", json!(0)),
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
                .num_train_epochs
                .to_string(),
            "1"
        );
        assert!(!with("loadIn4bit", json!(false)).unwrap().dry_run);
        assert_eq!(with("maxSteps", json!(150.0)).unwrap().max_steps, Some(150));
        assert_eq!(
            with("lrSchedulerType", json!("cosine")).unwrap().schedule,
            Schedule::Cosine
        );
        assert_eq!(
            with("datasetFormat", json!("auto"))
                .unwrap()
                .format()
                .unwrap(),
            None
        );
        for name in ["messages", "chatml", "sharegpt", "alpaca", "text"] {
            let plain = with("datasetFormat", json!(name))
                .unwrap()
                .format()
                .unwrap();
            assert_eq!(plain, Format::from_name(name).unwrap());
            let typed = with("datasetFormat", json!({ "type": name })).unwrap();
            assert_eq!(typed.format().unwrap(), plain, "{name}");
        }
    }
}
