//! The pieces of the decoder. candle's fused operations have no backward pass, so it's defined here.

use candle_core::{D, Result, Tensor};
use candle_nn::ops::rms_norm;

use super::{gradient, vector};

/// Root mean square norm with a learned scale.
#[derive(Debug, Clone)]
pub struct RmsNorm {
    weight: Tensor,
    eps: f64,
}

impl RmsNorm {
    /// A norm from its scale `[hidden]`.
    #[must_use]
    pub fn new(weight: Tensor, eps: f64) -> Self {
        Self { weight, eps }
    }

    /// `[rows, hidden]` → `[rows, hidden]`.
    pub fn forward(&self, input: &Tensor) -> Result<Tensor> {
        if self.weight.is_variable() {
            let norm = (input.sqr()?.mean_keepdim(D::Minus1)? + self.eps)?.sqrt()?;
            return input.broadcast_div(&norm)?.broadcast_mul(&self.weight);
        }
        let x = input.detach();
        let output = rms_norm(&x, &self.weight, narrow(self.eps))?;
        if !input.track_op() {
            return Ok(output);
        }
        let (weight, eps) = (self.weight.clone(), self.eps);
        gradient::with_backward1(input, output, move |grad| {
            let mean_square = (x.sqr()?.mean_keepdim(D::Minus1)? + eps)?;
            let grad = grad.broadcast_mul(&weight)?;
            let along = ((&grad * &x)?.mean_keepdim(D::Minus1)? / &mean_square)?;
            let across = (grad - x.broadcast_mul(&along)?)?;
            Ok([Some(across.broadcast_div(&mean_square.sqrt()?)?)])
        })
    }
}

/// `silu(gate) * up`, the middle of the feed-forward part.
pub fn gated(gate: &Tensor, up: &Tensor) -> Result<Tensor> {
    let (g, u) = (gate.detach(), up.detach());
    let output = vector::gated(&g, &u)?;
    if !gate.track_op() && !up.track_op() {
        return Ok(output);
    }
    gradient::with_backward2([gate, up], output, move |grad| {
        // It computes silu(gate) again: keeping that would make the widest part of a layer twice as large.
        Ok(vector::gated_backward(&g, &u, grad)?.map(Some))
    })
}

/// The summed negative log likelihood of `targets` `[rows]` under `logits` `[rows, vocab]`.
pub fn negative_log_likelihood(logits: &Tensor, targets: Vec<u32>) -> Result<Tensor> {
    let rows = targets.len();
    let targets = Tensor::from_vec(targets, (rows, 1), logits.device())?;
    let z = logits.detach();
    let vocabulary = z.dim(D::Minus1)?;
    let probabilities = vector::softmax(z.copy()?, |_| 0..vocabulary)?;
    // The likeliest token's probability is 1 / Σ exp(z - max): no logarithm of a tiny number.
    let log_sum = (z.max_keepdim(D::Minus1)? - probabilities.max_keepdim(D::Minus1)?.log()?)?;
    let loss = (log_sum - z.gather(&targets, 1)?)?.sum_all()?;
    if !logits.track_op() {
        return Ok(loss);
    }
    gradient::with_backward1(logits, loss, move |grad| {
        let minus_one = targets.ones_like()?.to_dtype(z.dtype())?.neg()?;
        let difference = probabilities.scatter_add(&targets, &minus_one, 1)?;
        Ok([Some((difference * f64::from(grad.to_scalar::<f32>()?))?)])
    })
}

#[allow(clippy::cast_possible_truncation, reason = "the model computes in f32")]
pub(super) fn narrow(value: f64) -> f32 {
    value as f32
}
