//! Renders conversations. All of a conversation must appear in the rendered text: if the template dropped
//! a part, the model would be trained on a different conversation, or answer one.

use serde_json::Value;

use super::message::KNOWN;
use super::{Conversation, role};
use crate::base::text::TextCodec;
use crate::error::{Result, refused};

impl Conversation {
    /// Renders the whole conversation, in a format that the template can read. From then on, `prefix`
    /// renders parts of it in the same format. Refuses a conversation that the template rejects or partly
    /// leaves out.
    pub fn render(&mut self, text: &TextCodec, generate: bool) -> Result<String> {
        let rendered = self.settled(text, generate)?;
        self.check_tools(text, generate, &rendered)?;
        self.check_calls(text, generate, &rendered)?;
        self.check_other_fields(text, generate, &rendered)?;
        self.check_contents(text, generate, &rendered)?;
        Ok(rendered)
    }

    /// The byte ranges that the template marks as the model's with `{% generation %}`, one for each
    /// answer. `None` if it has no marks, or not exactly one for each answer.
    pub fn generated(&self, text: &TextCodec) -> Result<Option<Vec<(usize, usize)>>> {
        if !text.marks_generation(self.tools.is_some()) {
            return Ok(None);
        }
        let rendered = text.render_with_generated(&self.messages, self.tools.as_ref(), false)?;
        let answers = (0..self.messages.len()).filter(|index| self.is_answer(*index));
        let one_each = |ranges: &Vec<(usize, usize)>| ranges.len() == answers.count();
        Ok(rendered.generated.filter(one_each))
    }

    /// Renders the first `count` messages.
    pub fn prefix(&self, count: usize, text: &TextCodec, generate: bool) -> Result<String> {
        text.render(&self.messages[..count], self.tools.as_ref(), generate)
    }

    fn whole(&self, text: &TextCodec, generate: bool) -> Result<String> {
        self.prefix(self.messages.len(), text, generate)
    }

    /// Templates differ in how they read a message without content, and a call's arguments. Chooses the
    /// format that this one can read.
    fn settled(&mut self, text: &TextCodec, generate: bool) -> Result<String> {
        if !text.knows_role("developer", self.tools.is_some())
            && let Some(other) = self.with_each(|message| {
                // OpenAI's newer name for the system role. Most templates would render it verbatim.
                (role(message) == "developer").then(|| message["role"] = "system".into())
            })
        {
            *self = other;
        }
        let mut rendered = self.whole(text, generate);
        // A template may not expect `content` to be null.
        if rendered.is_err()
            && let Some(other) = self.with_each(|message| {
                let null = message["content"].is_null();
                null.then(|| message["content"] = "".into())
            })
        {
            let empty = other.whole(text, generate);
            if empty.is_ok() {
                (*self, rendered) = (other, empty);
            }
        }
        if rendered.is_err()
            && let Some(other) = self.with_each(arguments_as_text)
        {
            let as_text = other.whole(text, generate);
            if as_text.is_ok() {
                (*self, rendered) = (other, as_text);
            }
        }
        rendered
    }

    /// A copy with `change` applied to every message. `None` if that changed nothing.
    fn with_each(&self, mut change: impl FnMut(&mut Value) -> Option<()>) -> Option<Self> {
        let mut other = self.clone();
        let mut changed = false;
        for message in &mut other.messages {
            changed |= change(message).is_some();
        }
        changed.then_some(other)
    }

    /// Whether `other` renders to the same text. An error counts as a difference, because the template
    /// noticed the change.
    fn same(other: &Self, text: &TextCodec, generate: bool, rendered: &str) -> bool {
        other
            .whole(text, generate)
            .is_ok_and(|other| other == rendered)
    }

