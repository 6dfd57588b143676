//! Attention. It goes through a row in blocks of queries: a block needs only the keys up to its end, and its
//! scores stay in the processor's cache.

use std::ops::Range;

use candle_core::{Result, Tensor};
use candle_nn::kv_cache::KvCache;
use rayon::prelude::*;

use super::rope::Rope;
use super::running_softmax::RunningSoftmax;
use super::{gradient, vector};
use crate::number::as_f64;

/// Queries of a block, per head: large enough for the matrix products, small enough that half of what
/// lies behind the mask is never computed.
pub const BLOCK: usize = 64;

/// Keys that are compared with a block of queries at once when it continues a cache. Their scores stay in the
/// processor's cache.
const KEYS: usize = 512;

/// The heads of a layer, its rotary embedding, and how far back it looks.
#[derive(Debug, Clone)]
pub struct Attention {
    /// Query heads.
    pub heads: usize,
    /// Key and value heads; divides `heads`.
    pub kv_heads: usize,
    /// Width of one head.
    pub head_dim: usize,
    /// Rotates queries and keys by their position. `None` in a layer that doesn't rotate them.
    pub rope: Option<Rope>,
    /// A query sees so many keys, the last of which is its own. `None`: all up to its own.
    pub window: Option<usize>,
}

/// One row of a batch. Keys and values are `[1, kv heads, length, head_dim]`.
struct Row {
    start: usize,
    length: usize,
    key: Tensor,
    value: Tensor,
    blocks: Vec<QueryBlock>,
}

/// Some queries of a row, `[1, kv heads, group * size, …]`: the query heads that share a key head are
/// stacked as more queries, which needs no copy of keys and values.
struct QueryBlock {
    start: usize,
    size: usize,
    keys: Range<usize>,
    query: Tensor,
    probabilities: Tensor,
    output: Tensor,
}

impl Attention {
    /// Queries, keys and values `[tokens, heads * head_dim]` of rows with these lengths. Each row
    /// attends to itself only.
    pub fn rows(&self, qkv: [&Tensor; 3], lengths: &[usize]) -> Result<Tensor> {
        let mut start = 0;
        let mut rows = Vec::with_capacity(lengths.len());
        let mut outputs = Vec::new();
        for length in lengths.iter().copied() {
            let row = self.row(qkv, start, length)?;
            for block in &row.blocks {
                outputs.push(self.merge(&block.output, block.size)?);
            }
            rows.push(row);
            start += length;
        }
        let output = Tensor::cat(&outputs, 0)?;
        if !qkv.iter().any(|tensor| tensor.track_op()) {
            return Ok(output);
        }
        let this = self.clone();
        gradient::with_backward3(qkv, output, move |grad| {
            let mut parts = [const { Vec::new() }; 3];
            for row in &rows {
                let grads = this.backward(row, grad)?;
                for (part, grad) in parts.iter_mut().zip(grads) {
                    part.push(grad);
                }
            }
            let [query, key, value] = parts.map(|part| Tensor::cat(&part, 0));
            Ok([Some(query?), Some(key?), Some(value?)])
        })
    }

    /// The same for one row that continues what is in the cache.
    pub fn forward_cached(&self, qkv: [&Tensor; 3], cache: &mut KvCache) -> Result<Tensor> {
        let [query, key, value] = qkv;
        let (length, past) = (query.dim(0)?, cache.current_seq_len());
        let query = self.query(query, past)?;
        let key = self.turned(self.split(key)?, past)?;
        let (key, value) = cache.append(&key, &self.split(value)?)?;
        // Each head on its own has the smallest scores. For a single token they're small anyway.
        let together = if length == 1 { self.kv_heads } else { 1 };
        let blocks = (0..length).step_by(BLOCK);
        let heads = || (0..self.kv_heads).step_by(together);
        let parts: Vec<(usize, usize)> = blocks
            .clone()
            .flat_map(|start| heads().map(move |head| (start, head)))
            .collect();
        let outputs: Vec<Tensor> = parts
            .into_par_iter()
            .map(|(start, head)| {
                let size = BLOCK.min(length - start);
                let query = self.group(&query.narrow(2, start, size)?.contiguous()?)?;
                let [query, key, value] =
                    [&query, &key, &value].map(|all| all.narrow(1, head, together));
                self.attend(&query?, &key?, &value?, past + start, size)
            })
            .collect::<Result<_>>()?;
        let merged: Vec<Tensor> = blocks
            .zip(outputs.chunks(self.kv_heads / together))
            .map(|(start, heads)| self.merge(&Tensor::cat(heads, 1)?, BLOCK.min(length - start)))
            .collect::<Result<_>>()?;
        Tensor::cat(&merged, 0)
    }

