//! One optimisation step's worth of mathematics. Flow in: a model and encoded rows. Flow out: the
//! loss, and gradients summed over the rows. A module because how a batch is cut up decides how
//! fast training is: one row at a time, on all cores. Nothing is padded, what a row needs stays in
//! the cache, and the sums are made in the order of the rows, whatever core was faster.

use candle_core::backprop::GradStore;
use candle_core::{D, Tensor, Var};
use candle_nn::ops::log_softmax;
use rayon::prelude::*;

use crate::data::Example;
use crate::error::{Error, Result};
use crate::model::Llama;
use crate::model::layers::as_f64;

/// Asked between rows, so that a cancelled run ends within a fraction of a step.
pub trait Stop: Sync {
    /// Whether to stop now.
    fn stopped(&self) -> bool;
}

impl<F: Fn() -> bool + Sync> Stop for F {
    fn stopped(&self) -> bool {
        self()
    }
}

/// Mean loss per trained token, and its gradients.
pub fn gradients(model: &Llama, rows: &[&Example], stop: &dyn Stop) -> Result<(f64, GradStore)> {
    let total: usize = rows.iter().map(|row| row.targets()).sum();
    let parts: Vec<Result<(f64, GradStore)>> = rows
        .par_iter()
        .map(|row| {
            check(stop)?;
            let loss = (summed_loss(model, row)? / as_f64(total))?;
            let value = f64::from(loss.to_scalar::<f32>()?);
            check(stop)?;
            Ok((value, loss.backward()?))
        })
        .collect();
    let mut sum = 0.0;
    let mut grads: Option<GradStore> = None;
    for part in parts {
        let (value, part) = part?;
        sum += value;
        match &mut grads {
            None => grads = Some(part),
            Some(grads) => grads.extend(part)?,
        }
    }
    Ok((sum, grads.unwrap_or_default()))
}

/// Mean loss per trained token, without gradients.
pub fn loss(model: &Llama, rows: &[&Example], stop: &dyn Stop) -> Result<f64> {
    let total: usize = rows.iter().map(|row| row.targets()).sum();
    let sums: Vec<Result<f64>> = rows
        .par_iter()
        .map(|row| {
            check(stop)?;
            Ok(f64::from(summed_loss(model, row)?.to_scalar::<f32>()?))
        })
        .collect();
    let mut sum = 0.0;
    for value in sums {
        sum += value?;
    }
    Ok(sum / as_f64(total))
}

/// Scales the gradients of `vars` down to a common norm of at most `max_norm`. Returns the norm
/// that they had.
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

fn check(stop: &dyn Stop) -> Result<()> {
    if stop.stopped() {
        Err(Error::Stopped)
    } else {
        Ok(())
    }
}

/// The summed negative log likelihood of the trained tokens of a row. Logits are computed only where
/// a token is trained.
fn summed_loss(model: &Llama, row: &Example) -> Result<Tensor> {
    let length = row.ids.len().saturating_sub(1);
    let trained = (0..length).filter(|place| row.trained[place + 1]);
    let places: Vec<u32> = trained
        .clone()
        .filter_map(|place| u32::try_from(place).ok())
        .collect();
    let targets: Vec<u32> = trained.map(|place| row.ids[place + 1]).collect();
    let device = model.device();
    let count = targets.len();
    let inputs = Tensor::from_slice(&row.ids[..length], (1, length), device)?;
    let places = Tensor::from_vec(places, count, device)?;
    let targets = Tensor::from_vec(targets, (count, 1), device)?;
    let hidden = model.hidden(&inputs, None)?.index_select(&places, 0)?;
    let likelihoods = log_softmax(&model.logits(&hidden)?, D::Minus1)?.gather(&targets, 1)?;
    Ok(likelihoods.sum_all()?.neg()?)
}
