//! Converts a tokenizer to llama.cpp's format.

use serde_json::Value;
use tokenizers::Tokenizer;

use super::file::Meta;
use super::pre;
use super::sentencepiece;
use crate::error::{Error, Result, refused};

/// Token types: an ordinary token.
pub const NORMAL: i32 = 1;
/// A token that isn't shown as text.
const CONTROL: i32 = 3;
/// An added token that is shown as text.
const USER_DEFINED: i32 = 4;
/// An id that no token has.
const UNUSED: i32 = 5;

/// The tokens of a tokenizer, in the order of their ids.
#[derive(Debug)]
pub struct Tokens {
    /// Their texts.
    pub texts: Vec<String>,
    /// Their types.
    pub types: Vec<i32>,
}

/// Special tokens in `tokenizer_config.json`, and their names in a GGUF file.
const SPECIAL: [(&str, &str); 4] = [
    ("bos_token", "bos"),
    ("eos_token", "eos"),
    ("unk_token", "unknown"),
    ("pad_token", "padding"),
];

/// The metadata of a tokenizer. `special` lists the named special tokens, and `eos` is the id that ends a
/// text.
pub fn metadata(
    json: &Value,
    tokenizer: &Tokenizer,
    vocab_size: usize,
    special: &[(String, Value)],
    config: &Value,
    eos: Option<u32>,
) -> Result<Vec<(String, Meta)>> {
    let mut metadata = Vec::new();
    let mut set = |key: &str, value: Meta| metadata.push((format!("tokenizer.{key}"), value));
    if json["model"]["type"] != "BPE" {
        return refused(format!(
            "--format: the tokenizer of this base is of type {}, only BPE can be written as GGUF. Use --format \
             merged, and llama.cpp's convert_hf_to_gguf.py.",
            json["model"]["type"]
        ));
    }
    let mut tokens = tokens(json, vocab_size)?;
    let merges = merges(json)?;
    if json["model"]["byte_fallback"] == true {
        let scores = sentencepiece::scores(json, &merges, &mut tokens)?;
        set("ggml.model", Meta::Text("llama".to_owned()));
        set("ggml.pre", Meta::Text("default".to_owned()));
        set("ggml.scores", Meta::F32s(scores));
        set(
            "ggml.add_space_prefix",
            Meta::Bool(sentencepiece::prefixes_space(json)?),
        );
    } else {
        check_normalizer(json)?;
        set("ggml.model", Meta::Text("gpt2".to_owned()));
        set(
            "ggml.pre",
            Meta::Text(pre::name(json, !merges.is_empty())?.to_owned()),
        );
        set("ggml.merges", Meta::Texts(joined(&merges)?));
        set("ggml.add_space_prefix", Meta::Bool(false));
    }
    let id = |name: &str| {
        let named = special.iter().find(|(key, _)| key == name);
        let token = named.and_then(|(_, token)| token.as_str());
        // Like llama.cpp's converters, fall back to the config's id if the tokenizer doesn't name the
        // token.
        let number = || u32::try_from(config[format!("{name}_id")].as_u64()?).ok();
        token
            .and_then(|token| tokenizer.token_to_id(token))
            .or_else(number)
    };
    for (name, key) in SPECIAL {
        let id = if name == "eos_token" { eos } else { id(name) };
        if let Some(id) = id {
            set(&format!("ggml.{key}_token_id"), Meta::U32(id));
        }
    }
    let around = tokenizer.encode("", true).map_err(Error::Tokenizer)?;
    let adds = |id: Option<u32>| id.is_some_and(|id| around.get_ids().contains(&id));
    set("ggml.add_bos_token", Meta::Bool(adds(id("bos_token"))));
    set(
        "ggml.add_eos_token",
        Meta::Bool(adds(eos) && eos != id("bos_token")),
    );
    set("ggml.token_type", Meta::I32s(tokens.types));
    set("ggml.tokens", Meta::Texts(tokens.texts));
    Ok(metadata)
}

/// The tokens of a `tokenizer.json`. Ids without a token get a made-up name.
fn tokens(json: &Value, vocab_size: usize) -> Result<Tokens> {
    let mut texts: Vec<Option<String>> = vec![None; vocab_size];
    let mut types = vec![UNUSED; vocab_size];
    let mut put = |id: &Value, text: &str, kind: i32| {
        let place = id.as_u64().and_then(|id| usize::try_from(id).ok());
        let Some(place) = place.filter(|place| *place < vocab_size) else {
            return refused(format!(
                "model: tokenizer.json has the token id {id}, the model has {vocab_size} tokens"
            ));
        };
        texts[place] = Some(text.to_owned());
        types[place] = kind;
        Ok(())
    };
    for (text, id) in json["model"]["vocab"].as_object().into_iter().flatten() {
        put(id, text, NORMAL)?;
    }
    for token in json["added_tokens"].as_array().into_iter().flatten() {
        let kind = if token["special"] == true {
            CONTROL
        } else {
            USER_DEFINED
        };
        put(
            &token["id"],
            token["content"].as_str().unwrap_or_default(),
            kind,
        )?;
    }
    let named = texts.into_iter().enumerate();
    let texts = named
        .map(|(id, text)| text.unwrap_or_else(|| format!("[PAD{id}]")))
        .collect();
    Ok(Tokens { texts, types })
}

/// The merges of a `tokenizer.json`, in either of its two formats.
fn merges(json: &Value) -> Result<Vec<(&str, &str)>> {
    let list = json["model"]["merges"].as_array().into_iter().flatten();
    list.map(|merge| {
        pair(merge)
            .ok_or_else(|| Error::Refused(format!("model: tokenizer.json has the merge {merge}")))
    })
    .collect()
}

fn pair(merge: &Value) -> Option<(&str, &str)> {
    match merge {
        Value::String(text) => text.split_once(' '),
        _ => Some((merge[0].as_str()?, merge[1].as_str()?)),
    }
}

/// Joins merges with a space, like GGUF. A byte-level token doesn't contain spaces.
fn joined(merges: &[(&str, &str)]) -> Result<Vec<String>> {
    let join = |(left, right): &(&str, &str)| {
        if left.contains(' ') || right.contains(' ') {
            return refused(format!(
                "--format: tokenizer.json has the merge {left:?} {right:?}, which GGUF can't hold"
            ));
        }
        Ok(format!("{left} {right}"))
    };
    merges.iter().map(join).collect()
}

/// Refuses normalizers other than NFC, because llama.cpp doesn't normalise the text for a byte-level
/// tokenizer. Almost all texts are in NFC anyway, and converters ignore that step too.
fn check_normalizer(json: &Value) -> Result<()> {
    match json["normalizer"]["type"].as_str() {
        None | Some("NFC") => Ok(()),
        Some(kind) => refused(format!(
            "--format: the tokenizer of this base has a normalizer ({kind}), which llama.cpp doesn't have. Use \
             --format merged."
        )),
    }
}
