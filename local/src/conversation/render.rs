//! Rendering. What a conversation has must show in the rendered text: a template that leaves something
//! out would make a model learn, or answer, something else than what was given.

use serde_json::Value;

use super::message::KNOWN;
use super::{Conversation, role};
use crate::base::text::TextCodec;
use crate::error::{Result, refused};

impl Conversation {
    /// Renders it whole, in the form that the template can read; `prefix` then renders parts of it in the
    /// same form. Refuses what the template refuses or leaves out.
    pub fn render(&mut self, text: &TextCodec, generate: bool) -> Result<String> {
        let rendered = self.settled(text, generate)?;
        self.check_tools(text, generate, &rendered)?;
        self.check_calls(text, generate, &rendered)?;
        self.check_other_fields(text, generate, &rendered)?;
        self.check_contents(text, generate, &rendered)?;
        Ok(rendered)
    }

    /// The first `count` messages.
    pub fn prefix(&self, count: usize, text: &TextCodec, generate: bool) -> Result<String> {
        text.render(&self.messages[..count], self.tools.as_ref(), generate)
    }

    fn whole(&self, text: &TextCodec, generate: bool) -> Result<String> {
        self.prefix(self.messages.len(), text, generate)
    }

    /// Templates differ in how they read a message without content, and the arguments of a call. Takes
    /// the form that this one can read.
    fn settled(&mut self, text: &TextCodec, generate: bool) -> Result<String> {
        let mut rendered = self.whole(text, generate);
        if let Some(other) = self.with_each(|message| {
            let null = message["content"].is_null();
            null.then(|| message["content"] = "".into())
        }) {
            let empty = other.whole(text, generate);
            // A template that prints the content as it is would print "None".
            let better = match (&rendered, &empty) {
                (Ok(null), Ok(empty)) => nones(null) > nones(empty),
                (null, empty) => null.is_err() && empty.is_ok(),
            };
            if better {
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

    /// A copy with `change` made to every message, if it changed any.
    fn with_each(&self, mut change: impl FnMut(&mut Value) -> Option<()>) -> Option<Self> {
        let mut other = self.clone();
        let mut changed = false;
        for message in &mut other.messages {
            changed |= change(message).is_some();
        }
        changed.then_some(other)
    }

    /// Whether the template renders `other` like this conversation. What it refuses, it noticed.
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
        for (message, turn) in self.messages.iter().zip(&self.turns) {
            let mut calls = message["tool_calls"].as_array().into_iter().flatten();
            let lost = calls.any(|call| {
                let name = call["function"]["name"].as_str().unwrap_or_default();
                all_lost || (is_plain(name) && !rendered.contains(name))
            });
            if lost {
                return refused(format!(
                    "{}.tool_calls: the chat template of this model leaves them out. Remove them, or use a \
                     model whose template has them.",
                    turn.place
                ));
            }
        }
        Ok(())
    }

    /// `name`, `reasoning_content`, or anything else that a template may know.
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

    /// Messages that don't show as they are: changed by the template, or left out?
    fn check_contents(&self, text: &TextCodec, generate: bool, rendered: &str) -> Result<()> {
        let mut rest = rendered;
        for (index, turn) in self.turns.iter().enumerate() {
            let content = self.messages[index]["content"].as_str().unwrap_or_default();
            // The last line: what comes before, such as a chain of thought, may be left out on purpose.
            let Some(line) = content.trim().lines().next_back().map(str::trim) else {
                continue;
            };
            if let Some(start) = rest.find(line) {
                rest = &rest[start + line.len()..];
                continue;
            }
            if rendered.contains(line) {
                continue;
            }
            let mut other = self.clone();
            other.messages[index]["content"] = "…".into();
            if Self::same(&other, text, generate, rendered) {
                return refused(format!(
                    "{}: the chat template of this model leaves out messages of the role {}. Remove it, or use \
                     a model whose template has them.",
                    turn.place,
                    role(&self.messages[index])
                ));
            }
        }
        Ok(())
    }
}

/// How often a rendered text has what a template makes of null.
fn nones(text: &str) -> usize {
    text.matches("None").count() + text.matches("none").count()
}

/// No template has to escape it.
fn is_plain(name: &str) -> bool {
    name.bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte))
}

fn arguments_as_text(message: &mut Value) -> Option<()> {
    let calls = message.get_mut("tool_calls")?.as_array_mut()?;
    for call in calls {
        let arguments = &mut call["function"]["arguments"];
        *arguments = arguments.to_string().into();
    }
    Some(())
}
