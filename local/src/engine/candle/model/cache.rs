//! Keys and values of the tokens seen so far. Without them, generation would recompute the whole text for
//! every token.

use candle_nn::kv_cache;

/// What generation keeps between two tokens: per layer the rotated keys and the values.
#[derive(Debug, Clone, Default)]
pub struct KvCache {
    layers: Vec<kv_cache::KvCache>,
}

impl KvCache {
    /// An empty cache for a model of `layers` layers, with room for `tokens` tokens: a token's keys
    /// are written in place, and what is there is never copied.
    #[must_use]
    pub fn new(layers: usize, tokens: usize) -> Self {
        Self {
            layers: (0..layers)
                .map(|_| kv_cache::KvCache::new(2, tokens))
                .collect(),
        }
    }

    /// Number of tokens in it.
    #[must_use]
    pub fn len(&self) -> usize {
        self.layers
            .first()
            .map_or(0, kv_cache::KvCache::current_seq_len)
    }

    /// Whether it is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn layer(&mut self, index: usize) -> &mut kv_cache::KvCache {
        &mut self.layers[index]
    }
}
