#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use serde_json::json;

use super::*;

#[test]
fn pre_tokenizers_are_known_by_what_they_do() {
    let bytes =
        |regex: bool| json!({ "type": "ByteLevel", "add_prefix_space": false, "use_regex": regex });
    let split = |numbers: &str| {
        let regex = format!(
            "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{{L}}\\p{{N}}]?\\p{{L}}+|{numbers}| ?[^\\s\\p{{L}}\\p{{N}}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
        );
        json!({ "type": "Split", "pattern": { "Regex": regex }, "behavior": "Isolated", "invert": false })
    };
    let all = |steps: Vec<Value>| json!({ "pre_tokenizer": { "type": "Sequence", "pretokenizers": steps } });
    let digits = |individual: bool| json!({ "type": "Digits", "individual_digits": individual });
    for (tokenizer, merges, expected) in [
        (json!({ "pre_tokenizer": bytes(true) }), true, Some("gpt-2")),
        (
            json!({ "pre_tokenizer": bytes(false) }),
            false,
            Some("default"),
        ),
        (json!({ "pre_tokenizer": bytes(false) }), true, None),
        (all(vec![digits(true), bytes(true)]), true, Some("smollm")),
        (all(vec![digits(false), bytes(true)]), true, None),
        (
            all(vec![split(r"\p{N}{1,3}"), bytes(false)]),
            true,
            Some("llama-bpe"),
        ),
        (
            all(vec![split(r"\p{N}"), bytes(false)]),
            true,
            Some("qwen2"),
        ),
        (all(vec![split(r"\p{N}{1,4}"), bytes(false)]), true, None),
        (all(vec![split(r"\p{N}"), bytes(true)]), true, None),
        (json!({ "pre_tokenizer": null }), true, None),
    ] {
        let name = pre::name(&tokenizer, merges);
        match expected {
            Some(expected) => assert_eq!(name.unwrap(), expected),
            None => assert!(name.unwrap_err().to_string().contains("pre_tokenizer")),
        }
    }
}

#[test]
fn scores_of_sentencepiece_are_the_order_of_its_merges() {
    let json = json!({ "model": { "unk_token": "<unk>", "vocab": {
        "<unk>": 0, "<0x0A>": 1, "a": 2, "b": 3, "c": 4, "ab": 5, "bc": 6, "abc": 7,
    } } });
    let tokens = || vocab::Tokens {
        texts: ["<unk>", "<0x0A>", "a", "b", "c", "ab", "bc", "abc"]
            .map(str::to_owned)
            .to_vec(),
        types: vec![3, 1, 1, 1, 1, 1, 1, 1],
    };
    let all = [("a", "b"), ("b", "c"), ("ab", "c"), ("a", "bc")];
    let mut found = tokens();
    let scores = sentencepiece::scores(&json, &all, &mut found).unwrap();
    assert_eq!(scores, [0.0, 0.0, -3.0, -3.0, -3.0, 0.0, -1.0, -2.0]);
    assert_eq!(found.types, [2, 6, 1, 1, 1, 1, 1, 1]);
    let broken = [
        &all[..3],
        &[("ab", "c"), ("b", "c"), ("a", "bc"), ("a", "b")],
    ];
    for merges in broken {
        let error = sentencepiece::scores(&json, merges, &mut tokens()).unwrap_err();
        assert!(error.to_string().contains("\"abc\""), "{error}");
    }
}

#[test]
fn a_stretched_rotation_is_a_tensor_of_factors() {
    let config = |scaling: Value| {
        LlamaConfig::from_json(&json!({
            "architectures": ["LlamaForCausalLM"], "vocab_size": 8, "hidden_size": 64, "intermediate_size": 32,
            "num_hidden_layers": 1, "num_attention_heads": 1, "rope_theta": 5e5, "rope_scaling": scaling,
        }))
        .unwrap()
    };
    let plain = tensors(Architecture::Llama, &config(Value::Null), Quantize::Q4_0);
    assert!(
        plain
            .iter()
            .all(|(info, _)| info.name != "rope_freqs.weight")
    );
    let scaling = json!({
        "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192,
    });
    let stretched = tensors(Architecture::Llama, &config(scaling), Quantize::Q4_0);
    let Values::Given(factors) = &stretched[0].1 else {
        panic!("{stretched:?}")
    };
    assert_eq!(
        (stretched[0].0.name.as_str(), factors.len()),
        ("rope_freqs.weight", 32)
    );
    assert!(
        (factors[0] - 1.0).abs() < 1e-6 && (factors[31] - 8.0).abs() < 1e-5,
        "{factors:?}"
    );
    // Only tensors whose rows can't be divided into blocks stay in 16 bits, and there are none here.
    assert!(
        stretched
            .iter()
            .all(|(info, _)| info.dtype != GgmlDType::F16)
    );
}

