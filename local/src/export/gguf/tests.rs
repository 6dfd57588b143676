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
    // Rows that no block fits in stay in 16 bits, as do none of these.
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
    let other = Architecture::of(&json!({ "architectures": ["Qwen3ForCausalLM"] })).unwrap_err();
    assert!(other.to_string().contains("Qwen3ForCausalLM"));
}
