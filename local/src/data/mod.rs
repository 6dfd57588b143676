//! Training data: turns a `datasetSource` into rows, the rows into tokens with a loss mask, and these
//! into a training set and a held-out set.

pub mod dataset_file;
pub mod encode;
pub mod fetch;
pub mod hub;
mod pages;
mod parquet;
pub mod reader;
pub mod rows;
pub mod shapes;
pub mod source;
pub mod tokens;

pub use rows::Row;
pub use shapes::Format;
pub use source::{Blob, DatasetSource};

/// The largest decompressed size of a file, in bytes.
pub const MAX_TEXT_BYTES: u64 = 512 * 1024 * 1024;

/// The estimated memory that a row may take, in bytes.
pub const MAX_ROW_MEMORY: usize = 64 * 1024 * 1024;

/// A row as the model sees it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Example {
    /// Token ids.
    pub ids: Vec<u32>,
    /// Whether the model learns to predict each token. As long as `ids`.
    pub trained: Vec<bool>,
}

impl Example {
    /// The number of predictions that count towards the loss. The first token is never predicted.
    #[must_use]
    pub fn targets(&self) -> usize {
        self.trained
            .iter()
            .skip(1)
            .filter(|trained| **trained)
            .count()
    }
}

/// Rows to train on, and rows to measure the eval loss on.
#[derive(Debug, Clone)]
pub struct Split {
    /// The rows that the model learns from.
    pub train: Vec<Example>,
    /// The rows for the eval loss.
    pub eval: Vec<Example>,
    /// Whether `eval` is excluded from `train`.
    pub held_out: bool,
}

/// The most eval rows: an evaluation must stay cheap compared to the training steps between two of them.
const MAX_EVAL_ROWS: usize = 32;

/// With fewer rows than this, none are held out, and the eval loss is measured on the training rows.
const MIN_ROWS_TO_HOLD_OUT: usize = 4;

/// How many of `rows` are held out.
#[must_use]
pub fn held_out(rows: usize) -> usize {
    if rows < MIN_ROWS_TO_HOLD_OUT {
        0
    } else {
        (rows / 10).clamp(1, MAX_EVAL_ROWS)
    }
}

/// The held-out rows in order: a tenth of them, but at least one and at most 32, chosen by the seed.
#[must_use]
pub fn held_out_rows(rows: usize, seed: u64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..rows).collect();
    fastrand::Rng::with_seed(seed).shuffle(&mut order);
    order.truncate(held_out(rows));
    order.sort_unstable();
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenth_is_held_out_and_the_same_one_for_the_same_seed() {
        let rows = held_out_rows(50, 7);
        assert_eq!(rows.len(), 5);
        assert!(rows.is_sorted() && rows.iter().all(|row| *row < 50));
        assert_eq!(rows, held_out_rows(50, 7));
        assert_ne!(rows, held_out_rows(50, 8));
        assert_eq!(held_out_rows(1000, 7).len(), 32);
        assert!(held_out_rows(3, 7).is_empty());
    }
}
