//! Operations with a backward pass of their own. candle's fused ops (norm, rotary embedding, softmax) have
//! none, so it's defined here. Each of these is one node in candle's graph: every node costs two more passes
//! over its values, and a gradient for weights that never change (decision 0012).

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp1, CustomOp2, CustomOp3, Layout, Result, Shape, Storage};
use candle_core::{Tensor, bail};

/// The gradients of `N` inputs for the output's. `None` for an input that learns nothing.
pub trait Back<const N: usize>: Fn(&Tensor) -> Result<[Option<Tensor>; N]> + Send + Sync {}

impl<const N: usize, F: Fn(&Tensor) -> Result<[Option<Tensor>; N]> + Send + Sync> Back<N> for F {}

/// `output`, computed from one input.
pub fn of1(input: &Tensor, output: Tensor, back: impl Back<1> + 'static) -> Result<Tensor> {
    input.apply_op1(Precomputed { output, back })
}

/// `output`, computed from two inputs.
pub fn of2(inputs: [&Tensor; 2], output: Tensor, back: impl Back<2> + 'static) -> Result<Tensor> {
    inputs[0].apply_op2(inputs[1], Precomputed { output, back })
}

/// `output`, computed from three inputs.
pub fn of3(inputs: [&Tensor; 3], output: Tensor, back: impl Back<3> + 'static) -> Result<Tensor> {
    inputs[0].apply_op3(inputs[1], inputs[2], Precomputed { output, back })
}

struct Precomputed<F> {
    output: Tensor,
    back: F,
}

const NAME: &str = "known";

impl<F> Precomputed<F> {
    /// The output's values once more: a node owns its storage.
    fn forward(&self) -> Result<(CpuStorage, Shape)> {
        let output = self.output.contiguous()?;
        let (storage, layout) = output.storage_and_layout();
        match &*storage {
            Storage::Cpu(storage) if layout.start_offset() == 0 => {
                Ok((storage.try_clone(layout)?, output.shape().clone()))
            }
            _ => bail!("an operation of this model runs on the CPU only"),
        }
    }
}

impl<F: Back<1>> CustomOp1 for Precomputed<F> {
    fn name(&self) -> &'static str {
        NAME
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        self.forward()
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let [first] = (self.back)(grad)?;
        Ok(first)
    }
}

impl<F: Back<2>> CustomOp2 for Precomputed<F> {
    fn name(&self) -> &'static str {
        NAME
    }

    fn cpu_fwd(
        &self,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        self.forward()
    }

    fn bwd(
        &self,
        _: &Tensor,
        _: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let [first, second] = (self.back)(grad)?;
        Ok((first, second))
    }
}

impl<F: Back<3>> CustomOp3 for Precomputed<F> {
    fn name(&self) -> &'static str {
        NAME
    }

    fn cpu_fwd(
        &self,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        self.forward()
    }

    fn bwd(
        &self,
        _: &Tensor,
        _: &Tensor,
        _: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let [first, second, third] = (self.back)(grad)?;
        Ok((first, second, third))
    }
}
