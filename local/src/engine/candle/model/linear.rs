//! Linear layers, with what an adapter adds to them. Nearly all the time of training is spent here: a frozen
//! weight gets no gradient, and the adapter's gradients are made of the small matrices only.

use candle_core::{Result, Tensor};
use rayon::prelude::*;

use super::gradient;
use super::lora::LoraPair;

/// Multiplications below which waking another core takes longer than it helps.
const WORTH_SHARING: usize = 1 << 18;

/// A linear layer: a weight, sometimes a bias, and what an adapter adds.
#[derive(Debug, Clone)]
pub struct Linear {
    /// `[out, in]`.
    weight: Tensor,
    /// `[out]`.
    bias: Option<Tensor>,
    lora: Option<LoraPair>,
}

impl Linear {
    /// A layer from its weight `[out, in]` and its bias `[out]`.
    #[must_use]
    pub fn new(weight: Tensor, bias: Option<Tensor>, lora: Option<LoraPair>) -> Self {
        Self { weight, bias, lora }
    }

    /// `[rows, in]` → `[rows, out]`.
    pub fn forward(&self, input: &Tensor) -> Result<Tensor> {
        if self.weight.is_variable() {
            // Pretraining a base: every weight is trained, so candle's autograd does all of it.
            return self.with_bias(input.matmul(&self.weight.t()?)?);
        }
        let adapter_learns = self.lora.as_ref().is_some_and(|lora| lora.a.track_op());
        let product = if input.track_op() || adapter_learns {
            input.detach().matmul(&self.weight.t()?)?
        } else {
            shared_out(input, &self.weight)?
        };
        let output = self.with_bias(product)?;
        match &self.lora {
            Some(lora) => self.adapted(input, output, lora),
            None if input.track_op() => {
                let weight = self.weight.clone();
                gradient::with_backward1(input, output, move |grad| {
                    Ok([Some(grad.matmul(&weight)?)])
                })
            }
            None => Ok(output),
        }
    }

    fn with_bias(&self, output: Tensor) -> Result<Tensor> {
        match &self.bias {
            Some(bias) => output.broadcast_add(bias),
            None => Ok(output),
        }
    }

    /// `output + scale * B (A input)`, and the gradients of input, A and B.
    fn adapted(&self, input: &Tensor, output: Tensor, lora: &LoraPair) -> Result<Tensor> {
        let (x, a, b) = (input.detach(), lora.a.detach(), lora.b.detach());
        let low = (x.matmul(&a.t()?)? * lora.scale)?;
        let output = (output + low.matmul(&b.t()?)?)?;
        if !input.track_op() && !lora.a.track_op() {
            return Ok(output);
        }
        let (weight, scale, learns) = (self.weight.clone(), lora.scale, input.track_op());
        gradient::with_backward3([input, &lora.a, &lora.b], output, move |grad| {
            let low_grad = (grad.matmul(&b)? * scale)?;
            let input_grad = if learns {
                Some((grad.matmul(&weight)? + low_grad.matmul(&a)?)?)
            } else {
                None
            };
            let a_grad = low_grad.t()?.matmul(&x)?;
            let b_grad = grad.t()?.matmul(&low)?;
            Ok([input_grad, Some(a_grad), Some(b_grad)])
        })
    }
}

/// A matrix product, split by output across the cores of the current thread pool. For generation, which has
/// one row and nothing else to do in parallel.
fn shared_out(input: &Tensor, weight: &Tensor) -> Result<Tensor> {
    let (out, width) = weight.dims2()?;
    let cores = rayon::current_num_threads();
    if cores == 1 || input.dim(0)? * out * width < WORTH_SHARING {
        return input.matmul(&weight.t()?);
    }
    let size = out.div_ceil(cores);
    let parts: Vec<Tensor> = (0..out)
        .into_par_iter()
        .step_by(size)
        .map(|start| {
            let part = weight.narrow(0, start, size.min(out - start))?;
            input.matmul(&part.t()?)
        })
        .collect::<Result<_>>()?;
    Tensor::cat(&parts, 1)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use candle_core::Device;

    use super::*;
    use crate::engine::cores::with_cores;

    #[test]
    fn a_product_is_the_same_however_many_cores_share_it() {
        let mut rng = fastrand::Rng::with_seed(1);
        let mut matrix = |rows: usize, columns: usize| {
            let values: Vec<f32> = (0..rows * columns).map(|_| rng.f32()).collect();
            Tensor::from_vec(values, (rows, columns), &Device::Cpu).unwrap()
        };
        let (input, weight) = (matrix(2, 256), matrix(1031, 256));
        let product = |cores: usize| with_cores(cores, || shared_out(&input, &weight).unwrap());
        let values = |tensor: Tensor| tensor.to_vec2::<f32>().unwrap();
        let alone = values(product(1));
        for cores in [2, 3] {
            for (left, right) in alone
                .iter()
                .flatten()
                .zip(values(product(cores)).iter().flatten())
            {
                assert!((left - right).abs() < 1e-3, "{left} {right}");
            }
        }
    }
}
