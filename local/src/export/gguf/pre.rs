//! Pre-tokenizers, which split a text before llama.cpp merges. llama.cpp knows them by name, so this
//! looks for a name that stands for the same way of splitting.

use serde_json::Value;

use crate::error::{Result, refused};
use crate::gguf::pre::EXPRESSIONS;

/// llama.cpp's name for the pre-tokenizer of a byte-level tokenizer. If the tokenizer has no `merges`, it
/// doesn't matter how a text is split.
pub fn name(tokenizer: &Value, merges: bool) -> Result<&'static str> {
    let mut steps = Vec::new();
    flatten(&tokenizer["pre_tokenizer"], &mut steps);
    let kinds: Vec<&str> = steps
        .iter()
        .map(|step| step["type"].as_str().unwrap_or_default())
        .collect();
    let bytes = steps.last().filter(|step| step["type"] == "ByteLevel");
    let prefixed = bytes.is_some_and(|step| step["add_prefix_space"] == true);
    // tokenizers' default for a missing field is true.
    let splits = bytes.is_some_and(|step| step["use_regex"] != false);
    let name = match kinds.as_slice() {
        _ if prefixed => None,
        ["ByteLevel"] if !merges => Some("default"),
        ["ByteLevel"] if splits => Some("gpt-2"),
        ["Digits", "ByteLevel"] if splits && steps[0]["individual_digits"] == true => {
            Some("smollm")
        }
        ["Split", "ByteLevel"] if !splits => split(steps[0]),
        _ => None,
    };
    match name {
        Some(name) => Ok(name),
        None => refused(format!(
            "--format: llama.cpp has no name for the pre_tokenizer of this base's tokenizer.json ({}) that is \
             known here. Use --format merged, and llama.cpp's convert_hf_to_gguf.py.",
            if kinds.is_empty() {
                "none".to_owned()
            } else {
                kinds.join(", ")
            }
        )),
    }
}

fn flatten<'a>(step: &'a Value, steps: &mut Vec<&'a Value>) {
    match step["pretokenizers"].as_array() {
        Some(inner) => inner.iter().for_each(|step| flatten(step, steps)),
        None if step.is_object() => steps.push(step),
        None => {}
    }
}

/// Finds the name for a `Split` step. Every character matches the known expressions, so that it makes no
/// difference whether matches are kept or the rest is removed.
fn split(step: &Value) -> Option<&'static str> {
    let whole = match step["behavior"].as_str() {
        Some("Isolated") => step["invert"] != true,
        Some("Removed") => step["invert"] == true,
        _ => false,
    };
    let regex = step["pattern"]["Regex"].as_str().filter(|_| whole)?;
    let known = EXPRESSIONS
        .iter()
        .find(|(expression, _)| *expression == regex);
    known.map(|(_, name)| *name)
}
