//! Converts rows of a dataset, whatever their shape, to conversations or texts.

use serde_json::{Map, Value, json};

use super::shapes::{Format, Shape, described};
use crate::conversation::Conversation;
use crate::error::{Result, refused};
pub(crate) use crate::json::kind;

/// Columns that change the meaning of a row in a way that isn't supported. Any other unknown column, such
/// as an id, is ignored, because it isn't meant for a model.
const NOT_HONOURED: [&str; 15] = [
    "assistant_masks",
    "audio",
    "chat_template",
    "chat_template_kwargs",
    "completion_mask",
    "documents",
    "functions",
    "history",
    "image",
    "images",
    "input_ids",
    "instructions",
    "system_prompt",
    "video",
    "videos",
];

/// All columns that are read, including those that are refused.
pub fn columns() -> impl Iterator<Item = &'static str> {
    let of_shapes = Shape::ALL.into_iter().flat_map(|shape| {
        let (needed, optional) = shape.columns();
        needed.iter().chain(optional).copied()
    });
    of_shapes
        .chain(NOT_HONOURED)
        .chain(["label", "chosen", "rejected", "weight", "context"])
}

/// One row.
#[derive(Debug, Clone, PartialEq)]
pub enum Row {
    /// A conversation.
    Chat(Conversation),
    /// A prompt and its completion.
    PromptCompletion(String, String),
    /// A plain text.
    Text(String),
}

impl Row {
    /// Converts the row to the format of `dataset.jsonl`, which [`row`] reads.
    #[must_use]
    pub fn to_json(&self) -> Value {
        match self {
            Self::Chat(chat) => chat.to_json(),
            Self::PromptCompletion(prompt, completion) => {
                json!({ "prompt": prompt, "completion": completion })
            }
            Self::Text(text) => json!({ "text": text }),
        }
    }
}

/// Requirements for rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RowRules {
    /// The format that rows must have. `None` allows all shapes.
    pub format: Option<Format>,
    /// Whether a row must have a response.
    pub responses_only: bool,
}

/// Reads a row. Refuses an unknown shape, a shape other than the requested one, and unsupported columns.
pub fn row(value: &Value, wanted: RowRules) -> Result<Row> {
    let Some(fields) = value.as_object() else {
        return refused(format!("expected a JSON object, it is {}", kind(value)));
    };
    let fields = Fields(fields);
    if fields.get("chosen").is_some() && fields.get("rejected").is_some() {
        return refused(
            "is a preference row (`chosen`, `rejected`), which the local backend can't train on",
        );
    }
    let shape = shape(&fields, wanted.format)?;
    check_other_columns(&fields, shape)?;
    let row = match shape {
        Shape::Messages => {
            let mut chat = Conversation::default();
            chat.extend(fields.get_or_null("messages"), "messages")?;
            Row::Chat(with_others(chat, &fields)?)
        }
        Shape::ShareGpt => {
            let mut chat = Conversation::default();
            let list = from_sharegpt(fields.get_or_null("conversations"))?;
            chat.extend(&list, "conversations")?;
            Row::Chat(with_others(chat, &fields)?)
        }
        Shape::PromptCompletion => prompt_completion(&fields)?,
        Shape::Alpaca => Row::Chat(with_others(from_alpaca(&fields)?, &fields)?),
        Shape::Text => Row::Text(fields.text("text")?.to_owned()),
    };
    match &row {
        Row::Text(_) if wanted.responses_only => {
            refused("a `text` row has no response, but trainOnResponsesOnly is true")
        }
        Row::Chat(chat) if wanted.responses_only && !chat.has_response() => {
            refused("no message of the role assistant, but trainOnResponsesOnly is true")
        }
        _ => Ok(row),
    }
}

struct Fields<'a>(&'a Map<String, Value>);

