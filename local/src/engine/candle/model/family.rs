//! The families of decoders that are computed here. They differ from Llama's in a few places each.

use serde_json::Value;

use crate::error::{Result, refused};

/// A family of decoders, by its class in transformers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// Llama, and what has its architecture: SmolLM2, TinyLlama.
    Llama,
    /// Llama with a sliding window.
    Mistral,
    /// Llama with biases on queries, keys and values.
    Qwen2,
    /// Llama with norms on the heads of queries and keys. Dense only.
    Qwen3,
    /// Llama with some layers that don't rotate queries and keys.
    SmolLm3,
}

impl Family {
    const ALL: [Self; 5] = [
        Self::Llama,
        Self::Mistral,
        Self::Qwen2,
        Self::Qwen3,
        Self::SmolLm3,
    ];

    /// The family that a `config.json` names, or the name of one that isn't known here.
    pub fn named(json: &Value) -> std::result::Result<Self, &str> {
        let architecture = match json.get("architectures") {
            Some(Value::Array(list)) => list.first().and_then(Value::as_str),
            one => one.and_then(Value::as_str),
        };
        let kind = json.get("model_type").and_then(Value::as_str);
        let name = architecture.or(kind).unwrap_or("none");
        let family = Self::ALL
            .into_iter()
            .find(|family| [family.architecture(), family.model_type()].contains(&name));
        family.ok_or(name)
    }

    /// The same, where another one is refused.
    pub fn of(json: &Value) -> Result<Self> {
        let family = match Self::named(json) {
            Ok(family) => family,
            Err(name) => {
                return refused(format!(
                    "model: the architecture {name} is not supported by the CPU engine, only {}. Use such a \
                     model, or \"arkor-tiny\".",
                    Self::names()
                ));
            }
        };
        match json.get("model_type").and_then(Value::as_str) {
            Some(kind) if kind != family.model_type() => refused(format!(
                "model: config.json has architectures: [{:?}] with model_type: {kind:?}, which is not supported",
                family.architecture()
            )),
            _ => Ok(family),
        }
    }

    /// The classes of all families, for a refusal.
    #[must_use]
    pub fn names() -> String {
        let names = Self::ALL.map(Self::architecture);
        let (last, others) = names.split_last().unwrap_or((&"", &[]));
        format!("{} and {last}", others.join(", "))
    }

    fn architecture(self) -> &'static str {
        match self {
            Self::Llama => "LlamaForCausalLM",
            Self::Mistral => "MistralForCausalLM",
            Self::Qwen2 => "Qwen2ForCausalLM",
            Self::Qwen3 => "Qwen3ForCausalLM",
            Self::SmolLm3 => "SmolLM3ForCausalLM",
        }
    }

    fn model_type(self) -> &'static str {
        match self {
            Self::Llama => "llama",
            Self::Mistral => "mistral",
            Self::Qwen2 => "qwen2",
            Self::Qwen3 => "qwen3",
            Self::SmolLm3 => "smollm3",
        }
    }
}
