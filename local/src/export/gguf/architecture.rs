//! llama.cpp's architecture for each family of decoders, and the metadata for rotary embeddings.

use serde_json::Value;

use super::file::Meta;
use super::narrow;
use crate::engine::candle::model::LlamaConfig;
use crate::engine::candle::model::config::Biases;
use crate::engine::candle::model::family::Family;
use crate::engine::candle::model::rope::{frequencies, plain_frequencies};
use crate::engine::candle::model::rope_config::RopeScaling;
use crate::error::{Result, refused};

/// Advice for a model that llama.cpp's own converter may support.
const INSTEAD: &str = "Use --format merged, and llama.cpp's convert_hf_to_gguf.py.";

/// Every fourth layer of SmolLM3 has no rotation. llama.cpp assumes that, since there's no metadata for
/// it.
const NO_ROPE_INTERVAL: usize = 4;

/// An architecture that llama.cpp supports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Architecture {
    /// Llama and Mistral.
    Llama,
    /// Qwen2.
    Qwen2,
    /// Qwen3.
    Qwen3,
    /// SmolLM3.
    SmolLm3,
}

impl Architecture {
    /// The architecture for a `config.json`.
    pub fn of(json: &Value) -> Result<Self> {
        match Family::named(json) {
            Ok(Family::Llama | Family::Mistral) => Ok(Self::Llama),
            Ok(Family::Qwen2) => Ok(Self::Qwen2),
            Ok(Family::Qwen3) => Ok(Self::Qwen3),
            Ok(Family::SmolLm3) => Ok(Self::SmolLm3),
            Err(name) => refused(format!(
                "--format: the architecture {name} can't be written as GGUF here, only {}. {INSTEAD}",
                Family::names()
            )),
        }
    }

    /// Its name in `general.architecture`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Llama => "llama",
            Self::Qwen2 => "qwen2",
            Self::Qwen3 => "qwen3",
            Self::SmolLm3 => "smollm3",
        }
    }

    /// Whether a rotation pairs neighbouring rows of queries and keys. Otherwise it pairs the two halves
    /// of a head, as in Hugging Face's files.
    pub fn rotates_neighbours(self) -> bool {
        matches!(self, Self::Llama | Self::SmolLm3)
    }

    /// Refuses a model that llama.cpp would compute differently, or wouldn't load.
    pub fn check(self, config: &LlamaConfig) -> Result<()> {
        let cannot = |what: &str| {
            refused(format!(
                "--format: llama.cpp can't be told about {what}. {INSTEAD}"
            ))
        };
        let has_biases = config.biases != Biases::default();
        if matches!(self, Self::Qwen3 | Self::SmolLm3) && has_biases {
            return cannot("attention_bias or mlp_bias of this architecture");
        }
        let mut layers = (1..).zip(&config.kinds);
        let rotates =
            |number: usize| self != Self::SmolLm3 || !number.is_multiple_of(NO_ROPE_INTERVAL);
        if layers.any(|(number, kind)| kind.rotates != rotates(number)) {
            return cannot("no_rope_layers other than every fourth");
        }
        match &config.rope_scaling {
            RopeScaling::Llama3 { .. } if self != Self::Llama => {
                cannot("a rope_scaling of type \"llama3\" of this architecture")
            }
            RopeScaling::Yarn(yarn) if !yarn.is_plain() => cannot(
                "a rope_scaling with an attention_factor, mscale, beta_fast, beta_slow or truncate of its own",
            ),
            _ => Ok(()),
        }
    }
}

/// The context length, in tokens. llama.cpp has no sliding window for these models, so the context is
/// limited to the window: a text that fits into it needs none.
pub fn context(config: &LlamaConfig) -> usize {
    let windows = config.kinds.iter().filter_map(|kind| kind.window);
    windows.fold(config.max_positions, usize::min)
}

/// The divisor of each frequency, if llama.cpp expects them as a tensor.
pub fn rope_factors(config: &LlamaConfig) -> Option<Vec<f32>> {
    let RopeScaling::Llama3 { .. } = config.rope_scaling else {
        return None;
    };
    let stretched = plain_frequencies(config).zip(frequencies(config));
    Some(
        stretched
            .map(|(plain, stretched)| narrow(plain / stretched))
            .collect(),
    )
}

/// The metadata for scaled rotations. The keys follow `rope.scaling.`.
pub fn rope_scaling(config: &LlamaConfig) -> Vec<(&'static str, Meta)> {
    let kind = |kind: &str| ("type", Meta::Text(kind.to_owned()));
    let factor = |factor: f64| ("factor", Meta::F32(narrow(factor)));
    match &config.rope_scaling {
        RopeScaling::None | RopeScaling::Llama3 { .. } => Vec::new(),
        RopeScaling::Linear(by) => vec![kind("linear"), factor(*by)],
        RopeScaling::Yarn(yarn) => vec![
            kind("yarn"),
            factor(yarn.factor),
            (
                "original_context_length",
                Meta::U32(whole(yarn.original_positions)),
            ),
        ],
    }
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a number of tokens, which is read as one from 1 to 1e9"
)]
fn whole(value: f64) -> u32 {
    value as u32
}
