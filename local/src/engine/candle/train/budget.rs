//! How much memory a run takes, and how it's made to fit: first layers are computed again in the backward pass
//! instead of kept, then fewer parts of a batch are computed at once.

use super::part::MAX_LOGITS;
use super::step::{self, PART_TOKENS};
use crate::data::Example;
use crate::engine::Plan;
use crate::engine::candle::model::LlamaConfig;
use crate::engine::candle::model::attention::BLOCK;
use crate::engine::candle::model::lora::Lora;
use crate::error::{Result, refused};

const MEGABYTE: u64 = 1_000_000;

/// What the process takes besides the run: code, tokenizer, buffers.
const PROCESS: u64 = 80 * MEGABYTE;

/// How much a run may take if the system doesn't say how much is free.
const UNKNOWN: u64 = 4 << 30;

/// Bytes of an `f32`.
const F32: usize = 4;

/// The allocator keeps some freed memory, in pieces that are too small for the next allocations.
const OVERHEAD: f64 = 1.15;

/// How a run fits into memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fit {
    /// About how many bytes the process takes during the run.
    pub bytes: u64,
    /// How many of the layers are computed again in the backward pass.
    pub recomputed: usize,
    /// Parts of a batch that are computed at once.
    pub cores: usize,
}

/// What decides how much memory a run takes. All sizes are numbers of values, except for `weights`.
struct Run<'a> {
    config: &'a LlamaConfig,
    /// Bytes.
    weights: u64,
    /// Values of the weights that each core converts to `f32` at once.
    converted: usize,
    /// Values of the adapter.
    adapter: usize,
    /// Rank of the adapter.
    rank: usize,
    /// The longest rows that can meet in a batch, the longest first.
    rows: Vec<&'a Example>,
}

/// The fit of a run whose weights are already in memory. `weights` is their size in bytes, and `converted` how many
/// of their values each core converts to `f32` at once. `limit` is what the process may use in total; without it, the
/// run may use most of what is `free` now. Errors if the run doesn't fit into `limit`.
pub fn fit(
    config: &LlamaConfig,
    (weights, converted): (u64, usize),
    plan: &Plan,
    rows: &[Example],
    (limit, free): (Option<u64>, Option<u64>),
    cores: usize,
) -> Result<Fit> {
    let mut longest: Vec<&Example> = rows.iter().collect();
    longest.sort_by_key(|row| std::cmp::Reverse(row.ids.len()));
    longest.truncate(plan.batch_size);
    let run = Run {
        config,
        weights,
        converted,
        adapter: Lora::parameters_for(config, plan.lora_r),
        rank: plan.lora_r,
        rows: longest,
    };
    let budget =
        limit.unwrap_or_else(|| PROCESS + weights + free.map_or(UNKNOWN, |free| free / 10 * 9));
    let layers = config.layers;
    let all_cores = (0..=layers).map(|recomputed| (recomputed, cores));
    let fewer_cores = (1..cores).rev().map(|cores| (layers, cores));
    let mut least = None;
    for (recomputed, cores) in all_cores.chain(fewer_cores) {
        let bytes = run.bytes(recomputed, cores);
        let fit = Fit {
            bytes,
            recomputed,
            cores,
        };
        if bytes <= budget {
            return Ok(fit);
        }
        least = Some(fit);
    }
    match (least, limit) {
        (Some(fit), None) => Ok(fit),
        (Some(fit), Some(limit)) => refused(format!(
            "memory: this run needs about {}, and --memory allows {}. Use a smaller lora.maxLength, or allow more.",
            size(fit.bytes),
            size(limit)
        )),
        (None, _) => refused("memory: there is nothing to train"),
    }
}

