//! The order of the rows of queries and keys. llama.cpp rotates neighbours where Hugging Face rotates the two
//! halves of a head, so its converter sorts the rows of Llama's models; this puts them back.

use std::borrow::Cow;

use candle_core::quantized::{QStorage, QTensor};
use candle_core::{Device, Result, bail};

/// The rows of each head in Hugging Face's order. Values that are quantised stay as they are: only whole rows
/// are moved.
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
