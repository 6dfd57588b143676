//! The shape of a model, from its `config.json`. What the decoder can't do, and numbers that no model
//! has, are refused by name before any weight is read.

use std::ops::RangeInclusive;

use serde_json::Value;

use crate::base::config_fields::{POSITIONS, VOCAB, flag, number, optional_size, size};
use crate::error::{Result, refused};

/// The numbers of a decoder of Llama's kind, as in its `config.json`.
#[derive(Debug, Clone, PartialEq)]
pub struct LlamaConfig {
    /// Number of tokens.
    pub vocab_size: usize,
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Width inside the feed-forward part.
    pub intermediate_size: usize,
    /// Number of decoder layers.
    pub layers: usize,
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

/// How the rotary frequencies are stretched for long contexts.
#[derive(Debug, Clone, PartialEq)]
pub enum RopeScaling {
    /// Not at all.
    None,
    /// As Llama 3.1 and later do.
    Llama3 {
        /// Divisor of the low frequencies.
        factor: f64,
        /// Below this many turns in the original context, a frequency is low.
        low_freq_factor: f64,
        /// Above this many turns, it is left alone.
        high_freq_factor: f64,
        /// The original context, in tokens.
        original_positions: f64,
    },
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
        let biases = check_architecture(json)?;
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
        let rope = json
            .get("rope_parameters")
            .filter(|value| value.is_object())
            .unwrap_or(json);
        let theta = match number(rope.get("rope_theta"), "rope_theta", 1.0..=1e12)? {
            Some(theta) => theta,
            None => number(json.get("rope_theta"), "rope_theta", 1.0..=1e12)?.unwrap_or(10_000.0),
        };
        Ok(Self {
            vocab_size: size(json, "vocab_size", VOCAB)?,
            hidden_size,
            intermediate_size: size(json, "intermediate_size", INNER_WIDTH)?,
            layers: size(json, "num_hidden_layers", LAYERS)?,
            heads,
            kv_heads,
            head_dim,
            rms_norm_eps: number(json.get("rms_norm_eps"), "rms_norm_eps", 0.0..=1.0)?
                .unwrap_or(1e-6),
            rope_theta: theta,
            rope_scaling: rope_scaling(json)?,
            max_positions: optional_size(json, "max_position_embeddings", POSITIONS)?
                .unwrap_or(2048),
            tie_word_embeddings: flag(json, "tie_word_embeddings")?,
            biases,
        })
    }
}

/// Refuses everything that is not a decoder of Llama's kind. Returns its biases.
fn check_architecture(json: &Value) -> Result<Biases> {
    let kind = json.get("model_type").and_then(Value::as_str);
    let architecture = match json.get("architectures") {
        Some(Value::Array(list)) => list.first().and_then(Value::as_str),
        one => one.and_then(Value::as_str),
    };
    let name = architecture.or(kind).unwrap_or("none");
    let (expected, biases) = match name {
        "LlamaForCausalLM" | "llama" => {
            let attention = flag(json, "attention_bias")?;
            let biases = Biases {
                qkv: attention,
                output: attention,
                mlp: flag(json, "mlp_bias")?,
            };
            ("llama", biases)
        }
        "Qwen2ForCausalLM" | "qwen2" => {
            if flag(json, "use_sliding_window")? {
                return refused(
                    "model: config.json has use_sliding_window: true, which is not supported",
                );
            }
            let biases = Biases {
                qkv: true,
                ..Biases::default()
            };
            ("qwen2", biases)
        }
        _ => {
            return refused(format!(
                "model: the architecture {name} is not supported, only LlamaForCausalLM and \
                 Qwen2ForCausalLM. Use such a model, or \"arkor-tiny\"."
            ));
        }
    };
    match kind {
        Some(kind) if kind != expected => refused(format!(
            "model: config.json has architectures: [{name:?}] with model_type: {kind:?}, which is not supported"
        )),
        _ => Ok(biases),
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
    let partial = number(
        json.get("partial_rotary_factor"),
        "partial_rotary_factor",
        0.0..=1.0,
    )?;
    if partial.is_some_and(|factor| factor < 1.0) {
        return refused("model: config.json has a partial_rotary_factor, which is not supported");
    }
    let layers = json.get("layer_types").and_then(Value::as_array);
    let other = |kind: &&Value| kind.as_str() != Some("full_attention");
    if let Some(kind) = layers.into_iter().flatten().find(other) {
        return refused(format!(
            "model: config.json has layer_types with {kind}, only \"full_attention\" is supported"
        ));
    }
    Ok(())
}

fn rope_scaling(json: &Value) -> Result<RopeScaling> {
    let mut found = RopeScaling::None;
    for name in ["rope_scaling", "rope_parameters"] {
        match json.get(name) {
            None | Some(Value::Null) => {}
            Some(scaling @ Value::Object(fields)) => {
                if let Some((kind, _)) = fields.iter().find(|(_, value)| value.is_object()) {
                    return refused(format!(
                        "model: config.json has {name} for {kind} alone, which is not supported"
                    ));
                }
                let own = scaling_of(scaling)?;
                if own != RopeScaling::None && found != RopeScaling::None && own != found {
                    return refused(
                        "model: config.json has a rope_scaling and other rope_parameters. Remove one of them.",
                    );
                }
                if own != RopeScaling::None {
                    found = own;
                }
            }
            Some(other) => {
                return refused(format!(
                    "model: config.json has {name}: {other}, expected an object"
                ));
            }
        }
    }
    Ok(found)
}

fn scaling_of(scaling: &Value) -> Result<RopeScaling> {
    let kind = ["rope_type", "type"]
        .iter()
        .find_map(|name| scaling.get(*name).and_then(Value::as_str))
        .unwrap_or("default");
    let required = |name: &str| {
        let field = format!("rope_scaling.{name}");
        match number(scaling.get(name), &field, 1e-3..=1e9)? {
            Some(number) => Ok(number),
            None => refused(format!("model: config.json lacks {field}")),
        }
    };
    match kind {
        "default" => Ok(RopeScaling::None),
        "llama3" => {
            let (low, high) = (required("low_freq_factor")?, required("high_freq_factor")?);
            if low >= high {
                return refused(
                    "model: config.json has a rope_scaling.low_freq_factor that is not below high_freq_factor",
                );
            }
            Ok(RopeScaling::Llama3 {
                factor: required("factor")?,
                low_freq_factor: low,
                high_freq_factor: high,
                original_positions: required("original_max_position_embeddings")?,
            })
        }
        other => refused(format!(
            "model: config.json has rope_scaling of type {other:?}, only \"default\" and \"llama3\" are supported"
        )),
    }
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
