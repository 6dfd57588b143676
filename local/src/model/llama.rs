//! The decoder. Flow in: token ids, and past keys and values when a text is being generated. Flow
//! out: hidden states, and logits for the positions that are asked for. A module because training
//! and generation share exactly this forward pass.

use candle_core::{Device, Result, Tensor};

use super::cache::KvCache;
use super::config::LlamaConfig;
use super::layers::{Linear, RmsNorm, Rope, as_f64, causal_mask, softmax};
use super::weights::Weights;
use crate::error;
use crate::lora::Lora;

/// A Llama decoder, with or without an adapter.
#[derive(Debug, Clone)]
pub struct Llama {
    embedding: Tensor,
    layers: Vec<Layer>,
    norm: RmsNorm,
    head: Linear,
    rope: Rope,
    heads: usize,
    kv_heads: usize,
    head_dim: usize,
}

#[derive(Debug, Clone)]
struct Layer {
    attention_norm: RmsNorm,
    query: Linear,
    key: Linear,
    value: Linear,
    output: Linear,
    mlp_norm: RmsNorm,
    gate: Linear,
    up: Linear,
    down: Linear,
}

impl Llama {
    /// Puts a decoder together. Tensors are shared, not copied. Errors when a weight is missing or
    /// has another shape than the config says.
    pub fn new(
        config: &LlamaConfig,
        weights: &Weights,
        lora: Option<&Lora>,
    ) -> error::Result<Self> {
        let embedding = weights.get(
            "model.embed_tokens.weight",
            &[config.vocab_size, config.hidden_size],
        )?;
        let head = if config.tie_word_embeddings {
            embedding.clone()
        } else {
            weights.get("lm_head.weight", &[config.vocab_size, config.hidden_size])?
        };
        let norm = weights.get("model.norm.weight", &[config.hidden_size])?;
        Ok(Self {
            layers: (0..config.layers)
                .map(|index| Layer::new(index, config, weights, lora))
                .collect::<error::Result<_>>()?,
            norm: RmsNorm::new(norm, config.rms_norm_eps),
            head: Linear::new(head, None),
            rope: Rope::new(config, embedding.device())?,
            embedding,
            heads: config.heads,
            kv_heads: config.kv_heads,
            head_dim: config.head_dim,
        })
    }

    /// Hidden states `[batch * length, hidden]` for `ids` of `[batch, length]`. With a cache, the
    /// ids continue what is in it.
    pub fn hidden(&self, ids: &Tensor, mut cache: Option<&mut KvCache>) -> Result<Tensor> {
        let (batch, length) = ids.dims2()?;
        let past = cache.as_ref().map_or(0, |cache| cache.len());
        let mask = causal_mask(length, past, self.heads / self.kv_heads, ids.device())?;
        let mut hidden = self.embedding.index_select(&ids.flatten_all()?, 0)?;
        for (index, layer) in self.layers.iter().enumerate() {
            let normed = layer.attention_norm.forward(&hidden)?;
            let slot = cache.as_mut().map(|cache| cache.layer(index));
            hidden = (hidden + self.attention(layer, &normed, (batch, length), &mask, slot)?)?;
            hidden = (&hidden + layer.mlp(&layer.mlp_norm.forward(&hidden)?)?)?;
        }
        if let Some(cache) = cache {
            cache.advance(length);
        }
        Ok(hidden)
    }

