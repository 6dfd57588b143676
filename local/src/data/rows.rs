//! Rows of a dataset. Flow in: the bytes of JSONL files, compressed or not, or of Parquet files. Flow
//! out: rows of one of three kinds. A module because every mistake in a file is reported here, with its
//! line.

use std::io::Read;

use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use serde_json::{Map, Value};

use super::parquet;
use crate::error::{Error, Result, refused};

/// A decompressed file may be at most this large, in bytes: a small archive must not fill the memory.
const MAX_TEXT_BYTES: u64 = 512 * 1024 * 1024;

/// The kinds of rows, as `datasetFormat` names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `{ "messages": [{ "role", "content" }] }`
    Messages,
    /// `{ "prompt", "completion" }`
    PromptCompletion,
    /// `{ "text" }`
    Text,
}

impl Format {
    /// Its name in `datasetFormat`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Messages => "messages",
            Self::PromptCompletion => "prompt_completion",
            Self::Text => "text",
        }
    }
}

/// One row.
#[derive(Debug, Clone, PartialEq)]
pub enum Row {
    /// A chat.
    Messages(Vec<Value>),
    /// A text and how it goes on.
    PromptCompletion(String, String),
    /// A plain text.
    Text(String),
}

impl Row {
    fn format(&self) -> Format {
        match self {
            Self::Messages(_) => Format::Messages,
            Self::PromptCompletion(..) => Format::PromptCompletion,
            Self::Text(_) => Format::Text,
        }
    }
}

/// A file of a dataset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Its name, when there are several.
    pub name: Option<String>,
    /// What is in it.
    pub bytes: Bytes,
}

/// Reads all rows of all files. `only` refuses rows of another kind; `responses_only` refuses rows
/// without a response. An error names the file, when there are several, and the line.
pub fn parse(files: Vec<File>, only: Option<Format>, responses_only: bool) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for file in files {
        let place = file
            .name
            .map_or_else(String::new, |name| format!("{name}: "));
        let failed = |reason: String| Error::Refused(format!("datasetSource: {place}{reason}"));
        let read = |number: usize, what: &str, value: Result<Value, String>| {
            value
                .and_then(|value| row(value, only, responses_only))
                .map_err(|reason| failed(format!("{what} {number}: {reason}")))
        };
        if parquet::is_parquet(&file.bytes) {
            let values = parquet::rows(file.bytes, MAX_TEXT_BYTES)
                .map_err(|error| failed(format!("the Parquet data is broken: {error}")))?;
            for (index, value) in values.into_iter().enumerate() {
                rows.push(read(index + 1, "row", Ok(value))?);
            }
            continue;
        }
        let text = decompress(&file.bytes).map_err(failed)?;
        for (index, line) in text.lines().enumerate() {
            if line.trim().is_empty() {
                continue;
            }
            let value = serde_json::from_str(line).map_err(|error| format!("not JSON: {error}"));
            rows.push(read(index + 1, "line", value)?);
        }
    }
    if rows.is_empty() {
        return refused(
            "datasetSource: the dataset has no rows. Give a JSONL file with one JSON object per line.",
        );
    }
    Ok(rows)
}

fn decompress(bytes: &[u8]) -> Result<String, String> {
    let mut text = Vec::new();
    if bytes.starts_with(&[0x1f, 0x8b]) {
        let decoder = MultiGzDecoder::new(bytes);
        if let Err(error) = decoder.take(MAX_TEXT_BYTES + 1).read_to_end(&mut text) {
            return Err(format!("the gzip data is broken: {error}"));
        }
        if u64::try_from(text.len()).unwrap_or(u64::MAX) > MAX_TEXT_BYTES {
            return Err(format!(
                "more than {MAX_TEXT_BYTES} bytes when decompressed"
            ));
        }
    } else {
        text.extend_from_slice(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes));
    }
    String::from_utf8(text).map_err(|error| {
        let good = error.utf8_error().valid_up_to();
        let line = error.as_bytes()[..good]
            .split(|byte| *byte == b'\n')
            .count();
        format!("line {line}: not UTF-8")
    })
}

fn row(value: Value, only: Option<Format>, responses_only: bool) -> Result<Row, String> {
    let Value::Object(fields) = value else {
        return Err("expected a JSON object".to_owned());
    };
    let there = |name: &str| fields.get(name).is_some_and(|value| !value.is_null());
    let row = if there("messages") {
        Row::Messages(check_messages(&fields["messages"], responses_only)?)
    } else if there("prompt") || there("completion") {
        Row::PromptCompletion(string(&fields, "prompt")?, string(&fields, "completion")?)
    } else if there("text") {
        Row::Text(string(&fields, "text")?)
    } else {
        return Err("expected `messages`, or `prompt` and `completion`, or `text`".to_owned());
    };
    match only {
        Some(only) if only != row.format() => Err(format!(
            "is a {:?} row, but datasetFormat is {:?}",
            row.format().name(),
            only.name()
        )),
        _ if responses_only && row.format() == Format::Text => {
            Err("a `text` row has no response, but trainOnResponsesOnly is true".to_owned())
        }
        _ => Ok(row),
    }
}

