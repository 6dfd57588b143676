#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::collections::BTreeMap;

use candle_core::Tensor;
use candle_core::quantized::gguf_file::{self, Value as Meta};

use super::*;
use crate::base::{Base, Source};
use crate::engine::candle::model::LlamaConfig;
use crate::engine::candle::model::rope::{frequencies, plain_frequencies};
use crate::engine::candle::model::rope_config::RopeScaling;

fn text(text: &str) -> Meta {
    Meta::String(text.to_owned())
}

fn texts(list: &[&str]) -> Meta {
    Meta::Array(list.iter().map(|item| text(item)).collect())
}

/// A file with the header of a typical model, and the metadata in `more`.
fn file(
    architecture: &str,
    more: Vec<(&str, Meta)>,
    tensors: &[(&str, QTensor)],
) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model.gguf");
    let key = |name: &str| format!("{architecture}.{name}");
    let mut metadata: BTreeMap<String, Meta> = BTreeMap::new();
    metadata.insert("general.architecture".to_owned(), text(architecture));
    for (name, number) in [
        ("embedding_length", 64),
        ("feed_forward_length", 32),
        ("block_count", 1),
        ("attention.head_count", 2),
        ("attention.head_count_kv", 1),
        ("context_length", 64),
    ] {
        metadata.insert(key(name), Meta::U32(number));
    }
    for (name, value) in more {
        metadata.insert(name.to_owned(), value);
    }
    let embedding = Tensor::zeros((16, 64), candle_core::DType::F32, &Device::Cpu).unwrap();
    let embedding = QTensor::quantize(&embedding, GgmlDType::Q8_0).unwrap();
    let mut all = vec![("token_embd.weight", &embedding)];
    all.extend(tensors.iter().map(|(name, tensor)| (*name, tensor)));
    let metadata: Vec<(&str, &Meta)> = metadata
        .iter()
        .map(|(key, value)| (key.as_str(), value))
        .collect();
    let mut file = File::create(&path).unwrap();
    gguf_file::write(&mut file, &metadata, &all).unwrap();
    (dir, path)
}

/// A byte-level tokenizer with a few characters and two merges.
fn byte_level(pre: Option<&str>) -> Vec<(&'static str, Meta)> {
    let tokens = [
        "<s>", "</s>", "1", "2", "a", "b", "\u{120}", "12", "ab", "\u{120}a", "<x>",
    ];
    let types = [3, 3, 1, 1, 1, 1, 1, 1, 1, 1, 4];
    let mut metadata = vec![
        ("tokenizer.ggml.model", text("gpt2")),
        ("tokenizer.ggml.tokens", texts(&tokens)),
        (
            "tokenizer.ggml.token_type",
            Meta::Array(types.into_iter().map(Meta::I32).collect()),
        ),
        ("tokenizer.ggml.merges", texts(&["1 2", "a b", "\u{120} a"])),
        ("tokenizer.ggml.bos_token_id", Meta::U32(0)),
        ("tokenizer.ggml.eos_token_id", Meta::U32(1)),
    ];
    metadata.extend(pre.map(|pre| ("tokenizer.ggml.pre", text(pre))));
    metadata
}

fn load(architecture: &str, more: Vec<(&str, Meta)>) -> Result<Base> {
    let (_dir, path) = file(architecture, more, &[]);
    Base::load(&Source::Gguf(path))
}

fn ids(base: &Base, text: &str) -> Vec<u32> {
    base.text.encode(text, true).unwrap().ids
}

#[test]
fn texts_are_split_as_the_file_says() {
    // Some pre-tokenizers split numbers into digits. Only Llama 3's puts a BOS token in front.
    for (pre, expected) in [
        ("gpt-2", vec![7, 6, 7, 8, 10]),
        ("smollm", vec![2, 3, 6, 2, 3, 8, 10]),
        ("qwen2", vec![2, 3, 6, 2, 3, 8, 10]),
        ("llama-bpe", vec![0, 7, 6, 7, 8, 10]),
        ("llama-v3", vec![0, 7, 6, 7, 8, 10]),
    ] {
        let base = load("llama", byte_level(Some(pre))).unwrap();
        assert_eq!(ids(&base, "12 12ab<x>"), expected, "{pre}");
        assert_eq!(base.text.eos(), Some(1), "{pre}");
    }
    let mut without = byte_level(Some("llama-bpe"));
    without.push(("tokenizer.ggml.add_bos_token", Meta::Bool(false)));
    without.push(("tokenizer.ggml.add_eos_token", Meta::Bool(true)));
    let base = load("llama", without).unwrap();
    assert_eq!(ids(&base, "ab"), [8, 1]);
}

#[test]
fn a_tokenizer_that_is_not_known_is_refused_with_what_to_do() {
    let mut unigram = byte_level(Some("gpt-2"));
    unigram[0] = ("tokenizer.ggml.model", text("t5"));
    for (metadata, word) in [
        (byte_level(Some("viking")), "viking"),
        (byte_level(None), "default"),
        (unigram, "t5"),
    ] {
        let error = load("llama", metadata).unwrap_err();
        let message = error.to_string();
        assert!(
            error.is_refusal()
                && message.contains(word)
                && message.contains("tokenizer.json beside"),
            "{message}"
        );
    }
    let mut twice = byte_level(Some("gpt-2"));
    twice[1] = ("tokenizer.ggml.tokens", texts(&["a"; 11]));
    let error = load("llama", twice).unwrap_err().to_string();
    assert!(error.contains("are both \"a\""), "{error}");
}

