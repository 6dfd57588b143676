//! Tokenizers that come from SentencePiece (Llama 2, TinyLlama). llama.cpp merges by the score of the
//! merged token, while the merges in `tokenizer.json` are ordered.

use std::cmp::Reverse;

use candle_core::quantized::gguf_file;
use serde_json::{Map, Value, json};

use super::metadata::Metadata;
use super::tokenizer::{Tokens, UNKNOWN};
use crate::error::Result;

/// The character that stands for a space.
const SPACE: &str = "\u{2581}";

/// The type of a token that is a word or a part of one.
const NORMAL: u64 = 1;

/// A `tokenizer.json` without its added tokens.
pub fn tokenizer(
    metadata: Metadata,
    tokens: &Tokens,
    vocabulary: &Map<String, Value>,
) -> Result<Value> {
    const SCORES: &str = "tokenizer.ggml.scores";
    let scores = metadata.list(SCORES, "a list of numbers", |value| match value {
        gguf_file::Value::F32(number) => Some(*number),
        _ => None,
    })?;
    let scores = scores.ok_or_else(|| metadata.missing(SCORES))?;
    let prefixed = metadata
        .flag("tokenizer.ggml.add_space_prefix")?
        .unwrap_or(true);
    let spaces = json!({ "type": "Replace", "pattern": { "String": " " }, "content": SPACE });
    let mut normalizers = vec![spaces];
    let mut decoders = vec![
        json!({ "type": "Replace", "pattern": { "String": SPACE }, "content": " " }),
        json!({ "type": "ByteFallback" }),
        json!({ "type": "Fuse" }),
    ];
    if prefixed {
        normalizers.insert(0, json!({ "type": "Prepend", "prepend": SPACE }));
        decoders.push(json!({ "type": "Strip", "content": " ", "start": 1, "stop": 0 }));
    }
    let unknown = tokens.types.iter().position(|kind| *kind == UNKNOWN);
    Ok(json!({
        "normalizer": { "type": "Sequence", "normalizers": normalizers },
        "decoder": { "type": "Sequence", "decoders": decoders },
        "model": {
            "type": "BPE",
            "merges": merges(tokens, &scores, vocabulary),
            "vocab": vocabulary,
            "unk_token": unknown.map(|id| tokens.texts[id]),
            "fuse_unk": true,
            "byte_fallback": true,
        },
    }))
}

/// All pairs of tokens that form another token, ordered by the score of that token, the highest first.
fn merges<'a>(
    tokens: &Tokens<'a>,
    scores: &[f32],
    vocabulary: &Map<String, Value>,
) -> Vec<(&'a str, &'a str)> {
    let id = |text: &str| vocabulary.get(text).and_then(Value::as_u64);
    let mut merges = Vec::new();
    for (id_of_token, (text, score)) in tokens.texts.iter().zip(scores).enumerate() {
        if tokens.types[id_of_token] != NORMAL {
            continue;
        }
        let places = text.char_indices().skip(1);
        let parts = places.map(|(place, _)| text.split_at(place));
        merges
            .extend(parts.filter_map(|(left, right)| {
                Some((*score, (id(left)?, id(right)?), (left, right)))
            }));
    }
    // Like transformers: for equal scores, the longer left part comes first.
    merges.sort_by(
        |(a, ids_a, (left_a, right_a)), (b, ids_b, (left_b, right_b))| {
            let lengths =
                |left: &str, right: &str| Reverse((left.chars().count(), right.chars().count()));
            b.total_cmp(a)
                .then_with(|| lengths(left_a, right_a).cmp(&lengths(left_b, right_b)))
                .then_with(|| ids_a.cmp(ids_b))
        },
    );
    merges.into_iter().map(|(_, _, parts)| parts).collect()
}
