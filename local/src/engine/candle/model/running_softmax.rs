//! The softmax of rows that arrive a few columns at a time, as attention over a long text computes them: all scores at
//! once wouldn't stay in a core's cache.

#![allow(
    clippy::inline_always,
    reason = "only what is inlined into `dispatch` is compiled for the processor that it runs on"
)]

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use candle_core::{CpuStorage, DType, InplaceOp1, Layout, Result, Tensor, bail};
use pulp::{Arch, NullaryFnOnce};

use super::values::contiguous;
use super::vector::{exp, reduce};

/// The largest score and the sum of each row so far.
pub struct RunningSoftmax {
    max: Vec<f32>,
    sum: Vec<f32>,
    /// What the sums before the last step were multiplied with.
    factors: Vec<f32>,
}

impl RunningSoftmax {
    /// Creates the state for `rows` rows, before any of their columns.
    pub fn new(rows: usize) -> Self {
        Self {
            max: vec![f32::NEG_INFINITY; rows],
            sum: vec![0.0; rows],
            factors: vec![1.0; rows],
        }
    }

    /// Takes the next columns `[…, columns]` of all rows, of which a row sees those that `seen` gives for its index.
    /// Returns their shares, not yet divided by the sum of the row, in place of the scores. Whatever was summed with
    /// earlier shares must be multiplied with `factors` first.
    pub fn step(
        &mut self,
        scores: Tensor,
        seen: impl Fn(usize) -> Range<usize> + Sync,
    ) -> Result<Tensor> {
        let softmax = Mutex::new(self);
        scores.inplace_op1(&Step { softmax, seen })?;
        Ok(scores)
    }

    /// The factors of the last step, one for each row, `[…, 1]` in the shape of the rows of `like`.
    pub fn factors(&self, like: &Tensor) -> Result<Tensor> {
        of_rows(self.factors.clone(), like)
    }

    /// The sums of the rows, in the same shape.
    pub fn sums(&self, like: &Tensor) -> Result<Tensor> {
        of_rows(self.sum.clone(), like)
    }
}

fn of_rows(values: Vec<f32>, like: &Tensor) -> Result<Tensor> {
    let mut shape = like.dims().to_vec();
    if let Some(last) = shape.last_mut() {
        *last = 1;
    }
    Tensor::from_vec(values, shape, like.device())
}

struct Step<'a, F> {
    softmax: Mutex<&'a mut RunningSoftmax>,
    seen: F,
}

impl<F: Fn(usize) -> Range<usize> + Sync> InplaceOp1 for Step<'_, F> {
    fn name(&self) -> &'static str {
        "running softmax"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> Result<()> {
        let (start, end) = contiguous(layout)?;
        let CpuStorage::F32(values) = storage else {
            bail!("{:?} on a CPU is expected", DType::F32);
        };
        let mut softmax = self.softmax.lock().unwrap_or_else(PoisonError::into_inner);
        Arch::new().dispatch(Columns {
            values: &mut values[start..end],
            softmax: &mut softmax,
            seen: &self.seen,
        });
        Ok(())
    }
}

/// The columns of a step. Not a closure: the compiler doesn't always inline those into `dispatch`.
struct Columns<'a, F> {
    values: &'a mut [f32],
    softmax: &'a mut RunningSoftmax,
    seen: &'a F,
}

impl<F: Fn(usize) -> Range<usize>> NullaryFnOnce for Columns<'_, F> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let RunningSoftmax { max, sum, factors } = self.softmax;
        let width = self.values.len() / max.len();
        let rows = self.values.chunks_exact_mut(width.max(1));
        let state = max.iter_mut().zip(sum).zip(factors);
        for ((index, row), ((max, sum), factor)) in rows.enumerate().zip(state) {
            let seen = (self.seen)(index);
            row[..seen.start].fill(0.0);
            row[seen.end..].fill(0.0);
            let row = &mut row[seen];
            *factor = 1.0;
            if row.is_empty() {
                continue;
            }
            let highest = reduce(
                row,
                *max,
                |max, value| if value > max { value } else { max },
            );
            *factor = exp(*max - highest);
            *max = highest;
            for value in row.iter_mut() {
                *value = exp(*value - highest);
            }
            *sum = *sum * *factor + reduce(row, 0.0, |sum, value| sum + value);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use candle_core::Device;

    use super::*;
    use crate::engine::candle::model::vector::softmax;

    #[test]
    fn shares_of_columns_in_steps_are_those_of_all_columns_at_once() {
        let mut rng = fastrand::Rng::with_seed(1);
        let scores: Vec<f32> = (0..5 * 100).map(|_| (rng.f32() - 0.5) * 60.0).collect();
        let scores = Tensor::from_vec(scores, (5, 100), &Device::Cpu).unwrap();
        // The last row sees nothing of the first step, and the first one nothing of the last.
        let seen = |row: usize| row * 10..60 + row * 10;
        let expected = softmax(scores.copy().unwrap(), seen).unwrap();
        let mut running = RunningSoftmax::new(5);
        let mut shares: Option<Tensor> = None;
        for (start, end) in [(0, 37), (37, 70), (70, 100)] {
            let part = scores.narrow(1, start, end - start).unwrap();
            let part = part.contiguous().unwrap();
            let within = |row: usize| {
                let seen = seen(row);
                let place = |column: usize| column.clamp(start, end) - start;
                place(seen.start)..place(seen.end)
            };
            let part = running.step(part, within).unwrap();
            let factors = running.factors(&part).unwrap();
            shares = Some(match shares {
                Some(before) => {
                    let before = before.broadcast_mul(&factors).unwrap();
                    Tensor::cat(&[before, part], 1).unwrap()
                }
                None => part,
            });
        }
        let shares = shares.unwrap();
        let shares = shares
            .broadcast_div(&running.sums(&shares).unwrap())
            .unwrap();
        let difference = (shares - expected).unwrap().abs().unwrap();
        let difference = difference.max_all().unwrap().to_scalar::<f32>().unwrap();
        assert!(difference < 1e-6, "{difference}");
    }
}