#[test]
fn sentencepieces_tokens_are_merged_by_their_scores() {
    let tokens = [
        "<unk>",
        "<s>",
        "<0x0A>",
        "\u{2581}",
        "a",
        "b",
        "ab",
        "\u{2581}a",
        "\u{2581}ab",
    ];
    let types = [2, 3, 6, 1, 1, 1, 1, 1, 1];
    let with = |scores: [f32; 9]| {
        let list = |scores: [f32; 9]| Meta::Array(scores.into_iter().map(Meta::F32).collect());
        let metadata = vec![
            ("tokenizer.ggml.model", text("llama")),
            ("tokenizer.ggml.tokens", texts(&tokens)),
            ("tokenizer.ggml.scores", list(scores)),
            (
                "tokenizer.ggml.token_type",
                Meta::Array(types.into_iter().map(Meta::I32).collect()),
            ),
            ("tokenizer.ggml.bos_token_id", Meta::U32(1)),
        ];
        load("llama", metadata).unwrap()
    };
    let whole = with([0.0, 0.0, 0.0, -9.0, -9.0, -9.0, -1.0, -2.0, -3.0]);
    assert_eq!(ids(&whole, "ab\n"), [1, 8, 2]);
    assert_eq!(
        whole.text.tokenizer().decode(&[8, 2], true).unwrap(),
        "ab\n"
    );
    let other = with([0.0, 0.0, 0.0, -9.0, -9.0, -9.0, -2.0, -1.0, -3.0]);
    assert_eq!(ids(&other, "aba"), [1, 8, 4]);
}

#[test]
fn the_templates_and_special_tokens_come_from_the_metadata() {
    let mut metadata = byte_level(Some("gpt-2"));
    metadata.push(("tokenizer.chat_template", text("{{ bos_token }}one")));
    metadata.push(("tokenizer.chat_templates", texts(&["tool_use"])));
    metadata.push(("tokenizer.chat_template.tool_use", text("two")));
    let base = load("llama", metadata).unwrap();
    let tools = serde_json::json!([{ "type": "function" }]);
    assert_eq!(base.text.render(&[], None, true).unwrap(), "<s>one");
    assert_eq!(base.text.render(&[], Some(&tools), true).unwrap(), "two");
}

#[test]
fn the_stretching_of_llama_3_is_recognised_by_its_divisors_and_another_is_refused() {
    let divisors = |factor: f64, original: f64| {
        let (_dir, path) = file("llama", byte_level(Some("gpt-2")), &[]);
        let mut config = LlamaConfig::from_json(&Gguf::open(&path).unwrap().config).unwrap();
        config.rope_scaling = RopeScaling::Llama3 {
            factor,
            low_freq_factor: 1.0,
            high_freq_factor: 4.0,
            original_positions: original,
        };
        let pairs = plain_frequencies(&config).zip(frequencies(&config));
        #[allow(clippy::cast_possible_truncation, reason = "as in the files")]
        let values: Vec<f32> = pairs.map(|(plain, own)| (plain / own) as f32).collect();
        let tensor = Tensor::new(values, &Device::Cpu).unwrap();
        let tensor = QTensor::quantize(&tensor, GgmlDType::F32).unwrap();
        let (dir, path) = file("llama", Vec::new(), &[("rope_freqs.weight", tensor)]);
        (dir, Gguf::open(&path).map(|gguf| gguf.config))
    };
    let config = divisors(32.0, 8192.0).1.unwrap();
    assert_eq!(config["rope_scaling"]["factor"], 32.0);
    let scaling = LlamaConfig::from_json(&config).unwrap().rope_scaling;
    assert!(matches!(scaling, RopeScaling::Llama3 { .. }));
    let error = divisors(32.0, 512.0).1.unwrap_err().to_string();
    assert!(error.contains("rope_freqs.weight"), "{error}");
}

#[test]
fn a_model_that_would_be_another_here_is_refused() {
    for (architecture, key, value, word) in [
        ("gemma3", "x", Meta::U32(1), "the architecture gemma3"),
        ("llama", "llama.expert_count", Meta::U32(8), "experts"),
        (
            "llama",
            "llama.rope.dimension_count",
            Meta::U32(16),
            "Rotating a part",
        ),
        (
            "llama",
            "llama.attention.head_count",
            text("two"),
            "head_count",
        ),
    ] {
        let (_dir, path) = file(architecture, vec![(key, value)], &[]);
        let error = Gguf::open(&path).unwrap_err();
        assert!(
            error.is_refusal() && error.to_string().contains(word),
            "{error}"
        );
    }
}

#[test]
fn every_name_comes_back() {
    for name in [
        "model.embed_tokens.weight",
        "lm_head.weight",
        "model.layers.3.self_attn.q_proj.bias",
        "model.layers.11.post_attention_layernorm.weight",
    ] {
        let own = names::llama_cpp(name).unwrap();
        assert_eq!(names::hugging_face(&own).as_deref(), Some(name));
    }
}
