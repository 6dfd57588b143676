//! The shape of a model. Flows in: the text of a Hugging Face `config.json`. Flows out: the numbers
//! that the decoder is built from. A module because everything that the decoder can't do is
//! refused here, by name, before any weight is read.

use serde_json::Value;

use super::llama::Target;
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
    /// Tokens that end a text.
    pub eos_token_ids: Vec<u32>,
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

impl LlamaConfig {
    /// Reads a `config.json`. Errors with a refusal that names what is missing or not supported.
    pub fn from_json(text: &str) -> Result<Self> {
        let json: Value = serde_json::from_str(text)?;
        let biases = check_architecture(&json)?;
        let hidden_size = size(&json, "hidden_size")?;
        let heads = size(&json, "num_attention_heads")?;
        let kv_heads = optional_size(&json, "num_key_value_heads")?.unwrap_or(heads);
        if kv_heads == 0 || heads == 0 || heads % kv_heads != 0 {
            return refused(format!(
                "config.json: num_attention_heads ({heads}) is no multiple of num_key_value_heads ({kv_heads})"
            ));
        }
        let head_dim = optional_size(&json, "head_dim")?.unwrap_or(hidden_size / heads);
        if head_dim == 0 || head_dim % 2 != 0 {
            return refused(format!(
                "config.json: head_dim must be even, it is {head_dim}"
            ));
        }
        let rope = json
            .get("rope_parameters")
            .filter(|value| value.is_object())
            .unwrap_or(&json);
        Ok(Self {
            vocab_size: size(&json, "vocab_size")?,
            hidden_size,
            intermediate_size: size(&json, "intermediate_size")?,
            layers: size(&json, "num_hidden_layers")?,
            heads,
            kv_heads,
            head_dim,
            rms_norm_eps: number(&json, "rms_norm_eps").unwrap_or(1e-6),
            rope_theta: number(rope, "rope_theta").unwrap_or(10_000.0),
            rope_scaling: rope_scaling(&json)?,
            max_positions: optional_size(&json, "max_position_embeddings")?.unwrap_or(2048),
            tie_word_embeddings: json
                .get("tie_word_embeddings")
                .and_then(Value::as_bool)
                .unwrap_or(false),
            eos_token_ids: token_ids(json.get("eos_token_id")),
            biases,
        })
    }

    /// Whether a linear layer adds a bias.
    #[must_use]
    pub fn has_bias(&self, target: Target) -> bool {
        match target {
            Target::Query | Target::Key | Target::Value => self.biases.qkv,
            Target::Output => self.biases.output,
            Target::Gate | Target::Up | Target::Down => self.biases.mlp,
        }
    }
}

/// Refuses everything that is not a decoder of Llama's kind. Returns its biases.
fn check_architecture(json: &Value) -> Result<Biases> {
    let architecture = json
        .get("architectures")
        .and_then(|list| list.get(0))
        .or_else(|| json.get("model_type"))
        .and_then(Value::as_str)
        .unwrap_or("none");
    let set = |field: &str| json.get(field).and_then(Value::as_bool) == Some(true);
    let biases = match architecture {
        "LlamaForCausalLM" | "llama" => Biases {
            qkv: set("attention_bias"),
            output: set("attention_bias"),
            mlp: set("mlp_bias"),
        },
        "Qwen2ForCausalLM" | "qwen2" if set("use_sliding_window") => {
            return refused(
                "model: config.json has use_sliding_window: true, which is not supported",
            );
        }
        "Qwen2ForCausalLM" | "qwen2" => Biases {
            qkv: true,
            ..Biases::default()
        },
        _ => {
            return refused(format!(
                "model: the architecture {architecture} is not supported, only LlamaForCausalLM and \
                 Qwen2ForCausalLM. Use such a model, or \"arkor-tiny\"."
            ));
        }
    };
    match json.get("hidden_act").and_then(Value::as_str) {
        None | Some("silu" | "swish") => Ok(biases),
        Some(other) => refused(format!(
            "model: config.json has hidden_act: {other:?}, only \"silu\" is supported"
        )),
    }
}

