//! The pieces of the decoder. candle's fused operations have no backward pass, so it's defined here.

use std::sync::{Arc, PoisonError, RwLock};

use crate::number::as_f64;
use candle_core::{D, Device, Result, Tensor};
use candle_nn::ops::{rms_norm, sigmoid, softmax_last_dim};
use candle_nn::rotary_emb::rope;

use super::config::{LlamaConfig, RopeScaling};
use super::gradient;

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
        if self.weight.is_variable() {
            let norm = (input.sqr()?.mean_keepdim(D::Minus1)? + self.eps)?.sqrt()?;
            return input.broadcast_div(&norm)?.broadcast_mul(&self.weight);
        }
        let x = input.detach();
        let output = rms_norm(&x, &self.weight, narrow(self.eps))?;
        if !input.track_op() {
            return Ok(output);
        }
        let (weight, eps) = (self.weight.clone(), self.eps);
        gradient::with_backward1(input, output, move |grad| {
            let mean_square = (x.sqr()?.mean_keepdim(D::Minus1)? + eps)?;
            let grad = grad.broadcast_mul(&weight)?;
            let along = ((&grad * &x)?.mean_keepdim(D::Minus1)? / &mean_square)?;
            let across = (grad - x.broadcast_mul(&along)?)?;
            Ok([Some(across.broadcast_div(&mean_square.sqrt()?)?)])
        })
    }
}

/// `silu(gate) * up`, the middle of the feed-forward part.
pub fn gated(gate: &Tensor, up: &Tensor) -> Result<Tensor> {
    let (g, u) = (gate.detach(), up.detach());
    let output = ((&g * sigmoid(&g)?)? * &u)?;
    if !gate.track_op() && !up.track_op() {
        return Ok(output);
    }
    gradient::with_backward2([gate, up], output, move |grad| {
        // Again: keeping them would make the widest part of a layer twice as large.
        let sigmoid = sigmoid(&g)?;
        let silu = (&g * &sigmoid)?;
        let slope = (&sigmoid + (&silu - (&silu * &sigmoid)?)?)?;
        let gate = ((grad * &u)? * slope)?;
        Ok([Some(gate), Some((grad * &silu)?)])
    })
}

/// The summed negative log likelihood of `targets` `[rows]` under `logits` `[rows, vocab]`.
pub fn negative_log_likelihood(logits: &Tensor, targets: Vec<u32>) -> Result<Tensor> {
    let rows = targets.len();
    let targets = Tensor::from_vec(targets, (rows, 1), logits.device())?;
    let z = logits.detach();
    let probabilities = softmax_last_dim(&z)?;
    // The likeliest token's probability is 1 / Σ exp(z - max): no logarithm of a tiny number.
    let log_sum = (z.max_keepdim(D::Minus1)? - probabilities.max_keepdim(D::Minus1)?.log()?)?;
    let loss = (log_sum - z.gather(&targets, 1)?)?.sum_all()?;
    if !logits.track_op() {
        return Ok(loss);
    }
    gradient::with_backward1(logits, loss, move |grad| {
        let minus_one = targets.ones_like()?.to_dtype(z.dtype())?.neg()?;
        let difference = probabilities.scatter_add(&targets, &minus_one, 1)?;
        Ok([Some((difference * f64::from(grad.to_scalar::<f32>()?))?)])
    })
}

/// Rotary position embedding in the convention of Hugging Face: the two halves of a head rotate
/// against each other ("rotate half").
#[derive(Debug, Clone)]
pub struct Rope {
    frequencies: Vec<f32>,
    max_positions: usize,
    /// Made for as many positions as were needed so far: a model may know millions.
    tables: Arc<RwLock<Option<Tables>>>,
}

/// Of shape `[positions, head_dim / 2]`.
#[derive(Debug, Clone)]
struct Tables {
    cos: Tensor,
    sin: Tensor,
}

/// Positions of the first tables.
const FIRST_POSITIONS: usize = 1024;

impl Rope {
    /// The rotation of a model.
    #[must_use]
    pub fn new(config: &LlamaConfig) -> Self {
        Self {
            frequencies: frequencies(config).into_iter().map(narrow).collect(),
            max_positions: config.max_positions,
            tables: Arc::default(),
        }
    }

    /// Rotates `[batch, heads, length, head_dim]`, whose first position is `start`.
    pub fn forward(&self, input: &Tensor, start: usize) -> Result<Tensor> {
        let length = input.dim(2)?;
        let tables = self.tables(start + length, input.device())?;
        let part = |table: &Tensor| table.narrow(0, start, length);
        rope(input, &part(&tables.cos)?, &part(&tables.sin)?)
    }

    /// Rotates back: the gradient of `forward` from position 0.
    pub fn backward(&self, grad: &Tensor) -> Result<Tensor> {
        let length = grad.dim(2)?;
        let tables = self.tables(length, grad.device())?;
        let part = |table: &Tensor| table.narrow(0, 0, length);
        rope(grad, &part(&tables.cos)?, &part(&tables.sin)?.neg()?)
    }

    /// Tables for at least the positions before `end`.
    fn tables(&self, end: usize, device: &Device) -> Result<Tables> {
        if end > self.max_positions {
            candle_core::bail!(
                "position {end} is beyond the {} of the model",
                self.max_positions
            );
        }
        let fits = |tables: &Tables| tables.cos.dim(0).is_ok_and(|positions| positions >= end);
        let held = self.tables.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(tables) = held.as_ref().filter(|tables| fits(tables)) {
            return Ok(tables.clone());
        }
        drop(held);
        let mut held = self.tables.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(tables) = held.as_ref().filter(|tables| fits(tables)) {
            return Ok(tables.clone());
        }
        let count = end
            .max(FIRST_POSITIONS)
            .next_power_of_two()
            .min(self.max_positions);
        let half = self.frequencies.len();
        let frequencies = Tensor::from_slice(&self.frequencies, (1, half), device)?;
        let positions = Tensor::arange(0u32, u32::try_from(count).unwrap_or(u32::MAX), device)?
            .to_dtype(candle_core::DType::F32)?
            .reshape((count, 1))?;
        let angles = positions.matmul(&frequencies)?;
        let tables = Tables {
            cos: angles.cos()?,
            sin: angles.sin()?,
        };
        *held = Some(tables.clone());
        Ok(tables)
    }
}

/// The angle per position of each pair of dimensions, before it's stretched.
pub fn plain_frequencies(config: &LlamaConfig) -> impl Iterator<Item = f64> {
    let (theta, width) = (config.rope_theta, as_f64(config.head_dim));
    (0..config.head_dim / 2).map(move |pair| 1.0 / theta.powf(2.0 * as_f64(pair) / width))
}

/// The angle per position of each pair of dimensions.
#[must_use]
pub fn frequencies(config: &LlamaConfig) -> Vec<f64> {
    let plain = plain_frequencies(config);
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

#[allow(clippy::cast_possible_truncation, reason = "the model computes in f32")]
fn narrow(value: f64) -> f32 {
    value as f32
}