impl<'a> Fields<'a> {
    /// Returns a field that is present. Files with columns contain null for absent fields.
    fn get(&self, name: &str) -> Option<&'a Value> {
        self.0.get(name).filter(|value| match value {
            Value::Null => false,
            Value::Array(list) => !list.is_empty(),
            Value::Object(map) => !map.is_empty(),
            _ => true,
        })
    }

    fn get_or_null(&self, name: &str) -> &'a Value {
        self.0.get(name).unwrap_or(&Value::Null)
    }

    fn is_null(&self, name: &str) -> bool {
        self.get_or_null(name).is_null()
    }

    fn text(&self, name: &str) -> Result<&'a str> {
        match self.0.get(name) {
            Some(Value::String(text)) => Ok(text),
            Some(other) => refused(format!("`{name}` must be a string, it is {}", kind(other))),
            None => refused(format!("`{name}` is missing")),
        }
    }

    /// Returns a text that may be missing, in which case it's empty.
    fn text_or_empty(&self, name: &str) -> Result<&'a str> {
        if self.is_null(name) {
            Ok("")
        } else {
            self.text(name)
        }
    }
}

/// The one shape whose required columns are all present. If there are several, the requested one.
fn shape(fields: &Fields, format: Option<Format>) -> Result<Shape> {
    let fits = |shape: &Shape| shape.columns().0.iter().all(|name| !fields.is_null(name));
    let fitting: Vec<Shape> = Shape::ALL.into_iter().filter(fits).collect();
    if let Some(format) = format {
        let allowed: Vec<Shape> = format.shapes.iter().copied().filter(fits).collect();
        return match (allowed.first(), fitting.first()) {
            (Some(shape), _) => Ok(*shape),
            (None, Some(other)) => refused(format!(
                "is a row of the shape {}, but datasetFormat is {:?}",
                described(*other),
                format.name
            )),
            (None, None) => no_shape(fields),
        };
    }
    match fitting[..] {
        [shape] => Ok(shape),
        [] => no_shape(fields),
        [first, second, ..] => refused(format!(
            "the row can be read as {} and as {}. Say which with datasetFormat: {:?} or {:?}.",
            described(first),
            described(second),
            first.name(),
            second.name()
        )),
    }
}

fn no_shape<T>(fields: &Fields) -> Result<T> {
    // A row with some columns of a shape is reported by the one that it lacks.
    let begun = Shape::ALL.into_iter().find_map(|shape| {
        let needed = shape.columns().0;
        let there = needed.iter().any(|name| !fields.is_null(name));
        let missing = needed.iter().find(|name| fields.is_null(name));
        there.then_some(missing?)
    });
    if let Some(missing) = begun {
        return refused(format!("`{missing}` is missing"));
    }
    let names: Vec<String> = fields.0.keys().map(|name| format!("`{name}`")).collect();
    let found = if names.is_empty() {
        "nothing".to_owned()
    } else {
        names.join(", ")
    };
    refused(format!(
        "expected `messages`, or `conversations`, or `prompt` and `completion`, or `instruction` and `output`, or \
         `text`, but found {found}"
    ))
}

fn check_other_columns(fields: &Fields, shape: Shape) -> Result<()> {
    if let Some(name) = NOT_HONOURED
        .into_iter()
        .find(|name| fields.get(name).is_some())
    {
        return refused(format!("`{name}` is not supported. Remove the column."));
    }
    let optional = shape.columns().1;
    for name in ["tools", "system"] {
        let there = fields.get(name).is_some_and(|value| *value != json!(""));
        if there && !optional.contains(&name) {
            return refused(format!(
                "`{name}` can't be honoured in a row of {}. Use `messages`, or remove it.",
                described(shape)
            ));
        }
    }
    // Other names for an instruction's input, and inputs that this shape has no place for.
    let unread: &[&str] = match shape {
        Shape::Alpaca => &["context"],
        Shape::PromptCompletion => &["context", "input", "instruction"],
        _ => &[],
    };
    for name in unread {
        if fields.get(name).is_some_and(|value| *value != json!("")) {
            return refused(format!(
                "`{name}` can't be honoured in a row of {}. Write it into the prompt, or remove the column.",
                described(shape)
            ));
        }
    }
    let avoid = [json!(false), json!(0), json!("false"), json!("0")];
    if shape == Shape::PromptCompletion
        && let Some(label) = fields.get("label").filter(|label| avoid.contains(label))
    {
        return refused(format!(
            "`label` is {label}: the completion is one to avoid, which can't be trained"
        ));
    }
    match fields.get("weight") {
        None => Ok(()),
        Some(weight) if weight.as_f64() == Some(1.0) => Ok(()),
        Some(_) => {
            refused("`weight` of a row is not supported. Weigh its messages, or leave the row out.")
        }
    }
}

