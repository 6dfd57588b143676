//! The text of a chat template, checked and rewritten for the template engine.

/// Templates of real models have up to about 60 kB.
const MAX_BYTES: usize = 256 * 1024;

/// Code between the delimiters of one tag, strings left out. The engine's parser recurses over it.
const MAX_TAG_BYTES: usize = 16 * 1024;

/// `not` and `-` in a row. The engine takes quadratic time over them.
const MAX_PREFIX_OPERATORS: usize = 64;

/// What a `{% generation %}` block calls.
pub const GENERATION: &str = "__generation";

/// A template that is ready to be compiled.
#[derive(Debug)]
pub struct Source {
    /// Jinja that the engine understands.
    pub text: String,
    /// The code of all tags, strings included, comments and raw blocks left out.
    code: String,
    /// Whether it marks what the model writes with `{% generation %}`.
    pub marks_generation: bool,
}

impl Source {
    /// Rewrites `{% generation %}` blocks, which the engine doesn't have, as call blocks. transformers
    /// implements them as call blocks too, so whitespace and scopes come out the same. Errors with
    /// what makes the template too large.
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
        let mut rest = source;
        while let Some(start) = next_delimiter(rest) {
            prepared.text.push_str(&rest[..start]);
            rest = &rest[start..];
            let length = prepared.delimited(rest)?;
            rest = &rest[length..];
        }
        prepared.text.push_str(rest);
        Ok(prepared)
    }

    /// Whether the template's code has `word` as a name or inside a string.
    pub fn mentions(&self, word: &str) -> bool {
        let part = |c: char| c.is_alphanumeric() || c == '_';
        self.code
            .split(|c| !part(c))
            .any(|candidate| candidate == word)
    }

    /// Takes over a comment, a raw block or a tag, which `rest` starts with. Returns its length.
    fn delimited(&mut self, rest: &str) -> Result<usize, String> {
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
        self.code.push_str(&rest[2..end - 2]);
        self.code.push('\n');
        for (name, replacement) in [
            ("generation", format!("call {GENERATION}()")),
            ("endgeneration", "endcall".to_owned()),
        ] {
            if block && is_tag(rest, name) {
                self.marks_generation = true;
                self.text
                    .push_str(&rest[..end].replacen(name, &replacement, 1));
                return Ok(end);
            }
        }
        Ok(self.copy(rest, Some(end)))
    }

    /// Without an end, the engine says what's wrong.
    fn copy(&mut self, rest: &str, end: Option<usize>) -> usize {
        let end = end.unwrap_or(rest.len());
        self.text.push_str(&rest[..end]);
        end
    }
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

/// Where the tag or expression that `text` starts with ends. The closing delimiter counts outside of
/// strings and brackets only.
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
            rewritten("a {%- generation -%} b {%+ endgeneration+%}"),
            "a {%- call __generation() -%} b {%+ endcall+%}"
        );
        assert_eq!(
            rewritten("{%\n generation\n%}x{%endgeneration%}"),
            "{%\n call __generation()\n%}x{%endcall%}"
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
