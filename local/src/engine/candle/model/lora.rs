//! Low-rank adapters: pairs of small matrices by module name. The base never changes, an adapter is all that a
//! run learns.

use std::collections::BTreeMap;

use candle_core::{Device, Result, Tensor, Var};

use super::config::LlamaConfig;
use super::target::Target;
use crate::error::{self, refused};
use crate::number::as_f64;

/// What an adapter adds to one linear layer: `scale * B (A x)`.
#[derive(Debug, Clone)]
pub struct LoraPair {
    /// `[r, in]`.
    pub a: Tensor,
    /// `[out, r]`.
    pub b: Tensor,
    /// `alpha / r`.
    pub scale: f64,
}

/// An adapter for a whole model.
#[derive(Debug, Clone)]
pub struct Lora {
    /// The rank.
    pub r: usize,
    /// The numerator of the scale.
    pub alpha: f64,
    /// By module name, for example `model.layers.0.self_attn.q_proj`.
    pub pairs: BTreeMap<String, LoraPair>,
}

impl Lora {
    /// A new adapter and what is trained in it, by name. As PEFT does, A is drawn from Kaiming's uniform
    /// distribution with a = √5 (bound 1/√in) and B is zero, so that it changes nothing yet. The
    /// same seed gives the same adapter.
    pub fn fresh(
        config: &LlamaConfig,
        r: usize,
        alpha: f64,
        seed: u64,
    ) -> Result<(Self, Vec<(String, Var)>)> {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut pairs = BTreeMap::new();
        let mut vars = Vec::new();
        for layer in 0..config.layers {
            for target in Target::ALL {
                let (out, input) = target.shape(config);
                let bound = 1.0 / as_f64(input).sqrt();
                let values: Vec<f32> = (0..r * input).map(|_| uniform(&mut rng, bound)).collect();
                let a = Var::from_vec(values, (r, input), &Device::Cpu)?;
                let b = Var::zeros((out, r), candle_core::DType::F32, &Device::Cpu)?;
                let pair = LoraPair {
                    a: a.as_tensor().clone(),
                    b: b.as_tensor().clone(),
                    scale: alpha / as_f64(r),
                };
                let module = target.module(layer);
                vars.push((format!("{module}.lora_A"), a));
                vars.push((format!("{module}.lora_B"), b));
                pairs.insert(module, pair);
            }
        }
        Ok((Self { r, alpha, pairs }, vars))
    }

    /// The same tensors without gradients, for evaluation between steps. They share storage with the
    /// originals, so updates show in both.
    #[must_use]
    pub fn detached(&self) -> Self {
        let still = |(name, pair): (&String, &LoraPair)| {
            let (a, b) = (pair.a.detach(), pair.b.detach());
            (name.clone(), LoraPair { a, b, ..*pair })
        };
        let pairs = self.pairs.iter().map(still).collect();
        Self { pairs, ..*self }
    }

    /// Refuses an adapter that attaches to what the model does not have.
    pub fn check(&self, config: &LlamaConfig) -> error::Result<()> {
        let mut shapes = BTreeMap::new();
        for layer in 0..config.layers {
            shapes.extend(Target::ALL.map(|target| (target.module(layer), target.shape(config))));
        }
        for (module, pair) in &self.pairs {
            let Some((out, input)) = shapes.get(module) else {
                return refused(format!(
                    "adapter: the model has no linear layer {module} in its decoder layers"
                ));
            };
            let (a, b) = (pair.a.dims(), pair.b.dims());
            let rank = a.first().copied().unwrap_or_default();
            if a != [rank, *input] || b != [*out, rank] {
                return refused(format!(
                    "adapter: its matrices of {module} are {a:?} and {b:?}, the layer is {out} × {input}"
                ));
            }
        }
        Ok(())
    }

    /// The pair of a module, if the adapter has one.
    #[must_use]
    pub fn pair(&self, module: &str) -> Option<LoraPair> {
        self.pairs.get(module).cloned()
    }

    /// Number of values that an adapter of rank `r` has.
    #[must_use]
    pub fn parameters_for(config: &LlamaConfig, r: usize) -> usize {
        let pair = |target: Target| {
            let (out, input) = target.shape(config);
            r * (out + input)
        };
        config.layers * Target::ALL.into_iter().map(pair).sum::<usize>()
    }
}

/// Uniform in ±`bound`.
#[allow(clippy::cast_possible_truncation, reason = "the model computes in f32")]
fn uniform(rng: &mut fastrand::Rng, bound: f64) -> f32 {
    ((rng.f64() * 2.0 - 1.0) * bound) as f32
}
