//! A matrix product with a frozen weight. Flow in: rows. Flow out: rows, and on the way back a
//! gradient for the rows only. A module because candle's own matmul also computes the gradient of
//! its right-hand side, which is a third of all work when that side is a base that never changes.

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Storage, Tensor, bail};

/// `[rows, in]` · `weight`ᵀ, where `weight` is `[out, in]` and learns nothing.
pub fn matmul(input: &Tensor, weight: &Tensor) -> Result<Tensor> {
    input.contiguous()?.apply_op1(FrozenMatmul {
        weight: weight.clone(),
    })
}

struct FrozenMatmul {
    weight: Tensor,
}

impl CustomOp1 for FrozenMatmul {
    fn name(&self) -> &'static str {
        "frozen-matmul"
    }

    fn cpu_fwd(&self, input: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (rows, inner) = layout.shape().dims2()?;
        let weight = self.weight.t()?;
        let out = weight.dim(1)?;
        let (storage, weight_layout) = weight.storage_and_layout();
        let Storage::Cpu(weight) = &*storage else {
            bail!("frozen-matmul runs on the CPU only")
        };
        let output = input.matmul(weight, (1, rows, out, inner), layout, weight_layout)?;
        Ok((output, Shape::from((rows, out))))
    }

    fn bwd(&self, _input: &Tensor, _output: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        grad.matmul(&self.weight).map(Some)
    }
}
