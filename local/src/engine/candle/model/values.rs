//! Tensors as slices, for loops of our own over their values.

use candle_core::{CpuStorage, DType, Layout, Result, Storage, Tensor, bail};
use half::bf16;

/// A type of values that a tensor can hold.
pub trait Value: Sized {
    /// The values of a storage. Errors if it holds another type.
    fn slice(storage: &CpuStorage) -> Result<&[Self]>;
}

impl Value for f32 {
    fn slice(storage: &CpuStorage) -> Result<&[Self]> {
        match storage {
            CpuStorage::F32(values) => Ok(values),
            _ => bail!("{:?} is expected", DType::F32),
        }
    }
}

impl Value for bf16 {
    fn slice(storage: &CpuStorage) -> Result<&[Self]> {
        match storage {
            CpuStorage::BF16(values) => Ok(values),
            _ => bail!("{:?} is expected", DType::BF16),
        }
    }
}

/// Calls `work` with the values of a contiguous tensor.
pub fn with_values<V: Value, T>(
    tensor: &Tensor,
    work: impl FnOnce(&[V]) -> Result<T>,
) -> Result<T> {
    let (storage, layout) = tensor.storage_and_layout();
    let Storage::Cpu(storage) = &*storage else {
        bail!("a tensor on the CPU is expected");
    };
    let (start, end) = contiguous(layout)?;
    work(&V::slice(storage)?[start..end])
}

/// Where the values of a tensor start and end in its storage.
pub fn contiguous(layout: &Layout) -> Result<(usize, usize)> {
    match layout.contiguous_offsets() {
        Some(offsets) => Ok(offsets),
        None => bail!("the values of {layout:?} don't follow each other in memory"),
    }
}