    /// What the queries of some heads, `size` of each from `start` on, take from the values that they see. Goes through
    /// the keys a few at a time.
    fn attend(
        &self,
        query: &Tensor,
        key: &Tensor,
        value: &Tensor,
        start: usize,
        size: usize,
    ) -> Result<Tensor> {
        let mut softmax = RunningSoftmax::new(query.elem_count() / self.head_dim);
        let mut output: Option<Tensor> = None;
        let all = self.seen(start, size);
        for first in all.clone().step_by(KEYS) {
            let keys = first..all.end.min(first + KEYS);
            let scores = query.matmul(&part(key, &keys)?.t()?)?;
            let shares = softmax.step(scores, |row| {
                let seen = self.seen(start + row % size, 1);
                let place = |key: usize| key.clamp(keys.start, keys.end) - keys.start;
                place(seen.start)..place(seen.end)
            })?;
            let taken = shares.matmul(&part(value, &keys)?)?;
            output = Some(match output {
                Some(output) => (output.broadcast_mul(&softmax.factors(&taken)?)? + taken)?,
                None => taken,
            });
        }
        match output {
            Some(output) => output.broadcast_div(&softmax.sums(&output)?),
            None => candle_core::bail!("a query that sees no key"),
        }
    }

    fn row(&self, qkv: [&Tensor; 3], start: usize, length: usize) -> Result<Row> {
        let [query, key, value] = qkv.map(|all| all.detach().narrow(0, start, length));
        let query = self.query(&query?, 0)?;
        let key = self.turned(self.split(&key?)?, 0)?;
        let value = self.split(&value?)?;
        let mut blocks = Vec::with_capacity(length.div_ceil(BLOCK));
        for start in (0..length).step_by(BLOCK) {
            let size = BLOCK.min(length - start);
            let query = self.group(&query.narrow(2, start, size)?)?;
            let keys = self.seen(start, size);
            let probabilities = self.probabilities(&query, &key, start, &keys)?;
            let output = probabilities.matmul(&part(&value, &keys)?)?;
            blocks.push(QueryBlock {
                start,
                size,
                keys,
                query,
                probabilities,
                output,
            });
        }
        Ok(Row {
            start,
            length,
            key,
            value,
            blocks,
        })
    }

    fn backward(&self, row: &Row, grad: &Tensor) -> Result<[Tensor; 3]> {
        let mut query = Vec::new();
        let (mut keys, mut values) = (None, None);
        // Backwards: each block sees no later keys than the one after it, and at least up to where those begin.
        let mut first = 0;
        for block in row.blocks.iter().rev() {
            let grad = grad.narrow(0, row.start + block.start, block.size)?;
            let grad = self.group(&self.split(&grad)?)?;
            let new = first.max(block.keys.start) - block.keys.start;
            first = block.keys.start;
            let along = (&grad * &block.output)?.sum_keepdim(3)?;
            let scores = grad
                .matmul(&part(&row.value, &block.keys)?.t()?)?
                .broadcast_sub(&along)?;
            let scores = (scores * &block.probabilities)?;
            let turned = (scores.matmul(&part(&row.key, &block.keys)?)? * self.scale())?;
            query.push(turned.reshape((1, self.heads, block.size, self.head_dim))?);
            // The queries carry the scale already.
            keys = Some(add_before(keys, scores.t()?.matmul(&block.query)?, new)?);
            let value = block.probabilities.t()?.matmul(&grad)?;
            values = Some(add_before(values, value, new)?);
        }
        query.reverse();
        let query = self.turned_back(Tensor::cat(&query, 2)?)?;
        let empty = || row.key.zeros_like();
        let key = self.turned_back(keys.map_or_else(empty, Ok)?)?;
        Ok([
            self.merge(&query, row.length)?,
            self.merge(&key, row.length)?,
            self.merge(&values.map_or_else(empty, Ok)?, row.length)?,
        ])
    }

