//! Renders chat templates like transformers.

mod json;
mod python;
mod source;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::thread;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Kwargs, Serde, Value};
use minijinja::{AutoEscape, Environment, ErrorKind, State};
use serde_json::Value as Json;

use crate::error::{Error, Result, refused};
use source::{GENERATION, Source};

/// The fuel for one rendering. An instruction takes about one unit, and so do 64 bytes of text, which
/// limits memory to 128 MiB. It's enough for every template that TRL packages to render 500 messages of
/// 200 bytes, and for most of them to render 10 000.
const FUEL: u64 = 2_000_000;

/// The stack for the engine's recursive parser, and for printing nested values. Within its fuel, a
/// template can nest over a million lists, each of which takes up to 500 bytes of stack. Untouched pages
/// take no memory.
const STACK_BYTES: usize = 1024 * 1024 * 1024;

/// The deepest recursion of macros and loops.
const MAX_RECURSION: usize = 200;

/// Inserted around each generated part, if the caller asks for these parts. They're Unicode
/// noncharacters, which are reserved for internal use.
const MARKS: [char; 2] = ['\u{fdd0}', '\u{fdd1}'];

/// The template variable that turns the marks on.
const MARKED: &str = "__marked";

/// The field names of a message's reasoning. The first one that is present counts.
const REASONING: [&str; 3] = ["reasoning_content", "thinking", "reasoning"];

/// The template names that can be chosen for a conversation.
const NAMES: [&str; 2] = ["default", "tool_use"];

/// The source of a template, and the file that it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateFile {
    /// The file's name, for messages.
    pub file: String,
    /// The template in Jinja.
    pub text: String,
}

/// The chat templates of a model, by name.
#[derive(Debug)]
pub struct ChatTemplates {
    environment: Environment<'static>,
    /// The compiled templates, or why they couldn't be compiled.
    compiled: BTreeMap<&'static str, Result<Compiled, String>>,
    names: Vec<String>,
    special_tokens: Vec<(String, Json)>,
}

#[derive(Debug)]
struct Compiled {
    file: String,
    source: Source,
}

/// A rendered conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// The text.
    pub text: String,
    /// The byte ranges of the template's `{% generation %}` blocks, `(start, end)`. `None` if it has no
    /// such blocks.
    pub generated: Option<Vec<(usize, usize)>>,
}

impl ChatTemplates {
    /// Compiles the templates that can be chosen. One that can't be compiled is only refused when it's
    /// used, since a model can still be trained on plain text.
    pub fn new(
        templates: &BTreeMap<String, TemplateFile>,
        special_tokens: Vec<(String, Json)>,
    ) -> Result<Self> {
        let mut environment = environment()?;
        let mut compiled = BTreeMap::new();
        for name in NAMES {
            if let Some(template) = templates.get(name) {
                compiled.insert(name, compile(&mut environment, template)?);
            }
        }
        Ok(Self {
            environment,
            compiled,
            names: templates.keys().cloned().collect(),
            special_tokens,
        })
    }

    /// Whether the model has no templates.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// The template for conversations with or without tools, if it could be compiled.
    pub fn source(&self, with_tools: bool) -> Option<&Source> {
        let compiled = self.choose(with_tools)?.as_ref().ok()?;
        Some(&compiled.source)
    }

    /// Renders a conversation.
    pub fn render(
        &self,
        messages: &[Json],
        tools: Option<&Json>,
        generate: bool,
    ) -> Result<String> {
        self.render_marked(messages, tools, generate, false)
    }

    /// Renders a conversation. If the template marks the parts that the model writes, also returns where
    /// they are.
    pub fn render_with_generated(
        &self,
        messages: &[Json],
        tools: Option<&Json>,
        generate: bool,
    ) -> Result<Rendered> {
        let text = self.render_marked(messages, tools, generate, false)?;
        let marks = self
            .source(tools.is_some())
            .is_some_and(|source| source.marks_generation);
        if !marks {
            return Ok(Rendered {
                text,
                generated: None,
            });
        }
        let marked = self.render_marked(messages, tools, generate, true)?;
        match without_marks(&marked) {
            Some((plain, generated)) if plain == text => Ok(Rendered {
                text,
                generated: Some(generated),
            }),
            _ => refused(
                "messages: the chat template changes its {% generation %} blocks afterwards, so the \
                 responses can't be told apart",
            ),
        }
    }

    /// Chooses a template like transformers: `tool_use` for a conversation with tools if there is one, or
    /// else `default`.
    fn choose(&self, with_tools: bool) -> Option<&Result<Compiled, String>> {
        let tool_use = with_tools.then(|| self.compiled.get("tool_use")).flatten();
        tool_use.or_else(|| self.compiled.get("default"))
    }

