//! The parts of Python and Jinja that chat templates use and the template engine lacks: methods of
//! strings, lists and dictionaries, and a few tests and filters.

use minijinja::value::{Value, ValueKind, from_args};
use minijinja::{Environment, Error, ErrorKind, State};
use minijinja_contrib::{globals, pycompat};

/// The longest text that `format` may produce, in bytes.
const MAX_FORMATTED_BYTES: usize = 16 * 1024 * 1024;

/// A width or precision in `format` is refused if it has this many digits.
const TOO_MANY_DIGITS: usize = 5;

/// Adds these parts to an environment.
pub fn add_to(environment: &mut Environment) {
    environment.set_unknown_method_callback(method);
    environment.add_test("sequence", |value: &Value| {
        matches!(
            value.kind(),
            ValueKind::Undefined | ValueKind::String | ValueKind::Seq | ValueKind::Map
        )
    });
    environment.add_test("iterable", |value: &Value| {
        matches!(
            value.kind(),
            ValueKind::Undefined
                | ValueKind::String
                | ValueKind::Seq
                | ValueKind::Map
                | ValueKind::Iterable
        )
    });
    environment.add_test("callable", |value: &Value| {
        matches!(value.kind(), ValueKind::Plain) && !value.is_undefined()
    });
    environment.add_filter("pprint", |value: &Value| value.to_string());
    environment.add_filter("center", |state: &State, text: &str, width: Option<i64>| {
        padded(state, text, width.unwrap_or(80), ' ', Side::Both)
    });
    environment.add_filter("wordcount", |text: &str| text.split_whitespace().count());
    environment.add_function("cycler", globals::cycler);
    environment.add_function("joiner", globals::joiner);
    // Jinja has no `debug`, and a template may check whether it is defined.
    environment.remove_global("debug");
    environment.add_function("raise_exception", |message: String| {
        Err::<String, _>(Error::new(ErrorKind::InvalidOperation, message))
    });
    environment.add_function("strftime_now", |format: &str| strftime_now(format));
}

/// Formats a number like Python's `repr`.
pub fn float(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
    }
    let scientific = format!("{value:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    match exponent.parse::<i32>() {
        Ok(exponent) if value != 0.0 && !(-4..16).contains(&exponent) => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{digits}e{sign}{:02}", exponent.abs())
        }
        _ => format!("{value:?}"),
    }
}

/// This machine's local time, formatted like Python's `datetime.now().strftime(format)`.
fn strftime_now(format: &str) -> Result<String, Error> {
    // Python's `now()` has no time zone, so that these are empty there.
    let format = format.replace("%Z", "").replace("%z", "");
    let now = jiff::Zoned::now().datetime();
    let written = jiff::fmt::strtime::format(&format, now);
    written.map_err(|error| {
        Error::new(
            ErrorKind::InvalidOperation,
            format!("strftime_now({format:?}): {error}"),
        )
    })
}

fn unknown() -> Error {
    Error::from(ErrorKind::UnknownMethod)
}

fn invalid(message: &'static str) -> Error {
    Error::new(ErrorKind::InvalidOperation, message)
}

/// Consumes fuel for processing `bytes` of text, at the engine's own rate.
fn charge(state: &State, bytes: usize) -> Result<(), Error> {
    state.consume_fuel(u64::try_from(bytes / 64).unwrap_or(u64::MAX))
}

fn method(state: &mut State, value: &Value, name: &str, args: &[Value]) -> Result<Value, Error> {
    match value.kind() {
        ValueKind::String => {
            let text = value.as_str().ok_or_else(unknown)?;
            charge(state, text.len())?;
            match string_method(state, text, name, args) {
                Err(error) if error.kind() == ErrorKind::UnknownMethod => {
                    pycompat::unknown_method_callback(state, value, name, args)
                }
                result => result,
            }
        }
        ValueKind::Seq => {
            charge(state, value.len().unwrap_or_default().saturating_mul(32))?;
            match name {
                "copy" => from_args::<()>(args).map(|()| value.clone()),
                "index" => index_of(value, args),
                _ => pycompat::unknown_method_callback(state, value, name, args),
            }
        }
        ValueKind::Map if name == "copy" => from_args::<()>(args).map(|()| value.clone()),
        _ => pycompat::unknown_method_callback(state, value, name, args),
    }
}

