//! Constrained decoding: limits the next token, so that an answer has the format that the request
//! demands. The grammars are those of the `llguidance` library, which only this module uses.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use llguidance::api::{GrammarWithLexer, TopLevelGrammar};
/// The set of tokens that may come next.
pub use llguidance::toktrie::SimpleVob as TokenMask;
use llguidance::toktrie::{ApproximateTokEnv, TokRxInfo, TokTrie};
use llguidance::{Matcher, ParserFactory, token_bytes_from_tokenizer_json};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokenizers::Tokenizer;

use crate::error::{Error, Result, refused};

/// How long a constraint may take to compile.
const COMPILE_LIMIT: Duration = Duration::from_secs(3);
/// How many constraints may compile at once. A compilation that timed out can't be stopped, so this limits
/// how many can pile up.
const MOST_COMPILING: usize = 4;
/// The stack for compiling schemas, which is recursive. The deepest schema that `MOST_BYTES` allows needs
/// about half of it.
const COMPILE_STACK: usize = 256 * 1024 * 1024;
/// How many alternatives the parser may track at once. An object takes a few per optional property.
const MOST_ITEMS: usize = 50_000;
static COMPILING: AtomicUsize = AtomicUsize::new(0);

/// The largest regular expression, schema, or sum of all choices, in bytes.
const MOST_BYTES: usize = 64 * 1024;
/// The largest sum of the counts and divisors in a schema, each of which takes that many states.
const MOST_STATES: f64 = 100_000.0;
const STATEFUL: [&str; 7] = [
    "multipleOf",
    "minItems",
    "maxItems",
    "minLength",
    "maxLength",
    "minProperties",
    "maxProperties",
];

/// A constraint on an answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Constraint {
    /// JSON that matches a schema.
    Json(Value),
    /// A full match of a regular expression.
    Regex(String),
    /// One of these texts.
    Choice(Vec<String>),
    /// A function call: JSON that matches a schema, between two marks.
    Call {
        /// The mark before the call.
        open: String,
        /// The schema of the call.
        schema: Value,
        /// The mark after the call.
        close: String,
    },
}

impl Constraint {
    /// Converts the constraint to a grammar.
    #[must_use]
    pub fn grammar(&self) -> TopLevelGrammar {
        match self {
            Self::Json(schema) => TopLevelGrammar::from_json_schema(compact(schema)),
            Self::Regex(regex) => TopLevelGrammar::from_regex(regex),
            // A single expression, because the parser can't track thousands of rules at once.
            Self::Choice(texts) => {
                let texts: Vec<String> = texts.iter().map(|text| escaped(text)).collect();
                TopLevelGrammar::from_regex(&texts.join("|"))
            }
            Self::Call {
                open,
                schema,
                close,
            } => {
                let mut call = GrammarWithLexer::from_json_schema(compact(schema));
                call.name = Some("call".to_owned());
                let (open, close) = (quoted(open), quoted(close));
                let mut grammar =
                    TopLevelGrammar::from_lark(format!("start: {open} @call {close}"));
                grammar.grammars.push(call);
                grammar
            }
        }
    }

    /// Refuses a constraint that would take too long, before anything is compiled.
    fn check_size(&self, field: &str) -> Result<()> {
        let size = match self {
            Self::Regex(regex) => regex.len(),
            Self::Choice(texts) => texts.iter().map(|text| text.len() + 1).sum(),
            Self::Json(schema) | Self::Call { schema, .. } => {
                let states = states(schema);
                if states > MOST_STATES {
                    return refused(format!(
                        "{field}: its {} add up to {states}, and can be at most {MOST_STATES} together",
                        STATEFUL.join(", ")
                    ));
                }
                schema.to_string().len()
            }
        };
        if size > MOST_BYTES {
            return refused(format!(
                "{field}: it has {size} bytes, and can have at most {MOST_BYTES}"
            ));
        }
        Ok(())
    }
}

/// How many states the counts and divisors of a schema take in total. A divisor below 1 counts as its
/// reciprocal.
fn states(schema: &Value) -> f64 {
    match schema {
        Value::Array(list) => list.iter().map(states).sum(),
        Value::Object(map) => map
            .iter()
            .map(|(name, value)| match value.as_f64() {
                Some(number) if STATEFUL.contains(&name.as_str()) => {
                    let number = number.abs();
                    if number < 1.0 && number > 0.0 {
                        1.0 / number
                    } else {
                        number
                    }
                }
                _ => states(value),
            })
            .sum(),
        _ => 0.0,
    }
}

/// Limits a schema to at most one space between JSON tokens, unless it sets the white space itself. A
/// small model tends to generate spaces until its answer is cut off.
fn compact(schema: &Value) -> Value {
    let mut schema = schema.clone();
    if let Some(map) = schema.as_object_mut() {
        map.entry("x-guidance")
            .or_insert_with(|| json!({ "whitespace_pattern": " ?" }));
    }
    schema
}

/// A literal in a Lark grammar, whose escapes are those of JSON.
fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

/// A regular expression that only matches this text.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for char in text.chars() {
        if char.is_ascii_punctuation() {
            out.push('\\');
        }
        out.push(char);
    }
    out
}

/// The tokens of a model, in the format that constraints need.
pub struct Vocabulary(Arc<ParserFactory>);

impl std::fmt::Debug for Vocabulary {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Vocabulary")
    }
}

