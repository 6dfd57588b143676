//! Tokenizers that come from SentencePiece (Llama 2, TinyLlama). llama.cpp merges by the score of the
//! merged token, and `tokenizer.json` by the order of merges. The file with the original scores is often
//! missing.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::vocab::{NORMAL, Tokens};
use crate::error::{Result, refused};

/// Token types.
const UNKNOWN: i32 = 2;
const BYTE: i32 = 6;

/// The character that stands for a space.
const SPACE: &str = "\u{2581}";

/// The scores of all tokens: the earlier a token is merged, the higher its score. Also marks the tokens
/// for single bytes.
pub fn scores(json: &Value, merges: &[(&str, &str)], tokens: &mut Tokens) -> Result<Vec<f32>> {
    let ranks = ranks(merges, json)?;
    let unknown = json["model"]["unk_token"].as_str();
    let mut scores = Vec::with_capacity(tokens.texts.len());
    for (text, kind) in tokens.texts.iter_mut().zip(&mut tokens.types) {
        let rank = ranks.get(text.as_str());
        if unknown == Some(text.as_str()) {
            *kind = UNKNOWN;
        } else if *kind == NORMAL && is_byte(text) {
            *kind = BYTE;
        } else if *kind != NORMAL {
            // llama.cpp searches the unmodified text for these tokens.
            *text = text.replace(SPACE, " ");
        }
        scores.push(match rank {
            Some(rank) if *kind == NORMAL => -narrow(*rank),
            _ if *kind == NORMAL => -narrow(ranks.len()),
            _ => 0.0,
        });
    }
    Ok(scores)
}

/// The ranks of merged tokens. Refuses merges that scores can't represent: all merges into a token must
/// follow each other, and every split of it into two tokens must be a merge.
fn ranks(merges: &[(&str, &str)], json: &Value) -> Result<HashMap<String, usize>> {
    let mut ranks = HashMap::new();
    let mut last = String::new();
    for (left, right) in merges {
        let token = format!("{left}{right}");
        let rank = ranks.len();
        if token != last && ranks.insert(token.clone(), rank).is_some() {
            return unordered(&token);
        }
        last = token;
    }
    let known: HashSet<&(&str, &str)> = merges.iter().collect();
    let vocab = &json["model"]["vocab"];
    for token in ranks.keys() {
        let places = token.char_indices().skip(1);
        let parts = places.map(|(place, _)| token.split_at(place));
        let mut made = parts.filter(|(left, right)| vocab[left].is_u64() && vocab[right].is_u64());
        if made.any(|parts| !known.contains(&parts)) {
            return unordered(token);
        }
    }
    Ok(ranks)
}

fn unordered<T>(token: &str) -> Result<T> {
    refused(format!(
        "--format: llama.cpp can't follow the merges of {token:?} in this base's tokenizer.json. Use --format \
         merged."
    ))
}

/// Whether a space is put before a text. Refuses normalizers and pre-tokenizers that do anything else.
pub fn prefixes_space(json: &Value) -> Result<bool> {
    let normalizer = &json["normalizer"];
    let steps = match normalizer["normalizers"].as_array() {
        Some(steps) => steps.iter().collect(),
        None if normalizer.is_null() => Vec::new(),
        None => vec![normalizer],
    };
    let replaces = |step: &Value| {
        step["type"] == "Replace" && step["pattern"]["String"] == " " && step["content"] == SPACE
    };
    let prepends = |step: &Value| step["type"] == "Prepend" && step["prepend"] == SPACE;
    let pre = &json["pre_tokenizer"];
    let metaspace =
        pre["type"] == "Metaspace" && pre["replacement"] == SPACE && pre["split"] == false;
    match steps.as_slice() {
        [first, second] if pre.is_null() && prepends(first) && replaces(second) => Ok(true),
        [only] if pre.is_null() && replaces(only) => Ok(false),
        [] if metaspace => Ok(pre["prepend_scheme"] != "never"),
        _ => refused(
            "--format: the normalizer or the pre_tokenizer of this base's tokenizer.json is none that llama.cpp \
             has. Use --format merged, and llama.cpp's convert_hf_to_gguf.py.",
        ),
    }
}

/// Whether a token stands for a byte, like `<0x0A>`.
fn is_byte(text: &str) -> bool {
    let digits = text
        .strip_prefix("<0x")
        .and_then(|rest| rest.strip_suffix('>'));
    digits.is_some_and(|digits| digits.len() == 2 && u8::from_str_radix(digits, 16).is_ok())
}

#[allow(
    clippy::cast_precision_loss,
    reason = "a vocabulary has far fewer than 2^24 tokens"
)]
fn narrow(rank: usize) -> f32 {
    rank as f32
}
