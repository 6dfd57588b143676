//! Writes a model as one GGUF file, with the names, metadata and order of query and key rows that
//! llama.cpp's own converter would choose.

mod architecture;
mod file;
mod pre;
mod sentencepiece;
mod vocab;

use std::path::Path;

use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{Device, Tensor};
use serde_json::Value;

use super::args::Quantize;
use super::merge::{Merger, check_values};
use super::progress::Progress;
use super::target::Target;
use crate::base::Base;
use crate::base::text_files;
use crate::engine::candle::model::{LlamaConfig, target};
use crate::error::Result;
use crate::folder;
use crate::gguf::names;
use architecture::{Architecture, context, rope_factors, rope_scaling};
use file::{Meta, TensorInfo, header, padding};

/// The name of the file.
pub const FILE: &str = "model.gguf";

/// The source of a tensor's values.
#[derive(Debug)]
enum Values {
    /// A tensor of the base.
    Base(String),
    /// A tensor of the base whose rows are reordered for this many heads.
    Turned(String, usize),
    /// Computed values.
    Given(Vec<f32>),
}

/// The file that will be written.
#[derive(Debug)]
pub struct Plan {
    header: Vec<u8>,
    tensors: Vec<(TensorInfo, Values)>,
    head_dim: usize,
    /// The size of the file, in bytes.
    pub total: u64,
    /// Tensors that are stored in 16 bits because their rows can't be quantised.
    pub unquantised: usize,
}

/// Plans the file. Refuses a model that llama.cpp doesn't support in this form.
pub fn plan(
    dir: &Path,
    base: &Base,
    merger: &Merger,
    quantize: Quantize,
    name: &str,
) -> Result<Plan> {
    let json = folder::read_json(dir, "config.json")?;
    let architecture = Architecture::of(&json)?;
    let config = LlamaConfig::from_json(&json)?;
    architecture.check(&config)?;
    merger.check(dir, &config)?;
    let mut metadata = metadata(architecture, &config, quantize, name);
    metadata.extend(tokenizer(dir, base, &config, &json)?);
    metadata.extend(templates(dir)?);
    let tensors = tensors(architecture, &config, quantize);
    let infos: Vec<TensorInfo> = tensors.iter().map(|(info, _)| info.clone()).collect();
    let header = header(&metadata, &infos);
    let data: u64 = infos
        .iter()
        .map(|info| info.bytes() + padding(info.bytes()).len() as u64)
        .sum();
    let unquantised = infos
        .iter()
        .filter(|info| info.dtype == GgmlDType::F16 && quantize != Quantize::F16);
    Ok(Plan {
        total: header.len() as u64 + data,
        unquantised: unquantised.count(),
        head_dim: config.head_dim,
        header,
        tensors,
    })
}

/// Writes the file.
pub fn write(plan: &Plan, merger: &Merger, target: &Target, progress: &mut Progress) -> Result<()> {
    let mut file = target.create(FILE, progress)?;
    file.write(&plan.header)?;
    for (info, values) in &plan.tensors {
        let tensor = match values {
            Values::Base(name) => merger.tensor(name)?,
            Values::Turned(name, heads) => turned(&merger.tensor(name)?, *heads, plan.head_dim)?,
            Values::Given(values) => Tensor::new(values.as_slice(), &Device::Cpu)?,
        };
        let most = if info.dtype == GgmlDType::F16 {
            65504.0
        } else {
            f32::MAX
        };
        check_values(&info.name, &tensor, most)?;
        file.write(&QTensor::quantize(&tensor, info.dtype)?.data()?)?;
        file.write(padding(info.bytes()))?;
    }
    file.end()
}

/// Reorders the rows of each head for llama.cpp, which rotates neighbouring rows together.
fn turned(tensor: &Tensor, heads: usize, head_dim: usize) -> Result<Tensor> {
    let width = tensor.elem_count() / (heads * head_dim);
    let halves = tensor.reshape((heads, 2, head_dim / 2, width))?;
    Ok(halves
        .transpose(1, 2)?
        .contiguous()?
        .reshape(tensor.shape())?)
}

fn tensors(
    architecture: Architecture,
    config: &LlamaConfig,
    quantize: Quantize,
) -> Vec<(TensorInfo, Values)> {
    let mut tensors = Vec::new();
    if let Some(factors) = rope_factors(config) {
        let info = TensorInfo {
            name: "rope_freqs.weight".to_owned(),
            shape: vec![factors.len()],
            dtype: GgmlDType::F32,
        };
        tensors.push((info, Values::Given(factors)));
    }
    for (name, shape) in target::tensors(config) {
        let Some(renamed) = names::llama_cpp(&name) else {
            continue;
        };
        let is_head = if config.tie_word_embeddings {
            renamed == "token_embd.weight"
        } else {
            renamed == "output.weight"
        };
        let heads = match architecture.rotates_neighbours() {
            true if renamed.contains(".attn_q.") => Some(config.heads),
            true if renamed.contains(".attn_k.") => Some(config.kv_heads),
            _ => None,
        };
        let info = TensorInfo {
            name: renamed,
            dtype: dtype(&shape, quantize, is_head),
            shape,
        };
        let values = match heads {
            Some(heads) => Values::Turned(name, heads),
            None => Values::Base(name),
        };
        tensors.push((info, values));
    }
    tensors
}

