//! Softmax and SwiGLU in one pass over memory, with the processor's vector instructions. candle's own take
//! several passes, each into new memory, and call the C library's `expf` for each value.

#![allow(
    clippy::inline_always,
    reason = "only what is inlined into `dispatch` is compiled for the processor that it runs on"
)]

use std::ops::Range;

use candle_core::{CpuStorage, DType, InplaceOp1, Layout, Result, Shape, Storage, Tensor, bail};
use pulp::Arch;

use super::values::{Value, contiguous};

/// Values that are reduced side by side: as many as the widest vectors hold, so that a loop over them becomes
/// one instruction.
const LANES: usize = 16;

/// The softmax of each row, in place. A row sees the columns that `seen` gives for its index; the others become 0.
pub fn softmax(scores: Tensor, seen: impl Fn(usize) -> Range<usize> + Sync) -> Result<Tensor> {
    scores.inplace_op1(&Softmax { seen })?;
    Ok(scores)
}

struct Softmax<F> {
    seen: F,
}

impl<F: Fn(usize) -> Range<usize> + Sync> InplaceOp1 for Softmax<F> {
    fn name(&self) -> &'static str {
        "softmax"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> Result<()> {
        let (start, end) = contiguous(layout)?;
        let CpuStorage::F32(values) = storage else {
            bail!("{:?} on a CPU is expected", DType::F32);
        };
        let width = layout.shape().dims().last().copied().unwrap_or(1).max(1);
        Arch::new().dispatch(
            #[inline(always)]
            || {
                for (index, row) in values[start..end].chunks_exact_mut(width).enumerate() {
                    let seen = (self.seen)(index);
                    row[..seen.start].fill(0.0);
                    row[seen.end..].fill(0.0);
                    softmax_of(&mut row[seen]);
                }
            },
        );
        Ok(())
    }
}

#[inline(always)]
fn softmax_of(row: &mut [f32]) {
    let max = reduce(row, f32::NEG_INFINITY, |max, value| {
        if value > max { value } else { max }
    });
    for value in row.iter_mut() {
        *value = exp(*value - max);
    }
    let scale = 1.0 / reduce(row, 0.0, |sum, value| sum + value);
    for value in row.iter_mut() {
        *value *= scale;
    }
}

/// Folds the values of a row, several side by side.
#[inline(always)]
pub fn reduce(row: &[f32], start: f32, step: impl Fn(f32, f32) -> f32) -> f32 {
    let (chunks, rest) = row.as_chunks::<LANES>();
    let mut lanes = [start; LANES];
    for chunk in chunks {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            *lane = step(*lane, *value);
        }
    }
    let lanes = lanes.into_iter().chain(rest.iter().copied());
    lanes.fold(start, step)
}

/// `silu(gate) * up`.
pub fn gated(gate: &Tensor, up: &Tensor) -> Result<Tensor> {
    let output = with_values(
        [gate, up],
        #[inline(always)]
        |[gate, up]| {
            let mut output = vec![0.0; gate.len()];
            for ((output, gate), up) in output.iter_mut().zip(gate).zip(up) {
                *output = gate * sigmoid(*gate) * up;
            }
            output
        },
    )?;
    tensor(output, gate)
}

/// The gradients of `gate` and `up` from that of `silu(gate) * up`.
pub fn gated_backward(gate: &Tensor, up: &Tensor, grad: &Tensor) -> Result<[Tensor; 2]> {
    let [gates, ups] = with_values(
        [gate, up, grad],
        #[inline(always)]
        |[gate, up, grad]| {
            let (mut gates, mut ups) = (vec![0.0; gate.len()], vec![0.0; gate.len()]);
            let inputs = gate.iter().zip(up).zip(grad);
            for (((gate, up), grad), (to_gate, to_up)) in inputs.zip(gates.iter_mut().zip(&mut ups))
            {
                let sigmoid = sigmoid(*gate);
                let silu = gate * sigmoid;
                *to_gate = grad * up * (sigmoid + silu - silu * sigmoid);
                *to_up = grad * silu;
            }
            [gates, ups]
        },
    )?;
    Ok([tensor(gates, gate)?, tensor(ups, gate)?])
}

/// Lets `work` loop over the values of tensors of one shape, compiled for this processor.
fn with_values<const N: usize, T>(
    tensors: [&Tensor; N],
    work: impl FnOnce([&[f32]; N]) -> T,
) -> Result<T> {
    let tensors = tensors.map(Tensor::contiguous);
    let tensors: Vec<Tensor> = tensors.into_iter().collect::<Result<_>>()?;
    let guards: Vec<_> = tensors.iter().map(Tensor::storage_and_layout).collect();
    let mut slices = [&[] as &[f32]; N];
    for (slice, (storage, layout)) in slices.iter_mut().zip(&guards) {
        let Storage::Cpu(storage) = &**storage else {
            bail!("a tensor on the CPU is expected");
        };
        let (start, end) = contiguous(layout)?;
        *slice = &f32::slice(storage)?[start..end];
    }
    Ok(Arch::new().dispatch(
        #[inline(always)]
        || work(slices),
    ))
}

