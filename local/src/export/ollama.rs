//! Ollama's `Modelfile`, which has a Go template for prompts. That template is derived from the base's
//! chat template if it belongs to a known family, which is found out by rendering conversations.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::base::Base;
use crate::error::{Error, Result};

/// The name of the file.
pub const FILE: &str = "Modelfile";

/// Texts that no template contains.
const SYSTEM: &str = "Xsystem1";
const USER: &str = "Xuser2";
const ASSISTANT: &str = "Xassistant3";

/// The texts around messages in a family of chat templates.
struct Family {
    open: &'static str,
    middle: &'static str,
    close: &'static str,
}

/// ChatML's family, and Llama 3's.
const FAMILIES: [Family; 2] = [
    Family {
        open: "<|im_start|>",
        middle: "\n",
        close: "<|im_end|>\n",
    },
    Family {
        open: "<|start_header_id|>",
        middle: "<|end_header_id|>\n\n",
        close: "<|eot_id|>",
    },
];

impl Family {
    fn turn(&self, role: &str, content: &str) -> String {
        format!("{}{role}{}{content}{}", self.open, self.middle, self.close)
    }

    /// Renders the turns of `messages`, and the beginning of an answer.
    fn conversation(&self, messages: &[(&str, &str)]) -> String {
        let turns: String = messages
            .iter()
            .map(|(role, content)| self.turn(role, content))
            .collect();
        format!("{turns}{}assistant{}", self.open, self.middle)
    }

    /// Analyses the base's template. `None` if it doesn't belong to this family.
    fn read(&self, base: &Base) -> Option<Found> {
        let plain = render(base, &[("user", USER)])?;
        let (start, default) = self.before(&plain)?;
        let with_system = render(base, &[("system", SYSTEM), ("user", USER)])?;
        let (same_start, system) = self.before(&with_system)?;
        let system = system.filter(|_| start == same_start)?;
        let (before, after) = system.split_once(SYSTEM)?;
        let messages = [
            ("system", SYSTEM),
            ("user", USER),
            ("assistant", ASSISTANT),
            ("user", USER),
        ];
        let long = render(base, &messages)?;
        let expected = messages.map(|(role, content)| {
            if role == "system" {
                (role, system.as_str())
            } else {
                (role, content)
            }
        });
        (long == format!("{start}{}", self.conversation(&expected))).then(|| Found {
            start: start.clone(),
            default,
            before: before.to_owned(),
            after: after.to_owned(),
        })
    }

    /// Splits off the part before the user's message: the start of the text, and the content of a system
    /// message.
    fn before(&self, rendered: &str) -> Option<(String, Option<String>)> {
        let rest = rendered.strip_suffix(&self.conversation(&[("user", USER)]))?;
        let Some((start, system)) = rest.split_once(&format!("{}system{}", self.open, self.middle))
        else {
            return Some((rest.to_owned(), None));
        };
        let content = system.strip_suffix(self.close)?;
        let plain = !content.contains(self.open) && !content.contains(self.close);
        plain.then(|| (start.to_owned(), Some(content.to_owned())))
    }

    /// Writes the Go template. It wraps a system message like the base's template does.
    fn go(&self, found: &Found, start: &str) -> String {
        let Self {
            open,
            middle,
            close,
        } = self;
        let (before, after) = (literal(&found.before), literal(&found.after));
        let mut text = literal(start);
        if let Some(default) = found.default.as_ref().filter(|_| found.wraps()) {
            let _ = write!(
                text,
                "{{{{ if not .System }}}}{}{{{{ end }}}}",
                self.turn("system", &literal(default))
            );
        }
        let content = if found.wraps() {
            format!(
                "{{{{ if eq .Role \"system\" }}}}{before}{{{{ .Content }}}}{after}{{{{ else }}}}{{{{ .Content }}}}{{{{ end }}}}"
            )
        } else {
            "{{ .Content }}".to_owned()
        };
        let _ = write!(
            text,
            "{{{{ range $i, $_ := .Messages }}}}{{{{ $last := eq (len (slice $.Messages $i)) 1 }}}}\
             {open}{{{{ .Role }}}}{middle}{content}\
             {{{{ if or (not $last) (ne .Role \"assistant\") }}}}{close}{{{{ end }}}}\
             {{{{ if and $last (ne .Role \"assistant\") }}}}{open}assistant{middle}{{{{ end }}}}{{{{ end }}}}"
        );
        text
    }
}

