//! The weight of a linear layer or an embedding, in `f32`, bf16 or quantised. It stays in memory as it is. For a
//! product, it's converted to `f32` a part at a time, so that products are those of a model in `f32`. Training
//! multiplies a weight in bf16 as such if the processor can (decision 34).

use std::sync::Arc;

use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{DType, Device, Result, Tensor};
use half::bf16;
use rayon::prelude::*;

#[cfg(target_arch = "x86_64")]
use super::bf16_products;
use super::values::with_values;
use super::{dequantise, few_rows};

/// Number of values that are converted at once where one core does all of it.
const PART: usize = 1 << 22;

/// The same where cores share: it stays in a core's cache.
const SHARED_PART: usize = 1 << 17;

/// The same for few rows: it stays in a core's first cache.
const FEW_ROWS_PART: usize = 4096;

/// Multiplications below which waking another core takes longer than it helps.
const WORTH_SHARING: usize = 1 << 18;

static CPU: Device = Device::Cpu;

/// A matrix `[out, in]`.
#[derive(Debug, Clone)]
pub enum Matrix {
    /// An `f32` matrix.
    Plain(Tensor),
    /// A bf16 matrix.
    Half(Tensor),
    /// A matrix in one of GGML's quantised types.
    Quantised(Arc<QTensor>),
}

impl From<Tensor> for Matrix {
    fn from(tensor: Tensor) -> Self {
        match tensor.dtype() {
            DType::BF16 => Self::Half(tensor),
            _ => Self::Plain(tensor),
        }
    }
}

impl From<QTensor> for Matrix {
    fn from(tensor: QTensor) -> Self {
        Self::Quantised(Arc::new(tensor))
    }
}

impl Matrix {
    /// Its shape.
    #[must_use]
    pub fn dims(&self) -> &[usize] {
        match self {
            Self::Plain(tensor) | Self::Half(tensor) => tensor.dims(),
            Self::Quantised(tensor) => tensor.shape().dims(),
        }
    }

    /// Where it is.
    #[must_use]
    pub fn device(&self) -> &Device {
        match self {
            Self::Plain(tensor) | Self::Half(tensor) => tensor.device(),
            Self::Quantised(_) => &CPU,
        }
    }

