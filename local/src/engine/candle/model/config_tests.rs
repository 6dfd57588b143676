#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use serde_json::json;

use super::*;

fn minimal() -> Value {
    json!({
        "architectures": ["LlamaForCausalLM"], "vocab_size": 260, "hidden_size": 64,
        "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4,
    })
}

#[test]
fn absent_fields_have_the_defaults_of_hugging_face() {
    let config = LlamaConfig::from_json(&minimal()).unwrap();
    assert_eq!((config.kv_heads, config.head_dim), (4, 16));
    assert!((config.rope_theta - 10_000.0).abs() < f64::EPSILON);
    assert_eq!(config.rope_scaling, RopeScaling::None);
    assert!(!config.tie_word_embeddings);
}

#[test]
fn another_architecture_is_refused_by_name() {
    let mut json = minimal();
    json["architectures"] = json!(["Gemma3ForCausalLM"]);
    let error = LlamaConfig::from_json(&json).unwrap_err();
    assert!(error.is_refusal());
    assert!(error.to_string().contains("Gemma3ForCausalLM"), "{error}");
}

#[test]
fn qwen2_is_llama_with_three_biases_and_llama_has_those_that_it_names() {
    let biases = |json: &Value| LlamaConfig::from_json(json).unwrap().biases;
    let mut json = minimal();
    assert_eq!(biases(&json), Biases::default());
    json["mlp_bias"] = json!(true);
    assert!(biases(&json).mlp && !biases(&json).qkv);
    json["architectures"] = json!(["Qwen2ForCausalLM"]);
    let expected = Biases {
        qkv: true,
        ..Biases::default()
    };
    assert_eq!(biases(&json), expected);
}

#[test]
fn each_family_has_what_transformers_gives_it() {
    let read = |name: &str, change: &dyn Fn(&mut Value)| {
        let mut json = minimal();
        json["architectures"] = json!([name]);
        change(&mut json);
        LlamaConfig::from_json(&json).unwrap()
    };
    let qwen3 = read("Qwen3ForCausalLM", &|json| {
        json["attention_bias"] = true.into();
    });
    assert_eq!(
        (qwen3.family, qwen3.head_norms, qwen3.head_dim),
        (Family::Qwen3, true, 128)
    );
    assert!(qwen3.biases.qkv && qwen3.biases.output && !qwen3.biases.mlp);
    let mistral = read("MistralForCausalLM", &|json| {
        json["attention_bias"] = true.into();
    });
    assert_eq!(
        (mistral.head_norms, mistral.biases, mistral.head_dim),
        (false, Biases::default(), 16)
    );
    let smollm3 = read("SmolLM3ForCausalLM", &|_| {});
    assert!(smollm3.tie_word_embeddings && (smollm3.rope_theta - 2e6).abs() < 1.0);
    let untied = read("SmolLM3ForCausalLM", &|json| {
        json["tie_word_embeddings"] = false.into();
    });
    assert!(!untied.tie_word_embeddings);
}

#[test]
fn windows_and_rotations_are_those_of_transformers() {
    let kinds = |name: &str, fields: Value| {
        let mut json = minimal();
        json["architectures"] = json!([name]);
        json["num_hidden_layers"] = 4.into();
        json["max_position_embeddings"] = 8192.into();
        for (field, value) in fields.as_object().unwrap() {
            json[field] = value.clone();
        }
        let kinds = LlamaConfig::from_json(&json).unwrap().kinds;
        let windows: Vec<usize> = kinds.iter().map(|kind| kind.window.unwrap_or(0)).collect();
        let rotates: Vec<bool> = kinds.iter().map(|kind| kind.rotates).collect();
        (windows, rotates)
    };
    let all = vec![true; 4];
    for (name, fields, windows, rotates) in [
        // transformers' Llama has no window, whatever its config says.
        (
            "LlamaForCausalLM",
            json!({ "sliding_window": 9 }),
            [0; 4],
            all.clone(),
        ),
        ("MistralForCausalLM", json!({}), [4096; 4], all.clone()),
        (
            "MistralForCausalLM",
            json!({ "sliding_window": 9 }),
            [9; 4],
            all.clone(),
        ),
        (
            "MistralForCausalLM",
            json!({ "sliding_window": null }),
            [0; 4],
            all.clone(),
        ),
        (
            "MistralForCausalLM",
            json!({ "sliding_window": 8192 }),
            [0; 4],
            all.clone(),
        ),
        (
            "Qwen2ForCausalLM",
            json!({ "sliding_window": 9, "use_sliding_window": false }),
            [0; 4],
            all.clone(),
        ),
        (
            "Qwen2ForCausalLM",
            json!({ "use_sliding_window": true }),
            [0; 4],
            all.clone(),
        ),
        (
            "Qwen3ForCausalLM",
            json!({ "use_sliding_window": true, "sliding_window": 9, "max_window_layers": 3 }),
            [0, 0, 0, 9],
            all.clone(),
        ),
        (
            "Qwen3ForCausalLM",
            json!({
                "use_sliding_window": true, "sliding_window": 9,
                "layer_types": ["sliding_attention", "full_attention", "sliding_attention", "full_attention"],
            }),
            [9, 0, 9, 0],
            all.clone(),
        ),
        (
            "SmolLM3ForCausalLM",
            json!({}),
            [0; 4],
            vec![true, true, true, false],
        ),
        (
            "SmolLM3ForCausalLM",
            json!({ "no_rope_layer_interval": 2, "use_sliding_window": true, "sliding_window": 9 }),
            [0, 9, 0, 9],
            vec![true, false, true, false],
        ),
        (
            "SmolLM3ForCausalLM",
            json!({ "no_rope_layers": [0, 1, 1, 0, 1, 1] }),
            [0; 4],
            vec![false, true, true, false],
        ),
    ] {
        assert_eq!(
            kinds(name, fields.clone()),
            (windows.to_vec(), rotates),
            "{name} {fields}"
        );
    }
}