fn tensor(values: Vec<f32>, like: &Tensor) -> Result<Tensor> {
    let shape: &Shape = like.shape();
    Tensor::from_vec(values, shape, like.device())
}

#[inline(always)]
fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// e to the power of `x`, to within two units in the last place. `x` is clamped to where that's a normal number.
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    /// Added to a small number, it leaves the nearest integer in the low bits.
    const ROUND: f32 = 12_582_912.0;
    /// ln 2 in two parts, of which products of the first with a small integer are exact.
    const LN_2: [f32; 2] = [0.693_359_4, -2.121_944_4e-4];
    /// `(exp(r) - 1 - r) / r²` for |r| ≤ ln 2 / 2, fitted by least squares.
    const TAIL: [f32; 5] = [
        0.5,
        0.166_665_17,
        0.041_666_27,
        0.008_369_08,
        0.001_394_609_1,
    ];
    let x = x.clamp(-87.0, 88.0);
    let rounded = x * std::f32::consts::LOG2_E + ROUND;
    let power = rounded - ROUND;
    let r = x - power * LN_2[0] - power * LN_2[1];
    let tail = TAIL.iter().rev().fold(0.0, |sum, factor| sum * r + factor);
    let fraction = tail * r * r + r + 1.0;
    f32::from_bits(fraction.to_bits().wrapping_add(rounded.to_bits() << 23))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use candle_core::{D, Device};
    use candle_nn::ops::softmax_last_dim;

    use super::*;

    fn random(shape: (usize, usize), scale: f32) -> Tensor {
        let mut rng = fastrand::Rng::with_seed(7);
        let values = (0..shape.0 * shape.1).map(|_| (rng.f32() - 0.5) * scale);
        Tensor::from_iter(values, &Device::Cpu)
            .unwrap()
            .reshape(shape)
            .unwrap()
    }

    fn largest_difference(left: &Tensor, right: &Tensor) -> f32 {
        let difference = (left - right).unwrap().abs().unwrap();
        difference.max_all().unwrap().to_scalar().unwrap()
    }

    #[test]
    fn exp_is_that_of_the_standard_library_to_two_units_in_the_last_place() {
        for step in -8_600i16..=8_800 {
            let x = f32::from(step) / 100.0;
            let (ours, exact) = (f64::from(exp(x)), f64::from(x).exp());
            assert!(
                (ours / exact - 1.0).abs() < 2.5e-7,
                "exp({x}): {ours}, not {exact}"
            );
        }
        assert_eq!(exp(0.0).to_bits(), 1f32.to_bits());
        assert!(exp(-1e30) < 1e-37 && exp(-1e30) > 0.0);
        assert!(exp(f32::NAN).is_nan() && exp(-f32::NAN).is_nan());
    }

    #[test]
    fn softmax_is_candles_over_what_a_row_sees_and_0_elsewhere() {
        for width in [1, 3, 16, 37, 100] {
            let scores = random((5, width), 40.0);
            let all = softmax(scores.copy().unwrap(), |_| 0..width).unwrap();
            assert!(largest_difference(&all, &softmax_last_dim(&scores).unwrap()) < 1e-6);
            let some = softmax(scores.copy().unwrap(), |_| width / 3..width / 3 + 1).unwrap();
            let expected: Vec<f32> = (0..width)
                .map(|column| f32::from(u8::from(column == width / 3)))
                .collect();
            assert_eq!(some.to_vec2::<f32>().unwrap(), vec![expected; 5]);
        }
    }

    #[test]
    fn gated_is_candles_silu_and_so_are_its_gradients() {
        let (gate, up, grad) = (
            random((7, 33), 30.0),
            random((33, 7), 4.0),
            random((7, 33), 2.0),
        );
        // Its values don't follow each other in memory.
        let up = up.t().unwrap();
        let sigmoid = candle_nn::ops::sigmoid(&gate).unwrap();
        let silu = (&gate * &sigmoid).unwrap();
        let output = gated(&gate, &up).unwrap();
        assert!(largest_difference(&output, &(&silu * &up).unwrap()) < 1e-5);
        let [to_gate, to_up] = gated_backward(&gate, &up, &grad).unwrap();
        assert!(largest_difference(&to_up, &(&grad * &silu).unwrap()) < 1e-5);
        // d silu = σ(1 + x(1 - σ))
        let inner = (&gate * (1.0 - &sigmoid).unwrap()).unwrap();
        let slope = (&sigmoid * (inner + 1.0).unwrap()).unwrap();
        let expected = (slope * (&grad * &up).unwrap()).unwrap();
        assert!(largest_difference(&to_gate, &expected) < 1e-4);
        assert_eq!(to_gate.dim(D::Minus1).unwrap(), 33);
    }
}