impl Vocabulary {
    /// Creates the vocabulary of a tokenizer. `stops` are the tokens that end a text. Refuses a tokenizer
    /// whose tokens can't be mapped to bytes.
    pub fn new(tokenizer: &Tokenizer, stops: &[u32]) -> Result<Self> {
        let failed = |error: &dyn std::fmt::Display| {
            Error::Refused(format!(
                "structuredOutputs: the tokenizer of this model can't be constrained: {error}"
            ))
        };
        let json = serde_json::to_value(tokenizer)?;
        let tokens = token_bytes_from_tokenizer_json(&json).map_err(|error| failed(&error))?;
        let Some(stop) = stops.first() else {
            return Err(failed(&"it has no token that ends an answer"));
        };
        let count = u32::try_from(tokens.len()).unwrap_or(u32::MAX);
        let stops: Vec<u32> = stops.iter().copied().filter(|id| *id < count).collect();
        let trie = TokTrie::from(&TokRxInfo::new(count, *stop), &tokens).with_eos_tokens(&stops);
        let environment: llguidance::toktrie::TokEnv = Arc::new(ApproximateTokEnv::new(trie));
        let mut factory =
            ParserFactory::new_simple(&environment).map_err(|error| failed(&error))?;
        factory.quiet();
        factory.limits_mut().verbose_errors = false;
        factory.limits_mut().max_items_in_row = MOST_ITEMS;
        Ok(Self(Arc::new(factory)))
    }

    /// Creates a guide for one answer. Refuses an unsupported constraint. `field` is the request field of
    /// the constraint.
    pub fn guide(&self, constraint: &Constraint, field: &str) -> Result<Guide> {
        constraint.check_size(field)?;
        let Some(turn) = CompilePermit::take() else {
            return refused(format!(
                "{field}: other constraints are still being compiled. Try again in a few seconds."
            ));
        };
        let (sender, compiled) = channel();
        let (factory, grammar) = (Arc::clone(&self.0), constraint.grammar());
        let compile = move || {
            let _turn = turn;
            let mut matcher = Matcher::new(factory.create_parser(grammar));
            // Computing the first mask reveals an invalid grammar while the request can still be refused.
            let first = matcher.compute_mask();
            let error = matcher.get_error();
            let error = error.or(first.err().map(|error| error.to_string()));
            // If compilation took too long, the receiver is gone.
            let _ = sender.send(match error {
                None => Ok(matcher),
                Some(error) => Err(error),
            });
        };
        thread::Builder::new()
            .name("constraint".to_owned())
            .stack_size(COMPILE_STACK)
            .spawn(compile)
            .map_err(|source| Error::Io {
                what: "can't start a thread".to_owned(),
                source,
            })?;
        match compiled.recv_timeout(COMPILE_LIMIT) {
            Ok(Ok(matcher)) => Ok(Guide {
                matcher,
                field: field.to_owned(),
            }),
            Ok(Err(error)) => refused(format!("{field}: {}", plain_words(&error))),
            Err(RecvTimeoutError::Timeout) => refused(format!(
                "{field}: it takes more than {} s to compile. Make it simpler.",
                COMPILE_LIMIT.as_secs()
            )),
            Err(RecvTimeoutError::Disconnected) => refused(format!("{field}: can't be honoured")),
        }
    }
}

/// A permit to compile a constraint. There are [`MOST_COMPILING`] of them.
struct CompilePermit;

impl CompilePermit {
    fn take() -> Option<Self> {
        if COMPILING.fetch_add(1, Ordering::Relaxed) < MOST_COMPILING {
            return Some(Self);
        }
        COMPILING.fetch_sub(1, Ordering::Relaxed);
        None
    }
}

impl Drop for CompilePermit {
    fn drop(&mut self) {
        COMPILING.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Rewords the library's error for the author of the constraint.
fn plain_words(error: &str) -> String {
    if error.contains("NoExtensionBias") {
        return "no text matches it".to_owned();
    }
    // The library prints an expression, a marker below it, and the reason on a separate line.
    let reason = error
        .lines()
        .find_map(|line| line.trim().strip_prefix("error: "));
    let words = reason
        .or(error.lines().next())
        .unwrap_or("can't be honoured");
    // Remove hints about library options, which users can't set.
    words.split(". Enable '").next().unwrap_or(words).to_owned()
}

/// Makes an answer obey its constraint.
pub struct Guide {
    matcher: Matcher,
    /// The request field of the constraint.
    field: String,
}

impl Guide {
    /// The tokens that may come next. `None` if the answer is complete and nothing may follow.
    pub fn allowed(&mut self) -> Result<Option<TokenMask>> {
        if self.matcher.is_stopped() {
            return Ok(None);
        }
        let mask = self.matcher.compute_mask();
        mask.map(Some).map_err(|error| self.failed(&error))
    }

    /// Advances past the chosen token.
    pub fn advance(&mut self, token: u32) -> Result<()> {
        let result = self.matcher.consume_token(token);
        result.map_err(|error| self.failed(&error))
    }

    /// Creates a refusal: if a constraint compiles but fails during generation, the request is still at
    /// fault.
    fn failed(&self, error: &dyn std::fmt::Display) -> Error {
        let words = plain_words(&error.to_string());
        Error::Refused(format!(
            "{}: the answer can't be led along it: {words}",
            self.field
        ))
    }
}

/// The constraint of JSON mode, which allows any object.
#[must_use]
pub fn any_object() -> Constraint {
    Constraint::Json(json!({ "type": "object" }))
}

#[cfg(test)]
#[path = "constrain_tests.rs"]
mod tests;
