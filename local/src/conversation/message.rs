//! Reads single messages, and tools.

use serde_json::{Map, Value, json};

use super::{Learn, MessagePath};
use crate::error::{Result, refused};
use crate::json::kind;

/// Fields that aren't meant for a model.
const IGNORED: [&str; 4] = ["id", "timestamp", "created_at", "metadata"];

/// Fields that this module interprets. Any other field is left to the template, and refused if the
/// template doesn't render it.
pub(super) const KNOWN: [&str; 4] = ["role", "content", "tool_calls", "tool_call_id"];

/// Reads a message. Returns it in the format for chat templates, and how training treats it.
pub(super) fn read(message: &Value, place: MessagePath) -> Result<(Value, Learn)> {
    let Some(fields) = message.as_object() else {
        return refused(format!(
            "{place} must be an object, it is {}",
            kind(message)
        ));
    };
    let mut fields: Map<String, Value> = fields
        .iter()
        .filter(|(name, value)| *name == "content" || !is_absent(value))
        .filter(|(name, _)| !IGNORED.contains(&name.as_str()))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    let role = role(&fields, place)?;
    let learn = learn(fields.shift_remove("weight").as_ref(), role, place)?;
    if fields.contains_key("function_call") {
        return refused(format!(
            "{place}.function_call is not supported. Use tool_calls."
        ));
    }
    if let Some(calls) = fields.get_mut("tool_calls") {
        if role != "assistant" {
            return refused(format!(
                "{place}.tool_calls: only an assistant message has calls, this one is of the role {role}"
            ));
        }
        read_calls(calls, place)?;
    }
    let calls = fields.contains_key("tool_calls");
    let content = content(fields.get("content"), calls, place)?;
    fields.insert("role".to_owned(), role.into());
    fields.insert("content".to_owned(), content);
    Ok((Value::Object(fields), learn))
}

/// Whether a field counts as absent. OpenAI's clients and columnar files write absent fields as null or
/// empty.
fn is_absent(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    }
}

fn role(fields: &Map<String, Value>, place: MessagePath) -> Result<&'static str> {
    match fields.get("role") {
        Some(Value::String(role)) => {
            let known = ["system", "developer", "user", "assistant", "tool"];
            match known.into_iter().find(|known| known == role) {
                Some(role) => Ok(role),
                None => refused(format!(
                    "{place}.role must be system, developer, user, assistant or tool, it is {role:?}"
                )),
            }
        }
        Some(other) => refused(format!(
            "{place}.role must be a string, it is {}",
            kind(other)
        )),
        None => refused(format!("{place}.role must be a string, it is missing")),
    }
}

/// Reads OpenAI's `weight`. A message with a weight of 0 isn't trained.
fn learn(weight: Option<&Value>, role: &str, place: MessagePath) -> Result<Learn> {
    let default = if role == "assistant" {
        Learn::Response
    } else {
        Learn::Context
    };
    match weight.map(Value::as_f64) {
        None | Some(Some(1.0)) => Ok(default),
        Some(Some(0.0)) => Ok(Learn::Never),
        Some(_) => refused(format!(
            "{place}.weight must be 0 or 1, it is {}",
            weight.unwrap_or(&Value::Null)
        )),
    }
}

/// Reads the content: a text, or a list of text parts. Only a message with calls may have none.
fn content(content: Option<&Value>, calls: bool, place: MessagePath) -> Result<Value> {
    match content {
        Some(Value::String(text)) => Ok(Value::from(text.as_str())),
        Some(Value::Array(parts)) => {
            let mut text = String::new();
            for (index, part) in parts.iter().enumerate() {
                // A caching hint means nothing to a model.
                let known = ["type", "text", "cache_control"];
                let fields = part.as_object().into_iter().flatten();
                if let Some((name, _)) = fields
                    .filter(|(name, value)| !known.contains(&name.as_str()) && !is_absent(value))
                    .find(|_| part["type"] == "text")
                {
                    return refused(format!(
                        "{place}.content[{index}].{name} is not supported. Remove it."
                    ));
                }
                match (part["type"].as_str(), part["text"].as_str()) {
                    (Some("text"), Some(part)) => text.push_str(part),
                    (kind, _) => {
                        return refused(format!(
                            "{place}.content[{index}] is a part of type {:?}. Only text is supported.",
                            kind.unwrap_or("none")
                        ));
                    }
                }
            }
            Ok(text.into())
        }
        None | Some(Value::Null) if calls => Ok(Value::Null),
        None => refused(format!("{place}.content must be a string, it is missing")),
        Some(other) => refused(format!(
            "{place}.content must be a string, it is {}",
            kind(other)
        )),
    }
}

