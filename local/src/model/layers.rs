//! The pieces of the decoder. Flow in: hidden states, one row per token. Flow out: hidden states.
//! A module because all of them are written with operations that candle can differentiate: its
//! fused norm, rotary embedding and softmax have no backward pass.

use candle_core::{D, Device, Result, Tensor};

use super::config::{LlamaConfig, RopeScaling};
use super::frozen;
use crate::lora::LoraPair;

/// A linear layer: a frozen weight, and what an adapter adds to it.
#[derive(Debug, Clone)]
pub struct Linear {
    /// `[out, in]`.
    weight: Tensor,
    lora: Option<LoraPair>,
}

impl Linear {
    /// A layer from its weight `[out, in]`.
    #[must_use]
    pub fn new(weight: Tensor, lora: Option<LoraPair>) -> Self {
        Self { weight, lora }
    }

    /// `[rows, in]` → `[rows, out]`.
    pub fn forward(&self, input: &Tensor) -> Result<Tensor> {
        let output = if self.weight.is_variable() {
            input.matmul(&self.weight.t()?)?
        } else {
            frozen::matmul(input, &self.weight)?
        };
        match &self.lora {
            None => Ok(output),
            Some(lora) => output + lora.forward(input)?,
        }
    }
}

/// Root mean square norm with a learned scale.
#[derive(Debug, Clone)]
pub struct RmsNorm {
    weight: Tensor,
    eps: f64,
}

impl RmsNorm {
    /// A norm from its scale `[hidden]`.
    #[must_use]
    pub fn new(weight: Tensor, eps: f64) -> Self {
        Self { weight, eps }
    }

    /// `[rows, hidden]` → `[rows, hidden]`.
    pub fn forward(&self, input: &Tensor) -> Result<Tensor> {
        let mean_square = input.sqr()?.mean_keepdim(D::Minus1)?;
        let norm = (mean_square + self.eps)?.sqrt()?;
        input.broadcast_div(&norm)?.broadcast_mul(&self.weight)
    }
}

/// Rotary position embedding in the convention of Hugging Face: the two halves of a head rotate
/// against each other ("rotate half").
#[derive(Debug, Clone)]
pub struct Rope {
    /// `[positions, head_dim / 2]`.
    cos: Tensor,
    sin: Tensor,
}

impl Rope {
    /// Tables for all positions that the model knows.
    pub fn new(config: &LlamaConfig, device: &Device) -> Result<Self> {
        let half = config.head_dim / 2;
        let frequencies: Vec<f32> = frequencies(config).into_iter().map(narrow).collect();
        let frequencies = Tensor::from_vec(frequencies, (1, half), device)?;
        let positions = u32::try_from(config.max_positions).unwrap_or(u32::MAX);
        let positions = Tensor::arange(0u32, positions, device)?
            .to_dtype(candle_core::DType::F32)?
            .reshape((config.max_positions, 1))?;
        let angles = positions.matmul(&frequencies)?;
        Ok(Self {
            cos: angles.cos()?,
            sin: angles.sin()?,
        })
    }

    /// Rotates `[batch, heads, length, head_dim]`, whose first position is `start`.
    pub fn forward(&self, input: &Tensor, start: usize) -> Result<Tensor> {
        let (_, _, length, width) = input.dims4()?;
        let half = width / 2;
        let cos = self.cos.narrow(0, start, length)?;
        let sin = self.sin.narrow(0, start, length)?;
        let first = input.narrow(D::Minus1, 0, half)?;
        let second = input.narrow(D::Minus1, half, half)?;
        let rotated_first = (first.broadcast_mul(&cos)? - second.broadcast_mul(&sin)?)?;
        let rotated_second = (second.broadcast_mul(&cos)? + first.broadcast_mul(&sin)?)?;
        Tensor::cat(&[rotated_first, rotated_second], D::Minus1)
    }
}

/// The angle per position of each pair of dimensions.
fn frequencies(config: &LlamaConfig) -> Vec<f64> {
    let width = as_f64(config.head_dim);
    let plain = (0..config.head_dim / 2)
        .map(|pair| 1.0 / config.rope_theta.powf(2.0 * as_f64(pair) / width));
    match config.rope_scaling {
        RopeScaling::None => plain.collect(),
        RopeScaling::Llama3 {
            factor,
            low_freq_factor,
            high_freq_factor,
            original_positions,
        } => plain
            .map(|frequency| {
                let turns = original_positions * frequency / (2.0 * std::f64::consts::PI);
                let smooth = ((turns - low_freq_factor) / (high_freq_factor - low_freq_factor))
                    .clamp(0.0, 1.0);
                (1.0 - smooth) * frequency / factor + smooth * frequency
            })
            .collect(),
    }
}

/// Softmax over the last dimension. The maximum is only there against overflow and cancels out, so
/// that no gradient needs to pass through it.
pub fn softmax(scores: &Tensor) -> Result<Tensor> {
    let max = scores.detach().max_keepdim(D::Minus1)?;
    let exp = scores.broadcast_sub(&max)?.exp()?;
    exp.broadcast_div(&exp.sum_keepdim(D::Minus1)?)
}

/// What hides the future: `[repeat * length, past + length]`, 0 where a token may look, minus
/// infinity where it may not. The rows repeat for the query heads that share a key head.
pub fn causal_mask(length: usize, past: usize, repeat: usize, device: &Device) -> Result<Tensor> {
    let row = |query: usize| {
        (0..past + length).map(move |key| {
            if key <= past + query {
                0f32
            } else {
                f32::NEG_INFINITY
            }
        })
    };
    let mask: Vec<f32> = (0..repeat)
        .flat_map(|_| (0..length).flat_map(row))
        .collect();
    Tensor::from_vec(mask, (repeat * length, past + length), device)
}

/// Counts are small: exact as `f64`.
#[allow(clippy::cast_precision_loss, reason = "counts here are far below 2^52")]
pub(crate) fn as_f64(count: usize) -> f64 {
    count as f64
}

#[allow(clippy::cast_possible_truncation, reason = "the model computes in f32")]
fn narrow(value: f64) -> f32 {
    value as f32
}