#[test]
fn qwen2_keeps_the_order_of_its_rows_and_has_biases() {
    let json = json!({
        "architectures": ["Qwen2ForCausalLM"], "vocab_size": 8, "hidden_size": 48, "intermediate_size": 32,
        "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 1,
    });
    let config = LlamaConfig::from_json(&json).unwrap();
    let tensors = tensors(Architecture::of(&json).unwrap(), &config, Quantize::Q8_0);
    let of = |name: &str| tensors.iter().find(|(info, _)| info.name == name).unwrap();
    assert!(
        matches!(&of("blk.0.attn_q.weight").1, Values::Base(name) if name.ends_with("q_proj.weight"))
    );
    assert_eq!(of("blk.0.attn_k.bias").0.dtype, GgmlDType::F32);
    assert_eq!(
        of("blk.0.attn_q.weight").0.dtype,
        GgmlDType::F16,
        "rows of 48"
    );
    assert_eq!(
        of("blk.0.ffn_down.weight").0.dtype,
        GgmlDType::Q8_0,
        "rows of 32"
    );
    let other = Architecture::of(&json!({ "architectures": ["Gemma3ForCausalLM"] })).unwrap_err();
    assert!(other.to_string().contains("Gemma3ForCausalLM"));
}

fn config(architecture: &str, more: &Value) -> (Architecture, LlamaConfig) {
    let mut json = json!({
        "architectures": [architecture], "vocab_size": 8, "hidden_size": 64, "intermediate_size": 32,
        "num_hidden_layers": 4, "num_attention_heads": 2, "head_dim": 64, "max_position_embeddings": 512,
    });
    for (name, value) in more.as_object().unwrap() {
        json[name] = value.clone();
    }
    (
        Architecture::of(&json).unwrap(),
        LlamaConfig::from_json(&json).unwrap(),
    )
}

#[test]
fn each_family_has_the_names_and_the_order_of_rows_of_llama_cpp() {
    for (family, name, turns, norms) in [
        ("LlamaForCausalLM", "llama", true, false),
        ("MistralForCausalLM", "llama", true, false),
        ("Qwen3ForCausalLM", "qwen3", false, true),
        ("SmolLM3ForCausalLM", "smollm3", true, false),
    ] {
        let (architecture, config) = config(family, &json!({}));
        architecture.check(&config).unwrap();
        let tensors = tensors(architecture, &config, Quantize::F16);
        let of = |name: &str| tensors.iter().find(|(info, _)| info.name == name);
        assert_eq!(architecture.name(), name);
        let turned = matches!(of("blk.0.attn_q.weight").unwrap().1, Values::Turned(_, 2));
        assert_eq!(turned, turns, "{family}");
        for norm in ["blk.3.attn_q_norm.weight", "blk.3.attn_k_norm.weight"] {
            let shape = of(norm).map(|(info, _)| info.shape.clone());
            assert_eq!(shape, norms.then(|| vec![64]), "{family}");
        }
    }
}

#[test]
fn a_stretched_rotation_is_metadata_and_a_window_is_the_context() {
    let of = |family: &str, more: Value| {
        let (architecture, config) = config(family, &more);
        architecture.check(&config).unwrap();
        assert!(rope_factors(&config).is_none());
        let all = metadata(architecture, &config, Quantize::F16, "x");
        let texts = all
            .iter()
            .filter(|(name, _)| name.contains("scaling") || name.contains("context"))
            .map(|(name, value)| format!("{name} {value:?}"));
        texts.collect::<Vec<_>>()
    };
    let yarn = json!({ "type": "yarn", "factor": 4, "original_max_position_embeddings": 128 });
    assert_eq!(
        of("Qwen3ForCausalLM", json!({ "rope_scaling": yarn })),
        [
            "qwen3.context_length U32(512)",
            "qwen3.rope.scaling.type Text(\"yarn\")",
            "qwen3.rope.scaling.factor F32(4.0)",
            "qwen3.rope.scaling.original_context_length U32(128)",
        ]
    );
    let linear = json!({ "type": "linear", "factor": 2 });
    assert_eq!(
        of(
            "MistralForCausalLM",
            json!({ "sliding_window": 100, "rope_scaling": linear })
        ),
        [
            "llama.context_length U32(100)",
            "llama.rope.scaling.type Text(\"linear\")",
            "llama.rope.scaling.factor F32(2.0)",
        ]
    );
}

#[test]
fn what_llama_cpp_would_compute_differently_is_refused() {
    let llama3 = json!({ "rope_scaling": {
        "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
    } });
    let yarn =
        json!({ "rope_scaling": { "rope_type": "yarn", "factor": 4.0, "attention_factor": 1.0 } });
    for (family, more, field) in [
        (
            "Qwen3ForCausalLM",
            json!({ "attention_bias": true }),
            "attention_bias",
        ),
        (
            "SmolLM3ForCausalLM",
            json!({ "mlp_bias": true }),
            "mlp_bias",
        ),
        (
            "SmolLM3ForCausalLM",
            json!({ "no_rope_layer_interval": 2 }),
            "no_rope_layers",
        ),
        ("Qwen2ForCausalLM", llama3.clone(), "llama3"),
        ("Qwen3ForCausalLM", llama3, "llama3"),
        ("LlamaForCausalLM", yarn, "attention_factor"),
    ] {
        let (architecture, config) = config(family, &more);
        let error = architecture.check(&config).unwrap_err();
        assert!(
            error.is_refusal() && error.to_string().contains(field),
            "{family}: {error}"
        );
    }
}