/// The type of a tensor, chosen as in llama.cpp: norms and biases aren't quantised, and the output
/// head, which matters most, is quantised less.
fn dtype(shape: &[usize], quantize: Quantize, is_head: bool) -> GgmlDType {
    let fits = |dtype: GgmlDType| {
        shape
            .last()
            .is_some_and(|width| width % dtype.block_size() == 0)
    };
    match quantize {
        _ if shape.len() < 2 => GgmlDType::F32,
        Quantize::Q4_0 if is_head && fits(GgmlDType::Q6K) => GgmlDType::Q6K,
        Quantize::Q4_0 if is_head && fits(GgmlDType::Q8_0) => GgmlDType::Q8_0,
        Quantize::Q4_0 if fits(GgmlDType::Q4_0) => GgmlDType::Q4_0,
        Quantize::Q8_0 if fits(GgmlDType::Q8_0) => GgmlDType::Q8_0,
        _ => GgmlDType::F16,
    }
}

fn metadata(
    architecture: Architecture,
    config: &LlamaConfig,
    quantize: Quantize,
    name: &str,
) -> Vec<(String, Meta)> {
    let count = |count: usize| Meta::U32(u32::try_from(count).unwrap_or(u32::MAX));
    let arch = architecture.name();
    let text = |text: &str| Meta::Text(text.to_owned());
    let file_type = match quantize {
        Quantize::F16 => 1,
        Quantize::Q4_0 => 2,
        Quantize::Q8_0 => 7,
    };
    let mut metadata = vec![
        ("general.architecture".to_owned(), text(arch)),
        ("general.type".to_owned(), text("model")),
        ("general.name".to_owned(), text(name)),
        ("general.file_type".to_owned(), Meta::U32(file_type)),
        ("general.quantization_version".to_owned(), Meta::U32(2)),
    ];
    for (key, value) in [
        ("vocab_size", count(config.vocab_size)),
        ("context_length", count(context(config))),
        ("embedding_length", count(config.hidden_size)),
        ("block_count", count(config.layers)),
        ("feed_forward_length", count(config.intermediate_size)),
        ("attention.head_count", count(config.heads)),
        ("attention.head_count_kv", count(config.kv_heads)),
        ("attention.key_length", count(config.head_dim)),
        ("attention.value_length", count(config.head_dim)),
        (
            "attention.layer_norm_rms_epsilon",
            Meta::F32(narrow(config.rms_norm_eps)),
        ),
        ("rope.dimension_count", count(config.head_dim)),
        ("rope.freq_base", Meta::F32(narrow(config.rope_theta))),
    ] {
        metadata.push((format!("{arch}.{key}"), value));
    }
    for (key, value) in rope_scaling(config) {
        metadata.push((format!("{arch}.rope.scaling.{key}"), value));
    }
    metadata
}

fn tokenizer(
    dir: &Path,
    base: &Base,
    config: &LlamaConfig,
    json: &Value,
) -> Result<Vec<(String, Meta)>> {
    let tokenizer: Value = serde_json::from_slice(&folder::read(dir, "tokenizer.json")?)?;
    let tokenizer_config = folder::read_json(dir, "tokenizer_config.json")?;
    let map = folder::read_json_if_any(dir, "special_tokens_map.json")?;
    let special = text_files::special_tokens(&tokenizer_config, map.as_ref());
    vocab::metadata(
        &tokenizer,
        base.text.tokenizer(),
        config.vocab_size,
        &special,
        json,
        base.text.eos(),
    )
}

/// The base's chat templates. They lose only `{% generation %}`, which llama.cpp doesn't know and which
/// doesn't affect the text.
fn templates(dir: &Path) -> Result<Vec<(String, Meta)>> {
    let tokenizer_config = folder::read_json(dir, "tokenizer_config.json")?;
    let mut metadata = Vec::new();
    let mut others = Vec::new();
    for (name, template) in text_files::templates(dir, &tokenizer_config)? {
        let text = Meta::Text(without_generation(&template.text));
        if name == "default" {
            metadata.push(("tokenizer.chat_template".to_owned(), text));
        } else {
            metadata.push((format!("tokenizer.chat_template.{name}"), text));
            others.push(name);
        }
    }
    if !others.is_empty() {
        metadata.push(("tokenizer.chat_templates".to_owned(), Meta::Texts(others)));
    }
    Ok(metadata)
}

/// Replaces `{% generation %}` by `{% if true %}`.
fn without_generation(template: &str) -> String {
    let mut text = String::with_capacity(template.len());
    let mut rest = template;
    while let Some(start) = rest.find("{%") {
        let Some(length) = rest[start..].find("%}") else {
            break;
        };
        let tag = &rest[start..start + length];
        text.push_str(&rest[..start]);
        let word = tag[2..].trim_matches(|c: char| c.is_whitespace() || "-+".contains(c));
        text.push_str(&match word {
            "generation" => tag.replacen("generation", "if true", 1),
            "endgeneration" => tag.replacen("endgeneration", "endif", 1),
            _ => tag.to_owned(),
        });
        rest = &rest[start + length..];
    }
    text.push_str(rest);
    text
}

#[allow(clippy::cast_possible_truncation, reason = "GGUF has f32 here")]
fn narrow(value: f64) -> f32 {
    value as f32
}

#[cfg(test)]
mod tests;