#[test]
fn layers_that_transformers_would_not_compute_so_are_refused_by_their_field() {
    for (name, fields, field) in [
        (
            "SmolLM3ForCausalLM",
            json!({ "no_rope_layers": [1] }),
            "no_rope_layers",
        ),
        (
            "SmolLM3ForCausalLM",
            json!({ "no_rope_layers": [1, 2] }),
            "no_rope_layers",
        ),
        (
            "SmolLM3ForCausalLM",
            json!({ "no_rope_layers": "all" }),
            "no_rope_layers",
        ),
        (
            "SmolLM3ForCausalLM",
            json!({ "no_rope_layer_interval": 0 }),
            "no_rope_layer_interval",
        ),
        (
            "MistralForCausalLM",
            json!({ "sliding_window": 0 }),
            "sliding_window",
        ),
        (
            "MistralForCausalLM",
            json!({ "sliding_window": "all" }),
            "sliding_window",
        ),
        (
            "MistralForCausalLM",
            json!({ "sliding_window": 9, "layer_types": ["full_attention", "sliding_attention"] }),
            "layer_types",
        ),
        (
            "Qwen3ForCausalLM",
            json!({ "layer_types": ["full_attention", "sliding_attention"] }),
            "layer_types",
        ),
        (
            "Qwen3ForCausalLM",
            json!({ "layer_types": ["full_attention"] }),
            "layer_types",
        ),
        (
            "Qwen3ForCausalLM",
            json!({ "layer_types": ["full_attention", "linear_attention"] }),
            "linear_attention",
        ),
        (
            "Qwen3ForCausalLM",
            json!({ "max_window_layers": -1, "use_sliding_window": true }),
            "max_window_layers",
        ),
    ] {
        let mut json = minimal();
        json["architectures"] = json!([name]);
        for (field, value) in fields.as_object().unwrap() {
            json[field] = value.clone();
        }
        let error = LlamaConfig::from_json(&json).unwrap_err();
        assert!(
            error.is_refusal() && error.to_string().contains(field),
            "{fields}: {error}"
        );
    }
}

#[test]
fn an_unknown_rope_scaling_is_refused_by_name() {
    let mut json = minimal();
    json["rope_scaling"] = json!({ "rope_type": "longrope", "factor": 4.0 });
    let error = LlamaConfig::from_json(&json).unwrap_err();
    assert!(error.to_string().contains("longrope"), "{error}");
}

#[test]
fn a_number_that_no_model_has_is_refused_by_its_field() {
    for (name, value) in [
        ("vocab_size", json!(1_u64 << 40)),
        ("hidden_size", json!(1e9)),
        ("intermediate_size", json!(-1)),
        ("num_hidden_layers", json!(1_000_000_000_000_u64)),
        ("num_attention_heads", json!(0)),
        ("num_key_value_heads", json!(3)),
        ("head_dim", json!(1_000_000_000)),
        ("head_dim", json!(7)),
        ("max_position_embeddings", json!(1_000_000_000)),
        ("rms_norm_eps", json!("1e-5")),
        ("rope_theta", json!(0)),
        ("tie_word_embeddings", json!("yes")),
        ("quantization_config", json!({ "quant_method": "fp8" })),
        ("partial_rotary_factor", json!(0.5)),
        ("rope_scaling", json!({ "rope_type": "linear" })),
        ("layer_types", json!(["sliding_attention"])),
        ("model_type", json!("mistral")),
    ] {
        let mut json = minimal();
        json[name] = value;
        let error = LlamaConfig::from_json(&json).unwrap_err();
        assert!(
            error.is_refusal() && error.to_string().contains(name),
            "{name}: {error}"
        );
    }
}

#[test]
fn rope_settings_of_an_unknown_form_passed_unread() {
    for (name, value) in [
        ("rope_scaling", json!("yarn")),
        ("rope_scaling", json!([1])),
        (
            "rope_parameters",
            json!({ "full_attention": { "rope_type": "yarn" } }),
        ),
        ("rope_parameters", json!({ "rope_type": "yarn" })),
    ] {
        let mut json = minimal();
        json["rope_scaling"] = json!({ "type": "default" });
        json[name] = value;
        let error = LlamaConfig::from_json(&json).unwrap_err().to_string();
        assert!(error.contains("rope_"), "{error}");
    }
    let mut json = minimal();
    json["architectures"] = "Gemma3ForCausalLM".into();
    let error = LlamaConfig::from_json(&json).unwrap_err().to_string();
    assert!(error.contains("Gemma3ForCausalLM"), "{error}");
    let mut json = minimal();
    json["rope_parameters"] = json!({ "partial_rotary_factor": 0.5 });
    let error = LlamaConfig::from_json(&json).unwrap_err().to_string();
    assert!(error.contains("partial_rotary_factor"), "{error}");
    let mut json = minimal();
    json["rope_scaling"] = json!({ "rope_type": "linear", "factor": 2 });
    json["rope_parameters"] = json!({ "rope_type": "linear", "factor": 2, "rope_theta": 5e5 });
    let error = LlamaConfig::from_json(&json).unwrap_err().to_string();
    assert!(error.contains("rope_parameters"), "{error}");
}
