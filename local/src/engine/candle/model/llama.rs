//! The decoder. Training and generation share its forward pass; only how they attend differs.

use candle_core::{Device, Result, Tensor};
use rayon::prelude::*;

use super::attention::Attention;
use super::cache::KvCache;
use super::config::LlamaConfig;
use super::layers::{RmsNorm, gated};
use super::linear::{Linear, Purpose};
use super::lora::Lora;
use super::matrix::Matrix;
use super::target::{HEAD_NORMS, Target, head_norm};
use super::weights::Weights;
use crate::error;

/// A decoder, with or without an adapter.
#[derive(Debug, Clone)]
pub struct Llama {
    embedding: Matrix,
    layers: Vec<Layer>,
    norm: RmsNorm,
    head: Linear,
}

#[derive(Debug, Clone)]
struct Layer {
    attention: Attention,
    attention_norm: RmsNorm,
    query: Linear,
    key: Linear,
    value: Linear,
    /// On the heads of queries and of keys.
    head_norms: Option<[RmsNorm; 2]>,
    output: Linear,
    mlp_norm: RmsNorm,
    gate: Linear,
    up: Linear,
    down: Linear,
}

impl Llama {
    /// A decoder that generates. Tensors are shared, not copied. Errors when a weight is missing or has another
    /// shape than the config says, and when the adapter doesn't fit the model.
    pub fn new(
        config: &LlamaConfig,
        weights: &Weights,
        lora: Option<&Lora>,
    ) -> error::Result<Self> {
        Self::with_purpose(config, weights, lora, Purpose::Generation)
    }

    /// A decoder that is trained or evaluated. With bf16 weights, it computes in bf16 if the processor can.
    pub fn for_training(
        config: &LlamaConfig,
        weights: &Weights,
        lora: &Lora,
    ) -> error::Result<Self> {
        Self::with_purpose(config, weights, Some(lora), Purpose::Training)
    }

    fn with_purpose(
        config: &LlamaConfig,
        weights: &Weights,
        lora: Option<&Lora>,
        purpose: Purpose,
    ) -> error::Result<Self> {
        let embedding = weights.matrix(
            "model.embed_tokens.weight",
            &[config.vocab_size, config.hidden_size],
        )?;
        let head = if config.tie_word_embeddings {
            embedding.clone()
        } else {
            weights.matrix("lm_head.weight", &[config.vocab_size, config.hidden_size])?
        };
        let norm = weights.get("model.norm.weight", &[config.hidden_size])?;
        lora.map_or(Ok(()), |lora| lora.check(config))?;
        Ok(Self {
            layers: (0..config.layers)
                .map(|index| Layer::new(index, config, weights, lora, purpose))
                .collect::<error::Result<_>>()?,
            norm: RmsNorm::new(norm, config.rms_norm_eps),
            head: Linear::new(head, None, None, purpose),
            embedding,
        })
    }

    /// Hidden states `[tokens, hidden]` of whole rows, one after the other. Each row is a text of its
    /// own; together they make the matrix products large.
    pub fn hidden(&self, rows: &[&[u32]]) -> Result<Tensor> {
        let lengths: Vec<usize> = rows.iter().map(|row| row.len()).collect();
        let mut hidden = self.embed(&rows.concat())?;
        for index in 0..self.layers.len() {
            hidden = self.layer(index, &hidden, &lengths)?;
        }
        Ok(hidden)
    }

    /// What the first layer gets, `[tokens, hidden]`.
    pub fn embed(&self, ids: &[u32]) -> Result<Tensor> {
        let ids = Tensor::from_slice(ids, ids.len(), self.device())?;
        self.embedding.rows(&ids)
    }

    /// One layer, `[tokens, hidden]` → `[tokens, hidden]`, of whole rows with these lengths.
    pub fn layer(&self, index: usize, hidden: &Tensor, lengths: &[usize]) -> Result<Tensor> {
        self.layers[index].forward(hidden, |attention, qkv| attention.rows(qkv, lengths))
    }

    /// Hidden states `[tokens, hidden]` of tokens that continue what is in the cache.
    pub fn forward_cached(&self, ids: &[u32], cache: &mut KvCache) -> Result<Tensor> {
        let mut hidden = self.embed(ids)?;
        for (index, layer) in self.layers.iter().enumerate() {
            hidden = layer.forward(&hidden, |attention, qkv| {
                attention.forward_cached(qkv, cache.layer(index))
            })?;
        }
        Ok(hidden)
    }

