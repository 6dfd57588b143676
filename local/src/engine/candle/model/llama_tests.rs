#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use serde_json::json;

use super::*;
use crate::engine::candle::model::random;

fn ids(length: usize) -> Vec<u32> {
    let mut rng = fastrand::Rng::with_seed(3);
    (0..length).map(|_| rng.u32(0..260)).collect()
}

fn difference(left: &Tensor, right: &Tensor) -> f32 {
    let difference = (left - right).unwrap().abs().unwrap();
    difference.max_all().unwrap().to_scalar().unwrap()
}

#[test]
fn a_text_that_is_read_in_parts_has_the_same_logits_in_every_family() {
    for (name, special) in random::kinds() {
        let model = random::model(&special);
        let model = Llama::new(&model.config, &model.weights, None).unwrap();
        let ids = ids(150);
        let whole = model.logits(&model.hidden(&[&ids]).unwrap()).unwrap();
        // A prompt longer than a block, one that begins in the middle of a window, and single tokens.
        let mut cache = KvCache::new(model.layers(), 150);
        let mut parts = Vec::new();
        for part in [&ids[..100], &ids[100..130]]
            .into_iter()
            .chain(ids[130..].chunks(1))
        {
            parts.push(model.forward_cached(part, &mut cache).unwrap());
        }
        let parts = model.logits(&Tensor::cat(&parts, 0).unwrap()).unwrap();
        assert!(difference(&whole, &parts) < 1e-4, "{name}");
        let spread = whole.max_all().unwrap().to_scalar::<f32>().unwrap();
        assert!(
            spread > 0.1,
            "{name}: all logits are alike, at most {spread}"
        );
    }
}

#[test]
fn a_token_sees_as_many_as_its_window_and_none_before_them() {
    let mistral = json!({
        "architectures": ["MistralForCausalLM"], "sliding_window": 40, "num_hidden_layers": 1,
    });
    let model = random::model(&mistral);
    let model = Llama::new(&model.config, &model.weights, None).unwrap();
    let plain = ids(150);
    let hidden = |ids: &[u32]| model.hidden(&[ids]).unwrap().to_vec2::<f32>().unwrap();
    let expected = hidden(&plain);
    for changed in [0, 30, 63, 64, 100] {
        let mut other = plain.clone();
        other[changed] = (other[changed] + 1) % 260;
        for (place, (old, new)) in expected.iter().zip(hidden(&other)).enumerate() {
            let sees = (changed..changed + 40).contains(&place);
            assert_eq!(*old != new, sees, "{changed} changed, seen from {place}");
        }
    }
}

#[test]
fn a_window_as_long_as_the_context_is_none() {
    let values = |window: serde_json::Value| {
        let special = json!({ "architectures": ["MistralForCausalLM"], "sliding_window": window });
        let model = random::model(&special);
        let model = Llama::new(&model.config, &model.weights, None).unwrap();
        model
            .hidden(&[&ids(100)])
            .unwrap()
            .to_vec2::<f32>()
            .unwrap()
    };
    let none = values(json!(null));
    assert_eq!(values(json!(256)), none);
    assert!(values(json!(99)) != none);
    let close = |left: &[f32], right: &[f32]| {
        left.iter()
            .zip(right)
            .all(|(left, right)| (left - right).abs() < 1e-5)
    };
    let longer = values(json!(100));
    assert!(
        longer
            .iter()
            .zip(&none)
            .all(|(left, right)| close(left, right))
    );
}

#[test]
fn a_layer_without_rotation_sees_no_order() {
    let special = json!({
        "architectures": ["SmolLM3ForCausalLM"], "no_rope_layers": [0], "num_hidden_layers": 1,
    });
    let last = |special: &serde_json::Value, ids: &[u32]| {
        let model = random::model(special);
        let model = Llama::new(&model.config, &model.weights, None).unwrap();
        let hidden = model.hidden(&[ids]).unwrap();
        hidden.narrow(0, ids.len() - 1, 1).unwrap()
    };
    let (some, other) = ([1, 2, 3, 4], [3, 1, 2, 4]);
    assert!(difference(&last(&special, &some), &last(&special, &other)) < 1e-5);
    let mut rotated = special.clone();
    rotated["no_rope_layers"] = json!([1]);
    assert!(difference(&last(&rotated, &some), &last(&rotated, &other)) > 1e-3);
}
