//! The weight of a linear layer or an embedding: as it is, or quantised. A quantised one is turned back into
//! `f32` a part at a time, for each product anew: the memory is that of the quantised values, and the products
//! are those of the model with its weights dequantised.

use std::sync::Arc;

use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{Device, Result, Tensor};
use rayon::prelude::*;

use super::dequantise;

/// So many values are dequantised at once where one core does all of it.
const PART: usize = 1 << 22;

/// The same where cores share: it stays in a core's cache.
const SHARED_PART: usize = 1 << 17;

/// Multiplications below which waking another core takes longer than it helps.
const WORTH_SHARING: usize = 1 << 18;

static CPU: Device = Device::Cpu;

/// A matrix `[out, in]`.
#[derive(Debug, Clone)]
pub enum Matrix {
    /// Of `f32`.
    Plain(Tensor),
    /// In a type of GGML's.
    Quantised(Arc<QTensor>),
}

impl From<Tensor> for Matrix {
    fn from(tensor: Tensor) -> Self {
        Self::Plain(tensor)
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
            Self::Plain(tensor) => tensor.dims(),
            Self::Quantised(tensor) => tensor.shape().dims(),
        }
    }

    /// Where it is.
    #[must_use]
    pub fn device(&self) -> &Device {
        match self {
            Self::Plain(tensor) => tensor.device(),
            Self::Quantised(_) => &CPU,
        }
    }

    /// The memory that it takes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        match self {
            Self::Plain(tensor) => tensor.elem_count() * tensor.dtype().size_in_bytes(),
            Self::Quantised(tensor) => tensor.storage_size_in_bytes(),
        }
    }

    /// How many of its values are dequantised at once.
    #[must_use]
    pub fn dequantised(&self) -> usize {
        match self {
            Self::Plain(_) => 0,
            Self::Quantised(tensor) => tensor.shape().elem_count().min(PART),
        }
    }

    /// The type of its values, if it's quantised.
    #[must_use]
    pub fn quantised(&self) -> Option<GgmlDType> {
        match self {
            Self::Plain(_) => None,
            Self::Quantised(tensor) => Some(tensor.dtype()),
        }
    }

    /// The tensor that is learned, when a base is trained.
    #[must_use]
    pub fn variable(&self) -> Option<&Tensor> {
        match self {
            Self::Plain(tensor) => Some(tensor).filter(|tensor| tensor.is_variable()),
            Self::Quantised(_) => None,
        }
    }

    /// Some of its rows, `[ids, in]`.
    pub fn rows(&self, ids: &Tensor) -> Result<Tensor> {
        match self {
            Self::Plain(tensor) => tensor.index_select(ids, 0),
            Self::Quantised(tensor) => tensor.embedding(ids),
        }
    }

    /// `[rows, in]` → `[rows, out]`, on this core.
    pub fn product(&self, input: &Tensor) -> Result<Tensor> {
        match self {
            Self::Plain(tensor) => input.matmul(&tensor.t()?),
            Self::Quantised(tensor) => {
                let parts = parts(self.dims(), PART);
                let product = |(start, count)| -> Result<Tensor> {
                    input.matmul(&dequantise::rows(tensor, start, count)?.t()?)
                };
                joined(&parts.into_iter().map(product).collect::<Result<Vec<_>>>()?)
            }
        }
    }

    /// The same, split by output across the cores of the current thread pool. For generation, which has few
    /// rows and nothing else to do in parallel.
    pub fn shared_product(&self, input: &Tensor) -> Result<Tensor> {
        let (out, width) = (self.dims()[0], self.dims()[1]);
        let cores = rayon::current_num_threads();
        let small = cores == 1 || input.dim(0)? * out * width < WORTH_SHARING;
        let fair = out.div_ceil(cores) * width;
        let size = match self {
            _ if small => return self.product(input),
            Self::Plain(_) => fair,
            Self::Quantised(_) => fair.min(SHARED_PART),
        };
        let product = |(start, count): (usize, usize)| match self {
            Self::Plain(tensor) => input.matmul(&tensor.narrow(0, start, count)?.t()?),
            Self::Quantised(tensor) => input.matmul(&dequantise::rows(tensor, start, count)?.t()?),
        };
        let parts = parts(self.dims(), size);
        joined(
            &parts
                .into_par_iter()
                .map(product)
                .collect::<Result<Vec<_>>>()?,
        )
    }

    /// The gradient of `product`'s input: `[rows, out]` → `[rows, in]`.
    pub fn backward(&self, grad: &Tensor) -> Result<Tensor> {
        let tensor = match self {
            Self::Plain(tensor) => return grad.matmul(tensor),
            Self::Quantised(tensor) => tensor,
        };
        let mut sum: Option<Tensor> = None;
        for (start, count) in parts(self.dims(), PART) {
            let part = grad
                .narrow(1, start, count)?
                .matmul(&dequantise::rows(tensor, start, count)?)?;
            sum = Some(match sum {
                Some(sum) => (sum + part)?,
                None => part,
            });
        }
        sum.map_or_else(|| candle_core::bail!("a matrix without rows"), Ok)
    }
}

/// The rows of a matrix in parts of about so many values: the first row of each, and how many.
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
        let (input, weight) = (matrix(2, 256), Matrix::from(matrix(1031, 256)));
        let product = |cores: usize| with_cores(cores, || weight.shared_product(&input).unwrap());
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

    #[test]
    fn a_quantised_matrix_is_its_dequantised_one_in_every_product() {
        let mut rng = fastrand::Rng::with_seed(2);
        let mut matrix = |rows: usize, columns: usize| {
            let values: Vec<f32> = (0..rows * columns).map(|_| rng.f32() - 0.5).collect();
            Tensor::from_vec(values, (rows, columns), &Device::Cpu).unwrap()
        };
        // More than one part.
        let (out, width) = (PART / 256 + 77, 256);
        let tensor = QTensor::quantize(&matrix(out, width), GgmlDType::Q4_1).unwrap();
        let plain = Matrix::from(tensor.dequantize(&Device::Cpu).unwrap());
        let quantised = Matrix::from(tensor);
        assert!(quantised.bytes() * 6 < plain.bytes());
        let (input, grad) = (matrix(3, width), matrix(3, out));
        let ids = Tensor::new(&[5_u32, 16_400, 5], &Device::Cpu).unwrap();
        let close = |what: &str, left: Tensor, right: Tensor| {
            let apart = (left - right).unwrap().abs().unwrap().max_all().unwrap();
            let apart = apart.to_scalar::<f32>().unwrap();
            assert!(apart < 1e-4, "{what}: {apart}");
        };
        let product = |matrix: &Matrix| matrix.product(&input).unwrap();
        close("product", product(&quantised), product(&plain));
        let backward = |matrix: &Matrix| matrix.backward(&grad).unwrap();
        close("backward", backward(&quantised), backward(&plain));
        let rows = |matrix: &Matrix| matrix.rows(&ids).unwrap();
        close("rows", rows(&quantised), rows(&plain));
        for cores in [1, 3] {
            let shared = |matrix: &Matrix| matrix.shared_product(&input).unwrap();
            with_cores(cores, || {
                close("shared", shared(&quantised), shared(&plain));
            });
        }
    }
}
