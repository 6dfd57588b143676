//! The shapes that rows may have, and the names of `datasetFormat`.

use crate::error::{Result, refused};

/// The shapes of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// `{ messages }`
    Messages,
    /// `{ conversations: [{ from, value }] }`
    ShareGpt,
    /// `{ prompt, completion }`, which are either two texts or two lists of messages
    PromptCompletion,
    /// `{ instruction, input, output }`
    Alpaca,
    /// `{ text }`
    Text,
}

impl Shape {
    /// All shapes.
    pub const ALL: [Self; 5] = [
        Self::Messages,
        Self::ShareGpt,
        Self::PromptCompletion,
        Self::Alpaca,
        Self::Text,
    ];

    /// Its required and its optional columns.
    #[must_use]
    pub fn columns(self) -> (&'static [&'static str], &'static [&'static str]) {
        match self {
            Self::Messages => (&["messages"], &["tools", "system"]),
            Self::ShareGpt => (&["conversations"], &["tools", "system"]),
            Self::PromptCompletion => (&["prompt", "completion"], &["tools"]),
            Self::Alpaca => (&["instruction", "output"], &["input", "system"]),
            Self::Text => (&["text"], &[]),
        }
    }

    /// Its name in `datasetFormat`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Messages => "messages",
            Self::ShareGpt => "sharegpt",
            Self::PromptCompletion => "prompt_completion",
            Self::Alpaca => "alpaca",
            Self::Text => "text",
        }
    }
}

/// The values of `datasetFormat`, and the shapes that each allows.
const FORMATS: [(&str, &[Shape]); 8] = [
    ("messages", &[Shape::Messages]),
    ("chat", &[Shape::Messages, Shape::ShareGpt]),
    ("chatml", &[Shape::Messages, Shape::ShareGpt]),
    ("sharegpt", &[Shape::ShareGpt]),
    ("prompt_completion", &[Shape::PromptCompletion]),
    ("prompt-completion", &[Shape::PromptCompletion]),
    ("alpaca", &[Shape::Alpaca]),
    ("text", &[Shape::Text]),
];

/// A `datasetFormat`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Format {
    /// Its name in `datasetFormat`.
    pub name: &'static str,
    /// The shapes that it allows.
    pub shapes: &'static [Shape],
}

impl Format {
    /// The format with this name. `None` for `auto`.
    pub fn from_name(name: &str) -> Result<Option<Self>> {
        if name == "auto" {
            return Ok(None);
        }
        match FORMATS.iter().find(|(known, _)| *known == name) {
            Some((name, shapes)) => Ok(Some(Self { name, shapes })),
            None => refused(format!(
                "datasetFormat: {name:?} is not supported by the local backend. Use auto, {}.",
                FORMATS.map(|(name, _)| name).join(", ")
            )),
        }
    }
}

/// Describes a shape by its columns.
#[must_use]
pub fn described(shape: Shape) -> String {
    let names: Vec<String> = shape
        .columns()
        .0
        .iter()
        .map(|name| format!("`{name}`"))
        .collect();
    names.join(" and ")
}
