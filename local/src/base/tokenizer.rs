//! Loads a tokenizer.

use serde_json::Value;
use tokenizers::Tokenizer;

use crate::error::{Error, Result, refused};

/// The largest factor by which a normalizer or decoder may lengthen a text.
const MOST_GROWTH: f64 = 64.0;

/// The most tokens that a post-processor may add around a text.
const MOST_ADDED: usize = 64;

/// Reads a `tokenizer.json`. Ignores its truncation and padding settings: they're left over from some
/// earlier use, and would truncate every text and train on padding. Refuses ids for which a model of
/// `vocab_size` tokens has no embedding, before anything is built from them.
pub fn load(bytes: &[u8], vocab_size: usize) -> Result<Tokenizer> {
    let broken = |why: &dyn std::fmt::Display| {
        Error::Refused(format!("model: tokenizer.json can't be used: {why}"))
    };
    let mut json: Value = serde_json::from_slice(bytes).map_err(|error| broken(&error))?;
    let Some(fields) = json.as_object_mut() else {
        return Err(broken(&"it isn't an object"));
    };
    fields.insert("truncation".to_owned(), Value::Null);
    fields.insert("padding".to_owned(), Value::Null);
    if let Some((field, id)) = largest_id(&json)
        && id >= u64::try_from(vocab_size).unwrap_or(u64::MAX)
    {
        return refused(format!(
            "model: tokenizer.json has the token id {id} in {field}, but the model's vocab_size is \
             {vocab_size}. Use the tokenizer of this model, or resize the model's embedding."
        ));
    }
    for (field, steps) in [("normalizer", "normalizers"), ("decoder", "decoders")] {
        let growth = growth(&json[field], steps);
        if growth > MOST_GROWTH {
            return refused(format!(
                "model: the {field} of tokenizer.json can make a text {growth:.0} times as long, and \
                 can at most make it {MOST_GROWTH} times as long"
            ));
        }
    }
    let added = added(&json["post_processor"]);
    if added > MOST_ADDED {
        return refused(format!(
            "model: the post_processor of tokenizer.json adds {added} tokens to a text, and can add at most \
             {MOST_ADDED}"
        ));
    }
    serde_json::from_value(json).map_err(|error| broken(&error))
}

/// How many tokens a post-processor adds around a text.
fn added(processor: &Value) -> usize {
    let ids = |name: &Value| {
        let token = name
            .as_str()
            .map(|name| &processor["special_tokens"][name]["ids"]);
        token.and_then(Value::as_array).map_or(0, Vec::len)
    };
    let single = processor["single"].as_array().into_iter().flatten();
    let own: usize = single.map(|part| ids(&part["SpecialToken"]["id"])).sum();
    let inner = processor["processors"].as_array().into_iter().flatten();
    own + inner.map(added).sum::<usize>()
}

/// The factor by which a normalizer or a decoder may lengthen a text. `steps` is the field with the parts
/// of a sequence.
fn growth(part: &Value, steps: &str) -> f64 {
    let inner = part[steps].as_array().into_iter().flatten();
    let of_steps: f64 = inner.map(|part| growth(part, steps)).product();
    let length = |text: &str| f64::from(u32::try_from(text.len()).unwrap_or(u32::MAX));
    if let Some(prepended) = part["prepend"].as_str() {
        // It's prepended to each piece of a text, and a piece can be a single byte.
        return of_steps * (1.0 + length(prepended));
    }
    let Some(content) = part["content"]
        .as_str()
        .filter(|_| part["type"] == "Replace")
    else {
        return of_steps;
    };
    // A regular expression can match the empty text before every character.
    let replaced = match part["pattern"]["String"].as_str() {
        Some(text) if !text.is_empty() => length(content) / length(text),
        _ => 1.0 + length(content),
    };
    of_steps * replaced.max(1.0)
}

/// The largest token id in the tokenizer, and the place where it's defined.
fn largest_id(json: &Value) -> Option<(&'static str, u64)> {
    let model = &json["model"]["vocab"];
    let vocab = match model {
        // In a Unigram vocabulary, the ids are the positions in the list.
        Value::Array(list) => u64::try_from(list.len()).ok().map(|len| len.max(1) - 1),
        _ => model
            .as_object()
            .and_then(|vocab| vocab.values().filter_map(id).max()),
    };
    let added = json["added_tokens"]
        .as_array()
        .and_then(|tokens| tokens.iter().filter_map(|token| id(&token["id"])).max());
    let mut special = Vec::new();
    ids_of_post_processor(&json["post_processor"], &mut special);
    [
        ("model.vocab", vocab),
        ("added_tokens", added),
        ("post_processor", special.into_iter().max()),
    ]
    .into_iter()
    .filter_map(|(field, id)| Some((field, id?)))
    .max_by_key(|(_, id)| *id)
}

/// Reads an id. A number that isn't a valid id counts as the largest one.
fn id(value: &Value) -> Option<u64> {
    value
        .is_number()
        .then(|| value.as_u64().unwrap_or(u64::MAX))
}

/// Collects the ids in `special_tokens` of a template, and in `sep` and `cls` of the older processors, at
/// any depth.
fn ids_of_post_processor(processor: &Value, ids: &mut Vec<u64>) {
    if let Some(tokens) = processor["special_tokens"].as_object() {
        let lists = tokens.values().filter_map(|token| token["ids"].as_array());
        ids.extend(lists.flatten().filter_map(id));
    }
    ids.extend(
        ["sep", "cls"]
            .iter()
            .filter_map(|name| id(&processor[*name][1])),
    );
    for inner in processor["processors"].as_array().into_iter().flatten() {
        ids_of_post_processor(inner, ids);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::growth;

    #[test]
    fn replacements_multiply() {
        let replace = |pattern, content: &str| json!({ "type": "Replace", "pattern": pattern, "content": content });
        let metaspace = replace(json!({ "String": " " }), "\u{2581}");
        let doubled = vec![replace(json!({ "String": "a" }), "aa"); 20];
        for (normalizer, expected) in [
            (json!(null), 1.0),
            (json!({ "type": "NFC" }), 1.0),
            (metaspace.clone(), 3.0),
            (replace(json!({ "String": "``" }), "\""), 1.0),
            (replace(json!({ "Regex": "x*" }), "yy"), 3.0),
            (
                json!({ "type": "Sequence", "normalizers": [
                    { "type": "Prepend", "prepend": "\u{2581}" },
                    { "type": "Sequence", "normalizers": [metaspace] },
                ] }),
                12.0,
            ),
            (
                json!({ "type": "Sequence", "normalizers": doubled }),
                1_048_576.0,
            ),
        ] {
            let growth = growth(&normalizer, "normalizers");
            assert!(
                (growth - expected).abs() < 1e-9,
                "{growth} for {normalizer}"
            );
        }
    }
}
