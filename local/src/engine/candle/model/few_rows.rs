//! Products of a few rows with a large matrix, as generation needs them: each weight is read from memory once for
//! all rows, and that's what takes the time. A row's result doesn't depend on the rows beside it, nor on the number
//! of cores.

#![allow(
    clippy::inline_always,
    reason = "only what is inlined into `dispatch` is compiled for the processor that it runs on"
)]

use std::ops::Range;

use candle_core::{Device, Result, Tensor};
use half::bf16;
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::values::with_values;

/// With more rows than this, a general matrix product is faster.
pub const MOST: usize = 8;

/// Rows of weights that are multiplied at once.
const TOGETHER: usize = 2;

/// Vectors that are summed side by side, so that an addition needn't wait for the one before.
const VECTORS: usize = 2;

/// `[rows, in]` → `[rows, out]`. `multiply` gets the rows and a range of outputs, and writes their products row by row.
pub fn product(
    input: &Tensor,
    out: usize,
    cores: usize,
    multiply: impl Fn(&[f32], Range<usize>, &mut [f32]) -> Result<()> + Sync,
) -> Result<Tensor> {
    let rows = input.dim(0)?;
    let input = input.contiguous()?;
    let size = out.div_ceil(cores);
    let starts: Vec<usize> = (0..out).step_by(size).collect();
    let product = |start: usize| {
        let part = start..out.min(start + size);
        let mut output = vec![0.0; rows * part.len()];
        with_values(&input, |values| multiply(values, part, &mut output))?;
        Ok(output)
    };
    let parts: Vec<Vec<f32>> = starts.into_par_iter().map(product).collect::<Result<_>>()?;
    let mut output = Vec::with_capacity(rows * out);
    for row in 0..rows {
        for part in &parts {
            let length = part.len() / rows;
            output.extend_from_slice(&part[row * length..][..length]);
        }
    }
    Tensor::from_vec(output, (rows, out), &Device::Cpu)
}

/// Writes the products of each row of `input` with each row of `weights`. The rows of `output` are `columns` apart.
pub fn multiply<T: Weight>(
    input: &[f32],
    weights: &[T],
    width: usize,
    output: &mut [f32],
    columns: usize,
) {
    Arch::new().dispatch(Multiply {
        input,
        weights,
        width,
        output,
        columns,
    });
}

struct Multiply<'a, T> {
    input: &'a [f32],
    weights: &'a [T],
    width: usize,
    output: &'a mut [f32],
    columns: usize,
}

impl<T: Weight> WithSimd for Multiply<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let rows: Vec<&[f32]> = self.input.chunks_exact(self.width).collect();
        let mut buffers = [(); TOGETHER].map(|()| vec![0.0; self.width]);
        for (index, weights) in self.weights.chunks(TOGETHER * self.width).enumerate() {
            // The last weights may be alone: they're multiplied twice then.
            let last = weights.len() - self.width;
            let count = weights.len() / self.width;
            let [first, second] = &mut buffers;
            let weights = [
                T::values(&weights[..self.width], first),
                T::values(&weights[last..], second),
            ];
            let column = index * TOGETHER;
            for (place, rows) in rows.chunks(4).enumerate() {
                let output = &mut self.output[place * 4 * self.columns + column..];
                match *rows {
                    [a] => write(dots(simd, [a], weights), output, (self.columns, count)),
                    [a, b] => write(dots(simd, [a, b], weights), output, (self.columns, count)),
                    [a, b, c] => write(
                        dots(simd, [a, b, c], weights),
                        output,
                        (self.columns, count),
                    ),
                    [a, b, c, d] => write(
                        dots(simd, [a, b, c, d], weights),
                        output,
                        (self.columns, count),
                    ),
                    _ => {}
                }
            }
        }
    }
}

/// A type of weights that's multiplied as `f32`.
pub trait Weight: Copy {
    /// Some weights as `f32`, in `buffer` if they aren't already.
    fn values<'a>(weights: &'a [Self], buffer: &'a mut [f32]) -> &'a [f32];
}

impl Weight for f32 {
    #[inline(always)]
    fn values<'a>(weights: &'a [Self], _: &'a mut [f32]) -> &'a [f32] {
        weights
    }
}

impl Weight for bf16 {
    #[inline(always)]
    fn values<'a>(weights: &'a [Self], buffer: &'a mut [f32]) -> &'a [f32] {
        for (to, half) in buffer.iter_mut().zip(weights) {
            *to = f32::from_bits(u32::from(half.to_bits()) << 16);
        }
        buffer
    }
}

/// The products of rows with weights, by row. Several at once, so that each value is loaded for more than one of them.
/// A product is always summed in the same order.
#[inline(always)]
fn dots<S: Simd, const ROWS: usize>(
    simd: S,
    rows: [&[f32]; ROWS],
    weights: [&[f32]; TOGETHER],
) -> [[f32; TOGETHER]; ROWS] {
    let (rows, weights) = (rows.map(chunks::<S>), weights.map(chunks::<S>));
    let length = weights[0].0.len();
    // Slices of one length, so that the loop needs no checks.
    let row_chunks = rows.map(|(chunks, _)| &chunks[..length]);
    let weight_chunks = weights.map(|(chunks, _)| &chunks[..length]);
    let mut sums = [[[simd.splat_f32s(0.0); VECTORS]; TOGETHER]; ROWS];
    for place in 0..length {
        for (sums, row) in sums.iter_mut().zip(row_chunks) {
            for (sums, weights) in sums.iter_mut().zip(weight_chunks) {
                for (vector, sum) in sums.iter_mut().enumerate() {
                    *sum = simd.mul_add_e_f32s(row[place][vector], weights[place][vector], *sum);
                }
            }
        }
    }
    let mut products = [[0.0; TOGETHER]; ROWS];
    for ((products, sums), (_, row)) in products.iter_mut().zip(sums).zip(rows) {
        let weights = weights.iter().map(|(_, rest)| rest);
        for ((product, sums), weights) in products.iter_mut().zip(sums).zip(weights) {
            let sum = sums
                .into_iter()
                .reduce(|sum, other| simd.add_f32s(sum, other));
            *product = sum.map_or(0.0, |sum| simd.reduce_sum_f32s(sum));
            for (left, right) in row.iter().zip(*weights) {
                *product += left * right;
            }
        }
    }
    products
}

/// Values in chunks of `VECTORS` vectors, and the rest.
#[inline(always)]
fn chunks<S: Simd>(values: &[f32]) -> (&[[S::f32s; VECTORS]], &[f32]) {
    let (chunks, _) = S::as_simd_f32s(values).0.as_chunks::<VECTORS>();
    let rest = values.len() - values.len() % (VECTORS * size_of::<S::f32s>() / size_of::<f32>());
    (chunks, &values[rest..])
}

/// Writes the products of rows, which are `columns` apart in the output. Of a last column, only the first.
#[inline(always)]
fn write<const ROWS: usize>(
    products: [[f32; TOGETHER]; ROWS],
    output: &mut [f32],
    (columns, count): (usize, usize),
) {
    for (products, output) in products.iter().zip(output.chunks_mut(columns)) {
        for (to, product) in output.iter_mut().zip(products).take(count) {
            *to = *product;
        }
    }
}
