//! Operations with a backward pass of their own. candle's fused ops (norm, rotary embedding, softmax) have
//! none, so it's defined here. Each of these is one node in candle's graph: every node costs two more passes
//! over its values, and a gradient for weights that never change (decision 0012).

use std::sync::{Mutex, PoisonError};

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp1, CustomOp2, CustomOp3, Layout, Result, Shape, Storage};
use candle_core::{Tensor, bail};

/// A backward pass: from the gradient of the output to those of the `N` inputs, `None` where an input
/// needs no gradient.
pub trait Backward<const N: usize>:
    Fn(&Tensor) -> Result<[Option<Tensor>; N]> + Send + Sync
{
}

impl<const N: usize, F: Fn(&Tensor) -> Result<[Option<Tensor>; N]> + Send + Sync> Backward<N>
    for F
{
}

/// `output`, computed from one input.
pub fn with_backward1(
    input: &Tensor,
    output: Tensor,
    back: impl Backward<1> + 'static,
) -> Result<Tensor> {
    input.apply_op1(Precomputed::new(output, back))
}

/// `output`, computed from two inputs.
pub fn with_backward2(
    inputs: [&Tensor; 2],
    output: Tensor,
    back: impl Backward<2> + 'static,
) -> Result<Tensor> {
    inputs[0].apply_op2(inputs[1], Precomputed::new(output, back))
}

/// `output`, computed from three inputs.
pub fn with_backward3(
    inputs: [&Tensor; 3],
    output: Tensor,
    back: impl Backward<3> + 'static,
) -> Result<Tensor> {
    inputs[0].apply_op3(inputs[1], inputs[2], Precomputed::new(output, back))
}

/// Stands for `output`, whose gradient is known: the backward pass of what comes before it starts from there.
pub fn seeded(output: &Tensor, grad: Tensor) -> Result<Tensor> {
    let end = Tensor::zeros((), output.dtype(), output.device())?;
    with_backward1(output, end, move |_| Ok([Some(grad.clone())]))
}

struct Precomputed<F> {
    /// Gone once the node has its values, which then are in memory once.
    output: Mutex<Option<Tensor>>,
    back: F,
}

const NAME: &str = "precomputed";

impl<F> Precomputed<F> {
    fn new(output: Tensor, back: F) -> Self {
        let output = Mutex::new(Some(output));
        Self { output, back }
    }

    /// The output's values: a node owns its storage.
    fn forward(&self) -> Result<(CpuStorage, Shape)> {
        let output = self
            .output
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let Some(output) = output else {
            bail!("an operation of this model runs once only");
        };
        let output = output.contiguous()?;
        let (storage, layout) = output.storage_and_layout();
        match &*storage {
            Storage::Cpu(storage) if layout.start_offset() == 0 => {
                Ok((storage.try_clone(layout)?, output.shape().clone()))
            }
            _ => bail!("an operation of this model runs on the CPU only"),
        }
    }
}

impl<F: Backward<1>> CustomOp1 for Precomputed<F> {
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

impl<F: Backward<2>> CustomOp2 for Precomputed<F> {
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

impl<F: Backward<3>> CustomOp3 for Precomputed<F> {
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
