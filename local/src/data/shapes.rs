//! The shapes that rows may have, and their names in `datasetFormat`.

use crate::error::{Result, refused};

/// The shapes of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// `{ messages }`
    Messages,
    /// `{ conversations: [{ from, value }] }`
    ShareGpt,
    /// `{ prompt, completion }`, both texts or both messages
    PromptCompletion,
    /// `{ instruction, input, output }`
    Alpaca,
    /// `{ text }`
    Text,
}

impl Shape {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Messages,
        Self::ShareGpt,
        Self::PromptCompletion,
        Self::Alpaca,
        Self::Text,
    ];

    /// Its columns, and those that a row of this shape may lack.
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

/// The names that `datasetFormat` may have, and the shapes that each allows.
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

/// A `datasetFormat`: the shapes that it allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Format {
    /// As `datasetFormat` has it.
    pub name: &'static str,
    /// What it allows.
    pub shapes: &'static [Shape],
}

impl Format {
    /// The format of this name; `None` for `auto`.
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

/// A shape, by its columns.
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
