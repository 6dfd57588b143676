#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use candle_core::Device;

use super::*;
use crate::engine::cores::with_cores;

fn random(rows: usize, columns: usize) -> Tensor {
    let mut rng = fastrand::Rng::with_seed(1);
    let values: Vec<f32> = (0..rows * columns).map(|_| rng.f32() - 0.5).collect();
    Tensor::from_vec(values, (rows, columns), &Device::Cpu).unwrap()
}

/// The same matrix in each kind of memory, the last ones with other values.
fn kinds(plain: &Tensor) -> Vec<(Matrix, Tensor)> {
    let half = plain.to_dtype(DType::BF16).unwrap();
    let quantised = QTensor::quantize(plain, GgmlDType::Q4_1).unwrap();
    let dequantised = quantised.dequantize(&Device::Cpu).unwrap();
    vec![
        (Matrix::from(plain.clone()), plain.clone()),
        (
            Matrix::from(half.clone()),
            half.to_dtype(DType::F32).unwrap(),
        ),
        (Matrix::from(quantised), dequantised),
    ]
}

#[test]
fn a_row_has_the_same_product_however_many_cores_and_rows_there_are() {
    let input = random(few_rows::MOST, 320);
    for (matrix, plain) in kinds(&random(1031, 320)) {
        let product = |cores: usize, start: usize, rows: usize| {
            let input = input.narrow(0, start, rows).unwrap();
            let product = with_cores(cores, || matrix.shared_product(&input).unwrap());
            product.to_vec2::<f32>().unwrap()
        };
        let all = product(1, 0, few_rows::MOST);
        for cores in [2, 3] {
            assert_eq!(product(cores, 0, few_rows::MOST), all);
        }
        for (row, expected) in all.iter().enumerate() {
            assert_eq!(product(2, row, 1)[0], *expected);
        }
        let expected = input.matmul(&plain.t().unwrap()).unwrap();
        for (left, right) in all.iter().zip(expected.to_vec2::<f32>().unwrap()) {
            for (left, right) in left.iter().zip(right) {
                assert!((left - right).abs() < 1e-4, "{left} {right}");
            }
        }
    }
}

#[test]
fn a_bf16_matrix_takes_half_the_memory_and_is_trained_to_the_precision_of_bf16() {
    let (plain, input) = (random(90, 320), random(40, 320));
    let [matrix, half] =
        [DType::F32, DType::BF16].map(|dtype| Matrix::from(plain.to_dtype(dtype).unwrap()));
    assert_eq!(half.bytes() * 2, matrix.bytes());
    let grad = matrix.product(&input).unwrap();
    for [left, right] in [
        [half.product(&input).unwrap(), grad.clone()],
        [
            half.backward(&grad).unwrap(),
            matrix.backward(&grad).unwrap(),
        ],
    ] {
        let norm = |tensor: &Tensor| tensor.sqr().unwrap().sum_all().unwrap().to_scalar::<f32>();
        let apart = norm(&(left - &right).unwrap()).unwrap() / norm(&right).unwrap();
        assert!(apart.sqrt() < 0.01, "{}", apart.sqrt());
    }
}

#[test]
fn a_quantised_matrix_is_its_dequantised_one_in_every_product() {
    let mut rng = fastrand::Rng::with_seed(2);
    let mut matrix = |rows: usize, columns: usize| {
        let values: Vec<f32> = (0..rows * columns).map(|_| rng.f32() - 0.5).collect();
        Tensor::from_vec(values, (rows, columns), &Device::Cpu).unwrap()
    };
    // More than one part.
    let (out, width) = (PART / 256 + 77, 256);
    let tensor = QTensor::quantize(&matrix(out, width), GgmlDType::Q4_1).unwrap();
    let plain = Matrix::from(tensor.dequantize(&Device::Cpu).unwrap());
    let quantised = Matrix::from(tensor);
    assert!(quantised.bytes() * 6 < plain.bytes());
    let (input, grad) = (matrix(3, width), matrix(3, out));
    let ids = Tensor::new(&[5_u32, 16_400, 5], &Device::Cpu).unwrap();
    let close = |what: &str, left: Tensor, right: Tensor| {
        let apart = (left - right).unwrap().abs().unwrap().max_all().unwrap();
        let apart = apart.to_scalar::<f32>().unwrap();
        assert!(apart < 1e-4, "{what}: {apart}");
    };
    let product = |matrix: &Matrix| matrix.product(&input).unwrap();
    close("product", product(&quantised), product(&plain));
    let backward = |matrix: &Matrix| matrix.backward(&grad).unwrap();
    close("backward", backward(&quantised), backward(&plain));
    let rows = |matrix: &Matrix| matrix.rows(&ids).unwrap();
    close("rows", rows(&quantised), rows(&plain));
    for cores in [1, 3] {
        let shared = |matrix: &Matrix| matrix.shared_product(&input).unwrap();
        with_cores(cores, || {
            close("shared", shared(&quantised), shared(&plain));
        });
    }
}
