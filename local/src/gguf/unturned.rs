//! Restores the order of query and key rows. llama.cpp rotates neighbouring rows, while Hugging Face
//! rotates the two halves of a head, so llama.cpp's converter reorders the rows of Llama models.

use std::borrow::Cow;

use candle_core::quantized::{QStorage, QTensor};
use candle_core::{Device, Result, bail};

/// Puts the rows of each head in Hugging Face's order. Quantised values don't change, because only whole
/// rows are moved.
pub fn unturned(tensor: &QTensor, heads: usize) -> Result<QTensor> {
    let shape = tensor.shape().clone();
    let rows = shape.dims()[0];
    if heads == 0 || !rows.is_multiple_of(2 * heads) {
        bail!("{rows} rows can't be those of {heads} heads");
    }
    let data = tensor.data()?;
    let size = data.len() / rows;
    let head = rows / heads;
    let mut sorted = Vec::with_capacity(data.len());
    for row in 0..rows {
        let (start, place) = (row / head * head, row % head);
        let from = start + 2 * (place % (head / 2)) + place / (head / 2);
        sorted.extend_from_slice(&data[from * size..(from + 1) * size]);
    }
    let storage = QStorage::from_data(Cow::Owned(sorted), &Device::Cpu, tensor.dtype())?;
    QTensor::new(storage, shape)
}