/// The texts that a chat template adds to the turns.
struct Found {
    /// The text that every conversation starts with.
    start: String,
    /// The content of the system message that it adds to a conversation without one.
    default: Option<String>,
    /// The texts before and after the content of a system message.
    before: String,
    after: String,
}

impl Found {
    fn wraps(&self) -> bool {
        !self.before.is_empty() || !self.after.is_empty()
    }
}

/// The content of the file, and notes for the user.
pub fn modelfile(base: &Base) -> Result<(String, Vec<String>)> {
    let mut text = format!(
        "# ollama create NAME -f {FILE} && ollama run NAME\nFROM ./{}\n",
        super::gguf::FILE
    );
    let mut notes = Vec::new();
    let found = FAMILIES
        .iter()
        .find_map(|family| Some((family, family.read(base)?)));
    match found {
        _ if !base.text.has_template() => {
            text.push_str("TEMPLATE \"\"\"{{ .Prompt }}\"\"\"\n");
            notes.push("The base has no chat template: Ollama gives it the text as it is.".to_owned());
        }
        Some((family, found)) if !quoted(&found) => {
            let template = family.go(&found, &without_bos(base, &found.start)?);
            let _ = writeln!(text, "TEMPLATE \"\"\"{template}\"\"\"");
            if let Some(default) = found.default.as_ref().filter(|_| !found.wraps()) {
                let _ = writeln!(text, "SYSTEM \"\"\"{default}\"\"\"");
            }
            if base.text.mentions("strftime_now", false) {
                notes.push("The base's chat template writes the date. In the Modelfile it's today's.".to_owned());
            }
            if base.text.knows_tools() {
                notes.push("The TEMPLATE of the Modelfile has no tools.".to_owned());
            }
        }
        _ => notes.push(
            "The base's chat template is neither ChatML nor Llama 3's, so the Modelfile has no TEMPLATE. Ollama uses \
             the one in the GGUF file if it knows it. Otherwise, add a TEMPLATE."
                .to_owned(),
        ),
    }
    for id in base.text.stops() {
        if let Some(token) = base
            .text
            .tokenizer()
            .id_to_token(*id)
            .filter(|token| !token.contains('"'))
        {
            let _ = writeln!(text, "PARAMETER stop \"{token}\"");
        }
    }
    Ok((text, notes))
}

/// The start of a conversation, without the BOS token, which Ollama adds itself.
fn without_bos(base: &Base, start: &str) -> Result<String> {
    let tokenizer = base.text.tokenizer();
    let around = tokenizer.encode("", true).map_err(Error::Tokenizer)?;
    let first = around
        .get_ids()
        .first()
        .and_then(|id| tokenizer.id_to_token(*id));
    let rest = first.as_deref().and_then(|token| start.strip_prefix(token));
    Ok(rest.unwrap_or(start).to_owned())
}

/// Whether a part contains a quote: such text may not fit between three quotes.
fn quoted(found: &Found) -> bool {
    let parts = [
        Some(&found.start),
        found.default.as_ref(),
        Some(&found.before),
        Some(&found.after),
    ];
    parts.into_iter().flatten().any(|part| part.contains('"'))
}

/// Escapes a text for a Go template.
fn literal(text: &str) -> String {
    text.replace("{{", "{{ \"{{\" }}")
}

fn render(base: &Base, messages: &[(&str, &str)]) -> Option<String> {
    let messages: Vec<Value> = messages
        .iter()
        .map(|(role, content)| json!({ "role": role, "content": content }))
        .collect();
    base.text.render(&messages, None, true).ok()
}
