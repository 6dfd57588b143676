//! Conversations: the `messages` and `tools` of a dataset row or a chat request. They're checked,
//! converted to the format that chat templates read, and rendered.

mod message;
mod render;
#[cfg(test)]
pub(crate) mod tests;

use std::fmt;

use serde_json::Value;

use crate::error::{Result, refused};
use crate::json::kind;

/// How training treats a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Learn {
    /// Trained, even when training on responses only.
    Response,
    /// Trained only when training on whole conversations.
    Context,
    /// Never trained: `weight` is 0.
    Never,
}

/// The position of a message in the input, such as `messages[2]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessagePath {
    field: &'static str,
    index: usize,
}

impl fmt::Display for MessagePath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}[{}]", self.field, self.index)
    }
}

/// A conversation in the format that chat templates read.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Conversation {
    messages: Vec<Value>,
    /// One for each of the `messages`.
    turns: Vec<Turn>,
    tools: Option<Value>,
}

/// Facts about a message that templates don't read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Turn {
    place: MessagePath,
    learn: Learn,
}

impl Conversation {
    /// Reads `messages` and `tools`. Refuses unsupported input, and names the field.
    pub fn new(messages: &Value, tools: Option<&Value>) -> Result<Self> {
        let mut conversation = Self::default();
        conversation.extend(messages, "messages")?;
        conversation.set_tools(tools)?;
        Ok(conversation)
    }

    /// Appends the messages in `field`.
    pub fn extend(&mut self, messages: &Value, field: &'static str) -> Result<()> {
        let Some(list) = messages.as_array().filter(|list| !list.is_empty()) else {
            return refused(format!(
                "{field} must be a list with at least one message, it is {}",
                if messages.is_array() {
                    "empty"
                } else {
                    kind(messages)
                }
            ));
        };
        for (index, message) in list.iter().enumerate() {
            let place = MessagePath { field, index };
            let (message, learn) = message::read(message, place)?;
            self.messages.push(message);
            self.turns.push(Turn { place, learn });
        }
        Ok(())
    }

    /// Inserts a system message at the start. Refuses a second one.
    pub fn set_system(&mut self, content: &str) -> Result<()> {
        if self
            .messages
            .iter()
            .any(|message| role(message) == "system")
        {
            return refused(
                "system: the conversation has a system message of its own. Remove one.",
            );
        }
        self.messages.insert(
            0,
            serde_json::json!({ "role": "system", "content": content }),
        );
        let place = MessagePath {
            field: "system",
            index: 0,
        };
        let learn = Learn::Context;
        self.turns.insert(0, Turn { place, learn });
        Ok(())
    }

    /// Sets the functions that the model may call. `tools` may be a list, or its JSON text.
    pub fn set_tools(&mut self, tools: Option<&Value>) -> Result<()> {
        self.tools = tools.map(message::tools).transpose()?.flatten();
        Ok(())
    }

    /// Makes all messages so far part of the prompt, so that none of them counts as a response.
    pub fn end_prompt(&mut self) {
        for turn in &mut self.turns {
            if turn.learn == Learn::Response {
                turn.learn = Learn::Context;
            }
        }
    }

    /// Converts the conversation to a dataset row. It has either all messages in `messages`, or those of
    /// the prompt and of the completion in separate fields.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut lists = [Vec::new(), Vec::new()];
        for (message, turn) in self.messages.iter().zip(&self.turns) {
            let mut message = message.clone();
            if turn.learn == Learn::Never {
                message["weight"] = 0.into();
            }
            lists[usize::from(turn.place.field == "completion")].push(message);
        }
        let [prompt, completion] = lists;
        let mut json = if completion.is_empty() {
            serde_json::json!({ "messages": prompt })
        } else {
            serde_json::json!({ "prompt": prompt, "completion": completion })
        };
        if let Some(tools) = &self.tools {
            json["tools"] = tools.clone();
        }
        json
    }

    /// Whether any message is from the assistant.
    #[must_use]
    pub fn has_response(&self) -> bool {
        self.messages
            .iter()
            .any(|message| role(message) == "assistant")
    }

    /// The messages in the format that chat templates read.
    pub fn messages(&self) -> impl Iterator<Item = &Value> {
        self.messages.iter()
    }

    /// How training treats each message.
    pub fn learned(&self) -> impl Iterator<Item = Learn> {
        self.turns.iter().map(|turn| turn.learn)
    }

    /// Whether this message is from the assistant.
    #[must_use]
    pub fn is_answer(&self, index: usize) -> bool {
        self.messages
            .get(index)
            .is_some_and(|message| role(message) == "assistant")
    }
}

fn role(message: &Value) -> &str {
    message["role"].as_str().unwrap_or_default()
}
