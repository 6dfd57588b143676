//! What an answer must look like, and which functions it may call. `responseFormat`, `structuredOutputs`,
//! `tools` and `toolChoice` decide that together.

use serde_json::{Map, Value, json};

use super::chat_request::present;
use super::schema;
use crate::base::text::TextCodec;
use crate::constrain::{Constraint, any_object};
use crate::data::rows::kind;
use crate::error::{Result, refused};

const KINDS: [&str; 5] = ["json", "regex", "choice", "json_object", "grammar"];

const OPTIONS: [&str; 3] = [
    "disable_any_whitespace",
    "disable_additional_properties",
    "whitespace_pattern",
];

/// Around a call, for models whose chat template teaches it (Qwen, Hermes, SmolLM2 and others).
const CALL_MARKS: (&str, &str) = ("<tool_call>", "</tool_call>");

/// What is wanted of an answer.
#[derive(Debug, Default)]
pub struct Wanted {
    /// What it must look like, and the field that says so.
    pub constraint: Option<(Constraint, &'static str)>,
    /// For the chat template.
    pub tools: Option<Value>,
    /// Whether one answer may call no more than one function.
    one_call: bool,
}

impl Wanted {
    /// Reads the four fields of a request.
    pub fn from_json(body: &Value) -> Result<Self> {
        let format = response_format(body)?;
        let outputs = structured_outputs(body)?;
        let constraint = match (format, outputs) {
            (Some(_), Some(_)) => {
                return refused("give either responseFormat or structuredOutputs");
            }
            (Some(format), None) => Some((format, "responseFormat")),
            (None, Some(outputs)) => Some((outputs, "structuredOutputs")),
            (None, None) => None,
        };
        let (tools, calls) = tools(body)?;
        match (constraint, calls) {
            (Some(_), Some(_)) => refused("toolChoice: a call is no answer of another form"),
            (constraint, calls) => Ok(Self {
                constraint: constraint.or(calls.map(|calls| (calls, "toolChoice"))),
                tools,
                one_call: match present(body, "parallelToolCalls") {
                    None => false,
                    Some(Value::Bool(parallel)) => !parallel,
                    Some(other) => {
                        return refused(format!(
                            "parallelToolCalls must be true or false, it is {}",
                            kind(other)
                        ));
                    }
                },
            }),
        }
    }

    /// The most functions that the answer may call. `None` when there are none to call.
    #[must_use]
    pub fn most_calls(&self) -> Option<usize> {
        let most = if self.one_call { 1 } else { usize::MAX };
        self.tools.is_some().then_some(most)
    }

