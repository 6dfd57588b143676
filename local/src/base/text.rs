//! A model's tokenizer and chat templates, which turn conversations into text and text into tokens.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use serde_json::Value;
use tokenizers::Tokenizer;

use super::template::{ChatTemplates, Rendered, TemplateFile};
use super::{text_files, tokenizer};
use crate::constrain::{Constraint, Guide, Vocabulary};
use crate::error::{Error, Result, refused};

/// Tokens that end a turn or a text, whatever a model's config says.
const ENDS: [&str; 6] = [
    "<|im_end|>",
    "<|eot_id|>",
    "<|eom_id|>",
    "<|end_of_text|>",
    "<|endoftext|>",
    "</s>",
];

/// A tokenizer and its chat templates.
#[derive(Debug)]
pub struct TextCodec {
    tokenizer: Tokenizer,
    templates: ChatTemplates,
    eos: Option<u32>,
    stops: Vec<u32>,
    /// Created when an answer is constrained for the first time.
    vocabulary: OnceLock<Vocabulary>,
}

/// The contents of the files that define a model's tokenizer and chat templates.
#[derive(Debug)]
pub struct TextFiles<'a> {
    /// The content of `tokenizer.json`.
    pub tokenizer: &'a [u8],
    /// The content of `tokenizer_config.json`.
    pub tokenizer_config: &'a Value,
    /// The content of `special_tokens_map.json`, if there is one.
    pub special_tokens_map: Option<&'a Value>,
    /// The chat templates by name.
    pub templates: BTreeMap<String, TemplateFile>,
}

/// An encoded text.
#[derive(Debug, Clone)]
pub struct Encoded {
    /// Token ids.
    pub ids: Vec<u32>,
    /// The range of bytes in the text that each token stands for, `(start, end)`.
    pub offsets: Vec<(usize, usize)>,
}

impl TextCodec {
    /// Creates a codec from a model's files. Refuses a tokenizer with ids that a model of `vocab_size`
    /// tokens doesn't have.
    pub fn new(files: &TextFiles, eos_ids: &[u32], vocab_size: usize) -> Result<Self> {
        let tokenizer = tokenizer::load(files.tokenizer, vocab_size)?;
        let special = text_files::special_tokens(files.tokenizer_config, files.special_tokens_map);
        let named = special.iter().find(|(name, _)| name == "eos_token");
        let named = named.and_then(|(_, token)| token.as_str());
        let eos = named.and_then(|token| tokenizer.token_to_id(token));
        if let (Some(token), None) = (named, eos) {
            return refused(format!(
                "model: the eos_token {token:?} is not in tokenizer.json. Correct tokenizer_config.json."
            ));
        }
        let templates = ChatTemplates::new(&files.templates, special)?;
        let mut stops: Vec<u32> = eos_ids.to_vec();
        stops.extend(eos);
        stops.extend(ENDS.iter().filter_map(|token| tokenizer.token_to_id(token)));
        stops.sort_unstable();
        stops.dedup();
        let eos = eos.or_else(|| eos_ids.first().copied());
        Ok(Self {
            tokenizer,
            templates,
            eos,
            stops,
            vocabulary: OnceLock::new(),
        })
    }

    /// Renders messages as the model reads them. Refused if the model has no chat template, or the
    /// template rejects the messages.
    pub fn render(
        &self,
        messages: &[Value],
        tools: Option<&Value>,
        generate: bool,
    ) -> Result<String> {
        self.templates.render(messages, tools, generate)
    }

    /// Like `render`. If the template marks the parts that the model writes with `{% generation %}`, also
    /// returns their byte ranges.
    pub fn render_with_generated(
        &self,
        messages: &[Value],
        tools: Option<&Value>,
        generate: bool,
    ) -> Result<Rendered> {
        self.templates
            .render_with_generated(messages, tools, generate)
    }

    /// Whether the model has a chat template.
    #[must_use]
    pub fn has_template(&self) -> bool {
        !self.templates.is_empty()
    }

