//! Converts the metadata of a tokenizer to a `tokenizer.json` and a `tokenizer_config.json`.

use candle_core::quantized::gguf_file;
use serde_json::{Map, Value, json};

use super::metadata::Metadata;
use super::{pre, sentencepiece};
use crate::error::{Result, refused};

/// Token types.
pub const UNKNOWN: u64 = 2;
const CONTROL: u64 = 3;
const USER_DEFINED: u64 = 4;
const UNUSED: u64 = 5;

/// Advice for an unsupported tokenizer.
const BESIDE: &str = "Put the model's tokenizer.json beside it.";

/// The default chat template.
const TEMPLATE: &str = "tokenizer.chat_template";

/// Special tokens in `tokenizer_config.json`, and their names in a GGUF file.
const SPECIAL: [(&str, &str); 4] = [
    ("bos_token", "bos"),
    ("eos_token", "eos"),
    ("unk_token", "unknown"),
    ("pad_token", "padding"),
];

/// The tokens of a file, in the order of their ids.
#[derive(Debug)]
pub struct Tokens<'a> {
    /// Their texts.
    pub texts: Vec<&'a str>,
    /// Their types.
    pub types: Vec<u64>,
}

impl<'a> Tokens<'a> {
    fn read(metadata: Metadata<'a>) -> Result<Self> {
        const TEXTS: &str = "tokenizer.ggml.tokens";
        const TYPES: &str = "tokenizer.ggml.token_type";
        let texts = metadata.texts(TEXTS)?;
        let texts = texts.ok_or_else(|| metadata.missing(TEXTS))?;
        let types = metadata.list(TYPES, "a list of whole numbers", |value| match value {
            gguf_file::Value::I32(number) => u64::try_from(*number).ok(),
            gguf_file::Value::U32(number) => Some(u64::from(*number)),
            _ => None,
        })?;
        let types = types.unwrap_or_else(|| vec![1; texts.len()]);
        if types.len() != texts.len() {
            return metadata.0.refuse(&format!(
                "it has {} tokens and the types of {}",
                texts.len(),
                types.len()
            ));
        }
        Ok(Self { texts, types })
    }

    /// The vocabulary, without unused ids.
    fn vocabulary(&self, metadata: Metadata) -> Result<Map<String, Value>> {
        let mut vocabulary = Map::new();
        for (id, (text, kind)) in self.texts.iter().zip(&self.types).enumerate() {
            if *kind == UNUSED {
                continue;
            }
            if let Some(first) = vocabulary.insert((*text).to_owned(), json!(id)) {
                return metadata.0.refuse(&format!(
                    "the tokens {first} and {id} are both {text:?}. {BESIDE}"
                ));
            }
        }
        Ok(vocabulary)
    }

    /// The added tokens, which are found in a text before it's split.
    fn added(&self) -> Vec<Value> {
        let tokens = self.texts.iter().zip(&self.types).enumerate();
        let added =
            tokens.filter(|(_, (_, kind))| matches!(**kind, CONTROL | USER_DEFINED | UNKNOWN));
        added
            .map(|(id, (text, kind))| {
                json!({
                    "id": id, "content": text, "special": *kind != USER_DEFINED,
                    "single_word": false, "lstrip": false, "rstrip": false, "normalized": false,
                })
            })
            .collect()
    }
}

/// Creates a `tokenizer.json`.
pub fn tokenizer(metadata: Metadata) -> Result<Value> {
    let tokens = Tokens::read(metadata)?;
    let kind = metadata.text("tokenizer.ggml.model")?.unwrap_or("none");
    let vocabulary = tokens.vocabulary(metadata)?;
    let mut json = match kind {
        "gpt2" => byte_level(metadata, &vocabulary)?,
        "llama" => sentencepiece::tokenizer(metadata, &tokens, &vocabulary)?,
        _ => {
            return refused(format!(
                "model: {} has a tokenizer of the kind {kind}, which isn't known here, only gpt2 and llama. {BESIDE}",
                metadata.0.path().display()
            ));
        }
    };
    json["version"] = json!("1.0");
    json["added_tokens"] = Value::from(tokens.added());
    let around = around(metadata, &tokens, kind)?;
    if !around.is_null() {
        json["post_processor"] = around;
    }
    Ok(json)
}