/// Adds the `tools` and `system` columns to a conversation.
fn with_others(mut chat: Conversation, fields: &Fields) -> Result<Conversation> {
    let system = fields.text_or_empty("system")?;
    if !system.is_empty() {
        chat.set_system(system)?;
    }
    chat.set_tools(fields.0.get("tools"))?;
    Ok(chat)
}

fn prompt_completion(fields: &Fields) -> Result<Row> {
    let (prompt, completion) = (
        fields.get_or_null("prompt"),
        fields.get_or_null("completion"),
    );
    match (prompt, completion) {
        (Value::Array(_), Value::Array(_)) => {
            let mut chat = Conversation::default();
            chat.extend(prompt, "prompt")?;
            chat.end_prompt();
            chat.extend(completion, "completion")?;
            Ok(Row::Chat(with_others(chat, fields)?))
        }
        _ if fields.get("tools").is_some() => {
            refused("`tools` need messages: `prompt` and `completion` are texts")
        }
        _ => Ok(Row::PromptCompletion(
            fields.text("prompt")?.to_owned(),
            fields.text("completion")?.to_owned(),
        )),
    }
}

/// Converts an instruction, with its input on a line of its own, and its output.
fn from_alpaca(fields: &Fields) -> Result<Conversation> {
    let (instruction, input) = (fields.text("instruction")?, fields.text_or_empty("input")?);
    let question = if input.is_empty() {
        instruction.to_owned()
    } else {
        format!("{instruction}\n{input}")
    };
    Conversation::new(
        &json!([
            { "role": "user", "content": question },
            { "role": "assistant", "content": fields.text("output")? },
        ]),
        None,
    )
}

/// Converts `from` and `value` to `role` and `content`.
fn from_sharegpt(list: &Value) -> Result<Value> {
    let mut list = list.clone();
    for (index, turn) in list.as_array_mut().into_iter().flatten().enumerate() {
        let place = format!("conversations[{index}]");
        let Some(fields) = turn.as_object_mut().filter(|map| map.contains_key("from")) else {
            continue;
        };
        if let Some(other) = ["role", "content"]
            .iter()
            .find(|name| fields.contains_key(**name))
        {
            return refused(format!(
                "{place} has `{other}` beside `from`. Remove one of them."
            ));
        }
        let role = match fields.shift_remove("from").as_ref().and_then(Value::as_str) {
            Some("human" | "user") => "user",
            Some("gpt" | "assistant" | "chatgpt" | "model" | "bot") => "assistant",
            Some("system") => "system",
            Some("tool" | "observation") => "tool",
            other => {
                return refused(format!(
                    "{place}.from must be human, gpt, system or tool, it is {:?}",
                    other.unwrap_or("no string")
                ));
            }
        };
        let Some(Value::String(content)) = fields.shift_remove("value") else {
            return refused(format!("{place}.value must be a string"));
        };
        fields.insert("role".to_owned(), role.into());
        fields.insert("content".to_owned(), content.into());
    }
    Ok(list)
}

#[cfg(test)]
#[path = "rows_tests.rs"]
mod tests;