    /// Logits `[rows, vocab]` for hidden states `[rows, hidden]`.
    pub fn logits(&self, hidden: &Tensor) -> Result<Tensor> {
        self.head.forward(&self.norm.forward(hidden)?)
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

    fn attention(
        &self,
        layer: &Layer,
        normed: &Tensor,
        (batch, length): (usize, usize),
        mask: &Tensor,
        slot: Option<&mut Option<(Tensor, Tensor)>>,
    ) -> Result<Tensor> {
        let split = |rows: Tensor, heads: usize| {
            rows.reshape((batch, length, heads, self.head_dim))?
                .transpose(1, 2)?
                .contiguous()
        };
        let past = mask.dim(1)? - length;
        let query = self
            .rope
            .forward(&split(layer.query.forward(normed)?, self.heads)?, past)?;
        let mut key = self
            .rope
            .forward(&split(layer.key.forward(normed)?, self.kv_heads)?, past)?;
        let mut value = split(layer.value.forward(normed)?, self.kv_heads)?;
        if let Some(slot) = slot {
            if let Some((past_key, past_value)) = slot.take() {
                key = Tensor::cat(&[&past_key, &key], 2)?;
                value = Tensor::cat(&[&past_value, &value], 2)?;
            }
            *slot = Some((key.clone(), value.clone()));
        }
        // Query heads that share a key head are stacked as rows: no copy of keys and values.
        let group = self.heads / self.kv_heads;
        let query = query.reshape((batch, self.kv_heads, group * length, self.head_dim))?;
        let query = (query * (1.0 / as_f64(self.head_dim).sqrt()))?;
        let scores = query.matmul(&key.t()?)?.broadcast_add(mask)?;
        let mixed = softmax(&scores)?.matmul(&value)?;
        let rows = mixed
            .reshape((batch, self.heads, length, self.head_dim))?
            .transpose(1, 2)?
            .reshape((batch * length, self.heads * self.head_dim))?;
        layer.output.forward(&rows)
    }
}

impl Layer {
    fn new(
        index: usize,
        config: &LlamaConfig,
        weights: &Weights,
        lora: Option<&Lora>,
    ) -> error::Result<Self> {
        let linear = |target: Target| -> error::Result<Linear> {
            let name = target.module(index);
            let (out, input) = target.shape(config);
            let weight = weights.get(&format!("{name}.weight"), &[out, input])?;
            Ok(Linear::new(weight, lora.and_then(|lora| lora.pair(&name))))
        };
        let norm = |name: &str| -> error::Result<RmsNorm> {
            let name = format!("model.layers.{index}.{name}.weight");
            Ok(RmsNorm::new(
                weights.get(&name, &[config.hidden_size])?,
                config.rms_norm_eps,
            ))
        };
        Ok(Self {
            attention_norm: norm("input_layernorm")?,
            query: linear(Target::Query)?,
            key: linear(Target::Key)?,
            value: linear(Target::Value)?,
            output: linear(Target::Output)?,
            mlp_norm: norm("post_attention_layernorm")?,
            gate: linear(Target::Gate)?,
            up: linear(Target::Up)?,
            down: linear(Target::Down)?,
        })
    }

    fn mlp(&self, normed: &Tensor) -> Result<Tensor> {
        let gated = (self.gate.forward(normed)?.silu()? * self.up.forward(normed)?)?;
        self.down.forward(&gated)
    }
}

/// The linear layers of a decoder layer: what an adapter can attach to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// `self_attn.q_proj`
    Query,
    /// `self_attn.k_proj`
    Key,
    /// `self_attn.v_proj`
    Value,
    /// `self_attn.o_proj`
    Output,
    /// `mlp.gate_proj`
    Gate,
    /// `mlp.up_proj`
    Up,
    /// `mlp.down_proj`
    Down,
}

impl Target {
    /// All of them, in the order in which adapters are initialised.
    pub const ALL: [Self; 7] = [
        Self::Query,
        Self::Key,
        Self::Value,
        Self::Output,
        Self::Gate,
        Self::Up,
        Self::Down,
    ];

    /// The last part of its name, as in PEFT's `target_modules`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Query => "q_proj",
            Self::Key => "k_proj",
            Self::Value => "v_proj",
            Self::Output => "o_proj",
            Self::Gate => "gate_proj",
            Self::Up => "up_proj",
            Self::Down => "down_proj",
        }
    }

    /// Its full module name in layer `index`, as in Hugging Face weight files.
    #[must_use]
    pub fn module(self, index: usize) -> String {
        let block = match self {
            Self::Query | Self::Key | Self::Value | Self::Output => "self_attn",
            Self::Gate | Self::Up | Self::Down => "mlp",
        };
        format!("model.layers.{index}.{block}.{}", self.name())
    }

    /// `(out, in)` of its weight.
    #[must_use]
    pub fn shape(self, config: &LlamaConfig) -> (usize, usize) {
        let hidden = config.hidden_size;
        let queries = config.heads * config.head_dim;
        let keys = config.kv_heads * config.head_dim;
        match self {
            Self::Query => (queries, hidden),
            Self::Key | Self::Value => (keys, hidden),
            Self::Output => (hidden, queries),
            Self::Gate | Self::Up => (config.intermediate_size, hidden),
            Self::Down => (hidden, config.intermediate_size),
        }
    }
}
