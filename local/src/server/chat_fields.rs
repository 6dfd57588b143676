//! The fields of `POST /v1/inference/chat`.

use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use crate::request_fields::{number, seed, whole};

/// Tokens of an answer when the request does not say.
const DEFAULT_MAX_TOKENS: usize = 256;

/// A request, as far as types can check it.
#[derive(Debug, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct ChatFields {
    /// The conversation.
    pub messages: Value,
    /// The adapter that answers.
    pub adapter: Option<AdapterField>,
    /// The base that answers.
    pub base_model: Option<String>,
    /// 1 by default; 0 always takes the likeliest token.
    #[serde(deserialize_with = "temperature")]
    pub temperature: f64,
    /// 1 by default.
    #[serde(deserialize_with = "probability")]
    pub top_p: f64,
    /// 256 by default.
    #[serde(deserialize_with = "whole::<1, { u64::MAX }, _>")]
    pub max_tokens: usize,
    /// Random by default.
    #[serde(deserialize_with = "some_seed")]
    pub seed: Option<u64>,
    /// Whether the answer comes in pieces. Yes by default, as in the SDK.
    pub stream: bool,
    /// Functions, for the chat template.
    pub tools: Vec<Value>,
    /// `auto`, `none`, `required`, or `{ function: { name } }`.
    pub tool_choice: Option<ToolChoice>,
    /// Whether an answer may call more than one function. Yes by default.
    pub parallel_tool_calls: bool,
    /// What the answer must look like.
    pub response_format: Option<ResponseFormat>,
    /// The same, as vLLM has it.
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

/// An adapter of a job.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AdapterField {
    /// Which of the job's adapters.
    pub kind: AdapterKind,
    /// The job's id.
    pub job_id: String,
    /// The step of the checkpoint.
    pub step: Option<usize>,
}

/// Which adapter of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AdapterKind {
    /// The checkpoint of a step.
    Checkpoint,
    /// The final adapter.
    Final,
}

/// Whether, and which, function has to be called.
#[derive(Debug, Deserialize)]
#[serde(
    untagged,
    expecting = "must be auto, none, required, or { type: \"function\", function: { name } }"
)]
pub enum ToolChoice {
    /// By word.
    Word(ToolChoiceWord),
    /// By name.
    Function {
        /// The function.
        function: FunctionName,
    },
}

/// Whether a function has to be called.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ToolChoiceWord {
    /// It may.
    Auto,
    /// It must not.
    None,
    /// It must.
    Required,
}

/// A function of `tools`.
#[derive(Debug, Deserialize)]
pub struct FunctionName {
    /// Its name.
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
    /// JSON that a schema allows.
    JsonSchema {
        /// Where the schema is.
        json_schema: JsonSchema,
    },
}

/// `responseFormat.json_schema`.
#[derive(Debug, Deserialize)]
pub struct JsonSchema {
    /// The schema.
    pub schema: Map<String, Value>,
}

/// `structuredOutputs`: exactly one of the first five.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StructuredOutputs {
    /// A JSON schema, or its text.
    pub json: Option<Value>,
    /// A regular expression that the whole answer matches.
    pub regex: Option<String>,
    /// Texts of which the answer is one.
    pub choice: Option<Vec<String>>,
    /// Any JSON object.
    pub json_object: Option<bool>,
    /// Not supported.
    pub grammar: Option<Value>,
    /// JSON without any white space between its parts.
    pub disable_any_whitespace: Option<bool>,
    /// JSON without fields that the schema doesn't name.
    pub disable_additional_properties: Option<bool>,
    /// What may stand between the parts of JSON.
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
