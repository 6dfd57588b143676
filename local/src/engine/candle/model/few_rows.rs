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

use super::matrix::Matrix;
use super::values::with_values;

/// With more rows than this, a general matrix product is faster.
pub const MOST: usize = 8;

/// Number of values that are converted to `f32` at once: they stay in a core's first cache.
const CONVERTED: usize = 4096;

/// Vectors that are summed up side by side, so that an addition needn't wait for the one before.
const VECTORS: usize = 4;

/// `[rows, in]` → `[rows, out]`.
pub fn product(input: &Tensor, matrix: &Matrix, cores: usize) -> Result<Tensor> {
    let (rows, width) = input.dims2()?;
    let out = matrix.dims()[0];
    let input = input.contiguous()?;
    let size = out.div_ceil(cores);
    let parts: Vec<Range<usize>> = (0..out)
        .step_by(size)
        .map(|start| start..out.min(start + size))
        .collect();
    let product = |part: Range<usize>| {
        with_values(&input, |values| {
            products(values, width, matrix, part.clone())
        })
    };
    let parts: Vec<Vec<f32>> = parts.into_par_iter().map(product).collect::<Result<_>>()?;
    let mut output = Vec::with_capacity(rows * out);
    for row in 0..rows {
        for part in &parts {
            let length = part.len() / rows;
            output.extend_from_slice(&part[row * length..][..length]);
        }
    }
    Tensor::from_vec(output, (rows, out), &Device::Cpu)
}

/// Some columns of the product, row by row.
fn products(input: &[f32], width: usize, matrix: &Matrix, part: Range<usize>) -> Result<Vec<f32>> {
    let columns = part.len();
    let mut output = vec![0.0; input.len() / width * columns];
    let values = part.start * width..part.end * width;
    match matrix {
        Matrix::Plain(tensor) => with_values(tensor, |weights: &[f32]| {
            multiply(input, &weights[values], width, &mut output, columns);
            Ok(())
        })?,
        Matrix::Half(tensor) => with_values(tensor, |weights: &[bf16]| {
            multiply(input, &weights[values], width, &mut output, columns);
            Ok(())
        })?,
        Matrix::Quantised(_) => {
            let size = (CONVERTED / width).max(1);
            let mut weights = Vec::with_capacity(size * width);
            for first in (0..columns).step_by(size) {
                weights.clear();
                let count = size.min(columns - first);
                matrix.convert(part.start + first, count, &mut weights)?;
                multiply(input, &weights, width, &mut output[first..], columns);
            }
        }
    }
    Ok(output)
}

/// Writes the products of each row of `input` with each row of `weights`. The rows of `output` are `columns` apart.
fn multiply<T: Weight>(
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
        let mut buffer = vec![0.0; self.width];
        for (column, weights) in self.weights.chunks_exact(self.width).enumerate() {
            let weights = T::values(weights, &mut buffer);
            let output = self.output.iter_mut().skip(column).step_by(self.columns);
            for (to, row) in output.zip(self.input.chunks_exact(self.width)) {
                *to = dot(simd, row, weights);
            }
        }
    }
}

/// A type of weights that's multiplied as `f32`.
trait Weight: Copy {
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

#[inline(always)]
fn dot<S: Simd>(simd: S, left: &[f32], right: &[f32]) -> f32 {
    let ((left, left_rest), (right, right_rest)) = (S::as_simd_f32s(left), S::as_simd_f32s(right));
    let mut sums = [simd.splat_f32s(0.0); VECTORS];
    let (left, left_last) = left.as_chunks::<VECTORS>();
    let (right, right_last) = right.as_chunks::<VECTORS>();
    for (left, right) in left.iter().zip(right) {
        for place in 0..VECTORS {
            sums[place] = simd.mul_add_e_f32s(left[place], right[place], sums[place]);
        }
    }
    for (left, right) in left_last.iter().zip(right_last) {
        sums[0] = simd.mul_add_e_f32s(*left, *right, sums[0]);
    }
    let [first, second, third, fourth] = sums;
    let sum = simd.add_f32s(simd.add_f32s(first, second), simd.add_f32s(third, fourth));
    let mut sum = simd.reduce_sum_f32s(sum);
    for (left, right) in left_rest.iter().zip(right_rest) {
        sum += left * right;
    }
    sum
}