    /// Refuses tools when the model's chat template does not know them.
    pub fn check(&self, text: &TextCodec) -> Result<()> {
        if self.tools.is_some() && !text.knows_calls(CALL_MARKS.0) {
            return refused(format!(
                "tools: the chat template of this model has none, or other marks than {}. \
                 Remove tools, or use a model that knows them.",
                CALL_MARKS.0
            ));
        }
        Ok(())
    }
}

fn response_format(body: &Value) -> Result<Option<Constraint>> {
    let Some(format) = present(body, "responseFormat") else {
        return Ok(None);
    };
    match format["type"].as_str() {
        Some("text") => Ok(None),
        Some("json_object") => Ok(Some(any_object())),
        Some("json_schema") => match &format["json_schema"]["schema"] {
            schema @ Value::Object(_) => Ok(Some(Constraint::Json(schema.clone()))),
            other => refused(format!(
                "responseFormat.json_schema.schema must be an object, it is {}",
                kind(other)
            )),
        },
        _ => refused("responseFormat.type must be text, json_object or json_schema"),
    }
}

fn structured_outputs(body: &Value) -> Result<Option<Constraint>> {
    let Some(outputs) = present(body, "structuredOutputs") else {
        return Ok(None);
    };
    let Some(map) = outputs.as_object() else {
        return refused(format!(
            "structuredOutputs must be an object, it is {}",
            kind(outputs)
        ));
    };
    let known = |name: &str| KINDS.contains(&name) || OPTIONS.contains(&name);
    if let Some(name) = map.keys().find(|name| !known(name)) {
        return refused(format!("structuredOutputs.{name} is not known. Remove it."));
    }
    let kinds: Vec<&str> = KINDS
        .into_iter()
        .filter(|name| present(outputs, name).is_some())
        .collect();
    let [name] = kinds[..] else {
        return refused(format!(
            "structuredOutputs must have exactly one of {}",
            KINDS.join(", ")
        ));
    };
    if ["regex", "choice"].contains(&name)
        && let Some(option) = OPTIONS
            .iter()
            .find(|option| present(outputs, option).is_some())
    {
        return refused(format!(
            "structuredOutputs.{option} is about JSON, and changes nothing beside {name}. Remove it."
        ));
    }
    let value = &outputs[name];
    match (name, value) {
        ("json", Value::Object(_)) => options(value.clone(), map).map(Some),
        ("json", Value::String(text)) => match serde_json::from_str(text) {
            Ok(schema @ Value::Object(_)) => options(schema, map).map(Some),
            _ => refused("structuredOutputs.json must be a JSON schema"),
        },
        ("json_object", Value::Bool(true)) => options(json!({ "type": "object" }), map).map(Some),
        ("regex", Value::String(regex)) => Ok(Some(Constraint::Regex(regex.clone()))),
        ("choice", Value::Array(list)) if !list.is_empty() => {
            let texts: Option<Vec<String>> = list
                .iter()
                .map(|text| text.as_str().map(str::to_owned))
                .collect();
            match texts.filter(|texts| texts.iter().all(|text| !text.is_empty())) {
                Some(texts) => Ok(Some(Constraint::Choice(texts))),
                None => refused("structuredOutputs.choice must be a list of texts, none empty"),
            }
        }
        ("grammar", _) => refused(
            "structuredOutputs.grammar is not supported by the local backend. Use json, regex or choice.",
        ),
        (name, other) => refused(format!("structuredOutputs.{name} can't be {}", kind(other))),
    }
}

/// A schema with what else `structuredOutputs` says about it.
fn options(mut schema: Value, map: &Map<String, Value>) -> Result<Constraint> {
    let flag = |name: &str| match map.get(name) {
        None | Some(Value::Null) => Ok(false),
        Some(Value::Bool(flag)) => Ok(*flag),
        Some(other) => refused(format!(
            "structuredOutputs.{name} must be true or false, it is {}",
            kind(other)
        )),
    };
    if flag("disable_additional_properties")? {
        schema::close(&mut schema);
    }
    let mut guidance = Map::new();
    if flag("disable_any_whitespace")? {
        guidance.insert("whitespace_flexible".to_owned(), json!(false));
    }
    match map.get("whitespace_pattern") {
        None | Some(Value::Null) => {}
        Some(Value::String(pattern)) => {
            guidance.insert("whitespace_pattern".to_owned(), json!(pattern));
        }
        Some(other) => {
            return refused(format!(
                "structuredOutputs.whitespace_pattern must be a string, it is {}",
                kind(other)
            ));
        }
    }
    if !guidance.is_empty() {
        schema["x-guidance"] = Value::Object(guidance);
    }
    Ok(Constraint::Json(schema))
}

/// The tools for the template, and the constraint when a call is wanted.
fn tools(body: &Value) -> Result<(Option<Value>, Option<Constraint>)> {
    let tools = match present(body, "tools") {
        None => &[][..],
        Some(Value::Array(list)) => list,
        Some(other) => {
            return refused(format!("tools must be a list, it is {}", kind(other)));
        }
    };
    for (index, tool) in tools.iter().enumerate() {
        let named = tool["function"]["name"]
            .as_str()
            .is_some_and(|name| !name.is_empty());
        if tool["type"].as_str() != Some("function") || !named {
            return refused(format!(
                "tools[{index}] must be {{ type: \"function\", function: {{ name }} }}"
            ));
        }
    }
    let wanted = match present(body, "toolChoice") {
        None => None,
        Some(Value::String(choice)) => match choice.as_str() {
            "auto" => None,
            "none" => return Ok((None, None)),
            "required" => Some(tools.iter().collect::<Vec<_>>()),
            _ => {
                return refused("toolChoice must be auto, none, required, or name a function");
            }
        },
        Some(choice) => {
            let name = choice["function"]["name"].as_str().unwrap_or_default();
            let tool = tools.iter().filter(|tool| tool["function"]["name"] == name);
            Some(tool.take(1).collect())
        }
    };
    let calls = match wanted {
        None => None,
        Some(wanted) if wanted.is_empty() => {
            return refused("toolChoice: tools has no such function");
        }
        Some(wanted) => Some(Constraint::Call {
            open: format!("{}\n", CALL_MARKS.0),
            schema: json!({ "anyOf": wanted.into_iter().map(schema::call).collect::<Vec<_>>() }),
            close: format!("\n{}", CALL_MARKS.1),
        }),
    };
    let tools = (!tools.is_empty()).then(|| Value::from(tools.to_vec()));
    Ok((tools, calls))
}

/// How many calls of an answer are complete.
#[must_use]
pub fn complete_calls(answer: &str) -> usize {
    answer.matches(CALL_MARKS.1).count()
}

/// Takes the calls out of an answer. What is between marks but is no call stays text.
pub fn calls_of(answer: &str) -> Result<(String, Vec<Value>)> {
    let (mut text, mut calls) = (String::new(), Vec::new());
    let mut rest = answer;
    while let Some((before, after)) = rest.split_once(CALL_MARKS.0) {
        let (inside, behind) = after.split_once(CALL_MARKS.1).unwrap_or((after, ""));
        let call: Value = serde_json::from_str(inside.trim()).unwrap_or_default();
        text.push_str(before);
        if let (Some(name), arguments) = (call["name"].as_str(), &call["arguments"]) {
            calls.push(json!({
                "id": format!("call_{}", crate::random_hex()?),
                "type": "function",
                "function": { "name": name, "arguments": arguments.to_string() },
            }));
        } else {
            text.push_str(&rest[before.len()..rest.len() - behind.len()]);
        }
        rest = behind;
    }
    text.push_str(rest);
    Ok((text.trim().to_owned(), calls))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use super::*;

    #[test]
    fn what_is_asked_for_becomes_a_constraint() {
        let of = |body: Value| Wanted::from_json(&body).unwrap().constraint;
        assert_eq!(of(json!({})), None);
        assert_eq!(of(json!({ "responseFormat": { "type": "text" } })), None);
        let object = Some((any_object(), "responseFormat"));
        assert_eq!(
            of(json!({ "responseFormat": { "type": "json_object" } })),
            object
        );
        let choice = json!({ "structuredOutputs": { "choice": ["a", "b"] } });
        let expected = Constraint::Choice(vec!["a".to_owned(), "b".to_owned()]);
        assert_eq!(of(choice), Some((expected, "structuredOutputs")));
        let json = json!({ "structuredOutputs": {
            "json": { "properties": { "a": { "properties": {} } } },
            "disable_additional_properties": true, "disable_any_whitespace": true,
        } });
        let schema = json!({
            "properties": { "a": { "properties": {}, "additionalProperties": false } },
            "additionalProperties": false,
            "x-guidance": { "whitespace_flexible": false },
        });
        assert_eq!(
            of(json),
            Some((Constraint::Json(schema), "structuredOutputs"))
        );
    }

    #[test]
    fn calls_are_taken_out_of_an_answer_and_what_is_none_stays() {
        let answer = "Let me see.\n<tool_call>\n{\"name\":\"f\",\"arguments\":{\"a\":1}}\n</tool_call>\n\
                      <tool_call>oops</tool_call> <tool_call>{\"name\":\"g\",\"arguments\":{}}";
        let (text, calls) = calls_of(answer).unwrap();
        assert_eq!(text, "Let me see.\n\n<tool_call>oops</tool_call>");
        assert_eq!(calls.len(), 2);
        assert_eq!(
            calls[0]["function"],
            json!({ "name": "f", "arguments": "{\"a\":1}" })
        );
        assert_ne!(calls[0]["id"], calls[1]["id"]);
    }
}