/// Byte-level BPE, like GPT-2's.
fn byte_level(metadata: Metadata, vocabulary: &Map<String, Value>) -> Result<Value> {
    let merges = metadata.texts("tokenizer.ggml.merges")?.unwrap_or_default();
    let name = split_name(metadata)?;
    let Some(pre_tokenizer) = pre::pre_tokenizer(name, !merges.is_empty()) else {
        return refused(format!(
            "model: {} splits texts as {name:?} (tokenizer.ggml.pre), which isn't known here, only as {}. {BESIDE}",
            metadata.0.path().display(),
            pre::NAMES
        ));
    };
    Ok(json!({
        "normalizer": if name == "qwen2" { json!({ "type": "NFC" }) } else { Value::Null },
        "pre_tokenizer": pre_tokenizer,
        "decoder": { "type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true },
        "model": {
            "type": "BPE", "vocab": vocabulary, "merges": merges,
            "ignore_merges": name == "llama-bpe",
        },
    }))
}

fn split_name(metadata: Metadata<'_>) -> Result<&str> {
    let name = metadata.text("tokenizer.ggml.pre")?;
    Ok(pre::canonical(name.unwrap_or("default")))
}

/// The special tokens that are added around a text. Missing metadata means llama.cpp's default.
fn around(metadata: Metadata, tokens: &Tokens, kind: &str) -> Result<Value> {
    let default = kind == "llama" || split_name(metadata)? == "llama-bpe";
    let mut single = vec![json!({ "Sequence": { "id": "A", "type_id": 0 } })];
    let mut special = Map::new();
    for (name, adds, place) in [("bos", default, 0), ("eos", false, 1)] {
        let key = format!("tokenizer.ggml.add_{name}_token");
        let id = metadata.whole(&format!("tokenizer.ggml.{name}_token_id"))?;
        let token = id.and_then(|id| tokens.texts.get(usize::try_from(id).ok()?));
        if let Some(token) = token
            && metadata.flag(&key)?.unwrap_or(adds)
        {
            let part = json!({ "SpecialToken": { "id": token, "type_id": 0 } });
            single.insert(place.min(single.len()), part);
            special.insert(
                (*token).to_owned(),
                json!({ "id": token, "ids": [id], "tokens": [token] }),
            );
        }
    }
    if special.is_empty() {
        return Ok(Value::Null);
    }
    Ok(json!({
        "type": "TemplateProcessing", "single": single, "pair": [
            { "Sequence": { "id": "A", "type_id": 0 } }, { "Sequence": { "id": "B", "type_id": 1 } },
        ],
        "special_tokens": special,
    }))
}

/// Creates a `tokenizer_config.json`.
pub fn tokenizer_config(metadata: Metadata) -> Result<Value> {
    let tokens = Tokens::read(metadata)?;
    let mut config = Map::new();
    for (name, key) in SPECIAL {
        let id = metadata.whole(&format!("tokenizer.ggml.{key}_token_id"))?;
        let Some(id) = id else { continue };
        let token = usize::try_from(id).ok().and_then(|id| tokens.texts.get(id));
        let Some(token) = token else {
            return metadata.0.refuse(&format!(
                "its {name} is the token {id}, and it has {} tokens",
                tokens.texts.len()
            ));
        };
        config.insert(name.to_owned(), json!(token));
    }
    let more = metadata
        .texts("tokenizer.chat_templates")?
        .unwrap_or_default();
    let mut templates = Vec::new();
    if let Some(text) = metadata.text(TEMPLATE)? {
        templates.push(json!({ "name": "default", "template": text }));
    }
    for name in more {
        if let Some(text) = metadata.text(&format!("{TEMPLATE}.{name}"))? {
            templates.push(json!({ "name": name, "template": text }));
        }
    }
    match templates.as_slice() {
        [] => {}
        [only] if only["name"] == "default" => {
            config.insert("chat_template".to_owned(), only["template"].clone());
        }
        _ => {
            config.insert("chat_template".to_owned(), Value::from(templates));
        }
    }
    config.insert(
        "tokenizer_class".to_owned(),
        json!("PreTrainedTokenizerFast"),
    );
    Ok(Value::Object(config))
}
