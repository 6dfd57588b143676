//! Reads an object in the form in which backends write a `training.log`: no nesting, no escapes.
//!
//! It reads such an object in one pass, several times as fast as `serde_json`, which handles all others.

/// Calls `sink` with each field of a flat object; values are JSON text. `None` if the text isn't a flat
/// object or isn't JSON. Some fields may have been passed on by then.
pub fn each_field<'a>(text: &'a str, mut sink: impl FnMut(&'a str, &'a str)) -> Option<()> {
    let bytes = text.as_bytes();
    let mut at = expect(bytes, after_space(bytes, 0), b'{')?;
    loop {
        let key = at;
        at = end_of_string(bytes, key)?;
        let name = &text[key + 1..at - 1];
        let value = after_space(bytes, expect(bytes, after_space(bytes, at), b':')?);
        at = match bytes.get(value)? {
            b'"' => end_of_string(bytes, value)?,
            b'-' | b'0'..=b'9' => end_of_number(bytes, value)?,
            b'n' => end_of_word(bytes, value, b"null")?,
            b't' => end_of_word(bytes, value, b"true")?,
            b'f' => end_of_word(bytes, value, b"false")?,
            _ => return None,
        };
        sink(name, &text[value..at]);
        at = after_space(bytes, at);
        if bytes.get(at)? == &b'}' {
            return (after_space(bytes, at + 1) == bytes.len()).then_some(());
        }
        at = expect(bytes, at, b',')?;
    }
}

fn after_space(bytes: &[u8], mut at: usize) -> usize {
    while let Some(b' ' | b'\t' | b'\n' | b'\r') = bytes.get(at) {
        at += 1;
    }
    at
}

/// The position after this byte and any whitespace that follows.
fn expect(bytes: &[u8], at: usize, byte: u8) -> Option<usize> {
    (bytes.get(at)? == &byte).then(|| after_space(bytes, at + 1))
}

fn end_of_string(bytes: &[u8], open: usize) -> Option<usize> {
    if bytes.get(open)? != &b'"' {
        return None;
    }
    let inner = &bytes[open + 1..];
    let length = memchr::memchr2(b'"', b'\\', inner)?;
    let plain = inner[length] == b'"' && !inner[..length].iter().any(|byte| *byte < 0x20);
    plain.then_some(open + 1 + length + 1)
}

/// RFC 8259: `-? (0 | [1-9] digits*) (. digits+)? ([eE] [+-]? digits+)?`.
fn end_of_number(bytes: &[u8], start: usize) -> Option<usize> {
    let mut at = start + usize::from(bytes[start] == b'-');
    at = match bytes.get(at)? {
        b'0' => at + 1,
        _ => digits(bytes, at)?,
    };
    if bytes.get(at) == Some(&b'.') {
        at = digits(bytes, at + 1)?;
    }
    if let Some(b'e' | b'E') = bytes.get(at) {
        at += 1;
        at += usize::from(matches!(bytes.get(at), Some(b'+' | b'-')));
        at = digits(bytes, at)?;
    }
    Some(at)
}

/// The position after one or more digits.
fn digits(bytes: &[u8], start: usize) -> Option<usize> {
    let rest = &bytes[start..];
    let count = rest
        .iter()
        .position(|byte| !byte.is_ascii_digit())
        .unwrap_or(rest.len());
    (count > 0).then_some(start + count)
}

fn end_of_word(bytes: &[u8], start: usize, word: &[u8]) -> Option<usize> {
    bytes[start..]
        .starts_with(word)
        .then_some(start + word.len())
}
