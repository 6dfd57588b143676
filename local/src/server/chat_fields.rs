//! The fields of `POST /v1/inference/chat`.

use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use crate::request_fields::{number, seed, whole};

/// The default of `maxTokens`.
const DEFAULT_MAX_TOKENS: usize = 256;

/// A request whose types have been checked.
#[derive(Debug, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct ChatFields {
    /// The conversation.
    pub messages: Value,
    /// The adapter that answers.
    pub adapter: Option<AdapterField>,
    /// The base that answers.
    pub base_model: Option<String>,
    /// Default: 1. 0 always picks the likeliest token.
    #[serde(deserialize_with = "temperature")]
    pub temperature: f64,
    /// Default: 1.
    #[serde(deserialize_with = "probability")]
    pub top_p: f64,
    /// Default: 256.
    #[serde(deserialize_with = "whole::<1, { u64::MAX }, _>")]
    pub max_tokens: usize,
    /// Default: random.
    #[serde(deserialize_with = "some_seed")]
    pub seed: Option<u64>,
    /// Whether the answer is streamed. Default: true, as in the SDK.
    pub stream: bool,
    /// The functions that the answer may call.
    pub tools: Vec<Value>,
    /// `auto`, `none`, `required`, or `{ function: { name } }`.
    pub tool_choice: Option<ToolChoice>,
    /// Whether an answer may call more than one function. Default: true.
    pub parallel_tool_calls: bool,
    /// The format of the answer.
    pub response_format: Option<ResponseFormat>,
    /// The format of the answer, in vLLM's notation.
    pub structured_outputs: Option<StructuredOutputs>,
}

impl Default for ChatFields {
    fn default() -> Self {
        Self {
            messages: Value::Null,
            adapter: None,
            base_model: None,
            temperature: 1.0,
            top_p: 1.0,
            max_tokens: DEFAULT_MAX_TOKENS,
            seed: None,
            stream: true,
            tools: Vec::new(),
            tool_choice: None,
            parallel_tool_calls: true,
            response_format: None,
            structured_outputs: None,
        }
    }
}

/// A reference to an adapter of a job.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AdapterField {
    /// The kind of the adapter.
    pub kind: AdapterKind,
    /// The job's id.
    pub job_id: String,
    /// The step, for a checkpoint.
    pub step: Option<usize>,
}

/// The kinds of adapters that a job has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AdapterKind {
    /// The adapter in the checkpoint of a step.
    Checkpoint,
    /// The final adapter.
    Final,
}

/// Whether the answer has to call a function, and which one.
#[derive(Debug, Deserialize)]
#[serde(
    untagged,
    expecting = "must be auto, none, required, or { type: \"function\", function: { name } }"
)]
pub enum ToolChoice {
    /// `auto`, `none` or `required`.
    Word(ToolChoiceWord),
    /// The function with this name.
    Function {
        /// The function that has to be called.
        function: FunctionName,
    },
}

/// Whether the answer calls a function.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ToolChoiceWord {
    /// It may call one.
    Auto,
    /// It must not call any.
    None,
    /// It must call one.
    Required,
}

/// The name of one of the `tools`.
#[derive(Debug, Deserialize)]
pub struct FunctionName {
    /// The name.
    pub name: String,
}

/// `responseFormat`.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ResponseFormat {
    /// Any text.
    Text,
    /// Any JSON object.
    JsonObject,
    /// JSON that matches a schema.
    JsonSchema {
        /// The wrapper around the schema.
        json_schema: JsonSchema,
    },
}

/// `responseFormat.json_schema`.
#[derive(Debug, Deserialize)]
pub struct JsonSchema {
    /// The schema itself.
    pub schema: Map<String, Value>,
}

/// `structuredOutputs`. Exactly one of the first five fields is set.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StructuredOutputs {
    /// A JSON schema, as an object or as text.
    pub json: Option<Value>,
    /// A regular expression that the whole answer must match.
    pub regex: Option<String>,
    /// The texts that the answer is chosen from.
    pub choice: Option<Vec<String>>,
    /// If true, any JSON object.
    pub json_object: Option<bool>,
    /// Not supported: any value is refused.
    pub grammar: Option<Value>,
    /// Whether the JSON has no white space between its tokens.
    pub disable_any_whitespace: Option<bool>,
    /// Whether the JSON has only the fields that the schema names.
    pub disable_additional_properties: Option<bool>,
    /// A pattern for the white space between JSON tokens.
    pub whitespace_pattern: Option<String>,
}

fn temperature<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    number(
        deserializer,
        |number| (0.0..=10.0).contains(&number),
        "a number from 0 to 10",
    )
}

fn probability<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    number(
        deserializer,
        |number| number > 0.0 && number <= 1.0,
        "a number above 0, up to 1",
    )
}

fn some_seed<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    seed(deserializer).map(Some)
}
