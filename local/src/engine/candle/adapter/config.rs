//! `adapter_config.json`, as PEFT writes it.

use serde_json::Value;

use crate::error::{Result, refused};
use crate::number::as_f64;

/// PEFT settings that don't affect what a trained adapter computes: they only mattered during training, or
/// they select modules whose tensors are in the file anyway.
const WITHOUT_EFFECT: [&str; 15] = [
    "auto_mapping",
    "exclude_modules",
    "inference_mode",
    "layers_pattern",
    "layers_to_transform",
    "lora_dropout",
    "megatron_config",
    "megatron_core",
    "peft_version",
    "qalora_group_size",
    "rank_pattern",
    "runtime_config",
    "target_modules",
    "task_type",
    "eva_config",
];

/// Settings that [`AdapterConfig::from_json`] reads.
const READ: [&str; 6] = [
    "alpha_pattern",
    "base_model_name_or_path",
    "lora_alpha",
    "peft_type",
    "r",
    "use_rslora",
];

/// An adapter of two small matrices per linear layer.
#[derive(Debug, Clone)]
pub struct AdapterConfig {
    /// The rank, where `rank_pattern` gives no other.
    pub r: usize,
    /// The numerator of the scale, where `alpha_pattern` gives no other.
    pub alpha: f64,
    /// `base_model_name_or_path`.
    pub base: String,
    rslora: bool,
    alpha_pattern: Vec<(String, f64)>,
    /// The ranks of `rank_pattern`.
    ranks: Vec<usize>,
}

impl AdapterConfig {
    /// Reads a config. Refuses unknown settings, and settings that make it a different kind of adapter. The
    /// error names the setting.
    pub fn from_json(config: &Value) -> Result<Self> {
        check(config)?;
        let kind = config["peft_type"].as_str().unwrap_or("LORA");
        if kind != "LORA" {
            return refused(format!(
                "adapter: its peft_type is {kind}, only LORA is supported"
            ));
        }
        let rank = |value: &Value| {
            let rank = value.as_u64().and_then(|rank| usize::try_from(rank).ok());
            rank.filter(|rank| (1..=1 << 16).contains(rank))
        };
        let Some(r) = rank(&config["r"]) else {
            return wrong(config, "r", "a whole number above 0");
        };
        let Some(alpha) = config["lora_alpha"].as_f64() else {
            return wrong(config, "lora_alpha", "a number");
        };
        let rslora = match &config["use_rslora"] {
            Value::Null => false,
            Value::Bool(rslora) => *rslora,
            _ => return wrong(config, "use_rslora", "true or false"),
        };
        let mut alpha_pattern = Vec::new();
        for (key, value) in config["alpha_pattern"].as_object().into_iter().flatten() {
            let plain = key
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "_.".contains(c));
            if !plain {
                return refused(format!(
                    "adapter: its alpha_pattern has the regular expression {key:?}, only names are supported"
                ));
            }
            let Some(alpha) = value.as_f64() else {
                return wrong(config, "alpha_pattern", "a number for each module");
            };
            alpha_pattern.push((key.clone(), alpha));
        }
        let ranks = config["rank_pattern"].as_object().into_iter().flatten();
        Ok(Self {
            r,
            alpha,
            base: config["base_model_name_or_path"]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
            rslora,
            alpha_pattern,
            ranks: ranks.filter_map(|(_, value)| rank(value)).collect(),
        })
    }

    /// The scale of a module whose matrices have `rank`.
    pub fn scale(&self, module: &str, rank: usize) -> Result<f64> {
        if rank != self.r && !self.ranks.contains(&rank) {
            return refused(format!(
                "adapter: its matrices of {module} have rank {rank}, its config has r: {}",
                self.r
            ));
        }
        // A key of PEFT's patterns is the end of a module's name.
        let matches = |key: &str| {
            module
                .strip_suffix(key)
                .is_some_and(|before| before.is_empty() || before.ends_with('.'))
        };
        let own = self.alpha_pattern.iter().find(|(key, _)| matches(key));
        let alpha = own.map_or(self.alpha, |(_, alpha)| *alpha);
        let rank = as_f64(rank);
        Ok(alpha / if self.rslora { rank.sqrt() } else { rank })
    }
}

fn wrong<T>(config: &Value, name: &str, expected: &str) -> Result<T> {
    refused(format!(
        "adapter: its {name} is {}, expected {expected}",
        config[name]
    ))
}

/// Refuses unknown settings, unless the value turns them off (null, false or empty).
fn check(config: &Value) -> Result<()> {
    for (name, value) in config.as_object().into_iter().flatten() {
        let name = name.as_str();
        let idle = match value {
            Value::Null | Value::Bool(false) => true,
            Value::Array(list) => list.is_empty(),
            Value::Object(map) => map.is_empty(),
            Value::String(text) => text.is_empty(),
            Value::Number(_) | Value::Bool(true) => false,
        };
        let known = WITHOUT_EFFECT.contains(&name)
            || READ.contains(&name)
            || match name {
                "bias" => value == "none",
                // The others change the base model's weights before training.
                "init_lora_weights" => {
                    matches!(value, Value::Bool(true))
                        || ["gaussian", "eva", "orthogonal"]
                            .iter()
                            .any(|kind| value == kind)
                }
                "revision" => value == "main",
                _ => false,
            };
        if !idle && !known {
            return refused(format!(
                "adapter: its {name} is {value}, which is not supported"
            ));
        }
    }
    Ok(())
}