fn index_of(list: &Value, args: &[Value]) -> Result<Value, Error> {
    let (item,): (&Value,) = from_args(args)?;
    match list.try_iter()?.position(|candidate| candidate == *item) {
        Some(index) => Ok(Value::from(index)),
        None => Err(invalid("the value is not in the list")),
    }
}

#[derive(Clone, Copy)]
enum Side {
    Left,
    Right,
    Both,
}

fn padded(state: &State, text: &str, width: i64, fill: char, side: Side) -> Result<String, Error> {
    let length = text.chars().count();
    let missing = usize::try_from(width)
        .unwrap_or_default()
        .saturating_sub(length);
    charge(state, missing.saturating_mul(fill.len_utf8()))?;
    let (before, after) = match side {
        Side::Left => (missing, 0),
        Side::Right => (0, missing),
        Side::Both => (missing / 2, missing - missing / 2),
    };
    let fill = |count: usize| fill.to_string().repeat(count);
    Ok(format!("{}{text}{}", fill(before), fill(after)))
}

/// The methods of Python's `str` that the engine's own compatibility layer lacks, or gets wrong in a way
/// that matters here.
fn string_method(state: &State, text: &str, name: &str, args: &[Value]) -> Result<Value, Error> {
    let found = |found: Option<usize>| found.map(|at| Value::from(text[..at].chars().count()));
    Ok(match name {
        "removeprefix" => {
            let (prefix,): (&str,) = from_args(args)?;
            text.strip_prefix(prefix).unwrap_or(text).into()
        }
        "removesuffix" => {
            let (suffix,): (&str,) = from_args(args)?;
            text.strip_suffix(suffix).unwrap_or(text).into()
        }
        "rsplit" => {
            let (separator, most): (Option<&str>, Option<i64>) = from_args(args)?;
            rsplit(text, separator, most)?
        }
        "partition" => {
            let (separator,): (&str,) = from_args(args)?;
            let parts = text.split_once(separator);
            let (before, after) = parts.unwrap_or((text, ""));
            triple(before, parts.map_or("", |_| separator), after)
        }
        "rpartition" => {
            let (separator,): (&str,) = from_args(args)?;
            let parts = text.rsplit_once(separator);
            let (before, after) = parts.unwrap_or(("", text));
            triple(before, parts.map_or("", |_| separator), after)
        }
        "splitlines" => {
            let (keep,): (Option<bool>,) = from_args(args)?;
            splitlines(text, keep.unwrap_or(false))
        }
        "index" => {
            let (part,): (&str,) = from_args(args)?;
            found(text.find(part)).ok_or_else(|| invalid("the text has no such part"))?
        }
        "rindex" => {
            let (part,): (&str,) = from_args(args)?;
            found(text.rfind(part)).ok_or_else(|| invalid("the text has no such part"))?
        }
        "casefold" => {
            let () = from_args(args)?;
            text.to_lowercase().into()
        }
        "swapcase" => {
            let () = from_args(args)?;
            let swapped = text.chars().flat_map(|c| {
                let other = if c.is_uppercase() {
                    c.to_lowercase().to_string()
                } else {
                    c.to_uppercase().to_string()
                };
                other.chars().collect::<Vec<_>>()
            });
            swapped.collect::<String>().into()
        }
        "ljust" | "rjust" | "center" => {
            let (width, fill): (i64, Option<char>) = from_args(args)?;
            let side = match name {
                "ljust" => Side::Right,
                "rjust" => Side::Left,
                _ => Side::Both,
            };
            padded(state, text, width, fill.unwrap_or(' '), side)?.into()
        }
        "zfill" => {
            let (width,): (i64,) = from_args(args)?;
            let unsigned = text.trim_start_matches(['+', '-']);
            let sign = &text[..text.len() - unsigned.len()];
            let width = width - i64::try_from(sign.len()).unwrap_or_default();
            let zeros = padded(state, unsigned, width, '0', Side::Left)?;
            format!("{sign}{zeros}").into()
        }
        "isdecimal" => {
            let () = from_args(args)?;
            (!text.is_empty() && text.chars().all(|c| c.is_ascii_digit())).into()
        }
        "join" => {
            let (values,): (&Value,) = from_args(args)?;
            join(state, text, values)?
        }
        "format" => {
            check_format(text, args)?;
            return Err(unknown());
        }
        _ => return Err(unknown()),
    })
}