    fn render_marked(
        &self,
        messages: &[Json],
        tools: Option<&Json>,
        generate: bool,
        marked: bool,
    ) -> Result<String> {
        if self.is_empty() {
            return refused(
                "messages: this model has no chat template. Use rows with `prompt` and `completion`, \
                 or `text`, or a model with a chat template.",
            );
        }
        let template = match self.choose(tools.is_some()) {
            Some(Ok(compiled)) => &compiled.file,
            Some(Err(message)) => return refused(message),
            None => {
                return refused(format!(
                    "messages: this model has several chat templates and none is called \"default\": {}",
                    self.names.join(", ")
                ));
            }
        };
        let rendered = on_large_stack(|| {
            let mut variables: BTreeMap<String, Value> = self
                .special_tokens
                .iter()
                .map(|(name, token)| (name.clone(), Value::from(Serde(token))))
                .collect();
            let messages: Vec<Json> = messages.iter().map(as_transformers).collect();
            variables.extend([
                ("messages".to_owned(), Value::from(Serde(messages))),
                ("tools".to_owned(), Value::from(Serde(tools))),
                ("documents".to_owned(), Value::from(())),
                ("add_generation_prompt".to_owned(), Value::from(generate)),
            ]);
            if marked {
                variables.insert(MARKED.to_owned(), Value::from(true));
            }
            let context = Value::from(variables);
            let rendered = self
                .environment
                .get_template(template)
                .and_then(|template| template.render(context));
            rendered.map_err(|error| why_not(template, &error))
        })?;
        rendered.map_err(Error::Refused)
    }
}

fn why_not(template: &str, error: &minijinja::Error) -> String {
    if error.kind() == ErrorKind::OutOfFuel {
        return format!("messages: the chat template in {template} does too much work on them");
    }
    format!("messages: the chat template refuses them: {error}")
}

/// Prepares a message for the template like transformers: removes null fields, and provides the model's
/// reasoning under each of its names.
fn as_transformers(message: &Json) -> Json {
    let Some(fields) = message.as_object() else {
        return message.clone();
    };
    let present = fields.iter().filter(|(_, value)| !value.is_null());
    let reasoning = REASONING
        .iter()
        .find_map(|name| fields.get(*name).filter(|value| !value.is_null()));
    let mut copy = serde_json::Map::new();
    if let Some(reasoning) = reasoning {
        copy.insert("thinking".to_owned(), reasoning.clone());
    }
    copy.extend(present.map(|(name, value)| (name.clone(), value.clone())));
    if let Some(reasoning) = reasoning {
        copy.insert("reasoning_content".to_owned(), reasoning.clone());
    }
    Json::Object(copy)
}

fn environment() -> Result<Environment<'static>> {
    let mut environment = Environment::new();
    environment.set_syntax(
        SyntaxConfig::builder()
            .trim_blocks(true)
            .lstrip_blocks(true)
            .build()?,
    );
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment.set_fuel(Some(FUEL));
    environment.set_recursion_limit(MAX_RECURSION);
    python::add_to(&mut environment);
    environment.add_filter("tojson", json::tojson);
    environment.add_function(GENERATION, generation);
    Ok(environment)
}

/// Renders the content of a `{% generation %}` block.
#[allow(
    clippy::needless_pass_by_value,
    reason = "the engine calls it like this"
)]
fn generation(state: &mut State, kwargs: Kwargs) -> Result<Value, minijinja::Error> {
    let content: Value = kwargs.get::<Value>("caller")?.call(state, &[])?;
    if state.lookup(MARKED).is_none() {
        return Ok(content);
    }
    let [start, end] = MARKS;
    Ok(Value::from(format!("{start}{content}{end}")))
}

/// Removes the marks from a text, and returns the ranges between them.
fn without_marks(marked: &str) -> Option<(String, Vec<(usize, usize)>)> {
    let [start, end] = MARKS;
    let mut text = String::with_capacity(marked.len());
    let (mut open, mut ranges) = (Vec::new(), Vec::new());
    for c in marked.chars() {
        if c == start {
            open.push(text.len());
        } else if c == end {
            ranges.push((open.pop()?, text.len()));
        } else {
            text.push(c);
        }
    }
    ranges.sort_unstable();
    open.is_empty().then_some((text, ranges))
}

fn compile(
    environment: &mut Environment<'static>,
    template: &TemplateFile,
) -> Result<Result<Compiled, String>> {
    let TemplateFile { file, text } = template;
    let failed =
        |why: String| format!("messages: the chat template in {file} can't be used: {why}");
    let source = match Source::prepare(text) {
        Ok(source) => source,
        Err(why) => return Ok(Err(failed(why))),
    };
    let added = on_large_stack(|| {
        environment
            .add_template_owned(file.clone(), source.text.clone())
            .map_err(|error| failed(error.to_string()))
    })?;
    Ok(added.map(|()| Compiled {
        file: file.clone(),
        source,
    }))
}

thread_local! {
    /// Whether this thread has the large stack.
    static LARGE: Cell<bool> = const { Cell::new(false) };
}

/// Runs `work` with a stack that no template can overflow: on a new thread, or directly if this thread
/// already has the large stack. Wrap a loop that renders many conversations in it, so that they share one
/// thread.
pub fn on_large_stack<T: Send>(work: impl FnOnce() -> T + Send) -> Result<T> {
    if LARGE.get() {
        return Ok(work());
    }
    thread::scope(|scope| {
        let thread = thread::Builder::new()
            .name("template".to_owned())
            .stack_size(STACK_BYTES)
            .spawn_scoped(scope, || {
                LARGE.set(true);
                work()
            })
            .map_err(|source| Error::Io {
                what: "can't start a thread for the chat template".to_owned(),
                source,
            })?;
        thread
            .join()
            .or_else(|_| refused("messages: the chat template can't be used: it breaks the engine"))
    })
}

#[cfg(test)]
mod tests;
