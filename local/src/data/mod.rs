//! Training data: from a `datasetSource` to rows, to token ids with a loss mask, to a training set and a
//! held-out set.

pub mod encode;
pub mod fetch;
pub mod hub;
mod pages;
mod parquet;
pub mod reader;
pub mod rows;
pub mod shapes;
pub mod source;

pub use rows::Row;
pub use shapes::Format;
pub use source::DatasetSource;

/// A file's text may have this many bytes when decompressed.
pub const MAX_TEXT_BYTES: u64 = 512 * 1024 * 1024;

/// A row may take this much memory, estimated.
pub const MAX_ROW_MEMORY: usize = 64 * 1024 * 1024;

/// A row as the model sees it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Example {
    /// Token ids.
    pub ids: Vec<u32>,
    /// For each token, whether the model learns to predict it. As long as `ids`.
    pub trained: Vec<bool>,
}

impl Example {
    /// The memory that it takes, about.
    #[must_use]
    pub fn bytes(&self) -> usize {
        // A growing list has room for twice as many.
        let own = 2 * size_of::<Self>() + 2 * 16;
        own + self.ids.capacity() * size_of::<u32>() + self.trained.capacity()
    }

    /// Number of predictions that count towards the loss. The first token is never predicted.
    #[must_use]
    pub fn targets(&self) -> usize {
        self.trained
            .iter()
            .skip(1)
            .filter(|trained| **trained)
            .count()
    }
}

/// Rows to train on, and rows that only measure.
#[derive(Debug, Clone)]
pub struct Split {
    /// What the model learns from.
    pub train: Vec<Example>,
    /// What the eval loss is measured on.
    pub eval: Vec<Example>,
    /// Whether `eval` is not part of `train`.
    pub held_out: bool,
}

/// Limit on eval rows: an evaluation must stay cheap compared to the training steps between two of them.
const MAX_EVAL_ROWS: usize = 32;

/// With fewer rows than this, none are held out, and the eval loss is measured on the training rows.
const MIN_ROWS_TO_HOLD_OUT: usize = 4;

/// How many of so many rows are held out.
#[must_use]
pub fn held_out(rows: usize) -> usize {
    if rows < MIN_ROWS_TO_HOLD_OUT {
        0
    } else {
        (rows / 10).clamp(1, MAX_EVAL_ROWS)
    }
}

/// Holds out every tenth of the rows, at least one and at most 32, chosen by the seed.
#[must_use]
pub fn split(mut examples: Vec<Example>, seed: u64) -> Split {
    if examples.len() < MIN_ROWS_TO_HOLD_OUT {
        return Split {
            eval: examples.clone(),
            train: examples,
            held_out: false,
        };
    }
    let count = held_out(examples.len());
    let mut order: Vec<usize> = (0..examples.len()).collect();
    fastrand::Rng::with_seed(seed).shuffle(&mut order);
    // In place: the rows are there once only.
    let mut eval = Vec::with_capacity(count);
    let mut held_out = order[..count].to_vec();
    held_out.sort_unstable();
    for index in &held_out {
        eval.push(std::mem::take(&mut examples[*index]));
    }
    let mut index = 0;
    examples.retain(|_| {
        index += 1;
        held_out.binary_search(&(index - 1)).is_err()
    });
    Split {
        train: examples,
        eval,
        held_out: true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn examples(count: u32) -> Vec<Example> {
        (0..count)
            .map(|id| Example {
                ids: vec![id, id],
                trained: vec![true, true],
            })
            .collect()
    }

    #[test]
    fn a_tenth_is_held_out_and_the_same_one_for_the_same_seed() {
        let first = split(examples(50), 7);
        assert_eq!((first.train.len(), first.eval.len()), (45, 5));
        assert!(first.eval.iter().all(|row| !first.train.contains(row)));
        assert_eq!(first.eval, split(examples(50), 7).eval);
        assert_eq!(split(examples(1000), 7).eval.len(), 32);
    }

    #[test]
    fn very_few_rows_are_all_trained() {
        let split = split(examples(3), 7);
        assert_eq!(
            (split.train.len(), split.eval.len(), split.held_out),
            (3, 3, false)
        );
    }
}
