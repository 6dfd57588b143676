//! Converts quantised rows, and rows in bf16, to `f32`. candle's own functions are compiled for the oldest supported
//! processor; these are also compiled for newer ones, which makes an answer from quantised weights as fast as one from
//! `f32`. The values are the same to the bit.

#![allow(
    clippy::inline_always,
    reason = "what isn't inlined into pulp's function is compiled for any processor"
)]

use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{Device, Result, Tensor};
use half::{bf16, f16};
use pulp::Arch;

/// Appends rows `start..start + count` of a matrix to `values`.
pub fn rows(tensor: &QTensor, start: usize, count: usize, values: &mut Vec<f32>) -> Result<()> {
    let (all, _) = tensor.shape().dims2()?;
    let row = |row: usize| u32::try_from(row).unwrap_or(u32::MAX);
    let data = tensor.data()?;
    let size = data.len() / all;
    let data = &data[start * size..(start + count) * size];
    match tensor.dtype() {
        GgmlDType::Q4_0 => each(data, values, q4_0),
        GgmlDType::Q4_1 => each(data, values, q4_1),
        GgmlDType::Q8_0 => each(data, values, q8_0),
        GgmlDType::Q4K => each(data, values, q4_k),
        GgmlDType::Q6K => each(data, values, q6_k),
        _ => {
            let ids = Tensor::arange(row(start), row(start + count), &Device::Cpu)?;
            values.extend(tensor.embedding(&ids)?.flatten_all()?.to_vec1::<f32>()?);
        }
    }
    Ok(())
}

/// Appends `halves` to `values`.
pub fn halves(halves: &[bf16], values: &mut Vec<f32>) {
    let start = values.len();
    values.resize(start + halves.len(), 0.0);
    Arch::new().dispatch(
        #[inline(always)]
        || {
            for (to, half) in values[start..].iter_mut().zip(halves) {
                *to = f32::from_bits(u32::from(half.to_bits()) << 16);
            }
        },
    );
}

/// Turns blocks of `BYTES` bytes into `VALUES` values each.
fn each<const BYTES: usize, const VALUES: usize>(
    data: &[u8],
    values: &mut Vec<f32>,
    block: impl Fn(&[u8; BYTES]) -> [f32; VALUES],
) {
    let (blocks, _) = data.as_chunks::<BYTES>();
    Arch::new().dispatch(
        #[inline(always)]
        || {
            for bytes in blocks {
                values.extend_from_slice(&block(bytes));
            }
        },
    );
}

#[inline(always)]
fn float(bytes: &[u8], at: usize) -> f32 {
    f16::from_le_bytes([bytes[at], bytes[at + 1]]).to_f32()
}

#[inline(always)]
fn q4_0(block: &[u8; 18]) -> [f32; 32] {
    let scale = float(block, 0);
    let mut values = [0.0; 32];
    for place in 0..16 {
        let byte = block[2 + place];
        values[place] = f32::from((byte & 15).cast_signed() - 8) * scale;
        values[place + 16] = f32::from((byte >> 4).cast_signed() - 8) * scale;
    }
    values
}

#[inline(always)]
fn q4_1(block: &[u8; 20]) -> [f32; 32] {
    let (scale, least) = (float(block, 0), float(block, 2));
    let mut values = [0.0; 32];
    for place in 0..16 {
        let byte = block[4 + place];
        values[place] = f32::from(byte & 15) * scale + least;
        values[place + 16] = f32::from(byte >> 4) * scale + least;
    }
    values
}

#[inline(always)]
fn q8_0(block: &[u8; 34]) -> [f32; 32] {
    let scale = float(block, 0);
    let mut values = [0.0; 32];
    for (value, byte) in values.iter_mut().zip(&block[2..]) {
        *value = f32::from(byte.cast_signed()) * scale;
    }
    values
}

#[inline(always)]
fn q4_k(block: &[u8; 144]) -> [f32; 256] {
    let (scale, least) = (float(block, 0), float(block, 2));
    let packed = &block[4..16];
    // Six bits each, packed into twelve bytes.
    let six = |part: usize| {
        if part < 4 {
            (packed[part] & 63, packed[part + 4] & 63)
        } else {
            let (low, high) = (packed[part + 4] & 15, packed[part + 4] >> 4);
            (
                low | (packed[part - 4] >> 6) << 4,
                high | (packed[part] >> 6) << 4,
            )
        }
    };
    let mut values = [0.0; 256];
    for part in 0..8 {
        let (own_scale, own_least) = six(part);
        let (scale, least) = (scale * f32::from(own_scale), least * f32::from(own_least));
        let bytes = &block[16 + part / 2 * 32..][..32];
        let shift = part % 2 * 4;
        for (value, byte) in values[part * 32..][..32].iter_mut().zip(bytes) {
            *value = scale * f32::from(byte >> shift & 15) - least;
        }
    }
    values
}

#[inline(always)]
fn q6_k(block: &[u8; 210]) -> [f32; 256] {
    let scale = float(block, 208);
    let mut values = [0.0; 256];
    for part in 0..8 {
        // Each half of a block has four parts of 32: their lower four bits share bytes by two, their upper two
        // by four.
        let (half, quarter) = (part / 4, part % 4);
        let low = &block[half * 64 + quarter % 2 * 32..][..32];
        let high = &block[128 + half * 32..][..32];
        let (low_shift, high_shift) = (quarter / 2 * 4, quarter * 2);
        for side in 0..2 {
            let own = scale * f32::from(block[192 + part * 2 + side].cast_signed());
            for place in side * 16..side * 16 + 16 {
                let bits = low[place] >> low_shift & 15 | (high[place] >> high_shift & 3) << 4;
                values[part * 32 + place] = own * f32::from(bits.cast_signed() - 32);
            }
        }
    }
    values
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use super::*;

    #[test]
    fn the_values_are_candles_in_every_type() {
        let mut rng = fastrand::Rng::with_seed(3);
        let values: Vec<f32> = (0..6 * 512).map(|_| rng.f32() * 3.0 - 1.2).collect();
        let plain = Tensor::from_vec(values, (6, 512), &Device::Cpu).unwrap();
        for dtype in [
            GgmlDType::F16,
            GgmlDType::BF16,
            GgmlDType::Q4_0,
            GgmlDType::Q4_1,
            GgmlDType::Q5_0,
            GgmlDType::Q5_1,
            GgmlDType::Q8_0,
            GgmlDType::Q2K,
            GgmlDType::Q3K,
            GgmlDType::Q4K,
            GgmlDType::Q5K,
            GgmlDType::Q6K,
        ] {
            let tensor = QTensor::quantize(&plain, dtype).unwrap();
            let expected = tensor.dequantize(&Device::Cpu).unwrap();
            let expected = expected.narrow(0, 1, 4).unwrap().flatten_all().unwrap();
            let expected = expected.to_vec1::<f32>().unwrap();
            let mut found = Vec::new();
            rows(&tensor, 1, 4, &mut found).unwrap();
            assert!(found == expected, "{dtype:?}");
        }
    }
}
