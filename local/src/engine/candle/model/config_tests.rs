#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use super::*;

fn minimal() -> Value {
    serde_json::json!({
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
    json["architectures"] = serde_json::json!(["Gemma3ForCausalLM"]);
    let error = LlamaConfig::from_json(&json).unwrap_err();
    assert!(error.is_refusal());
    assert!(error.to_string().contains("Gemma3ForCausalLM"), "{error}");
}

#[test]
fn qwen2_is_llama_with_three_biases_and_llama_has_those_that_it_names() {
    let biases = |json: &Value| LlamaConfig::from_json(json).unwrap().biases;
    let mut json = minimal();
    assert_eq!(biases(&json), Biases::default());
    json["mlp_bias"] = serde_json::json!(true);
    assert!(biases(&json).mlp && !biases(&json).qkv);
    json["architectures"] = serde_json::json!(["Qwen2ForCausalLM"]);
    let expected = Biases {
        qkv: true,
        ..Biases::default()
    };
    assert_eq!(biases(&json), expected);
    json["use_sliding_window"] = serde_json::json!(true);
    assert!(LlamaConfig::from_json(&json).is_err());
}

#[test]
fn an_unknown_rope_scaling_is_refused_by_name() {
    let mut json = minimal();
    json["rope_scaling"] = serde_json::json!({ "rope_type": "yarn", "factor": 4.0 });
    let error = LlamaConfig::from_json(&json).unwrap_err();
    assert!(error.to_string().contains("yarn"), "{error}");
}

#[test]
fn a_number_that_no_model_has_is_refused_by_its_field() {
    for (name, value) in [
        ("vocab_size", serde_json::json!(1_u64 << 40)),
        ("hidden_size", serde_json::json!(1e9)),
        ("intermediate_size", serde_json::json!(-1)),
        (
            "num_hidden_layers",
            serde_json::json!(1_000_000_000_000_u64),
        ),
        ("num_attention_heads", serde_json::json!(0)),
        ("num_key_value_heads", serde_json::json!(3)),
        ("head_dim", serde_json::json!(1_000_000_000)),
        ("head_dim", serde_json::json!(7)),
        ("max_position_embeddings", serde_json::json!(1_000_000_000)),
        ("rms_norm_eps", serde_json::json!("1e-5")),
        ("rope_theta", serde_json::json!(0)),
        ("tie_word_embeddings", serde_json::json!("yes")),
        (
            "quantization_config",
            serde_json::json!({ "quant_method": "fp8" }),
        ),
        ("partial_rotary_factor", serde_json::json!(0.5)),
        ("layer_types", serde_json::json!(["sliding_attention"])),
        ("model_type", serde_json::json!("mistral")),
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
        ("rope_scaling", serde_json::json!("yarn")),
        ("rope_scaling", serde_json::json!([1])),
        (
            "rope_parameters",
            serde_json::json!({ "full_attention": { "rope_type": "yarn" } }),
        ),
        (
            "rope_parameters",
            serde_json::json!({ "rope_type": "yarn" }),
        ),
    ] {
        let mut json = minimal();
        json["rope_scaling"] = serde_json::json!({ "type": "default" });
        json[name] = value;
        let error = LlamaConfig::from_json(&json).unwrap_err().to_string();
        assert!(error.contains("rope_"), "{error}");
    }
    let mut json = minimal();
    json["architectures"] = "MistralForCausalLM".into();
    let error = LlamaConfig::from_json(&json).unwrap_err().to_string();
    assert!(error.contains("MistralForCausalLM"), "{error}");
}