fn rope_scaling(json: &Value) -> Result<RopeScaling> {
    let scaling = ["rope_scaling", "rope_parameters"]
        .iter()
        .filter_map(|name| json.get(*name))
        .find(|value| value.is_object());
    let Some(scaling) = scaling else {
        return Ok(RopeScaling::None);
    };
    let kind = ["rope_type", "type"]
        .iter()
        .find_map(|name| scaling.get(*name).and_then(Value::as_str))
        .unwrap_or("default");
    let required = |name: &str| {
        number(scaling, name).map_or_else(
            || refused(format!("model: config.json lacks rope_scaling.{name}")),
            Ok,
        )
    };
    match kind {
        "default" => Ok(RopeScaling::None),
        "llama3" => Ok(RopeScaling::Llama3 {
            factor: required("factor")?,
            low_freq_factor: required("low_freq_factor")?,
            high_freq_factor: required("high_freq_factor")?,
            original_positions: required("original_max_position_embeddings")?,
        }),
        other => refused(format!(
            "model: config.json has rope_scaling of type {other:?}, only \"default\" and \"llama3\" are supported"
        )),
    }
}

/// `eos_token_id`: absent, one id, or a list.
#[must_use]
pub fn token_ids(value: Option<&Value>) -> Vec<u32> {
    let id = |value: &Value| value.as_u64().and_then(|id| u32::try_from(id).ok());
    match value {
        Some(Value::Array(list)) => list.iter().filter_map(id).collect(),
        Some(value) => id(value).into_iter().collect(),
        None => Vec::new(),
    }
}

fn number(json: &Value, name: &str) -> Option<f64> {
    json.get(name).and_then(Value::as_f64)
}

fn optional_size(json: &Value, name: &str) -> Result<Option<usize>> {
    match json.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match value
            .as_u64()
            .and_then(|number| usize::try_from(number).ok())
        {
            Some(number) => Ok(Some(number)),
            None => refused(format!(
                "model: config.json has {name}: {value}, expected a whole number"
            )),
        },
    }
}

fn size(json: &Value, name: &str) -> Result<usize> {
    match optional_size(json, name)? {
        Some(number) if number > 0 => Ok(number),
        _ => refused(format!("model: config.json lacks {name}")),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use super::*;

    fn minimal() -> Value {
        serde_json::json!({
            "architectures": ["LlamaForCausalLM"], "vocab_size": 260, "hidden_size": 64,
            "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4,
        })
    }

    #[test]
    fn absent_fields_have_the_defaults_of_hugging_face() {
        let config = LlamaConfig::from_json(&minimal().to_string()).unwrap();
        assert_eq!((config.kv_heads, config.head_dim), (4, 16));
        assert!((config.rope_theta - 10_000.0).abs() < f64::EPSILON);
        assert_eq!(config.rope_scaling, RopeScaling::None);
        assert!(!config.tie_word_embeddings);
    }

    #[test]
    fn another_architecture_is_refused_by_name() {
        let mut json = minimal();
        json["architectures"] = serde_json::json!(["Gemma3ForCausalLM"]);
        let error = LlamaConfig::from_json(&json.to_string()).unwrap_err();
        assert!(error.is_refusal());
        assert!(error.to_string().contains("Gemma3ForCausalLM"), "{error}");
    }

    #[test]
    fn qwen2_is_llama_with_three_biases_and_llama_has_those_that_it_names() {
        let biases = |json: &Value| LlamaConfig::from_json(&json.to_string()).unwrap().biases;
        let mut json = minimal();
        assert_eq!(biases(&json), Biases::default());
        json["mlp_bias"] = serde_json::json!(true);
        assert!(biases(&json).mlp && !biases(&json).qkv);
        json["architectures"] = serde_json::json!(["Qwen2ForCausalLM"]);
        let expected = Biases {
            qkv: true,
            ..Biases::default()
        };
        assert_eq!(biases(&json), expected);
        json["use_sliding_window"] = serde_json::json!(true);
        assert!(LlamaConfig::from_json(&json.to_string()).is_err());
    }

    #[test]
    fn an_unknown_rope_scaling_is_refused_by_name() {
        let mut json = minimal();
        json["rope_scaling"] = serde_json::json!({ "rope_type": "yarn", "factor": 4.0 });
        let error = LlamaConfig::from_json(&json.to_string()).unwrap_err();
        assert!(error.to_string().contains("yarn"), "{error}");
    }
}