impl Run<'_> {
    fn bytes(&self, recomputed: usize, cores: usize) -> u64 {
        let tokens = self.tokens_at_once(cores);
        let values: usize = tokens
            .iter()
            .map(|tokens| self.part(*tokens, recomputed))
            .sum();
        // The gradients of each part, their sum, AdamW's two moments, and the adapter itself.
        let adapter = self.adapter * (tokens.len() + 4);
        let bytes = u64::try_from((values + adapter) * F32).unwrap_or(u64::MAX);
        (PROCESS + self.weights).saturating_add(scaled(bytes))
    }

    /// The tokens of the largest parts that are computed at once.
    fn tokens_at_once(&self, cores: usize) -> Vec<usize> {
        let tokens = |rows: &&[&Example]| rows.iter().map(|row| row.ids.len()).sum();
        let mut parts: Vec<usize> = step::parts(&self.rows, cores).iter().map(tokens).collect();
        parts.sort_by_key(|tokens| std::cmp::Reverse(*tokens));
        parts.truncate(cores);
        parts
    }

    /// How much memory a part with this many tokens needs.
    fn part(&self, tokens: usize, recomputed: usize) -> usize {
        let c = self.config;
        // Even if all layers are recomputed, one of them is in memory: the one whose backward pass is running.
        let kept: usize = (recomputed.min(c.layers - 1)..c.layers)
            .map(|index| self.layer(index, tokens))
            .sum();
        let logits = MAX_LOGITS.min(tokens * c.vocab_size);
        // The values between layers, those in the kept layers, and the temporary ones of one layer's backward pass.
        tokens * c.hidden_size * (c.layers + 2)
            + kept
            + tokens * (6 * c.intermediate_size + 6 * c.hidden_size)
            + 5 * logits
            + self.converted
    }

    /// How much memory a layer's backward pass needs: the results of its operations.
    fn layer(&self, index: usize, tokens: usize) -> usize {
        let c = self.config;
        let (query, key) = (c.heads * c.head_dim, c.kv_heads * c.head_dim);
        let linear = 5 * c.hidden_size + 4 * query + 4 * key + 3 * c.intermediate_size;
        let norms = if c.head_norms { query + key } else { 0 };
        // How many keys a token is scored against. Attention is computed in blocks of queries, so on average that's
        // half of the row plus half a block, and with a sliding window at most the window plus a block.
        let longest = self.rows.first().map_or(PART_TOKENS, |row| row.ids.len());
        let seen = longest.min(tokens) / 2 + BLOCK / 2;
        let window = c.kinds[index].window;
        let attention = c.heads * window.map_or(seen, |window| seen.min(window + BLOCK));
        tokens * (linear + norms + attention + 7 * self.rank)
    }
}

impl Fit {
    /// What is done to save memory, for the log. `None`: nothing.
    #[must_use]
    pub fn savings(&self, layers: usize) -> Option<String> {
        (self.recomputed > 0).then(|| {
            format!(
                "to fit into {} of memory, {} of {layers} layers are computed twice in each step",
                size(self.bytes),
                self.recomputed
            )
        })
    }
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "an estimate"
)]
fn scaled(bytes: u64) -> u64 {
    (bytes as f64 * OVERHEAD) as u64
}

/// As people write it.
fn size(bytes: u64) -> String {
    match bytes / MEGABYTE {
        megabytes @ 0..1000 => format!("{megabytes} MB"),
        megabytes => format!("{}.{} GB", megabytes / 1000, megabytes % 1000 / 100),
    }
}

/// Reads a size such as `4GB`, `1.5GiB` or `800MB`. Without a unit, it's bytes.
pub fn parse_size(text: &str) -> std::result::Result<u64, String> {
    let text = text.trim();
    let digits = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1.0,
        "mb" | "m" => 1e6,
        "gb" | "g" => 1e9,
        "mib" => 1024.0 * 1024.0,
        "gib" => 1024.0 * 1024.0 * 1024.0,
        _ => return Err("expected a size such as 4GB or 800MB".to_owned()),
    };
    match number.parse::<f64>() {
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a size is positive, and whole bytes are enough"
        )]
        Ok(number) if number * unit >= 1.0 => Ok((number * unit) as u64),
        _ => Err("expected a size such as 4GB or 800MB".to_owned()),
    }
}

#[cfg(test)]
#[path = "budget_tests.rs"]
mod tests;
