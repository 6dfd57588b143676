//! Text and tokens. Flow in: strings and chat messages. Flow out: token ids, and text again. A
//! module because a tokenizer and its chat template belong together: a model is only as good as
//! the text it is fed.

use std::sync::OnceLock;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{Environment, context};
use serde_json::Value;
use tokenizers::Tokenizer;

use crate::constrain::{Constraint, Guide, Vocabulary};
use crate::error::{Error, Result, refused};

const TEMPLATE: &str = "chat";

/// Tokens by which models end a turn or a text, whatever their config says.
const ENDS: [&str; 6] = [
    "<|im_end|>",
    "<|eot_id|>",
    "<|eom_id|>",
    "<|end_of_text|>",
    "<|endoftext|>",
    "</s>",
];

/// A tokenizer and its chat template.
#[derive(Debug)]
pub struct TextCodec {
    tokenizer: Tokenizer,
    templates: Environment<'static>,
    special: Value,
    eos: Option<u32>,
    stops: Vec<u32>,
    /// Made when the first answer is constrained.
    vocabulary: OnceLock<Vocabulary>,
}

/// An encoded text.
#[derive(Debug, Clone)]
pub struct Encoded {
    /// Token ids.
    pub ids: Vec<u32>,
    /// The bytes of the text that each token stands for, `(start, end)`.
    pub offsets: Vec<(usize, usize)>,
}

impl TextCodec {
    /// From the content of `tokenizer.json` and `tokenizer_config.json`; `template` is that of a
    /// separate `chat_template.jinja`.
    pub fn new(
        tokenizer: &[u8],
        config: &Value,
        template: Option<&str>,
        eos_ids: &[u32],
    ) -> Result<Self> {
        let tokenizer = Tokenizer::from_bytes(tokenizer).map_err(Error::Tokenizer)?;
        let mut templates = Environment::new();
        templates.set_syntax(
            SyntaxConfig::builder()
                .trim_blocks(true)
                .lstrip_blocks(true)
                .build()?,
        );
        templates.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        templates.add_function(
            "raise_exception",
            |message: String| -> Result<String, minijinja::Error> {
                Err(minijinja::Error::new(
                    minijinja::ErrorKind::InvalidOperation,
                    message,
                ))
            },
        );
        if let Some(source) = template.map(str::to_owned).or_else(|| template_of(config)) {
            templates.add_template_owned(TEMPLATE, source)?;
        }
        let token = |name: &str| special_token(config, name);
        let special = serde_json::json!({
            "bos_token": token("bos_token").unwrap_or_default(),
            "eos_token": token("eos_token").unwrap_or_default(),
        });
        let eos = token("eos_token").and_then(|token| tokenizer.token_to_id(&token));
        let mut stops: Vec<u32> = eos_ids.to_vec();
        stops.extend(eos);
        stops.extend(ENDS.iter().filter_map(|token| tokenizer.token_to_id(token)));
        stops.sort_unstable();
        stops.dedup();
        let eos = eos.or_else(|| eos_ids.first().copied());
        Ok(Self {
            tokenizer,
            templates,
            special,
            eos,
            stops,
            vocabulary: OnceLock::new(),
        })
    }

    /// Messages as the model reads them. Refused when the model has no chat template, or the
    /// template refuses the messages.
    pub fn render(
        &self,
        messages: &[Value],
        tools: Option<&Value>,
        generate: bool,
    ) -> Result<String> {
        let Ok(template) = self.templates.get_template(TEMPLATE) else {
            return refused(
                "messages: this model has no chat template. Use rows with `prompt` and `completion`, \
                 or `text`, or a model with a chat template.",
            );
        };
        let text = template.render(context! {
            messages => Serde(messages),
            tools => Serde(tools),
            add_generation_prompt => generate,
            bos_token => Serde(&self.special["bos_token"]),
            eos_token => Serde(&self.special["eos_token"]),
        });
        text.map_err(|error| {
            Error::Refused(format!("messages: the chat template refuses them: {error}"))
        })
    }

    /// Whether the chat template tells the model of tools, with `mark` before each call.
    #[must_use]
    pub fn knows_calls(&self, mark: &str) -> bool {
        self.templates.get_template(TEMPLATE).is_ok_and(|template| {
            template.undeclared_variables(false).contains("tools")
                && template.source().contains(mark)
        })
    }

    /// Token ids of a text. `special` adds what the tokenizer puts around a text by itself; a
    /// rendered template brings its own.
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

    /// Whether a token ends an answer.
    #[must_use]
    pub fn is_stop(&self, id: u32) -> bool {
        self.stops.contains(&id)
    }

    /// What leads an answer along its constraint; `field` is where the request has it.
    pub fn guide(&self, constraint: &Constraint, field: &str) -> Result<Guide> {
        if self.vocabulary.get().is_none() {
            // When two requests come at once, both make it and one is kept.
            let vocabulary = Vocabulary::new(&self.tokenizer, &self.stops)?;
            let _ = self.vocabulary.set(vocabulary);
        }
        match self.vocabulary.get() {
            Some(vocabulary) => vocabulary.guide(constraint, field),
            None => refused(format!("{field}: can't be honoured")),
        }
    }

    /// The tokenizer itself.
    #[must_use]
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }
}

/// `chat_template` is a string, or a list of named ones.
fn template_of(config: &Value) -> Option<String> {
    match config.get("chat_template")? {
        Value::String(source) => Some(source.clone()),
        Value::Array(list) => {
            let default = list
                .iter()
                .find(|entry| entry.get("name").and_then(Value::as_str) == Some("default"))
                .or_else(|| list.first())?;
            default
                .get("template")
                .and_then(Value::as_str)
                .map(str::to_owned)
        }
        _ => None,
    }
}

/// A special token is a string, or an object with a `content`.
fn special_token(config: &Value, name: &str) -> Option<String> {
    let token = config.get(name)?;
    token
        .as_str()
        .or_else(|| token.get("content").and_then(Value::as_str))
        .map(str::to_owned)
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