/// Checks tool calls. Templates read arguments as an object, so JSON text is parsed.
fn read_calls(calls: &mut Value, place: MessagePath) -> Result<()> {
    let Some(list) = calls.as_array_mut() else {
        return refused(format!(
            "{place}.tool_calls must be a list, it is {}",
            kind(calls)
        ));
    };
    for (index, call) in list.iter_mut().enumerate() {
        let path = format!("{place}.tool_calls[{index}]");
        if call.get("function").is_none() && call.get("name").is_some() {
            let mut function = call.take();
            let id = function
                .as_object_mut()
                .and_then(|map| map.shift_remove("id"));
            *call = json!({ "type": "function", "function": function });
            if let Some(id) = id {
                call["id"] = id;
            }
        }
        check_names(call, &["id", "type", "function", "index"], &path)?;
        check_names(
            &call["function"],
            &["name", "arguments"],
            &format!("{path}.function"),
        )?;
        if !matches!(
            call.get("type").and_then(Value::as_str),
            None | Some("function")
        ) {
            return refused(format!(
                "{path}.type must be \"function\", it is {}",
                call["type"]
            ));
        }
        let named = call["function"]["name"].as_str();
        if named.is_none_or(str::is_empty) {
            return refused(format!("{path}.function.name must be a string"));
        }
        let function = &mut call["function"];
        function["arguments"] = match &function["arguments"] {
            Value::Object(map) => Value::Object(map.clone()),
            Value::Null => json!({}),
            Value::String(text) if text.trim().is_empty() => json!({}),
            Value::String(text) => match serde_json::from_str(text) {
                Ok(Value::Object(map)) => Value::Object(map),
                _ => {
                    return refused(format!(
                        "{path}.function.arguments must be a JSON object, or its text"
                    ));
                }
            },
            other => {
                return refused(format!(
                    "{path}.function.arguments must be an object, it is {}",
                    kind(other)
                ));
            }
        };
    }
    Ok(())
}

/// Refuses unknown fields, since one of them might contain a call's arguments.
fn check_names(value: &Value, known: &[&str], path: &str) -> Result<()> {
    let fields = value.as_object().into_iter().flatten();
    let mut other =
        fields.filter(|(name, value)| !known.contains(&name.as_str()) && !is_absent(value));
    match other.next() {
        None => Ok(()),
        Some((name, _)) => refused(format!(
            "{path}.{name} is not supported. A call has a `name`, and its `arguments`."
        )),
    }
}

/// Reads `tools`: a list, or its JSON text, as in columnar datasets.
pub(super) fn tools(tools: &Value) -> Result<Option<Value>> {
    let list = match tools {
        Value::Null => return Ok(None),
        Value::String(text) if text.trim().is_empty() => return Ok(None),
        Value::String(text) => match serde_json::from_str(text) {
            Ok(list @ Value::Array(_)) => list,
            Ok(Value::Null) => return Ok(None),
            _ => return refused("tools must be a list, or the JSON text of one"),
        },
        other => other.clone(),
    };
    let Some(entries) = list.as_array() else {
        return refused(format!("tools must be a list, it is {}", kind(&list)));
    };
    for (index, tool) in entries.iter().enumerate() {
        let named = tool["function"]["name"].as_str();
        if tool["type"].as_str() != Some("function") || named.is_none_or(str::is_empty) {
            return refused(format!(
                "tools[{index}] must be {{ type: \"function\", function: {{ name }} }}"
            ));
        }
    }
    Ok((!entries.is_empty()).then_some(list))
}
