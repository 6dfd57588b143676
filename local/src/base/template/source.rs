//! The text of a chat template, checked and rewritten for the template engine.

use std::collections::BTreeSet;

/// The largest template, in bytes. Templates of real models have up to about 60 kB.
const MAX_BYTES: usize = 256 * 1024;

/// The most code in one tag, not counting strings. The engine's parser recurses over it.
const MAX_TAG_BYTES: usize = 16 * 1024;

/// The most consecutive `not` and `-` operators, for which the engine takes quadratic time.
const MAX_PREFIX_OPERATORS: usize = 64;

/// Words that can't be variable names.
const KEYWORDS: [&str; 13] = [
    "and", "else", "if", "in", "is", "not", "or", "true", "false", "none", "True", "False", "None",
];

/// The function that a `{% generation %}` block calls.
pub const GENERATION: &str = "__generation";

/// A template that is ready to be compiled.
#[derive(Debug)]
pub struct Source {
    /// The rewritten template, in Jinja that the engine understands.
    pub text: String,
    /// The code of all tags, including strings, without comments and raw blocks.
    code: String,
    /// Whether it marks the parts that the model writes with `{% generation %}`.
    pub marks_generation: bool,
}

/// A `{% generation %}` block, and the names in its code.
#[derive(Debug)]
struct TemplateBlock {
    /// The start of the block in the rewritten text.
    start: usize,
    open: bool,
    names: BTreeSet<String>,
}

impl Source {
    /// Rewrites `{% generation %}` blocks, which the engine doesn't have, as call blocks. transformers
    /// implements them as call blocks too, so that whitespace and scopes are the same. If the template is
    /// too large, the error says why.
    pub fn prepare(source: &str) -> Result<Self, String> {
        if source.len() > MAX_BYTES {
            return Err(format!(
                "it has {} bytes, at most {MAX_BYTES} are supported",
                source.len()
            ));
        }
        let mut prepared = Self {
            text: String::with_capacity(source.len() + 64),
            code: String::new(),
            marks_generation: false,
        };
        let mut blocks = Vec::new();
        // Jinja also normalises newlines everywhere.
        let source = source.replace("\r\n", "\n").replace('\r', "\n");
        let mut rest = source.as_str();
        while let Some(start) = next_delimiter(rest) {
            prepared.text.push_str(&rest[..start]);
            rest = &rest[start..];
            let length = prepared.delimited(rest, &mut blocks)?;
            rest = &rest[length..];
        }
        prepared.text.push_str(rest);
        // The engine only passes a call block the outer variables that it sees being read, and misses
        // some. So a tag right after the opening one reads all of them.
        for block in blocks.iter().rev() {
            let names: Vec<&str> = block.names.iter().map(String::as_str).collect();
            let reads = format!("set __outer = [{}] ", names.join(", "));
            prepared.text.insert_str(block.start, &reads);
        }
        Ok(prepared)
    }

    /// Whether the template's code contains `word` as a name or in a string.
    pub fn mentions(&self, word: &str) -> bool {
        let part = |c: char| c.is_alphanumeric() || c == '_';
        self.code
            .split(|c| !part(c))
            .any(|candidate| candidate == word)
    }

    /// Processes the comment, raw block or tag that `rest` starts with. Returns its length.
    fn delimited(&mut self, rest: &str, blocks: &mut Vec<TemplateBlock>) -> Result<usize, String> {
        if rest.starts_with("{#") {
            return Ok(self.copy(rest, rest.find("#}").map(|end| end + 2)));
        }
        let block = rest.starts_with("{%");
        if block && is_tag(rest, "raw") {
            return Ok(self.copy(rest, end_of_raw(rest)));
        }
        let Some(end) = end_of_tag(rest, if block { "%}" } else { "}}" })? else {
            return Ok(self.copy(rest, None));
        };
        let code = &rest[2..end - 2];
        self.code.push_str(code);
        self.code.push('\n');
        if block && is_tag(rest, "endgeneration") {
            if let Some(last) = blocks.iter_mut().rev().find(|block| block.open) {
                last.open = false;
            }
            self.text
                .push_str(&rest[..end].replacen("endgeneration", "endcall", 1));
            return Ok(end);
        }
        for open in blocks.iter_mut().filter(|block| block.open) {
            open.names.extend(names(code).map(str::to_owned));
        }
        if block && is_tag(rest, "generation") {
            self.marks_generation = true;
            let (before, after) = controls(code);
            let call = format!("{{%{before} call {GENERATION}() %}}{{% ");
            self.text.push_str(&call);
            blocks.push(TemplateBlock {
                start: self.text.len(),
                open: true,
                names: BTreeSet::from(["loop".to_owned()]),
            });
            self.text.push_str(after);
            self.text.push_str("%}");
            return Ok(end);
        }
        match block.then(|| namespace_assignment(&rest[..end])).flatten() {
            Some(assignment) => self.text.push_str(&assignment),
            None => self.text.push_str(&rest[..end]),
        }
        Ok(end)
    }

