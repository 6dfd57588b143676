//! Keys and values of the tokens seen so far. Flow in: those of new tokens. Flow out: all of them.
//! A module because generation would otherwise recompute the whole text for every token.

use candle_core::Tensor;

/// What generation keeps between two tokens: per layer the rotated keys and the values,
/// `[batch, kv heads, length, head_dim]`.
#[derive(Debug, Clone)]
pub struct KvCache {
    layers: Vec<Option<(Tensor, Tensor)>>,
    length: usize,
}

impl KvCache {
    /// An empty cache for a model of `layers` layers.
    #[must_use]
    pub fn new(layers: usize) -> Self {
        Self {
            layers: vec![None; layers],
            length: 0,
        }
    }

    /// Number of tokens in it.
    #[must_use]
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether it is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    pub(super) fn layer(&mut self, index: usize) -> &mut Option<(Tensor, Tensor)> {
        &mut self.layers[index]
    }

    pub(super) fn advance(&mut self, tokens: usize) {
        self.length += tokens;
    }
}
