//! Products of `f32` activations with weights in bf16, computed with the processor's instructions for bf16: they
//! do twice as many multiplications per cycle as those for `f32`. Activations are rounded to bf16 and sums are
//! kept in `f32`, as usual in mixed-precision training (decision 34).

use std::ops::Range;

use candle_core::{Result, Tensor, bail};
use half::bf16;

use super::values::with_values;

/// Columns of the output that are computed at once: two vectors of 16.
const COLUMNS: usize = 32;

/// Rows of the output that are computed at once. With two vectors each, their sums take 28 of the 32 vector
/// registers.
const ROWS: usize = 14;

/// Pairs that are summed before the next columns' turn. A panel of weights this deep stays in a core's cache.
const DEPTH: usize = 1024;

/// Pairs that are copied from a row of weights at once: a cache line.
const LINE: usize = 16;

/// Two neighbouring terms of a sum, the first one in the low half. The processor multiplies them in pairs.
type Pair = u32;

/// Whether this processor has the instructions. Nothing else here may be called if it hasn't.
pub fn is_available() -> bool {
    is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bf16")
}

/// `[rows, in]` and a weight `[out, in]` → `[rows, out]`.
pub fn product(input: &Tensor, weight: &Tensor) -> Result<Tensor> {
    let (out, width) = weight.dims2()?;
    with_values(weight, |values: &[bf16]| {
        multiply(input, (width, out), |panel, from, columns| {
            for (index, lines) in panel.chunks_mut(LINE).enumerate() {
                let start = 2 * (from + index * LINE);
                let terms = start..width.min(start + 2 * lines.len());
                for (place, column) in columns.clone().enumerate() {
                    let row = &values[column * width..][terms.clone()];
                    let (pairs, odd) = row.as_chunks::<2>();
                    for (to, [first, second]) in lines.iter_mut().zip(pairs) {
                        to[place] = pair(*first, *second);
                    }
                    if let ([first], Some(to)) = (odd, lines.last_mut()) {
                        to[place] = pair(*first, bf16::ZERO);
                    }
                }
            }
        })
    })
}

/// The gradient of `product`'s input: `[rows, out]` → `[rows, in]`.
pub fn backward(grad: &Tensor, weight: &Tensor) -> Result<Tensor> {
    let (out, width) = weight.dims2()?;
    with_values(weight, |values: &[bf16]| {
        let zeros = vec![bf16::ZERO; width];
        let row = |index: usize| match index {
            index if index < out => &values[index * width..][..width],
            _ => &zeros,
        };
        multiply(grad, (out, width), |panel, from, columns| {
            for (depth, to) in panel.iter_mut().enumerate() {
                let first = &row(2 * (from + depth))[columns.clone()];
                let second = &row(2 * (from + depth) + 1)[columns.clone()];
                for (to, (first, second)) in to.iter_mut().zip(first.iter().zip(second)) {
                    *to = pair(*first, *second);
                }
            }
        })
    })
}

fn pair(first: bf16, second: bf16) -> Pair {
    Pair::from(first.to_bits()) | Pair::from(second.to_bits()) << 16
}

/// `[rows, terms]` → `[rows, columns]`, with a matrix of which `fill` copies some columns of pairs into a panel:
/// those from the given pair on.
fn multiply(
    input: &Tensor,
    (terms, columns): (usize, usize),
    fill: impl Fn(&mut [[Pair; COLUMNS]], usize, Range<usize>),
) -> Result<Tensor> {
    let (rows, width) = input.dims2()?;
    if width != terms {
        bail!("{:?} can't be multiplied with {terms} rows", input.shape());
    }
    let input = input.contiguous()?;
    let output = with_values(&input, |values: &[f32]| {
        let mut output = vec![0.0; rows * columns];
        let pairs = terms.div_ceil(2);
        let mut panel = vec![[0; COLUMNS]; pairs.min(DEPTH)];
        for from in (0..pairs).step_by(DEPTH) {
            let depth = DEPTH.min(pairs - from);
            let panel = &mut panel[..depth];
            let terms = 2 * from..terms.min(2 * (from + depth));
            let blocks: Vec<_> = values
                .chunks(ROWS * width)
                .map(|rows| simd::block(rows, width, terms.clone()))
                .collect();
            for start in (0..columns).step_by(COLUMNS) {
                let end = columns.min(start + COLUMNS);
                fill(panel, from, start..end);
                for (block, rows) in blocks.iter().zip(output.chunks_mut(ROWS * columns)) {
                    let tile = simd::tile(block, panel);
                    for (row, sums) in rows.chunks_mut(columns).zip(&tile) {
                        for (to, sum) in row[start..end].iter_mut().zip(sums) {
                            *to += sum;
                        }
                    }
                }
            }
        }
        Ok(output)
    })?;
    Tensor::from_vec(output, (rows, columns), input.device())
}

