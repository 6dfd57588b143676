#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use super::*;
use crate::engine::candle::CandleModel;
use crate::engine::candle::model::lora::Lora;
use crate::engine::candle::model::random;
use crate::engine::candle::train::step;
use crate::engine::cores::with_all_cores;

/// An adapter whose B isn't zero, or nothing would depend on A.
fn adapter(model: &CandleModel) -> (Lora, Vec<Var>) {
    let (lora, vars) = Lora::fresh(&model.config, 4, 8.0, 1).unwrap();
    let vars: Vec<Var> = vars.into_iter().map(|(_, var)| var).collect();
    let mut rng = fastrand::Rng::with_seed(2);
    for var in &vars {
        let noise: Vec<f32> = (0..var.elem_count())
            .map(|_| (rng.f32() - 0.5) / 5.0)
            .collect();
        let noise = Tensor::from_vec(noise, var.shape(), var.device()).unwrap();
        var.set(&noise).unwrap();
    }
    (lora, vars)
}

/// Rows of more than one block of queries.
fn rows() -> Vec<Example> {
    let text = b"the quick brown fox jumps over the lazy dog, ".iter();
    let row = |length: usize| {
        let ids: Vec<u32> = text
            .clone()
            .cycle()
            .take(length)
            .map(|byte| u32::from(*byte))
            .collect();
        Example {
            trained: vec![true; length],
            ids,
        }
    };
    [150, 70].map(row).into()
}

fn check_gradients(name: &str, model: &CandleModel) {
    let (lora, vars) = adapter(model);
    let model = Llama::new(&model.config, &model.weights, Some(&lora)).unwrap();
    let rows = rows();
    let batch: Vec<&Example> = rows.iter().collect();
    let (_, grads) = step::gradients(&model, &batch, 0, &|| false).unwrap();
    let scalar = |tensor: Tensor| f64::from(tensor.sum_all().unwrap().to_scalar::<f32>().unwrap());
    // Along the gradient of one kind of matrices, A and B of one layer type at a time.
    for kind in 0..14 {
        let some: Vec<&Var> = vars.iter().skip(kind).step_by(14).collect();
        let grad = |var: &Var| grads.get(var).unwrap().clone();
        let square: f64 = some
            .iter()
            .map(|var| scalar(grad(var).sqr().unwrap()))
            .sum();
        // A token that sees itself only doesn't depend on queries and keys.
        if name == random::SEES_ITSELF && kind < 4 {
            assert!(square < 1e-9, "{name}, kind {kind}: {square}");
            continue;
        }
        let step = 0.01 / square.sqrt();
        let starts: Vec<Tensor> = some
            .iter()
            .map(|var| var.as_tensor().copy().unwrap())
            .collect();
        let loss_at = |distance: f64| {
            for (var, start) in some.iter().zip(&starts) {
                let moved = (start + (grad(var) * distance).unwrap()).unwrap();
                var.set(&moved).unwrap();
            }
            step::loss(&model, &batch, &|| false).unwrap()
        };
        let slope = (loss_at(step) - loss_at(-step)) / (2.0 * step);
        loss_at(0.0);
        assert!(
            (slope / square - 1.0).abs() < 0.02,
            "{name}, kind {kind}: {slope} along the gradient, {square} by it"
        );
    }
}

#[test]
fn the_gradients_are_those_of_the_loss() {
    check_gradients("arkor-tiny", &CandleModel::built_in().unwrap());
}

#[test]
fn the_gradients_are_those_of_the_loss_in_every_family() {
    for (name, special) in random::kinds() {
        check_gradients(name, &random::model(&special));
    }
}

#[test]
fn layers_of_every_family_that_are_computed_twice_have_the_same_gradients() {
    for (name, special) in random::kinds() {
        let model = random::model(&special);
        let (lora, vars) = adapter(&model);
        let decoder = Llama::new(&model.config, &model.weights, Some(&lora)).unwrap();
        let rows = rows();
        let batch: Vec<&Example> = rows.iter().collect();
        let bits = |recomputed| {
            let found = || step::gradients(&decoder, &batch, recomputed, &|| false).unwrap();
            let (loss, grads) = with_all_cores(found);
            let values = vars.iter().flat_map(|var| {
                let grad = grads.get(var).unwrap().flatten_all().unwrap();
                grad.to_vec1::<f32>().unwrap()
            });
            (loss.to_bits(), values.map(f32::to_bits).collect::<Vec<_>>())
        };
        assert_eq!(bits(0), bits(model.config.layers), "{name}");
    }
}