fn string(fields: &Map<String, Value>, name: &str) -> Result<String, String> {
    match fields.get(name) {
        Some(Value::String(text)) => Ok(text.clone()),
        Some(other) => Err(format!("`{name}` must be a string, it is {}", kind(other))),
        None => Err(format!("`{name}` is missing")),
    }
}

fn check_messages(messages: &Value, responses_only: bool) -> Result<Vec<Value>, String> {
    let Some(list) = messages.as_array().filter(|list| !list.is_empty()) else {
        return Err("`messages` must be a list with at least one message".to_owned());
    };
    for (index, message) in list.iter().enumerate() {
        let Some(role) = message.get("role").and_then(Value::as_str) else {
            return Err(format!("`messages[{index}].role` must be a string"));
        };
        let calls = role == "assistant" && message.get("tool_calls").is_some_and(Value::is_array);
        if !calls && !message.get("content").is_some_and(Value::is_string) {
            return Err(format!("`messages[{index}].content` must be a string"));
        }
    }
    let assistant =
        |message: &Value| message.get("role").and_then(Value::as_str) == Some("assistant");
    if responses_only && !list.iter().any(assistant) {
        return Err(
            "no message of the role assistant, but trainOnResponsesOnly is true".to_owned(),
        );
    }
    Ok(list.clone())
}

/// What a value is, in words.
pub(crate) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use std::io::Write;

    use super::*;

    fn message(result: Result<Vec<Row>>) -> String {
        let error = result.unwrap_err();
        assert!(error.is_refusal());
        error.to_string()
    }

    fn one(bytes: &[u8]) -> Vec<File> {
        vec![File {
            name: None,
            bytes: Bytes::copy_from_slice(bytes),
        }]
    }

    #[test]
    fn the_three_kinds_of_rows_are_read() {
        let text = concat!(
            r#"{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]}"#,
            "\n\n",
            r#"{"prompt":"p","completion":"c"}"#,
            "\r\n",
            r#"{"text":"t"}"#
        );
        let rows = parse(one(text.as_bytes()), None, false).unwrap();
        assert_eq!(rows.len(), 3);
        assert_eq!(
            rows[1],
            Row::PromptCompletion("p".to_owned(), "c".to_owned())
        );
        assert_eq!(rows[2], Row::Text("t".to_owned()));
    }

    #[test]
    fn a_bad_row_is_named_by_its_line() {
        let text = "{\"text\":\"a\"}\n\n{\"text\":1}\n";
        let error = message(parse(one(text.as_bytes()), None, false));
        assert_eq!(
            error,
            "datasetSource: line 3: `text` must be a string, it is a number"
        );
        let error = message(parse(one(b"{\"text\":\"a\"}\n{\"te"), None, false));
        assert!(
            error.starts_with("datasetSource: line 2: not JSON"),
            "{error}"
        );
        let error = message(parse(one(b"{\"text\":\"a\"}\n\xff\n"), None, false));
        assert_eq!(error, "datasetSource: line 2: not UTF-8");
        let error = message(parse(
            one(br#"{"messages":[{"role":"user"}]}"#),
            None,
            false,
        ));
        assert!(error.contains("messages[0].content"), "{error}");
    }

    #[test]
    fn a_compressed_file_reads_like_a_plain_one() {
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gz.write_all(b"{\"text\":\"a\"}\n").unwrap();
        assert_eq!(
            parse(one(&gz.finish().unwrap()), None, false)
                .unwrap()
                .len(),
            1
        );
    }

    #[test]
    fn rows_must_fit_the_format_and_the_loss_that_is_asked_for() {
        let text = br#"{"text":"a"}"#;
        assert!(message(parse(one(text), Some(Format::Messages), false)).contains("datasetFormat"));
        assert!(message(parse(one(text), None, true)).contains("trainOnResponsesOnly"));
        assert!(message(parse(one(b"\n"), None, false)).contains("no rows"));
    }

    #[test]
    fn parquet_files_read_like_lines_and_several_files_are_told_apart() {
        let file = |name: &str, text: &[u8]| File {
            name: Some(name.to_owned()),
            bytes: Bytes::copy_from_slice(text),
        };
        let good = parquet::tests::file("text", &["a", "b"]);
        let files = vec![
            file("1.parquet", &good),
            file("2.jsonl", b"{\"text\":\"c\"}\n"),
        ];
        assert_eq!(parse(files, None, false).unwrap().len(), 3);
        let bad = parquet::tests::file("other", &["a"]);
        let error = message(parse(
            vec![file("1.parquet", &good), file("2.parquet", &bad)],
            None,
            false,
        ));
        assert!(
            error.starts_with("datasetSource: 2.parquet: row 1: expected"),
            "{error}"
        );
        let error = message(parse(vec![file("x", b"PAR1 and no more")], None, false));
        assert!(
            error.starts_with("datasetSource: x: the Parquet data is broken"),
            "{error}"
        );
    }
}