mod simd {
    use std::arch::x86_64::{
        __m512, __m512bh, _mm512_cvtneps_pbh, _mm512_dpbf16_ps, _mm512_set1_epi32,
        _mm512_setzero_ps,
    };
    use std::mem::transmute;
    use std::ops::Range;

    use super::{COLUMNS, Pair, ROWS};

    /// Some columns of up to `ROWS` rows, rounded to bf16, the pairs of all rows side by side.
    pub fn block(rows: &[f32], width: usize, columns: Range<usize>) -> Vec<[Pair; ROWS]> {
        #[target_feature(enable = "avx512f,avx512bf16")]
        fn rounded(values: [f32; 16]) -> [Pair; 8] {
            // SAFETY: arrays of 16 `f32` and of 16 bf16, in which every pattern of bits is a value.
            unsafe { transmute(_mm512_cvtneps_pbh(transmute::<[f32; 16], __m512>(values))) }
        }
        let mut pairs = vec![[0; ROWS]; columns.len().div_ceil(2)];
        for (place, row) in rows.chunks_exact(width).enumerate() {
            for (to, values) in pairs.chunks_mut(8).zip(row[columns.clone()].chunks(16)) {
                let mut padded = [0.0; 16];
                padded[..values.len()].copy_from_slice(values);
                // SAFETY: the caller has asked `is_available`.
                let from = unsafe { rounded(padded) };
                for (to, from) in to.iter_mut().zip(from) {
                    to[place] = from;
                }
            }
        }
        pairs
    }

    /// The products of a block of rows with a panel of columns.
    pub fn tile(block: &[[Pair; ROWS]], panel: &[[Pair; COLUMNS]]) -> [[f32; COLUMNS]; ROWS] {
        #[target_feature(enable = "avx512f,avx512bf16")]
        fn tile(block: &[[Pair; ROWS]], panel: &[[Pair; COLUMNS]]) -> [[f32; COLUMNS]; ROWS] {
            let mut sums = [[_mm512_setzero_ps(); 2]; ROWS];
            for (rows, columns) in block.iter().zip(panel) {
                // SAFETY: two vectors of 32 bf16, in which every pattern of bits is a value.
                let columns: [__m512bh; 2] = unsafe { transmute(*columns) };
                for (sums, pair) in sums.iter_mut().zip(rows) {
                    // SAFETY: as above.
                    let row: __m512bh = unsafe { transmute(_mm512_set1_epi32(pair.cast_signed())) };
                    for (sum, column) in sums.iter_mut().zip(columns) {
                        *sum = _mm512_dpbf16_ps(*sum, row, column);
                    }
                }
            }
            // SAFETY: the same values as arrays.
            unsafe { transmute(sums) }
        }
        // SAFETY: the caller has asked `is_available`.
        unsafe { tile(block, panel) }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use candle_core::{DType, Device};

    use super::*;

    #[test]
    fn products_are_those_of_the_rounded_values_in_f32() {
        if !is_available() {
            // Nothing calls it there: `Matrix` converts bf16 to `f32`.
            return;
        }
        let mut rng = fastrand::Rng::with_seed(1);
        let mut rounded = |rows: usize, columns: usize| {
            let values = (0..rows * columns).map(|_| rng.f32() - 0.5).collect();
            let values: Tensor = Tensor::from_vec(values, (rows, columns), &Device::Cpu).unwrap();
            values.to_dtype(DType::BF16).unwrap()
        };
        let close = |what: &str, left: &Tensor, right: &Tensor| {
            let apart = (left - right).unwrap().abs().unwrap().max_all().unwrap();
            let apart = apart.to_scalar::<f32>().unwrap();
            assert!(apart < 1e-4, "{what} of {:?}: {apart}", left.shape());
        };
        // Incomplete blocks, panels and pairs; sums of more than one panel's depth.
        for (rows, width, out) in [
            (1, 1, 1),
            (15, 33, 31),
            (14, 64, 32),
            (40, 2 * DEPTH + 5, 70),
        ] {
            let (input, weight) = (rounded(rows, width), rounded(out, width));
            let [x, w] = [&input, &weight].map(|half| half.to_dtype(DType::F32).unwrap());
            let expected = x.matmul(&w.t().unwrap()).unwrap();
            close("the product", &product(&x, &weight).unwrap(), &expected);
            let grad = rounded(rows, out).to_dtype(DType::F32).unwrap();
            let expected = grad.matmul(&w).unwrap();
            close(
                "the gradient",
                &backward(&grad, &weight).unwrap(),
                &expected,
            );
        }
    }

    #[test]
    fn what_is_not_a_number_stays_so() {
        if !is_available() {
            return;
        }
        let weight = Tensor::ones((3, 2), DType::BF16, &Device::Cpu).unwrap();
        let input = Tensor::new(&[[1.0, f32::from_bits(0x7fff_ffff)]], &Device::Cpu).unwrap();
        let output = product(&input, &weight).unwrap().to_vec2::<f32>().unwrap();
        assert!(output[0].iter().all(|value| value.is_nan()), "{output:?}");
    }
}