    fn check_tools(&self, text: &TextCodec, generate: bool, rendered: &str) -> Result<()> {
        if self.tools.is_none() {
            return Ok(());
        }
        let without = Self {
            tools: None,
            ..self.clone()
        };
        if Self::same(&without, text, generate, rendered) {
            return refused(
                "tools: the chat template of this model leaves them out. Remove tools, or use a model \
                 whose template has them.",
            );
        }
        Ok(())
    }

    fn check_calls(&self, text: &TextCodec, generate: bool, rendered: &str) -> Result<()> {
        let Some(without) = self.with_each(|message| {
            let removed = message.as_object_mut()?.shift_remove("tool_calls");
            removed.map(|_| ())
        }) else {
            return Ok(());
        };
        let all_lost = Self::same(&without, text, generate, rendered);
        for (index, turn) in self.turns.iter().enumerate() {
            let calls = self.messages[index]["tool_calls"].as_array();
            let shown = |call: &Value| {
                let name = call["function"]["name"].as_str();
                name.is_some_and(|name| rendered.contains(name))
            };
            let Some(calls) = calls.filter(|calls| all_lost || !calls.iter().all(shown)) else {
                continue;
            };
            // Check whether they are missing, or are only rendered differently.
            let mut other = self.clone();
            if let Some(message) = other.messages[index].as_object_mut() {
                message.shift_remove("tool_calls");
            }
            if !calls.is_empty() && Self::same(&other, text, generate, rendered) {
                return refused(format!(
                    "{}.tool_calls: the chat template of this model leaves them out. Remove them, or use a \
                     model whose template has them.",
                    turn.place
                ));
            }
        }
        Ok(())
    }

    /// Checks `name`, `reasoning_content`, and any other field that a template may use.
    fn check_other_fields(&self, text: &TextCodec, generate: bool, rendered: &str) -> Result<()> {
        let mut seen: Vec<&str> = Vec::new();
        for (message, turn) in self.messages.iter().zip(&self.turns) {
            let names = message.as_object().into_iter().flat_map(|map| map.keys());
            for name in names.map(String::as_str) {
                let plumbing = role(message) == "tool" && name == "name";
                if KNOWN.contains(&name) || plumbing || seen.contains(&name) {
                    continue;
                }
                seen.push(name);
                let without = self.with_each(|message| {
                    let removed = message.as_object_mut()?.shift_remove(name);
                    removed.map(|_| ())
                });
                if without.is_some_and(|without| Self::same(&without, text, generate, rendered)) {
                    return refused(format!(
                        "{}.{name}: the chat template of this model leaves it out. Remove it.",
                        turn.place
                    ));
                }
            }
        }
        Ok(())
    }

    /// Checks the contents: some templates drop system messages or tool results, and some only render the
    /// last message.
    fn check_contents(&self, text: &TextCodec, generate: bool, rendered: &str) -> Result<()> {
        let mut rest = rendered;
        for (index, turn) in self.turns.iter().enumerate() {
            let message = &self.messages[index];
            // For generation, the template may change past turns. Training must see them unchanged.
            if generate && matches!(role(message), "user" | "assistant") {
                continue;
            }
            let content = message["content"].as_str().unwrap_or_default();
            if let Some(start) = rest.find(content.trim()) {
                rest = &rest[start..];
                continue;
            }
            if rendered.contains(content.trim()) {
                continue;
            }
            // Check whether it's missing, or is only rendered differently.
            let mut other = self.clone();
            other.messages[index]["content"] = "…".into();
            if Self::same(&other, text, generate, rendered) {
                return refused(format!(
                    "{}: the chat template of this model leaves out messages of the role {}. Remove it, or use \
                     a model whose template has them.",
                    turn.place,
                    role(message)
                ));
            }
        }
        Ok(())
    }
}

fn arguments_as_text(message: &mut Value) -> Option<()> {
    let calls = message.get_mut("tool_calls")?.as_array_mut()?;
    for call in calls {
        let arguments = &mut call["function"]["arguments"];
        *arguments = arguments.to_string().into();
    }
    Some(())
}
