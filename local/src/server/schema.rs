//! JSON schemas of requests: closed against properties that nobody asked for.

use serde_json::{Value, json};

/// Keywords whose value is a schema, a list of schemas, or an object of schemas. Not `allOf`: each of
/// its parts allows what the others name.
const SINGLE: [&str; 3] = ["items", "additionalProperties", "contains"];
const LISTS: [&str; 3] = ["anyOf", "oneOf", "prefixItems"];
const OBJECTS: [&str; 4] = ["properties", "patternProperties", "$defs", "definitions"];

/// Keywords beside which a closed object would also forbid what they allow.
const SHARED: [&str; 6] = [
    "allOf",
    "anyOf",
    "oneOf",
    "if",
    "$ref",
    "unevaluatedProperties",
];

/// Objects that name their properties get no others, unless the schema says so itself.
pub fn close(schema: &mut Value) {
    // A definition may be a part of it, which must stay open.
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

/// What a call of a function looks like. Its arguments are those that the function names: else a small
/// model rambles on in properties of its own.
pub fn call(tool: &Value) -> Value {
    let function = &tool["function"];
    let mut arguments = match &function["parameters"] {
        schema @ Value::Object(_) => schema.clone(),
        // A function without parameters.
        _ => json!({ "type": "object", "properties": {} }),
    };
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
