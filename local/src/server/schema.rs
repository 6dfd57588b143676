//! JSON schemas of requests, which are closed: they forbid properties that they don't name.

use serde_json::{Map, Value, json};

/// Keywords whose value is a schema, a list of schemas, or an object of schemas. `allOf` is missing: each
/// of its parts must allow the properties that the others name.
const SINGLE: [&str; 3] = ["items", "additionalProperties", "contains"];
const LISTS: [&str; 3] = ["anyOf", "oneOf", "prefixItems"];
const OBJECTS: [&str; 4] = ["properties", "patternProperties", "$defs", "definitions"];

/// Keywords that may allow further properties, so that an object with one of them can't be closed.
const SHARED: [&str; 6] = [
    "allOf",
    "anyOf",
    "oneOf",
    "if",
    "$ref",
    "unevaluatedProperties",
];

/// Forbids other properties in objects that name theirs, unless the schema itself allows them.
pub fn close(schema: &mut Value) {
    // Any definition may be part of an `allOf`, and those parts must stay open.
    if has_all_of(schema) {
        return;
    }
    close_part(schema);
}

fn has_all_of(value: &Value) -> bool {
    match value {
        Value::Object(map) => map.contains_key("allOf") || map.values().any(has_all_of),
        Value::Array(list) => list.iter().any(has_all_of),
        _ => false,
    }
}

fn close_part(schema: &mut Value) {
    let Some(map) = schema.as_object_mut() else {
        return;
    };
    for (name, value) in map.iter_mut() {
        let name = name.as_str();
        match value {
            Value::Object(parts) if OBJECTS.contains(&name) => {
                parts.values_mut().for_each(close_part);
            }
            Value::Array(parts) if LISTS.contains(&name) => {
                parts.iter_mut().for_each(close_part);
            }
            value if SINGLE.contains(&name) => close_part(value),
            _ => {}
        }
    }
    let shared = SHARED.iter().any(|name| map.contains_key(*name));
    if !shared && map.get("properties").is_some_and(Value::is_object) {
        map.entry("additionalProperties").or_insert(json!(false));
    }
}

/// The schema for a call of one of these functions. Each function's parameters become an entry in
/// `$defs`, and references in them are rewritten to point into it.
pub fn calls<'a>(tools: impl Iterator<Item = &'a Value>) -> Value {
    let (mut parts, mut definitions) = (Vec::new(), Map::new());
    for (index, tool) in tools.enumerate() {
        let mut part = call(tool);
        let mut arguments = part["properties"]["arguments"].take();
        let root = format!("#/$defs/{index}");
        rebase_refs(&mut arguments, &root);
        definitions.insert(index.to_string(), arguments);
        part["properties"]["arguments"] = json!({ "$ref": root });
        parts.push(part);
    }
    json!({ "anyOf": parts, "$defs": definitions })
}

/// Makes references to the root of a schema point to the schema's new place.
fn rebase_refs(schema: &mut Value, root: &str) {
    match schema {
        Value::Array(list) => list.iter_mut().for_each(|part| rebase_refs(part, root)),
        Value::Object(map) => {
            for (name, value) in map.iter_mut() {
                let target = value.as_str().and_then(|target| target.strip_prefix('#'));
                match target {
                    Some(rest) if name == "$ref" => *value = format!("{root}{rest}").into(),
                    _ => rebase_refs(value, root),
                }
            }
        }
        _ => {}
    }
}

/// The schema for a call of one function. It only allows declared arguments: otherwise a small model
/// keeps inventing properties.
fn call(tool: &Value) -> Value {
    let function = &tool["function"];
    let mut arguments = match &function["parameters"] {
        Value::Object(map) if !map.is_empty() => Value::Object(map.clone()),
        // A function without parameters.
        _ => json!({ "properties": {} }),
    };
    if !SHARED.iter().any(|name| !arguments[*name].is_null()) && arguments["type"].is_null() {
        arguments["type"] = "object".into();
    }
    close(&mut arguments);
    json!({
        "type": "object",
        "properties": { "name": { "const": function["name"] }, "arguments": arguments },
        "required": ["name", "arguments"],
        "additionalProperties": false,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use super::*;

    fn closed(mut schema: Value) -> Value {
        close(&mut schema);
        schema
    }

    #[test]
    fn what_is_data_in_a_schema_was_closed_too() {
        let schema = json!({
            "properties": {
                "properties": { "type": "string" },
                "a": { "const": { "properties": {} } },
                "b": { "properties": {}, "additionalProperties": true },
                "c": { "items": { "anyOf": [{ "properties": {} }] } },
            },
        });
        let expected = json!({
            "properties": {
                "properties": { "type": "string" },
                "a": { "const": { "properties": {} } },
                "b": { "properties": {}, "additionalProperties": true },
                "c": { "items": { "anyOf": [{ "properties": {}, "additionalProperties": false }] } },
            },
            "additionalProperties": false,
        });
        assert_eq!(closed(schema), expected);
    }

    #[test]
    fn parts_of_an_all_of_forbade_each_others_properties() {
        let part = |name: &str| json!({ "properties": { name: { "type": "string" } } });
        let schema =
            json!({ "$defs": { "a": part("a") }, "allOf": [{ "$ref": "#/$defs/a" }, part("b")] });
        assert_eq!(closed(schema.clone()), schema);
    }

    #[test]
    fn references_of_parameters_led_nowhere_inside_of_a_call() {
        let tool = |name: &str| {
            json!({ "function": { "name": name, "parameters": {
                "type": "object", "properties": { "a": { "$ref": "#/$defs/A" }, "b": { "$ref": "#" } },
                "$defs": { "A": { "type": "integer", "const": 7 } },
            } } })
        };
        let tools = [tool("f"), tool("g")];
        let schema = calls(tools.iter());
        let second = &schema["$defs"]["1"];
        assert_eq!(second["properties"]["a"]["$ref"], "#/$defs/1/$defs/A");
        assert_eq!(second["properties"]["b"]["$ref"], "#/$defs/1");
        let base = crate::base::Base::load(&crate::base::Source::BuiltIn).unwrap();
        let constraint = crate::constrain::Constraint::Json(schema);
        assert!(base.text.guide(&constraint, "x").is_ok());
    }

    #[test]
    fn a_function_with_empty_parameters_was_called_with_anything() {
        let tool = json!({ "function": { "name": "f", "parameters": {} } });
        let schema = calls([tool].iter());
        let arguments = &schema["$defs"]["0"];
        assert_eq!(
            (&arguments["type"], &arguments["additionalProperties"]),
            (&json!("object"), &json!(false))
        );
    }

    #[test]
    fn a_call_could_have_any_other_arguments() {
        let tool = json!({ "function": { "name": "f", "parameters": {
            "type": "object", "properties": { "city": { "type": "string" } },
        } } });
        let arguments = &call(&tool)["properties"]["arguments"];
        assert_eq!(arguments["additionalProperties"], false);
        let none = json!({ "function": { "name": "f" } });
        let arguments = &call(&none)["properties"]["arguments"];
        assert_eq!(arguments["additionalProperties"], false);
    }
}