    /// The queries, rotated and scaled: `[1, heads, length, head_dim]`.
    fn query(&self, rows: &Tensor, start: usize) -> Result<Tensor> {
        self.turned(self.split(rows)?, start)? * self.scale()
    }

    /// Rotates `heads` by their positions, which count up from `start`, if the layer rotates.
    fn turned(&self, heads: Tensor, start: usize) -> Result<Tensor> {
        match &self.rope {
            Some(rope) => rope.forward(&heads, start),
            None => Ok(heads),
        }
    }

    /// The gradient of `turned` with a `start` of 0.
    fn turned_back(&self, grad: Tensor) -> Result<Tensor> {
        match &self.rope {
            Some(rope) => rope.backward(&grad),
            None => Ok(grad),
        }
    }

    /// The keys that any of the queries from `start` on sees.
    fn seen(&self, start: usize, size: usize) -> Range<usize> {
        let first = self
            .window
            .map_or(0, |window| (start + 1).saturating_sub(window));
        first..start + size
    }

    fn scale(&self) -> f64 {
        1.0 / as_f64(self.head_dim).sqrt()
    }

    /// `[length, heads * head_dim]` → `[1, heads, length, head_dim]`.
    fn split(&self, rows: &Tensor) -> Result<Tensor> {
        let length = rows.dim(0)?;
        rows.reshape((1, length, (), self.head_dim))?
            .transpose(1, 2)?
            .contiguous()
    }

    /// `[1, heads, length, head_dim]` → `[1, kv heads, group * length, head_dim]`.
    fn group(&self, heads: &Tensor) -> Result<Tensor> {
        let length = heads.dim(2)? * self.heads / self.kv_heads;
        heads.reshape((1, self.kv_heads, length, self.head_dim))
    }

    /// Grouped or not, back to `[length, heads * head_dim]`.
    fn merge(&self, heads: &Tensor, length: usize) -> Result<Tensor> {
        heads
            .reshape((1, (), length, self.head_dim))?
            .transpose(1, 2)?
            .reshape((length, ()))
    }

    /// How much of each of `keys` a query takes, `[1, kv heads, group * queries, keys]`. The queries are those
    /// from `start` up to the last of `keys`.
    fn probabilities(
        &self,
        query: &Tensor,
        key: &Tensor,
        start: usize,
        keys: &Range<usize>,
    ) -> Result<Tensor> {
        let size = keys.end - start;
        let scores = query.matmul(&part(key, keys)?.t()?)?;
        vector::softmax(scores, |row| {
            let seen = self.seen(start + row % size, 1);
            seen.start - keys.start..seen.end - keys.start
        })
    }
}

/// Some of the keys or values of a row.
fn part(all: &Tensor, keys: &Range<usize>) -> Result<Tensor> {
    all.narrow(2, keys.start, keys.len())
}

/// `part` added to `sum` in dimension 2, where `part` has `new` rows before the first of `sum`.
fn add_before(sum: Option<Tensor>, part: Tensor, new: usize) -> Result<Tensor> {
    let Some(sum) = sum else { return Ok(part) };
    let shared = part.dim(2)? - new;
    let rest = sum.dim(2)? - shared;
    let mut pieces = Vec::with_capacity(3);
    if new > 0 {
        pieces.push(part.narrow(2, 0, new)?);
    }
    if shared > 0 {
        pieces.push((sum.narrow(2, 0, shared)? + part.narrow(2, new, shared)?)?);
    }
    if rest > 0 {
        pieces.push(sum.narrow(2, shared, rest)?);
    }
    Tensor::cat(&pieces, 2)
}
