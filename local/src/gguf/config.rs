//! Converts the metadata of a model to a `config.json`.

use serde_json::{Map, Value, json};

use super::Gguf;
use super::names::ARCHITECTURES;
use crate::engine::candle::model::LlamaConfig;
use crate::engine::candle::model::rope::{frequencies, plain_frequencies};
use crate::error::{Result, refused};

/// The parameters of Llama 3's RoPE scaling in versions 3.1 and later, except its factor. GGUF files only
/// contain the resulting divisors.
const LLAMA3: (f64, f64, f64) = (1.0, 4.0, 8192.0);

/// The divisors of the rotary frequencies.
const FACTORS: &str = "rope_freqs.weight";

/// Creates the `config.json` for a file's model.
pub fn config(gguf: &Gguf) -> Result<Value> {
    let metadata = gguf.metadata();
    let Some(architecture) = metadata.text("general.architecture")? else {
        return Err(metadata.missing("general.architecture"));
    };
    let known = ARCHITECTURES.iter().find(|(name, _)| *name == architecture);
    let Some((kind, class)) = known else {
        let known: Vec<&str> = ARCHITECTURES.iter().map(|(name, _)| *name).collect();
        return gguf.refuse(&format!(
            "the architecture {architecture} is not supported as GGUF, only {}. Use its safetensors files, or \
             such a model.",
            known.join(", ")
        ));
    };
    let mut config = Map::new();
    config.insert("architectures".to_owned(), json!([class]));
    config.insert("model_type".to_owned(), json!(kind));
    let key = |name: &str| format!("{architecture}.{name}");
    for (field, name) in [
        ("hidden_size", "embedding_length"),
        ("intermediate_size", "feed_forward_length"),
        ("num_hidden_layers", "block_count"),
        ("num_attention_heads", "attention.head_count"),
        ("num_key_value_heads", "attention.head_count_kv"),
        ("head_dim", "attention.key_length"),
        ("max_position_embeddings", "context_length"),
    ] {
        if let Some(number) = metadata.whole(&key(name))? {
            config.insert(field.to_owned(), json!(number));
        }
    }
    let theta = metadata.number(&key("rope.freq_base"))?;
    config.insert("rope_theta".to_owned(), json!(theta.unwrap_or(10_000.0)));
    if let Some(eps) = metadata.number(&key("attention.layer_norm_rms_epsilon"))? {
        config.insert("rms_norm_eps".to_owned(), json!(eps));
    }
    if metadata.whole(&key("expert_count"))?.unwrap_or(0) > 0 {
        return gguf.refuse("it has experts, which are not supported");
    }
    let tensors = &gguf.content.tensor_infos;
    let Some(embedding) = tensors.get("token_embd.weight") else {
        return gguf.refuse("it has no tensor token_embd.weight");
    };
    config.insert("vocab_size".to_owned(), json!(embedding.shape.dims()[0]));
    for (field, value) in [
        (
            "tie_word_embeddings",
            !tensors.contains_key("output.weight"),
        ),
        ("attention_bias", tensors.contains_key("blk.0.attn_q.bias")),
        ("mlp_bias", tensors.contains_key("blk.0.ffn_up.bias")),
    ] {
        config.insert(field.to_owned(), json!(value));
    }
    for name in ["eos", "bos"] {
        if let Some(id) = metadata.whole(&format!("tokenizer.ggml.{name}_token_id"))? {
            config.insert(format!("{name}_token_id"), json!(id));
        }
    }
    // llama.cpp also ends an answer at the end-of-turn token.
    if let Some(turn) = metadata.whole("tokenizer.ggml.eot_token_id")? {
        let mut ends = vec![json!(turn)];
        ends.extend(
            config
                .get("eos_token_id")
                .filter(|id| **id != turn)
                .cloned(),
        );
        config.insert("eos_token_id".to_owned(), Value::from(ends));
    }
    if let Some(scaling) = named_scaling(gguf, architecture)? {
        config.insert("rope_scaling".to_owned(), scaling);
    }
    let mut config = Value::Object(config);
    check_rotation(gguf, architecture, &config)?;
    if tensors.contains_key(FACTORS) {
        config["rope_scaling"] = llama3(gguf, &config)?;
    }
    Ok(config)
}

/// The RoPE scaling that the metadata names.
fn named_scaling(gguf: &Gguf, architecture: &str) -> Result<Option<Value>> {
    let metadata = gguf.metadata();
    let key = |name: &str| format!("{architecture}.rope.scaling.{name}");
    let Some(kind) = metadata.text(&key("type"))?.filter(|kind| *kind != "none") else {
        return Ok(None);
    };
    let mut scaling = json!({ "rope_type": kind });
    if let Some(factor) = metadata.number(&key("factor"))? {
        scaling["factor"] = json!(factor);
    }
    if let Some(original) = metadata.whole(&key("original_context_length"))? {
        scaling["original_max_position_embeddings"] = json!(original);
    }
    Ok(Some(scaling))
}

/// Refuses a model that only rotates a part of each head.
fn check_rotation(gguf: &Gguf, architecture: &str, config: &Value) -> Result<()> {
    let key = format!("{architecture}.rope.dimension_count");
    let rotated = gguf.metadata().whole(&key)?;
    let width = config["head_dim"].as_u64().or_else(|| {
        let heads = config["num_attention_heads"].as_u64()?;
        config["hidden_size"].as_u64()?.checked_div(heads)
    });
    match (rotated, width) {
        (Some(rotated), Some(width)) if rotated != width => gguf.refuse(&format!(
            "it has {key}: {rotated}, and heads of {width}. Rotating a part of them is not supported."
        )),
        _ => Ok(()),
    }
}

/// Finds the Llama 3 scaling that results in the file's divisors.
fn llama3(gguf: &Gguf, config: &Value) -> Result<Value> {
    let divisors = gguf
        .read_own(FACTORS)?
        .dequantize(&candle_core::Device::Cpu)?;
    let divisors: Vec<f32> = divisors.flatten_all()?.to_vec1()?;
    let factor = divisors.iter().copied().fold(1.0, f32::max);
    let (low, high, original) = LLAMA3;
    let scaling = json!({
        "rope_type": "llama3",
        "factor": factor,
        "low_freq_factor": low,
        "high_freq_factor": high,
        "original_max_position_embeddings": original,
    });
    let mut stretched = config.clone();
    stretched["rope_scaling"] = scaling.clone();
    let stretched = LlamaConfig::from_json(&stretched)?;
    let expected = plain_frequencies(&stretched)
        .zip(frequencies(&stretched))
        .map(|(plain, stretched)| plain / stretched);
    let close =
        |(expected, divisor): (f64, &f32)| (expected / f64::from(*divisor) - 1.0).abs() < 1e-3;
    if divisors.len() * 2 == stretched.head_dim && expected.zip(&divisors).all(close) {
        return Ok(scaling);
    }
    refused(format!(
        "model: {} has a {FACTORS} that isn't that of Llama 3. Use the model's safetensors files.",
        gguf.path().display()
    ))
}