fn triple(before: &str, separator: &str, after: &str) -> Value {
    [before, separator, after]
        .into_iter()
        .map(Value::from)
        .collect()
}

fn rsplit(text: &str, separator: Option<&str>, most: Option<i64>) -> Result<Value, Error> {
    let most = most.and_then(|most| usize::try_from(most).ok());
    let mut parts = Vec::new();
    let mut rest = match separator {
        Some("") => return Err(invalid("the separator is empty")),
        Some(_) => text,
        None => text.trim_end(),
    };
    while most.is_none_or(|most| parts.len() < most) {
        let (before, after) = match separator {
            Some(separator) => match rest.rsplit_once(separator) {
                Some(pair) => pair,
                None => break,
            },
            None => match rest.rsplit_once(char::is_whitespace) {
                Some((before, after)) => (before.trim_end(), after),
                None => break,
            },
        };
        parts.push(after);
        rest = before;
    }
    if separator.is_some() || !rest.is_empty() {
        parts.push(rest);
    }
    Ok(parts.into_iter().rev().map(Value::from).collect())
}

/// Like Python, also splits at line separators other than newlines.
fn splitlines(text: &str, keep: bool) -> Value {
    let ends = |c: char| {
        matches!(
            c,
            '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}'
        ) || ('\u{1c}'..='\u{1e}').contains(&c)
    };
    let mut lines = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(ends) {
        let end = if rest[at..].starts_with("\r\n") {
            at + 2
        } else {
            at + rest[at..].chars().next().map_or(1, char::len_utf8)
        };
        lines.push(Value::from(&rest[..if keep { end } else { at }]));
        rest = &rest[end..];
    }
    if !rest.is_empty() {
        lines.push(Value::from(rest));
    }
    Value::from(lines)
}

/// Consumes fuel for each item before the text grows: a list may contain the same long text many times.
fn join(state: &State, separator: &str, values: &Value) -> Result<Value, Error> {
    let mut joined = String::new();
    for (index, value) in values.try_iter()?.enumerate() {
        let Some(text) = value.as_str() else {
            return Err(invalid("join takes texts only"));
        };
        charge(state, separator.len() + text.len() + 64)?;
        if index > 0 {
            joined.push_str(separator);
        }
        joined.push_str(text);
    }
    Ok(Value::from(joined))
}

/// Refuses a `format` whose result might be very long, because the engine doesn't limit it.
fn check_format(text: &str, args: &[Value]) -> Result<(), Error> {
    let longest_number = text
        .split(|c: char| !c.is_ascii_digit())
        .map(str::len)
        .max();
    let longest = args.iter().map(|arg| match arg.as_str() {
        Some(text) => text.len(),
        None => arg.to_string().len(),
    });
    let most = text
        .matches('{')
        .count()
        .saturating_mul(longest.max().unwrap_or_default());
    if longest_number >= Some(TOO_MANY_DIGITS) || most > MAX_FORMATTED_BYTES {
        return Err(invalid("the result of format is too long"));
    }
    Ok(())
}
