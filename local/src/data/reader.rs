//! Reads the rows of a file one at a time. A file contains JSON lines or a JSON list, either of which may
//! be compressed, or Parquet. However small the file is, the size of its decompressed content is limited.

use std::borrow::Cow;
use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek};

use flate2::read::MultiGzDecoder;
use serde::de::{Deserializer, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{MAX_ROW_MEMORY, MAX_TEXT_BYTES, parquet};
use crate::error::{Error, Result, refused};
use crate::json::{self, Bounded, Budget};

/// The longest line, in bytes.
const MAX_LINE_BYTES: usize = 16 * 1024 * 1024;

/// How much of a file is read to detect its format.
const BUFFER_BYTES: usize = 64 * 1024;

/// Unsupported compression formats, by the first bytes of a file.
const OTHER_COMPRESSIONS: [(&[u8], &str); 4] = [
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ", "xz"),
    (b"PK\x03\x04", "zip"),
];

/// The position of a row in a dataset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowPlace {
    /// The file's name, unless the client named the file itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// `line` or `row`.
    pub unit: Cow<'static, str>,
    /// The number of the line or row, from 1.
    pub number: usize,
}

impl fmt::Display for RowPlace {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(formatter, "{file}: ")?;
        }
        write!(formatter, "{} {}", self.unit, self.number)
    }
}

impl RowPlace {
    /// Adds the row's position to an error, except to `Error::Stopped`, which isn't about the row.
    #[must_use]
    pub fn blame(&self, error: Error) -> Error {
        match error {
            Error::Stopped => error,
            other => Error::Refused(format!("datasetSource: {self}: {other}")),
        }
    }
}

/// Receives rows as they are read. An error from it ends the reading.
pub type Each<'a> = &'a mut dyn FnMut(RowPlace, Value) -> Result<()>;

/// Reads all rows of a file. `name` is the file's name, if row positions are to include it.
pub fn read(mut file: File, name: Option<&str>, each: Each) -> Result<()> {
    let place = |unit: &'static str, number: usize| RowPlace {
        file: name.map(str::to_owned),
        unit: unit.into(),
        number,
    };
    let failed = |reason: String| {
        let name = name.map_or_else(String::new, |name| format!("{name}: "));
        Error::Refused(format!("datasetSource: {name}{reason}"))
    };
    let head = head(&mut file).map_err(|error| failed(error.to_string()))?;
    if head.starts_with(parquet::MAGIC) {
        return parquet::read(&file, &failed, &mut |number, value| {
            each(place("row", number), value)
        });
    }
    if let Some((_, name)) = OTHER_COMPRESSIONS
        .iter()
        .find(|(magic, _)| head.starts_with(magic))
    {
        return Err(failed(format!(
            "is compressed with {name}, which is not supported. Use gzip, or no compression."
        )));
    }
    if head.starts_with(b"\x1f\x8b") {
        let decoder = MultiGzDecoder::new(BufReader::new(&file));
        // Measure first, to refuse a file that is too large within a second instead of after minutes of
        // encoding. Corrupt data is reported below.
        let length = io::copy(&mut decoder.take(MAX_TEXT_BYTES + 1), &mut io::sink());
        if length.is_ok_and(|length| length > MAX_TEXT_BYTES) {
            return Err(failed(format!(
                "more than {} MiB when decompressed",
                MAX_TEXT_BYTES >> 20
            )));
        }
        file.rewind().map_err(|error| failed(error.to_string()))?;
        let decoder = MultiGzDecoder::new(BufReader::new(file));
        text(decoder, &failed, &place, each)
    } else {
        text(file, &failed, &place, each)
    }
}

fn head(file: &mut File) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    file.take(8).read_to_end(&mut head)?;
    file.rewind()?;
    Ok(head)
}

