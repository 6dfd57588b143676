//! The order in which rows are trained, which is the same for every engine. It can be computed from the
//! beginning up to any step, so that checkpoints don't have to store it.

use crate::number::as_f64;

/// The rows in an order that depends on the seed and differs between epochs. The last batch of an epoch
/// may be smaller.
#[derive(Debug)]
pub struct RowOrder {
    indices: Vec<usize>,
    next: usize,
    epochs: usize,
    rng: fastrand::Rng,
}

impl RowOrder {
    /// Creates the order for this many rows.
    #[must_use]
    pub fn new(rows: usize, seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed.wrapping_add(1));
        let mut indices: Vec<usize> = (0..rows).collect();
        rng.shuffle(&mut indices);
        Self {
            indices,
            next: 0,
            epochs: 0,
            rng,
        }
    }

    /// Returns the next batch.
    pub fn next_batch(&mut self, count: usize) -> &[usize] {
        if self.next == self.indices.len() {
            self.next = 0;
            self.epochs += 1;
            self.rng.shuffle(&mut self.indices);
        }
        let start = self.next;
        self.next = (start + count).min(self.indices.len());
        &self.indices[start..self.next]
    }

    /// The number of passes over the rows so far.
    #[must_use]
    pub fn epoch(&self) -> f64 {
        as_f64(self.epochs) + as_f64(self.next) / as_f64(self.indices.len().max(1))
    }
}