    /// The memory that it takes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        match self {
            Self::Plain(tensor) | Self::Half(tensor) => {
                tensor.elem_count() * tensor.dtype().size_in_bytes()
            }
            Self::Quantised(tensor) => tensor.storage_size_in_bytes(),
        }
    }

    /// Number of its values that are converted to `f32` at once.
    #[must_use]
    pub fn converted(&self) -> usize {
        match self {
            Self::Plain(_) => 0,
            Self::Half(_) | Self::Quantised(_) => self.dims().iter().product::<usize>().min(PART),
        }
    }

    /// The type of its values.
    #[must_use]
    pub fn dtype(&self) -> GgmlDType {
        match self {
            Self::Plain(_) => GgmlDType::F32,
            Self::Half(_) => GgmlDType::BF16,
            Self::Quantised(tensor) => tensor.dtype(),
        }
    }

    /// The tensor that is learned, when a base is trained.
    #[must_use]
    pub fn variable(&self) -> Option<&Tensor> {
        match self {
            Self::Plain(tensor) => Some(tensor).filter(|tensor| tensor.is_variable()),
            Self::Half(_) | Self::Quantised(_) => None,
        }
    }

    /// Some of its rows, `[ids, in]`.
    pub fn rows(&self, ids: &Tensor) -> Result<Tensor> {
        match self {
            Self::Plain(tensor) => tensor.index_select(ids, 0),
            Self::Half(tensor) => tensor.index_select(ids, 0)?.to_dtype(DType::F32),
            Self::Quantised(tensor) => tensor.embedding(ids),
        }
    }

    /// Its rows `start..start + count` in `f32`, `[count, in]`.
    fn part(&self, start: usize, count: usize) -> Result<Tensor> {
        let width = self.dims()[1];
        let mut values = Vec::new();
        match self {
            Self::Plain(tensor) => return tensor.narrow(0, start, count),
            Self::Half(tensor) => with_values(tensor, |all| {
                dequantise::halves(&all[start * width..][..count * width], &mut values);
                Ok(())
            })?,
            Self::Quantised(tensor) => dequantise::rows(tensor, start, count, &mut values)?,
        }
        Tensor::from_vec(values, (count, width), &CPU)
    }

    /// `[rows, in]` → `[rows, out]`, on this core. For training: a bf16 matrix is multiplied as such if the
    /// processor can.
    pub fn product(&self, input: &Tensor) -> Result<Tensor> {
        #[cfg(target_arch = "x86_64")]
        if let Self::Half(tensor) = self
            && bf16_products::is_available()
        {
            return bf16_products::product(input, tensor);
        }
        self.exact_product(input)
    }

    fn exact_product(&self, input: &Tensor) -> Result<Tensor> {
        let product = |(start, count)| input.matmul(&self.part(start, count)?.t()?);
        let parts = match self {
            Self::Plain(_) => vec![(0, self.dims()[0])],
            _ => parts(self.dims(), PART),
        };
        joined(&parts.into_iter().map(product).collect::<Result<Vec<_>>>()?)
    }

    /// `[rows, in]` → `[rows, out]` in `f32`, split by output across the cores of the current thread pool. For
    /// generation, which has few rows and nothing else to do in parallel.
    pub fn shared_product(&self, input: &Tensor) -> Result<Tensor> {
        let (out, width) = (self.dims()[0], self.dims()[1]);
        let cores = rayon::current_num_threads();
        let small = cores == 1 || input.dim(0)? * out * width < WORTH_SHARING;
        if input.dim(0)? <= few_rows::MOST {
            return self.product_of_few_rows(input, if small { 1 } else { cores });
        }
        if small {
            return self.exact_product(input);
        }
        let fair = out.div_ceil(cores) * width;
        let size = match self {
            Self::Plain(_) => fair,
            _ => fair.min(SHARED_PART),
        };
        let product = |(start, count)| input.matmul(&self.part(start, count)?.t()?);
        let parts = parts(self.dims(), size);
        joined(
            &parts
                .into_par_iter()
                .map(product)
                .collect::<Result<Vec<_>>>()?,
        )
    }

    /// `[rows, in]` → `[rows, out]` in `f32`, reading each weight once for all rows.
    fn product_of_few_rows(&self, input: &Tensor, cores: usize) -> Result<Tensor> {
        let (out, width) = (self.dims()[0], self.dims()[1]);
        few_rows::product(input, out, cores, |input, part, output| {
            let columns = part.len();
            let values = part.start * width..part.end * width;
            match self {
                Self::Plain(tensor) => with_values(tensor, |weights: &[f32]| {
                    few_rows::multiply(input, &weights[values], width, output, columns);
                    Ok(())
                }),
                Self::Half(tensor) => with_values(tensor, |weights: &[bf16]| {
                    few_rows::multiply(input, &weights[values], width, output, columns);
                    Ok(())
                }),
                Self::Quantised(tensor) => {
                    let size = (FEW_ROWS_PART / width).max(1);
                    let mut weights = Vec::with_capacity(size * width);
                    for first in (0..columns).step_by(size) {
                        weights.clear();
                        let count = size.min(columns - first);
                        dequantise::rows(tensor, part.start + first, count, &mut weights)?;
                        let output = &mut output[first..];
                        few_rows::multiply(input, &weights, width, output, columns);
                    }
                    Ok(())
                }
            }
        })
    }

    /// The gradient of `product`'s input: `[rows, out]` → `[rows, in]`.
    pub fn backward(&self, grad: &Tensor) -> Result<Tensor> {
        #[cfg(target_arch = "x86_64")]
        if let Self::Half(tensor) = self
            && bf16_products::is_available()
        {
            return bf16_products::backward(grad, tensor);
        }
        if let Self::Plain(tensor) = self {
            return grad.matmul(tensor);
        }
        let mut sum: Option<Tensor> = None;
        for (start, count) in parts(self.dims(), PART) {
            let part = grad
                .narrow(1, start, count)?
                .matmul(&self.part(start, count)?)?;
            sum = Some(match sum {
                Some(sum) => (sum + part)?,
                None => part,
            });
        }
        sum.map_or_else(|| candle_core::bail!("a matrix without rows"), Ok)
    }
}

/// Divides the rows of a matrix into parts of about `values` values. Returns the first row of each part and its number of
/// rows.
fn parts(dims: &[usize], values: usize) -> Vec<(usize, usize)> {
    let (out, width) = (dims[0], dims[1]);
    let size = (values / width).clamp(1, out);
    let starts = (0..out).step_by(size);
    starts.map(|start| (start, size.min(out - start))).collect()
}

fn joined(parts: &[Tensor]) -> Result<Tensor> {
    match parts {
        [only] => Ok(only.clone()),
        parts => Tensor::cat(parts, 1),
    }
}

#[cfg(test)]
#[path = "matrix_tests.rs"]
mod tests;