    /// Copies up to `end`. If there is none, copies everything, and the engine reports the error.
    fn copy(&mut self, rest: &str, end: Option<usize>) -> usize {
        let end = end.unwrap_or(rest.len());
        self.text.push_str(&rest[..end]);
        end
    }
}

/// The whitespace control at the start and the end of a tag's code.
fn controls(code: &str) -> (&str, &str) {
    let control = |c: char| c == '-' || c == '+';
    let before = usize::from(code.starts_with(control));
    let after = usize::from(code.ends_with(control));
    (&code[..before], &code[code.len() - after..])
}

/// The names in a tag's code. Includes words in its strings: reading an undefined name does no harm.
fn names(code: &str) -> impl Iterator<Item = &str> {
    let part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    code.split(move |c| !part(c)).filter(|word| {
        !word.is_empty()
            && !word.starts_with(|c: char| c.is_ascii_digit())
            && !KEYWORDS.contains(word)
    })
}

fn next_delimiter(text: &str) -> Option<usize> {
    ["{{", "{%", "{#"]
        .iter()
        .filter_map(|delimiter| text.find(delimiter))
        .min()
}

/// Whether `text` starts with the tag `{% name %}`, with any whitespace control.
fn is_tag(text: &str, name: &str) -> bool {
    tag_end(text, name).is_some()
}

fn tag_end(text: &str, name: &str) -> Option<usize> {
    let inside = text.strip_prefix("{%")?;
    let inside = inside.strip_prefix(['-', '+']).unwrap_or(inside);
    let after = inside.trim_start().strip_prefix(name)?.trim_start();
    let after = after.strip_prefix(['-', '+']).unwrap_or(after);
    Some(text.len() - after.strip_prefix("%}")?.len())
}

fn end_of_raw(text: &str) -> Option<usize> {
    let mut from = 2;
    loop {
        let start = from + text[from..].find("{%")?;
        if let Some(length) = tag_end(&text[start..], "endraw") {
            return Some(start + length);
        }
        from = start + 2;
    }
}

/// Rewrites `{% set name.field = value %}` so that it also reads `name`. The engine passes macros and
/// call blocks only the outer variables that they read, and doesn't count an assignment as a read.
fn namespace_assignment(tag: &str) -> Option<String> {
    let inside = tag.strip_prefix("{%")?.strip_suffix("%}")?;
    let value_end = inside.strip_suffix(['-', '+']).unwrap_or(inside);
    let (target, value) = value_end.split_once('=')?;
    let words = target.strip_prefix(['-', '+']).unwrap_or(target).trim();
    let words = words.strip_prefix("set")?;
    let path = words.strip_prefix(char::is_whitespace)?.trim();
    let (name, field) = path.split_once('.')?;
    let word = |word: &str| word.trim().chars().all(|c| c.is_alphanumeric() || c == '_');
    (word(name) && word(field)).then(|| {
        let control = &inside[value_end.len()..];
        let name = name.trim();
        format!("{{%{target}=[{name}, ({value})][1] {control}%}}")
    })
}

