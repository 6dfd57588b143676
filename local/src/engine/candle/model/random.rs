//! Small random models for tests, one of each family.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use candle_core::{Device, Tensor};
use serde_json::{Value, json};

use super::{LlamaConfig, Weights, target};
use crate::engine::candle::CandleModel;

/// The name of one whose window is a single token.
pub const SEES_ITSELF: &str = "mistral that sees itself only";

/// Names and what is special in their `config.json`. Windows are shorter than the rows of the tests, and some
/// begin inside of a block of queries.
pub fn kinds() -> Vec<(&'static str, Value)> {
    let yarn = json!({
        "rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64, "rope_theta": 10_000.0,
    });
    vec![
        (
            "llama",
            json!({ "architectures": ["LlamaForCausalLM"], "attention_bias": true, "mlp_bias": true }),
        ),
        (
            "qwen2",
            json!({
                "architectures": ["Qwen2ForCausalLM"], "use_sliding_window": true, "sliding_window": 70,
                "max_window_layers": 1,
            }),
        ),
        (
            "qwen3",
            json!({ "architectures": ["Qwen3ForCausalLM"], "head_dim": 12 }),
        ),
        (
            "qwen3 with yarn",
            json!({
                "architectures": ["Qwen3ForCausalLM"], "head_dim": 8, "rope_parameters": yarn,
            }),
        ),
        (
            "mistral",
            json!({ "architectures": ["MistralForCausalLM"], "head_dim": 12, "sliding_window": 40 }),
        ),
        (
            SEES_ITSELF,
            json!({
                "architectures": ["MistralForCausalLM"], "sliding_window": 1,
            }),
        ),
        (
            "mistral without a window",
            json!({
                "architectures": ["MistralForCausalLM"], "sliding_window": null,
            }),
        ),
        (
            "smollm3",
            json!({ "architectures": ["SmolLM3ForCausalLM"], "no_rope_layer_interval": 2 }),
        ),
    ]
}

/// A model of two layers that learns to predict bytes.
pub fn model(special: &Value) -> CandleModel {
    let mut json = json!({
        "vocab_size": 260, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 256,
        "tie_word_embeddings": true,
    });
    for (name, value) in special.as_object().unwrap() {
        json[name] = value.clone();
    }
    let config = LlamaConfig::from_json(&json).unwrap();
    let mut rng = fastrand::Rng::with_seed(1);
    let tensors = target::tensors(&config)
        .into_iter()
        .map(|(name, shape)| {
            // Norms are around 1; matrices large enough that the logits aren't all alike.
            let (middle, spread) = if name.contains("norm") {
                (1.0, 0.5)
            } else {
                (0.0, 0.4)
            };
            let count = shape.iter().product();
            let values: Vec<f32> = (0..count)
                .map(|_| middle + (rng.f32() - 0.5) * spread)
                .collect();
            let tensor = Tensor::from_vec(values, shape, &Device::Cpu).unwrap();
            (name, tensor)
        })
        .collect();
    CandleModel {
        config,
        weights: Weights::from_tensors(tensors),
    }
}