fn text(
    source: impl Read,
    failed: &dyn Fn(String) -> Error,
    place: &dyn Fn(&'static str, usize) -> RowPlace,
    each: Each,
) -> Result<()> {
    let mut reader = BufReader::with_capacity(BUFFER_BYTES, source);
    // An error of the file itself. It may also occur further on.
    let broken = |error: &io::Error| failed(format!("can't be read: {error}"));
    let start = reader.fill_buf().map_err(|error| broken(&error))?;
    if start.starts_with(b"\xff\xfe") || start.starts_with(b"\xfe\xff") {
        return Err(failed("is UTF-16. Save it as UTF-8.".to_owned()));
    }
    if start.starts_with(b"\xef\xbb\xbf") {
        reader.consume(3);
    }
    let start = reader.fill_buf().map_err(|error| broken(&error))?;
    let first = start.iter().find(|byte| !byte.is_ascii_whitespace());
    if first == Some(&b'[') {
        return list(reader, failed, place, each);
    }
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        match next_line(&mut reader, &mut line) {
            Ok(true) => {}
            Ok(false) => break,
            Err(error) => return Err(broken(&error)),
        }
        let here = || place("line", number);
        let refuse = |reason: String| here().blame(Error::Refused(reason));
        if line.len() > MAX_LINE_BYTES {
            return Err(refuse(format!(
                "is longer than {} MiB. Write one JSON object per line.",
                MAX_LINE_BYTES >> 20
            )));
        }
        let text = std::str::from_utf8(&line).map_err(|_| refuse("not UTF-8".to_owned()))?;
        if !text.trim().is_empty() {
            let value = json::parse(text, &Budget::new(MAX_ROW_MEMORY))
                .map_err(|error| refuse(format!("not JSON: {error}{}", if_csv(number, text))))?;
            each(here(), value)?;
        }
    }
    Ok(())
}

/// Advice for a file that seems to begin with a line of column names.
fn if_csv(line: usize, text: &str) -> &'static str {
    let is_header =
        line == 1 && !text.trim_start().starts_with(['{', '[']) && text.contains([',', ';', '\t']);
    if is_header {
        ". If this is CSV, write each row as a line of JSON first (docs/data-formats.md has a script)."
    } else {
        ""
    }
}

/// Reads a line, and at most one byte more than the limit. Returns `false` at the end.
fn next_line(reader: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    let limit = MAX_LINE_BYTES as u64 + 1;
    Ok(reader.take(limit).read_until(b'\n', line)? > 0)
}

/// Reads a JSON list of rows, as in `.json` files.
fn list(
    reader: impl BufRead,
    failed: &dyn Fn(String) -> Error,
    place: &dyn Fn(&'static str, usize) -> RowPlace,
    each: Each,
) -> Result<()> {
    let mut deserializer = serde_json::Deserializer::from_reader(reader);
    let mut rows = Rows {
        place,
        each,
        number: 0,
        error: None,
    };
    let read = deserializer
        .deserialize_seq(&mut rows)
        .and_then(|()| deserializer.end());
    let number = rows.number;
    match (rows.error, read) {
        (Some(error), _) => Err(error),
        (None, Ok(())) => Ok(()),
        (None, Err(error)) => Err(failed(format!(
            "not a list of JSON objects, after row {number}: {error}"
        ))),
    }
}

struct Rows<'a> {
    place: &'a dyn Fn(&'static str, usize) -> RowPlace,
    each: Each<'a>,
    number: usize,
    /// The error that ended the reading, if the list itself is fine.
    error: Option<Error>,
}

impl<'de> Visitor<'de> for &mut Rows<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a list of rows")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        loop {
            let budget = Budget::new(MAX_ROW_MEMORY);
            let Some(value) = elements.next_element_seed(Bounded(&budget))? else {
                return Ok(());
            };
            self.number += 1;
            if let Err(error) = (self.each)((self.place)("row", self.number), value) {
                self.error = Some(error);
                return Err(serde::de::Error::custom("stopped"));
            }
        }
    }
}

/// The error for a dataset without rows.
pub fn no_rows<T>() -> Result<T> {
    refused(
        "datasetSource: the dataset has no rows. Give a JSONL file with one JSON object per line.",
    )
}

#[cfg(test)]
#[path = "reader_tests.rs"]
pub(crate) mod tests;
