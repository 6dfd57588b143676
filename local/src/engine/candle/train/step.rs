//! The maths of one optimisation step. How a batch is split decides how fast training is: into parts for
//! each core, with the rows of a part concatenated into one long matrix. There's no padding, and the parts
//! are summed in a fixed order, whichever core finishes first.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use candle_core::Var;
use candle_core::backprop::GradStore;
use rayon::prelude::*;

use super::part::Part;
use crate::data::Example;
use crate::engine::candle::model::Llama;
use crate::error::Result;
use crate::number::as_f64;
use crate::stop::Stop;

/// Approximate limit on the tokens in a part of a batch. What the backward pass needs of a part must fit in
/// memory once per core, and a cancelled run ends only when the layers in progress are done.
pub(super) const PART_TOKENS: usize = 512;

/// Mean loss per trained token, and its gradients. The first `recomputed` layers are computed again in the
/// backward pass, which takes the time of their forward pass and saves the memory of what's in between.
pub fn gradients(
    model: &Llama,
    rows: &[&Example],
    recomputed: usize,
    stop: &dyn Stop,
) -> Result<(f64, GradStore)> {
    let total = as_f64(targets(rows));
    let sum = Mutex::new(Sum::default());
    parts(rows, rayon::current_num_threads())
        .into_par_iter()
        .enumerate()
        .try_for_each(|(index, rows)| {
            let part = Part::new(rows).gradients(model, total, recomputed, stop)?;
            let mut sum = sum.lock().unwrap_or_else(PoisonError::into_inner);
            sum.add(index, part)
        })?;
    let sum = sum.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok((sum.loss, sum.grads))
}

/// Adds up parts as they come, in their order, so that the same batch has the same sum.
#[derive(Default)]
struct Sum {
    loss: f64,
    grads: GradStore,
    added: usize,
    /// Those that are ahead of their turn.
    early: BTreeMap<usize, (f64, GradStore)>,
}

impl Sum {
    fn add(&mut self, index: usize, part: (f64, GradStore)) -> Result<()> {
        self.early.insert(index, part);
        while let Some((loss, grads)) = self.early.remove(&self.added) {
            self.loss += loss;
            self.grads.extend(grads)?;
            self.added += 1;
        }
        Ok(())
    }
}

/// Mean loss per trained token, without gradients.
pub fn loss(model: &Llama, rows: &[&Example], stop: &dyn Stop) -> Result<f64> {
    let sums: Vec<Result<f64>> = parts(rows, rayon::current_num_threads())
        .into_par_iter()
        .map(|rows| Part::new(rows).loss(model, stop))
        .collect();
    let mut sum = 0.0;
    for value in sums {
        sum += value?;
    }
    Ok(sum / as_f64(targets(rows)))
}

fn targets(rows: &[&Example]) -> usize {
    rows.iter().map(|row| row.targets()).sum()
}

/// Splits a batch into parts of about the same number of tokens, the same number of parts for each core.
pub(super) fn parts<'a, 'b>(rows: &'a [&'b Example], cores: usize) -> Vec<&'a [&'b Example]> {
    let total: usize = rows.iter().map(|row| row.ids.len()).sum();
    let count = cores * total.div_ceil(PART_TOKENS * cores).max(1);
    let mut before = 0;
    let place = |row: &Example| {
        let middle = before + row.ids.len() / 2;
        before += row.ids.len();
        middle * count / total.max(1)
    };
    let places: Vec<usize> = rows.iter().copied().map(place).collect();
    let mut parts = Vec::new();
    let mut rest = rows;
    for chunk in places.chunk_by(|left, right| left == right) {
        let (part, after) = rest.split_at(chunk.len());
        parts.push(part);
        rest = after;
    }
    parts
}

/// Scales the gradients of `vars` down together, so that their global norm is at most `max_norm`. Returns the
/// global norm before scaling.
pub fn clip(grads: &mut GradStore, vars: &[Var], max_norm: f64) -> Result<f64> {
    let mut squares = 0.0;
    for grad in vars.iter().filter_map(|var| grads.get(var)) {
        squares += f64::from(grad.sqr()?.sum_all()?.to_scalar::<f32>()?);
    }
    let norm = squares.sqrt();
    if norm > max_norm {
        for var in vars {
            if let Some(grad) = grads.remove(var) {
                grads.insert(var, (grad * (max_norm / norm))?);
            }
        }
    }
    Ok(norm)
}

/// 0 when every value of `vars` is finite, else not a number.
pub fn non_finite(vars: &[Var]) -> Result<f64> {
    let mut sum = 0.0;
    for var in vars {
        // Not the sum of the values: that can be infinite although none of them is.
        sum += f64::from(var.affine(0.0, 0.0)?.sum_all()?.to_scalar::<f32>()?);
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_cut_into_parts_of_about_the_same_size_in_the_order_of_the_rows() {
        let row = |length: usize| Example {
            ids: vec![0; length],
            trained: vec![true; length],
        };
        let cut = |lengths: &[usize], cores: usize| -> Vec<Vec<usize>> {
            let rows: Vec<Example> = lengths.iter().map(|length| row(*length)).collect();
            let rows: Vec<&Example> = rows.iter().collect();
            let sizes = |part: &&[&Example]| part.iter().map(|row| row.ids.len()).collect();
            parts(&rows, cores).iter().map(sizes).collect()
        };
        assert_eq!(cut(&[10, 10, 10, 10], 2), [[10, 10], [10, 10]]);
        assert_eq!(cut(&[40, 10, 10, 10], 2), [vec![40], vec![10, 10, 10]]);
        assert_eq!(cut(&[10], 4), [[10]]);
        assert_eq!(cut(&[512; 4], 2), [[512], [512], [512], [512]]);
        assert!(cut(&[], 2).is_empty());
    }
}
