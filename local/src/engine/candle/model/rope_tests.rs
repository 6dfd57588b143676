#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use serde_json::{Value, json};

use super::*;

fn rope(change: impl FnOnce(&mut Value)) -> (Vec<f64>, f64) {
    let mut json = json!({
        "architectures": ["LlamaForCausalLM"], "vocab_size": 8, "hidden_size": 16, "intermediate_size": 8,
        "num_hidden_layers": 1, "num_attention_heads": 1, "max_position_embeddings": 256,
    });
    change(&mut json);
    let config = LlamaConfig::from_json(&json).unwrap();
    (frequencies(&config), Rope::new(&config).factor)
}

/// What transformers 5.24 computes for a head of 16 and a context of 256, as printed.
const STRETCHED: [(&str, &str, &str); 7] = [
    (
        r#"{ "rope_type": "default" }"#,
        "1.0, 0.3162278, 0.1, 0.03162278, 0.01, 0.003162278, 0.001, 0.0003162278",
        "1.0",
    ),
    (
        r#"{ "rope_type": "dynamic", "factor": 4.0 }"#,
        "1.0, 0.3162278, 0.1, 0.03162278, 0.01, 0.003162278, 0.001, 0.0003162278",
        "1.0",
    ),
    (
        r#"{ "rope_type": "linear", "factor": 4.0 }"#,
        "0.25, 0.07905694, 0.025, 0.007905695, 0.0025, 0.0007905695, 0.00025, 7.905695e-05",
        "1.0",
    ),
    (
        r#"{ "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
             "original_max_position_embeddings": 64 }"#,
        "1.0, 0.2443846, 0.01304226, 0.003952847, 0.00125, 0.0003952847, 0.000125, 3.952847e-05",
        "1.0",
    ),
    (
        r#"{ "rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 128 }"#,
        "1.0, 0.2371708, 0.05, 0.007905695, 0.0025, 0.0007905695, 0.00025, 7.905695e-05",
        "1.138629436111989",
    ),
    (
        r#"{ "rope_type": "yarn", "factor": 16.0, "original_max_position_embeddings": 128, "beta_fast": 8.0,
             "beta_slow": 2.0, "truncate": false, "mscale": 0.7, "mscale_all_dim": 1.5 }"#,
        "1.0, 0.2699112, 0.007495746, 0.001976424, 0.000625, 0.0001976424, 6.25e-05, 1.976424e-05",
        "0.8433442126237606",
    ),
    (
        r#"{ "rope_type": "yarn", "factor": 16.0, "attention_factor": 1.25 }"#,
        "1.0, 0.2421119, 0.053125, 0.009388013, 0.000625, 0.0001976424, 6.25e-05, 1.976424e-05",
        "1.25",
    ),
];

#[test]
fn stretched_frequencies_are_those_of_transformers() {
    for (scaling, expected, factor) in STRETCHED {
        let (found, found_factor) =
            rope(|json| json["rope_scaling"] = serde_json::from_str(scaling).unwrap());
        let expected: Vec<f64> = expected
            .split(", ")
            .map(|text| text.parse().unwrap())
            .collect();
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(expected) {
            assert!(
                (found / expected - 1.0).abs() < 1e-6,
                "{scaling}: {found} {expected}"
            );
        }
        let factor: f64 = factor.parse().unwrap();
        assert!(
            (found_factor - factor).abs() < 1e-9,
            "{scaling}: {found_factor}"
        );
    }
}

#[test]
fn old_and_new_spellings_mean_the_same() {
    let old = rope(|json| {
        json["rope_theta"] = json!(5e5);
        json["original_max_position_embeddings"] = json!(128);
        json["rope_scaling"] =
            json!({ "type": "yarn", "factor": 2.0, "original_max_position_embeddings": 64 });
    });
    let new = rope(|json| {
        json["rope_parameters"] = json!({
            "rope_theta": 5e5, "rope_type": "yarn", "factor": 2.0, "original_max_position_embeddings": 128,
        });
    });
    assert_eq!(old, new);
    assert_ne!(old, rope(|json| json["rope_theta"] = json!(5e5)));
}

#[test]
fn the_factor_of_yarn_is_in_what_is_rotated() {
    let json = json!({
        "architectures": ["LlamaForCausalLM"], "vocab_size": 8, "hidden_size": 16, "intermediate_size": 8,
        "num_hidden_layers": 1, "num_attention_heads": 1,
        "rope_scaling": { "rope_type": "yarn", "factor": 4.0, "attention_factor": 1.5 },
    });
    let rope = Rope::new(&LlamaConfig::from_json(&json).unwrap());
    let one = Tensor::ones((1, 1, 3, 16), candle_core::DType::F32, &Device::Cpu).unwrap();
    let square = |tensor: &Tensor| {
        tensor
            .sqr()
            .unwrap()
            .sum_all()
            .unwrap()
            .to_scalar::<f32>()
            .unwrap()
    };
    let rotated = rope.forward(&one, 0).unwrap();
    assert!((square(&rotated) / square(&one) - 2.25).abs() < 1e-5);
    // The gradient rotates back, and has the factor too.
    let back = rope.backward(&rotated).unwrap();
    let difference = (back - (one * 2.25).unwrap()).unwrap();
    assert!(square(&difference) < 1e-8);
}
