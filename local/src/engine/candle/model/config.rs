//! The shape of a model, from its `config.json`. What the decoder can't do, and numbers that no model
//! has, are refused by name before any weight is read.

use std::ops::RangeInclusive;

use serde_json::Value;

use super::family::Family;
use super::layer_kind::{LayerKind, layer_kinds};
use super::rope_config::{RopeConfig, RopeScaling};
use crate::base::config_fields::{POSITIONS, VOCAB, flag, number, optional_size, size};
use crate::error::{Result, refused};
use crate::number::as_f64;

/// The numbers of a decoder of Llama's kind, as in its `config.json`.
#[derive(Debug, Clone, PartialEq)]
pub struct LlamaConfig {
    /// What kind of decoder it is.
    pub family: Family,
    /// Number of tokens.
    pub vocab_size: usize,
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Width inside the feed-forward part.
    pub intermediate_size: usize,
    /// Number of decoder layers.
    pub layers: usize,
    /// What is special about each of them.
    pub kinds: Vec<LayerKind>,
    /// Number of query heads.
    pub heads: usize,
    /// Number of key and value heads; divides `heads`.
    pub kv_heads: usize,
    /// Width of one head.
    pub head_dim: usize,
    /// Epsilon of the RMS norms.
    pub rms_norm_eps: f64,
    /// Base of the rotary frequencies.
    pub rope_theta: f64,
    /// How the rotary frequencies are stretched.
    pub rope_scaling: RopeScaling,
    /// The longest sequence that the model was made for, in tokens.
    pub max_positions: usize,
    /// Whether the output head is the embedding.
    pub tie_word_embeddings: bool,
    /// Which linear layers add a bias.
    pub biases: Biases,
    /// Whether the heads of queries and of keys are normed.
    pub head_norms: bool,
}

/// The linear layers that add a bias.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Biases {
    /// Those of queries, keys and values: Qwen2 has them.
    pub qkv: bool,
    /// That of the attention's output.
    pub output: bool,
    /// Those of the feed-forward part.
    pub mlp: bool,
}

/// What is asked of a number in `config.json`: well above what models have, and small enough that
/// nothing overflows.
const WIDTH: RangeInclusive<u64> = 1..=1 << 17;
const INNER_WIDTH: RangeInclusive<u64> = 1..=1 << 19;
const LAYERS: RangeInclusive<u64> = 1..=1024;
const HEADS: RangeInclusive<u64> = 1..=1024;
const HEAD_DIM: RangeInclusive<u64> = 2..=1024;

impl LlamaConfig {
    /// Reads a `config.json`. Errors with a refusal that names what is missing or not supported.
    pub fn from_json(json: &Value) -> Result<Self> {
        let family = Family::of(json)?;
        check_changes(json)?;
        let hidden_size = size(json, "hidden_size", WIDTH)?;
        let heads = size(json, "num_attention_heads", HEADS)?;
        let kv_heads = optional_size(json, "num_key_value_heads", HEADS)?.unwrap_or(heads);
        if heads % kv_heads != 0 {
            return refused(format!(
                "model: config.json has num_attention_heads: {heads}, which is no multiple of \
                 num_key_value_heads: {kv_heads}"
            ));
        }
        let head_dim = match optional_size(json, "head_dim", HEAD_DIM)? {
            Some(head_dim) => head_dim,
            None if family == Family::Qwen3 => 128,
            None if hidden_size % heads != 0 => {
                return refused(format!(
                    "model: config.json has hidden_size: {hidden_size}, which is no multiple of \
                     num_attention_heads: {heads}"
                ));
            }
            None => hidden_size / heads,
        };
        if head_dim % 2 != 0 {
            return refused(format!(
                "model: config.json has head_dim: {head_dim}, it must be even"
            ));
        }
        let layers = size(json, "num_hidden_layers", LAYERS)?;
        let max_positions =
            optional_size(json, "max_position_embeddings", POSITIONS)?.unwrap_or(2048);
        let rope = RopeConfig::from_json(family, json, as_f64(max_positions))?;
        let unsaid = json.get("tie_word_embeddings").is_none_or(Value::is_null);
        Ok(Self {
            vocab_size: size(json, "vocab_size", VOCAB)?,
            hidden_size,
            intermediate_size: size(json, "intermediate_size", INNER_WIDTH)?,
            layers,
            kinds: layer_kinds(family, json, layers, max_positions)?,
            heads,
            kv_heads,
            head_dim,
            rms_norm_eps: number(json.get("rms_norm_eps"), "rms_norm_eps", 0.0..=1.0)?
                .unwrap_or(1e-6),
            rope_theta: rope.theta,
            rope_scaling: rope.scaling,
            max_positions,
            tie_word_embeddings: match family {
                Family::SmolLm3 if unsaid => true,
                _ => flag(json, "tie_word_embeddings")?,
            },
            biases: Biases::of(family, json)?,
            head_norms: family == Family::Qwen3,
            family,
        })
    }
}

impl Biases {
    fn of(family: Family, json: &Value) -> Result<Self> {
        if family == Family::Qwen2 {
            return Ok(Self {
                qkv: true,
                ..Self::default()
            });
        }
        let read = |name: &str, families: &[Family]| {
            if families.contains(&family) {
                flag(json, name)
            } else {
                Ok(false)
            }
        };
        let attention = read(
            "attention_bias",
            &[Family::Llama, Family::Qwen3, Family::SmolLm3],
        )?;
        Ok(Self {
            qkv: attention,
            output: attention,
            mlp: read("mlp_bias", &[Family::Llama, Family::SmolLm3])?,
        })
    }
}

/// Refuses settings that would make another model of the same weights.
fn check_changes(json: &Value) -> Result<()> {
    for name in ["quantization_config", "compression_config"] {
        if let Some(config) = json.get(name).filter(|config| !config.is_null()) {
            let method = ["quant_method", "quantization_method", "format"]
                .iter()
                .find_map(|field| config[*field].as_str())
                .unwrap_or("unknown");
            return refused(format!(
                "model: config.json has a {name} ({method}): quantised weights are not supported. \
                 Use the model's weights in F32, F16 or BF16."
            ));
        }
    }
    match json.get("hidden_act") {
        None | Some(Value::Null) => {}
        Some(act) if matches!(act.as_str(), Some("silu" | "swish")) => {}
        Some(act) => {
            return refused(format!(
                "model: config.json has hidden_act: {act}, only \"silu\" is supported"
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