/// The end of the tag or expression that `text` starts with. The closing delimiter only counts outside of
/// strings and brackets.
fn end_of_tag(text: &str, close: &str) -> Result<Option<usize>, String> {
    let (mut position, mut depth, mut code, mut prefixes) = (2, 0_usize, 0_usize, 0_usize);
    while let Some(c) = text[position..].chars().next() {
        if depth == 0 && text[position..].starts_with(close) {
            return Ok(Some(position + close.len()));
        }
        let mut length = c.len_utf8();
        match c {
            '\'' | '"' => match end_of_string(&text[position..], c) {
                Some(end) => length = end,
                None => return Ok(None),
            },
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if c == '-' {
            prefixes += 1;
        } else if let Some(after) = text[position..].strip_prefix("not")
            && !after.starts_with(|c: char| c.is_alphanumeric() || c == '_')
        {
            prefixes += 1;
            length = 3;
        } else if !c.is_whitespace() {
            prefixes = 0;
        }
        code += if matches!(c, '\'' | '"') { 1 } else { length };
        if code > MAX_TAG_BYTES {
            return Err(format!(
                "one of its tags has more than {MAX_TAG_BYTES} bytes of code"
            ));
        }
        if prefixes > MAX_PREFIX_OPERATORS {
            return Err(format!(
                "it has more than {MAX_PREFIX_OPERATORS} operators `not` or `-` in a row"
            ));
        }
        position += length;
    }
    Ok(None)
}

fn end_of_string(text: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    for (position, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return Some(position + c.len_utf8()),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use super::*;

    fn rewritten(source: &str) -> String {
        Source::prepare(source).unwrap().text
    }

    #[test]
    fn generation_blocks_become_call_blocks_and_keep_their_whitespace_control() {
        assert_eq!(
            rewritten("a {%- generation -%} {{ b.c if d }} {%+ endgeneration+%}"),
            "a {%- call __generation() %}{% set __outer = [b, c, d, loop] -%} {{ b.c if d }} {%+ endcall+%}"
        );
        assert_eq!(
            rewritten("{%\n generation\n%}x{%endgeneration%}{{ y }}"),
            "{% call __generation() %}{% set __outer = [loop] %}x{%endcall%}{{ y }}"
        );
    }

    #[test]
    fn an_assignment_to_a_namespace_reads_it_too() {
        assert_eq!(
            rewritten("{%- set ns.a = x if y else '=' -%}{% set b = ns.a == 1 %}"),
            "{%- set ns.a =[ns, ( x if y else '=' )][1] -%}{% set b = ns.a == 1 %}"
        );
    }

    #[test]
    fn strings_comments_and_raw_blocks_are_left_alone() {
        for text in [
            "{{ '{% generation %}' }}",
            "{{ \"it's \\\" {% generation %}\" }}",
            "{# {% generation %} #}",
            "{% raw %}{% generation %}{{ x }}{%- endraw %}",
            "{{ {'a': {}} }}{% set generation = 1 %}",
            "{% if '%}' %}{% endif %}",
            "an open {{ end",
        ] {
            assert_eq!(rewritten(text), text);
            assert!(!Source::prepare(text).unwrap().marks_generation);
        }
    }

    #[test]
    fn a_name_is_found_in_code_and_in_strings_but_not_in_text() {
        let source = Source::prepare(
            "developer {# tools #}{% if m.tool_calls and m['role'] == 'developer' %}{% endif %}",
        )
        .unwrap();
        assert!(source.mentions("tool_calls") && source.mentions("developer"));
        assert!(!source.mentions("tools") && !source.mentions("tool"));
        assert!(!Source::prepare("developer").unwrap().mentions("developer"));
    }

    #[test]
    fn what_would_overflow_the_parsers_stack_is_refused() {
        for source in [
            "x".repeat(MAX_BYTES + 1),
            format!("{{{{ {}1 }}}}", "1+".repeat(10_000)),
            format!("{{{{ {}x }}}}", "not ".repeat(100)),
            format!("{{{{ {}1 }}}}", "- ".repeat(100)),
        ] {
            assert!(Source::prepare(&source).is_err());
        }
        let prompt = format!("{{{{ '{}' }}}}", "long prompt ".repeat(10_000));
        assert!(Source::prepare(&prompt).is_ok());
    }
}
