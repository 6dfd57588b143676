//! Rotary position embedding.

use std::f64::consts::TAU;
use std::sync::{Arc, PoisonError, RwLock};

use candle_core::{Device, Result, Tensor};
use candle_nn::rotary_emb::rope;

use super::config::LlamaConfig;
use super::layers::narrow;
use super::rope_config::{RopeScaling, Yarn};
use crate::number::as_f64;

/// The rotation in the convention of Hugging Face: the two halves of a head rotate
/// against each other ("rotate half").
#[derive(Debug, Clone)]
pub struct Rope {
    frequencies: Vec<f32>,
    /// Factor of what is rotated.
    factor: f64,
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
            factor: match &config.rope_scaling {
                RopeScaling::Yarn(yarn) => yarn.attention_factor,
                _ => 1.0,
            },
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
            cos: (angles.cos()? * self.factor)?,
            sin: (angles.sin()? * self.factor)?,
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
    match &config.rope_scaling {
        RopeScaling::None => plain.collect(),
        RopeScaling::Linear(factor) => plain.map(|frequency| frequency / factor).collect(),
        RopeScaling::Llama3 {
            factor,
            low_freq_factor,
            high_freq_factor,
            original_positions,
        } => plain
            .map(|frequency| {
                let turns = original_positions * frequency / TAU;
                let smooth = (turns - low_freq_factor) / (high_freq_factor - low_freq_factor);
                stretched(frequency, *factor, smooth)
            })
            .collect(),
        RopeScaling::Yarn(yarn) => {
            let (first, last) = yarn_range(yarn, config);
            plain
                .enumerate()
                .map(|(pair, frequency)| {
                    let smooth = 1.0 - (as_f64(pair) - first) / (last - first);
                    stretched(frequency, yarn.factor, smooth)
                })
                .collect()
        }
    }
}

/// A frequency between the plain one (`smooth` is 1 or more) and the one divided by `factor` (0 or less).
fn stretched(frequency: f64, factor: f64, smooth: f64) -> f64 {
    let smooth = smooth.clamp(0.0, 1.0);
    (1.0 - smooth) * frequency / factor + smooth * frequency
}

/// The pairs of dimensions between which YaRN goes over from plain frequencies to divided ones.
fn yarn_range(yarn: &Yarn, config: &LlamaConfig) -> (f64, f64) {
    let width = as_f64(config.head_dim);
    let pair = |turns: f64| {
        width * (yarn.original_positions / (turns * TAU)).ln() / (2.0 * config.rope_theta.ln())
    };
    let (mut first, mut last) = (pair(yarn.beta_fast), pair(yarn.beta_slow));
    if yarn.truncate {
        (first, last) = (first.floor(), last.ceil());
    }
    (first, last) = (first.max(0.0), last.min(width - 1.0));
    // Two that are the same would divide by zero.
    let same = (first - last).abs() < f64::EPSILON;
    (first, if same { last + 0.001 } else { last })
}

#[cfg(test)]
#[path = "rope_tests.rs"]
mod tests;
