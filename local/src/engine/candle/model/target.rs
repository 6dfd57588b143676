//! The tensors of a decoder, by their Hugging Face names.

use super::config::LlamaConfig;

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

    /// Whether it adds a bias.
    #[must_use]
    pub fn has_bias(self, config: &LlamaConfig) -> bool {
        match self {
            Self::Query | Self::Key | Self::Value => config.biases.qkv,
            Self::Output => config.biases.output,
            Self::Gate | Self::Up | Self::Down => config.biases.mlp,
        }
    }

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

/// The norms on the heads of queries and of keys.
pub const HEAD_NORMS: [&str; 2] = ["q_norm", "k_norm"];

/// The scale of one of them, as in Hugging Face weight files.
#[must_use]
pub fn head_norm(layer: usize, norm: &str) -> String {
    format!("model.layers.{layer}.self_attn.{norm}.weight")
}

/// Every tensor of a model and its shape.
#[must_use]
pub fn tensors(config: &LlamaConfig) -> Vec<(String, Vec<usize>)> {
    let hidden = config.hidden_size;
    let table = vec![config.vocab_size, hidden];
    let mut tensors = vec![
        ("model.embed_tokens.weight".to_owned(), table.clone()),
        ("model.norm.weight".to_owned(), vec![hidden]),
    ];
    if !config.tie_word_embeddings {
        tensors.push(("lm_head.weight".to_owned(), table));
    }
    for layer in 0..config.layers {
        for norm in ["input_layernorm", "post_attention_layernorm"] {
            tensors.push((format!("model.layers.{layer}.{norm}.weight"), vec![hidden]));
        }
        for norm in HEAD_NORMS.into_iter().filter(|_| config.head_norms) {
            tensors.push((head_norm(layer, norm), vec![config.head_dim]));
        }
        for target in Target::ALL {
            let (module, (out, input)) = (target.module(layer), target.shape(config));
            if target.has_bias(config) {
                tensors.push((format!("{module}.bias"), vec![out]));
            }
            tensors.push((format!("{module}.weight"), vec![out, input]));
        }
    }
    tensors
}
