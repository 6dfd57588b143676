//! `tojson` as transformers defines it: Python's `json.dumps`, without HTML escapes.

use minijinja::value::{Kwargs, Rest, Value, ValueKind, ValueOrKwargs, from_args};
use minijinja::{Error, ErrorKind, State};

use super::python;

/// The longest text that may be written, in bytes.
const MAX_BYTES: usize = 16 * 1024 * 1024;

/// The deepest nesting. Python's own limit is about a thousand.
const MAX_DEPTH: usize = 500;

struct Writer<'a> {
    state: &'a State<'a, 'a>,
    text: String,
    ascii: bool,
    indent: Option<String>,
    item_separator: String,
    key_separator: String,
    sort_keys: bool,
}

/// `tojson(value, ensure_ascii=False, indent=None, separators=None, sort_keys=False)`
pub fn tojson(state: &State, value: &Value, args: Rest<ValueOrKwargs>) -> Result<Value, Error> {
    let args = args.into_values();
    let (given, kwargs): (&[Value], Kwargs) = from_args(&args)?;
    let argument = |index: usize, name: &str| -> Result<Option<Value>, Error> {
        let value = match given.get(index) {
            Some(value) => Some(value.clone()),
            None => kwargs.get(name)?,
        };
        Ok(value.filter(|value: &Value| !value.is_none()))
    };
    let ascii = argument(0, "ensure_ascii")?.is_some_and(|value| value.is_true());
    let indent = argument(1, "indent")?
        .map(|value| indent_text(&value))
        .transpose()?;
    let separators = argument(2, "separators")?;
    let sort_keys = argument(3, "sort_keys")?.is_some_and(|value| value.is_true());
    kwargs.assert_all_used()?;
    let (item_separator, key_separator) = match separators {
        Some(pair) => (pair.get_item_by_index(0)?, pair.get_item_by_index(1)?),
        None if indent.is_some() => (",".into(), ": ".into()),
        None => (", ".into(), ": ".into()),
    };
    let mut writer = Writer {
        state,
        text: String::new(),
        ascii,
        indent,
        item_separator: item_separator.to_string(),
        key_separator: key_separator.to_string(),
        sort_keys,
    };
    writer.value(value, 0)?;
    Ok(Value::from(writer.text))
}

/// The text of one indentation level. As in Python, `indent` is a text or a number of spaces.
fn indent_text(value: &Value) -> Result<String, Error> {
    if let Some(text) = value.as_str() {
        return Ok(text.to_owned());
    }
    let spaces = value.as_i64().unwrap_or(i64::MAX).max(0);
    match usize::try_from(spaces) {
        Ok(spaces) if spaces <= 1000 => Ok(" ".repeat(spaces)),
        _ => Err(invalid("the indent of tojson is too large")),
    }
}

fn invalid(message: &'static str) -> Error {
    Error::new(ErrorKind::InvalidOperation, message)
}

impl Writer<'_> {
    fn push(&mut self, text: &str) -> Result<(), Error> {
        if self.text.len() + text.len() > MAX_BYTES {
            return Err(invalid("the text of tojson is too long"));
        }
        self.text.push_str(text);
        Ok(())
    }

    fn value(&mut self, value: &Value, depth: usize) -> Result<(), Error> {
        if depth > MAX_DEPTH {
            return Err(invalid("the value of tojson is nested too deeply"));
        }
        self.state.consume_fuel(1)?;
        match value.kind() {
            ValueKind::None => self.push("null"),
            ValueKind::Bool => self.push(if value.is_true() { "true" } else { "false" }),
            ValueKind::Number => {
                let number = number(value);
                self.push(&number)
            }
            ValueKind::String => self.string(value.as_str().unwrap_or_default()),
            ValueKind::Seq | ValueKind::Iterable => self.list(value, depth),
            ValueKind::Map => self.map(value, depth),
            kind => Err(Error::new(
                ErrorKind::InvalidOperation,
                format!("tojson can't write a value of type {kind}"),
            )),
        }
    }

    fn list(&mut self, list: &Value, depth: usize) -> Result<(), Error> {
        self.push("[")?;
        let mut empty = true;
        for item in list.try_iter()? {
            self.between(&mut empty, depth)?;
            self.value(&item, depth + 1)?;
        }
        self.close(empty, depth, "]")
    }

    fn map(&mut self, map: &Value, depth: usize) -> Result<(), Error> {
        let mut keys: Vec<Value> = map.try_iter()?.collect();
        if self.sort_keys {
            keys.sort();
        }
        self.push("{")?;
        let mut empty = true;
        for key in keys {
            self.between(&mut empty, depth)?;
            let name = match key.kind() {
                ValueKind::String => key.to_string(),
                ValueKind::None => "null".to_owned(),
                ValueKind::Bool => key.is_true().to_string(),
                ValueKind::Number => number(&key),
                _ => return Err(invalid("tojson can't write a key of that type")),
            };
            self.string(&name)?;
            let separator = self.key_separator.clone();
            self.push(&separator)?;
            self.value(&map.get_item(&key)?, depth + 1)?;
        }
        self.close(empty, depth, "}")
    }

    fn between(&mut self, empty: &mut bool, depth: usize) -> Result<(), Error> {
        if !std::mem::take(empty) {
            let separator = self.item_separator.clone();
            self.push(&separator)?;
        }
        self.line(depth + 1)
    }

    fn close(&mut self, empty: bool, depth: usize, bracket: &str) -> Result<(), Error> {
        if !empty {
            self.line(depth)?;
        }
        self.push(bracket)
    }

    fn line(&mut self, depth: usize) -> Result<(), Error> {
        let Some(indent) = self.indent.clone() else {
            return Ok(());
        };
        self.push("\n")?;
        for _ in 0..depth {
            self.push(&indent)?;
        }
        Ok(())
    }

    fn string(&mut self, text: &str) -> Result<(), Error> {
        self.push("\"")?;
        for c in text.chars() {
            match c {
                '"' => self.push("\\\"")?,
                '\\' => self.push("\\\\")?,
                '\n' => self.push("\\n")?,
                '\r' => self.push("\\r")?,
                '\t' => self.push("\\t")?,
                '\u{8}' => self.push("\\b")?,
                '\u{c}' => self.push("\\f")?,
                c if c < ' ' || (self.ascii && !c.is_ascii()) || (self.ascii && c == '\u{7f}') => {
                    let mut units = [0; 2];
                    for unit in c.encode_utf16(&mut units) {
                        self.push(&format!("\\u{unit:04x}"))?;
                    }
                }
                c => self.push(c.encode_utf8(&mut [0; 4]))?,
            }
        }
        self.push("\"")
    }
}

fn number(value: &Value) -> String {
    match f64::try_from(value.clone()) {
        Ok(float) if !value.is_integer() => python::float(float),
        _ => value.to_string(),
    }
}
