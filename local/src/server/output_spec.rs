//! The format of an answer, and the functions that it may call. `responseFormat`, `structuredOutputs`,
//! `tools` and `toolChoice` determine them together.

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::chat_fields::{
    ChatFields, ResponseFormat, StructuredOutputs, ToolChoice, ToolChoiceWord,
};
use super::schema;
use crate::base::text::TextCodec;
use crate::constrain::{Constraint, any_object};
use crate::error::{Result, refused};

/// The marks around a tool call, for models whose chat template uses them (Qwen, Hermes, SmolLM2 and others).
const CALL_MARKS: (&str, &str) = ("<tool_call>", "</tool_call>");

/// The output that a request demands.
#[derive(Debug, Default)]
pub struct OutputSpec {
    /// The constraint on the answer, and the request field that it comes from.
    pub constraint: Option<(Constraint, &'static str)>,
    /// The tools, for the chat template.
    pub tools: Option<Value>,
    /// Whether an answer may call at most one function.
    one_call: bool,
}

impl OutputSpec {
    /// Reads the demands from a request's fields.
    pub fn of(fields: &ChatFields) -> Result<Self> {
        let constraint = match (&fields.response_format, &fields.structured_outputs) {
            (Some(_), Some(_)) => {
                return refused("give either responseFormat or structuredOutputs");
            }
            (Some(format), None) => in_format(format).map(|format| (format, "responseFormat")),
            (None, Some(outputs)) => Some((structured(outputs)?, "structuredOutputs")),
            (None, None) => None,
        };
        let (tools, calls) = tools(fields)?;
        match (constraint, calls) {
            (Some(_), Some(_)) => refused("toolChoice: a call is no answer of another form"),
            (constraint, calls) => Ok(Self {
                constraint: constraint.or(calls.map(|calls| (calls, "toolChoice"))),
                tools,
                one_call: !fields.parallel_tool_calls,
            }),
        }
    }

    /// The most functions that the answer may call. `None` if it can't call any.
    #[must_use]
    pub fn most_calls(&self) -> Option<usize> {
        let most = if self.one_call { 1 } else { usize::MAX };
        self.tools.is_some().then_some(most)
    }