    /// Hidden states `[tokens, hidden]` of tokens each of which continues a cache of its own.
    pub fn forward_each(&self, ids: &[u32], caches: &mut [KvCache]) -> Result<Tensor> {
        let mut hidden = self.embed(ids)?;
        for (index, layer) in self.layers.iter().enumerate() {
            hidden = layer.forward(&hidden, |attention, qkv| {
                let of_row = |(row, cache): (usize, &mut KvCache)| {
                    let [query, key, value] = qkv.map(|rows| rows.narrow(0, row, 1));
                    attention.forward_cached([&query?, &key?, &value?], cache.layer(index))
                };
                let rows = caches.par_iter_mut().enumerate().map(of_row);
                Tensor::cat(&rows.collect::<Result<Vec<_>>>()?, 0)
            })?;
        }
        Ok(hidden)
    }

    /// Logits `[rows, vocab]` for hidden states `[rows, hidden]`.
    pub fn logits(&self, hidden: &Tensor) -> Result<Tensor> {
        self.head.forward(&self.norm.forward(hidden)?)
    }

    /// Number of tokens that have logits.
    #[must_use]
    pub fn vocab_size(&self) -> usize {
        self.embedding.dims()[0]
    }

    /// Number of decoder layers.
    #[must_use]
    pub fn layers(&self) -> usize {
        self.layers.len()
    }

    /// The device that the weights are on.
    #[must_use]
    pub fn device(&self) -> &Device {
        self.embedding.device()
    }
}

impl Layer {
    fn new(
        index: usize,
        config: &LlamaConfig,
        weights: &Weights,
        lora: Option<&Lora>,
        purpose: Purpose,
    ) -> error::Result<Self> {
        let linear = |target: Target| -> error::Result<Linear> {
            let name = target.module(index);
            let (out, input) = target.shape(config);
            let weight = weights.matrix(&format!("{name}.weight"), &[out, input])?;
            let bias = target
                .has_bias(config)
                .then(|| weights.get(&format!("{name}.bias"), &[out]))
                .transpose()?;
            let pair = lora.and_then(|lora| lora.pair(&name));
            Ok(Linear::new(weight, bias, pair, purpose))
        };
        let norm_of = |name: &str, width: usize| -> error::Result<RmsNorm> {
            Ok(RmsNorm::new(
                weights.get(name, &[width])?,
                config.rms_norm_eps,
            ))
        };
        let norm = |name: &str| {
            let name = format!("model.layers.{index}.{name}.weight");
            norm_of(&name, config.hidden_size)
        };
        let head_norms = if config.head_norms {
            let [query, key] = HEAD_NORMS.map(|name| head_norm(index, name));
            let width = config.head_dim;
            Some([norm_of(&query, width)?, norm_of(&key, width)?])
        } else {
            None
        };
        let kind = config.kinds[index];
        Ok(Self {
            attention: Attention {
                heads: config.heads,
                kv_heads: config.kv_heads,
                head_dim: config.head_dim,
                rope: kind.rotates.then(|| weights.rope(config)),
                window: kind.window,
            },
            attention_norm: norm("input_layernorm")?,
            query: linear(Target::Query)?,
            key: linear(Target::Key)?,
            value: linear(Target::Value)?,
            head_norms,
            output: linear(Target::Output)?,
            mlp_norm: norm("post_attention_layernorm")?,
            gate: linear(Target::Gate)?,
            up: linear(Target::Up)?,
            down: linear(Target::Down)?,
        })
    }

    fn forward(
        &self,
        hidden: &Tensor,
        attend: impl FnOnce(&Attention, [&Tensor; 3]) -> Result<Tensor>,
    ) -> Result<Tensor> {
        let normed = self.attention_norm.forward(hidden)?;
        let mut query = self.query.forward(&normed)?;
        let mut key = self.key.forward(&normed)?;
        let value = self.value.forward(&normed)?;
        if let Some([query_norm, key_norm]) = &self.head_norms {
            query = self.norm_heads(query_norm, &query)?;
            key = self.norm_heads(key_norm, &key)?;
        }
        let mixed = attend(&self.attention, [&query, &key, &value])?;
        let hidden = (hidden + self.output.forward(&mixed)?)?;
        &hidden + self.mlp(&self.mlp_norm.forward(&hidden)?)?
    }

    /// Each head of `[tokens, heads * head_dim]` on its own.
    fn norm_heads(&self, norm: &RmsNorm, rows: &Tensor) -> Result<Tensor> {
        let heads = rows.reshape(((), self.attention.head_dim))?;
        norm.forward(&heads)?.reshape(rows.shape())
    }

    fn mlp(&self, normed: &Tensor) -> Result<Tensor> {
        let gated = gated(&self.gate.forward(normed)?, &self.up.forward(normed)?)?;
        self.down.forward(&gated)
    }
}

#[cfg(test)]
#[path = "llama_tests.rs"]
mod tests;
