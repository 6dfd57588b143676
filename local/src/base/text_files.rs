//! The chat templates and special tokens of a model's folder, located as in transformers.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value;

use super::template::TemplateFile;
use crate::error::{Result, refused};
use crate::folder::read_text;

/// The file with the default chat template.
const TEMPLATE: &str = "chat_template.jinja";

/// The folder with named chat templates.
const MORE_TEMPLATES: &str = "additional_chat_templates";

/// The most templates, more than any model has.
const MAX_TEMPLATES: usize = 64;

/// The named special tokens of transformers.
const SPECIAL_TOKENS: [&str; 7] = [
    "bos_token",
    "eos_token",
    "unk_token",
    "sep_token",
    "pad_token",
    "cls_token",
    "mask_token",
];

/// The chat templates of a model, by name. As in transformers, template files replace all templates in
/// `tokenizer_config.json`.
pub fn templates(dir: &Path, tokenizer_config: &Value) -> Result<BTreeMap<String, TemplateFile>> {
    let mut templates = BTreeMap::new();
    if dir.join(TEMPLATE).exists() {
        let (file, text) = (TEMPLATE.to_owned(), read_text(dir, TEMPLATE)?);
        templates.insert("default".to_owned(), TemplateFile { file, text });
    }
    let more = dir.join(MORE_TEMPLATES);
    for entry in fs::read_dir(&more).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if let Some(template) = name.strip_suffix(".jinja") {
            let file = format!("{MORE_TEMPLATES}/{name}");
            let text = read_text(dir, &file)?;
            templates.insert(template.to_owned(), TemplateFile { file, text });
        }
        if templates.len() > MAX_TEMPLATES {
            return refused(format!(
                "model: {} has more than {MAX_TEMPLATES} chat templates",
                more.display()
            ));
        }
    }
    if templates.is_empty() {
        return configured_templates(tokenizer_config);
    }
    Ok(templates)
}

/// Reads `chat_template` of `tokenizer_config.json`: a string, or a list of named templates.
pub fn configured_templates(tokenizer_config: &Value) -> Result<BTreeMap<String, TemplateFile>> {
    const FILE: &str = "tokenizer_config.json";
    let unknown = || {
        refused(format!(
            "model: {FILE} has a chat_template that is neither a string nor a list of templates with \
             a name and a template"
        ))
    };
    match tokenizer_config.get("chat_template") {
        None | Some(Value::Null) => Ok(BTreeMap::new()),
        Some(Value::String(text)) => {
            let (file, text) = (FILE.to_owned(), text.clone());
            Ok([("default".to_owned(), TemplateFile { file, text })].into())
        }
        Some(Value::Array(list)) => {
            let mut templates = BTreeMap::new();
            for entry in list {
                let (Some(name), Some(text)) = (entry["name"].as_str(), entry["template"].as_str())
                else {
                    return unknown();
                };
                let (file, text) = (format!("{FILE} ({name})"), text.to_owned());
                templates.insert(name.to_owned(), TemplateFile { file, text });
            }
            Ok(templates)
        }
        Some(_) => unknown(),
    }
}

/// The special tokens that chat templates can use, by name. Only those that are set, including a model's
/// own `*_token` fields.
pub fn special_tokens(
    tokenizer_config: &Value,
    special_tokens_map: Option<&Value>,
) -> Vec<(String, Value)> {
    let mut fields = tokenizer_config.as_object().cloned().unwrap_or_default();
    // As in transformers, the older file only counts if the newer format isn't used.
    if !fields.contains_key("added_tokens_decoder")
        && let Some(map) = special_tokens_map.and_then(Value::as_object)
    {
        fields.extend(map.clone());
    }
    if let Some(Value::Object(extra)) = fields.get("extra_special_tokens").cloned() {
        fields.extend(extra);
    }
    let mut tokens = Vec::new();
    for (name, value) in &fields {
        let named = SPECIAL_TOKENS.contains(&name.as_str()) || name.ends_with("_token");
        if let Some(token) = token(value).filter(|_| named) {
            tokens.push((name.clone(), Value::from(token)));
        }
    }
    let additional = fields.get("additional_special_tokens");
    if let Some(list) = additional.and_then(Value::as_array) {
        let list: Vec<&str> = list.iter().filter_map(token).collect();
        tokens.push(("additional_special_tokens".to_owned(), list.into()));
    }
    tokens
}

/// Reads a special token: a string, or an object with a `content`.
fn token(value: &Value) -> Option<&str> {
    value
        .as_str()
        .or_else(|| value.get("content").and_then(Value::as_str))
}