    /// Refuses tools if the model's chat template doesn't support them.
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

fn in_format(format: &ResponseFormat) -> Option<Constraint> {
    match format {
        ResponseFormat::Text => None,
        ResponseFormat::JsonObject => Some(any_object()),
        ResponseFormat::JsonSchema { json_schema } => {
            Some(Constraint::Json(Value::Object(json_schema.schema.clone())))
        }
    }
}

fn structured(outputs: &StructuredOutputs) -> Result<Constraint> {
    let StructuredOutputs {
        json,
        regex,
        choice,
        json_object,
        grammar,
        disable_any_whitespace,
        disable_additional_properties,
        whitespace_pattern,
    } = outputs;
    if grammar.is_some() {
        return refused(
            "structuredOutputs.grammar is not supported by the local backend. Use json, regex or choice.",
        );
    }
    let about_json = [
        (
            "disable_any_whitespace",
            *disable_any_whitespace == Some(true),
        ),
        (
            "disable_additional_properties",
            *disable_additional_properties == Some(true),
        ),
        ("whitespace_pattern", whitespace_pattern.is_some()),
    ];
    if (regex.is_some() || choice.is_some())
        && let Some((option, _)) = about_json.iter().find(|(_, is_set)| *is_set)
    {
        return refused(format!(
            "structuredOutputs.{option} is about JSON, and changes nothing beside regex or choice. \
             Remove it."
        ));
    }
    match (json, regex, choice, json_object) {
        (Some(schema), None, None, None) => Ok(with_options(schema_of(schema)?, outputs)),
        (None, None, None, Some(true)) => Ok(with_options(json!({ "type": "object" }), outputs)),
        (None, Some(regex), None, None) => Ok(Constraint::Regex(regex.clone())),
        (None, None, Some(texts), None) => {
            if texts.is_empty() || texts.iter().any(String::is_empty) {
                return refused("structuredOutputs.choice must be a list of texts, none empty");
            }
            Ok(Constraint::Choice(texts.clone()))
        }
        (None, None, None, Some(false)) => {
            refused("structuredOutputs.json_object can't be false. Remove it.")
        }
        _ => refused("structuredOutputs must have exactly one of json, regex, choice, json_object"),
    }
}

/// Returns a schema that is given as an object or as text.
fn schema_of(json: &Value) -> Result<Value> {
    let schema = match json {
        Value::String(text) => serde_json::from_str(text).unwrap_or_default(),
        other => other.clone(),
    };
    if schema.is_object() {
        return Ok(schema);
    }
    refused("structuredOutputs.json must be a JSON schema")
}

fn with_options(mut schema: Value, outputs: &StructuredOutputs) -> Constraint {
    if outputs.disable_additional_properties == Some(true) {
        schema::close(&mut schema);
    }
    let mut guidance = Map::new();
    if outputs.disable_any_whitespace == Some(true) {
        guidance.insert("whitespace_flexible".to_owned(), json!(false));
    }
    if let Some(pattern) = &outputs.whitespace_pattern {
        guidance.insert("whitespace_pattern".to_owned(), json!(pattern));
    }
    if !guidance.is_empty() {
        schema["x-guidance"] = Value::Object(guidance);
    }
    Constraint::Json(schema)
}

/// Returns the tools for the template, and a constraint if the answer must be a call.
fn tools(fields: &ChatFields) -> Result<(Option<Value>, Option<Constraint>)> {
    let tools = &fields.tools;
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
    let wanted: Option<Vec<&Value>> = match &fields.tool_choice {
        None | Some(ToolChoice::Word(ToolChoiceWord::Auto)) => None,
        Some(ToolChoice::Word(ToolChoiceWord::None)) => return Ok((None, None)),
        Some(ToolChoice::Word(ToolChoiceWord::Required)) => Some(tools.iter().collect()),
        Some(ToolChoice::Function { function }) => {
            let named = |tool: &&Value| tool["function"]["name"] == *function.name;
            Some(tools.iter().find(named).into_iter().collect())
        }
    };
    let calls = match wanted {
        None => None,
        Some(wanted) if wanted.is_empty() => {
            return refused("toolChoice: tools has no such function");
        }
        Some(wanted) => Some(Constraint::Call {
            open: format!("{}\n", CALL_MARKS.0),
            schema: schema::calls(wanted.into_iter()),
            close: format!("\n{}", CALL_MARKS.1),
        }),
    };
    let tools = (!tools.is_empty()).then(|| Value::from(tools.clone()));
    Ok((tools, calls))
}

/// The number of complete tool calls in an answer.
#[must_use]
pub fn complete_calls(answer: &str) -> usize {
    answer.matches(CALL_MARKS.1).count()
}

#[derive(Deserialize)]
struct Call {
    name: String,
    #[serde(default)]
    arguments: Box<RawValue>,
}

/// Extracts the tool calls from an answer. Anything between the marks that isn't a call stays in the
/// text.
pub fn calls_of(answer: &str) -> Result<(String, Vec<Value>)> {
    let (mut text, mut calls) = (String::new(), Vec::new());
    let mut rest = answer;
    while let Some((before, after)) = rest.split_once(CALL_MARKS.0) {
        let (inside, behind) = after.split_once(CALL_MARKS.1).unwrap_or((after, ""));
        // The arguments stay text: a number may be too large for any numeric type.
        let call: Option<Call> = serde_json::from_str(inside.trim()).ok();
        text.push_str(before);
        if let Some(Call { name, arguments }) = call {
            calls.push(json!({
                "id": format!("call_{}", crate::random_hex()?),
                "type": "function",
                "function": { "name": name, "arguments": arguments.get() },
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
    use crate::request_fields;

    #[test]
    fn what_is_asked_for_becomes_a_constraint() {
        let of = |body: Value| {
            let fields = request_fields::read(&body).unwrap();
            OutputSpec::of(&fields).unwrap().constraint
        };
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
        let (_, calls) =
            calls_of(r#"<tool_call>{"name":"f","arguments":{"n":1e16222}}</tool_call>"#).unwrap();
        assert_eq!(calls[0]["function"]["arguments"], r#"{"n":1e16222}"#);
    }
}
