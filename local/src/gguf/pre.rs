//! Pre-tokenizers, which split a text before merges are applied. llama.cpp knows them by name.

use serde_json::{Value, json};

/// Regular expressions in `tokenizer.json`, and llama.cpp's names for them.
pub const EXPRESSIONS: [(&str, &str); 3] = [
    (
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        "llama-bpe",
    ),
    (
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        "qwen2",
    ),
    (
        r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
        "gpt-2",
    ),
];

/// Other names for Llama 3's pre-tokenizer.
const LLAMA3: [&str; 2] = ["llama3", "llama-v3"];

/// The names that [`pre_tokenizer`] supports.
pub const NAMES: &str = "gpt-2, smollm, llama-bpe and qwen2";

/// llama.cpp's canonical name for a pre-tokenizer.
#[must_use]
pub fn canonical(name: &str) -> &str {
    if LLAMA3.contains(&name) {
        "llama-bpe"
    } else {
        name
    }
}

/// The `pre_tokenizer` field for a name. Without merges, it doesn't matter how a text is split.
#[must_use]
pub fn pre_tokenizer(name: &str, merges: bool) -> Option<Value> {
    let bytes = |regex: bool| json!({ "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": regex });
    let after = |first: Value, regex: bool| json!({ "type": "Sequence", "pretokenizers": [first, bytes(regex)] });
    let digits = json!({ "type": "Digits", "individual_digits": true });
    match name {
        "default" if !merges => Some(bytes(true)),
        "gpt-2" => Some(bytes(true)),
        "smollm" => Some(after(digits, true)),
        _ => {
            let (regex, _) = EXPRESSIONS.iter().find(|(_, known)| *known == name)?;
            let split = json!({
                "type": "Split", "pattern": { "Regex": regex }, "behavior": "Isolated", "invert": false,
            });
            Some(after(split, false))
        }
    }
}
