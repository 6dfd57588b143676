//! Linear layers, with what an adapter adds to them. Nearly all the time of training is spent here: a frozen
//! weight gets no gradient, and the adapter's gradients are made of the small matrices only.

use candle_core::{Result, Tensor};

use super::gradient;
use super::lora::LoraPair;
use super::matrix::Matrix;

/// A linear layer: a weight, sometimes a bias, and what an adapter adds.
#[derive(Debug, Clone)]
pub struct Linear {
    /// `[out, in]`.
    weight: Matrix,
    /// `[out]`.
    bias: Option<Tensor>,
    lora: Option<LoraPair>,
    purpose: Purpose,
}

/// What a model computes for. It decides how many cores share a product, and how exact it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Each core computes rows of its own. Products with bf16 weights are computed in bf16.
    Training,
    /// All cores share the products of few rows, and compute in `f32`.
    Generation,
}

impl Linear {
    /// A layer from its weight `[out, in]` and its bias `[out]`.
    #[must_use]
    pub fn new(
        weight: Matrix,
        bias: Option<Tensor>,
        lora: Option<LoraPair>,
        purpose: Purpose,
    ) -> Self {
        Self {
            weight,
            bias,
            lora,
            purpose,
        }
    }

    /// `[rows, in]` → `[rows, out]`.
    pub fn forward(&self, input: &Tensor) -> Result<Tensor> {
        if let Some(weight) = self.weight.variable() {
            // Pretraining a base: every weight is trained, so candle's autograd does all of it.
            return self.with_bias(input.matmul(&weight.t()?)?);
        }
        let product = match self.purpose {
            Purpose::Training => self.weight.product(&input.detach())?,
            Purpose::Generation => self.weight.shared_product(&input.detach())?,
        };
        let output = self.with_bias(product)?;
        match &self.lora {
            Some(lora) => self.adapted(input, output, lora),
            None if input.track_op() => {
                let weight = self.weight.clone();
                gradient::with_backward1(input, output, move |grad| {
                    Ok([Some(weight.backward(grad)?)])
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
                Some((weight.backward(grad)? + low_grad.matmul(&a)?)?)
            } else {
                None
            };
            let a_grad = low_grad.t()?.matmul(&x)?;
            let b_grad = grad.t()?.matmul(&low)?;
            Ok([input_grad, Some(a_grad), Some(b_grad)])
        })
    }
}