    /// Whether the chat template shows tools to the model.
    #[must_use]
    pub fn knows_tools(&self) -> bool {
        self.mentions("tools", true)
    }

    /// Whether the chat template renders the tool calls of an assistant's message. There may be separate
    /// templates with and without tools.
    #[must_use]
    pub fn knows_tool_calls(&self, with_tools: bool) -> bool {
        self.mentions("tool_calls", with_tools)
    }

    /// Whether the chat template handles a role specially, instead of just writing its name.
    #[must_use]
    pub fn knows_role(&self, role: &str, with_tools: bool) -> bool {
        self.mentions(role, with_tools)
    }

    /// Whether the chat template marks the parts that the model writes with `{% generation %}`.
    #[must_use]
    pub fn marks_generation(&self, with_tools: bool) -> bool {
        self.templates
            .source(with_tools)
            .is_some_and(|source| source.marks_generation)
    }

    /// Whether the chat template shows tools to the model, with `mark` before each call.
    #[must_use]
    pub fn knows_calls(&self, mark: &str) -> bool {
        let marked = |text: &str| text.contains(mark);
        self.knows_tools()
            && self
                .templates
                .source(true)
                .is_some_and(|source| marked(&source.text))
    }

    /// Whether the chat template's code contains `word` as a name or in a string.
    #[must_use]
    pub fn mentions(&self, word: &str, with_tools: bool) -> bool {
        self.templates
            .source(with_tools)
            .is_some_and(|source| source.mentions(word))
    }

    /// Encodes a text. With `special`, adds the special tokens that the tokenizer puts around a text. A
    /// rendered template already has its own.
    pub fn encode(&self, text: &str, special: bool) -> Result<Encoded> {
        let encoding = self
            .tokenizer
            .encode(text, special)
            .map_err(Error::Tokenizer)?;
        Ok(Encoded {
            ids: encoding.get_ids().to_vec(),
            offsets: encoding.get_offsets().to_vec(),
        })
    }

    /// The token that ends a text.
    #[must_use]
    pub fn eos(&self) -> Option<u32> {
        self.eos
    }

    /// The tokens that end an answer.
    #[must_use]
    pub fn stops(&self) -> &[u32] {
        &self.stops
    }

    /// Whether a token ends an answer.
    #[must_use]
    pub fn is_stop(&self, id: u32) -> bool {
        self.stops.contains(&id)
    }

    /// Creates a guide that makes an answer obey `constraint`. `field` is the request field of the
    /// constraint.
    pub fn guide(&self, constraint: &Constraint, field: &str) -> Result<Guide> {
        if self.vocabulary.get().is_none() {
            // If two requests arrive at once, both create a vocabulary, and one of them is kept.
            let vocabulary = Vocabulary::new(&self.tokenizer, &self.stops)?;
            let _ = self.vocabulary.set(vocabulary);
        }
        match self.vocabulary.get() {
            Some(vocabulary) => vocabulary.guide(constraint, field),
            None => refused(format!("{field}: can't be honoured")),
        }
    }

    /// The tokenizer.
    #[must_use]
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use serde_json::json;

    use crate::base::{Base, Source};

    #[test]
    fn the_built_in_template_is_chatml() {
        let base = Base::load(&Source::BuiltIn).unwrap();
        let messages = [json!({ "role": "user", "content": "Hi" })];
        let text = base.text.render(&messages, None, true).unwrap();
        assert_eq!(
            text,
            "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
        );
    }

    #[test]
    fn every_byte_is_a_token_and_comes_back() {
        let base = Base::load(&Source::BuiltIn).unwrap();
        let text = "naïve 日本 🎉\t\n<|im_end|>";
        let encoded = base.text.encode(text, false).unwrap();
        assert_eq!(encoded.ids.len(), text.len() - "<|im_end|>".len() + 1);
        assert_eq!(
            base.text.tokenizer().decode(&encoded.ids, false).unwrap(),
            text
        );
        assert!(base.text.is_stop(*encoded.ids.last().unwrap()));
    }
}
