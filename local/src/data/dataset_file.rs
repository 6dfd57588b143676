//! `dataset.jsonl` in a job's folder: the checked rows of a dataset, converted to one format. Each line
//! is a row, `{ source, ... }`, with `messages` and `tools`, `prompt` and `completion` (two texts or two
//! lists of messages), or `text`. `source` is the row's place in the original dataset.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::MAX_ROW_MEMORY;
use super::reader::RowPlace;
use super::rows::{Row, RowRules, row};
use crate::error::{Error, Result};
use crate::json::{self, Budget};

/// Facts about a dataset that has been written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatasetInfo {
    /// The number of rows.
    pub rows: usize,
    /// The SHA-256 of `dataset.jsonl`, in hexadecimal.
    pub sha256: String,
}

/// Writes checked rows one by one.
pub struct DatasetWriter {
    path: PathBuf,
    unfinished: PathBuf,
    file: BufWriter<File>,
    digest: Sha256,
    rows: usize,
}

impl DatasetWriter {
    /// Creates a writer for a new file.
    pub fn create(path: &Path) -> Result<Self> {
        let unfinished = path.with_extension("tmp");
        let file =
            File::create(&unfinished).map_err(|source| Error::io("can't write", path, source))?;
        Ok(Self {
            path: path.to_owned(),
            unfinished,
            file: BufWriter::new(file),
            digest: Sha256::new(),
            rows: 0,
        })
    }

    /// Appends a row.
    pub fn add(&mut self, place: &RowPlace, row: &Row) -> Result<()> {
        let mut json = row.to_json();
        json["source"] = serde_json::to_value(place)?;
        let line = format!("{json}\n");
        self.digest.update(line.as_bytes());
        self.rows += 1;
        let written = self.file.write_all(line.as_bytes());
        written.map_err(|source| self.failed(source))
    }

    /// Moves the complete file to its place.
    pub fn finish(mut self) -> Result<DatasetInfo> {
        let written = self
            .file
            .flush()
            .and_then(|()| self.file.get_ref().sync_all())
            .and_then(|()| fs::rename(&self.unfinished, &self.path));
        written.map_err(|source| self.failed(source))?;
        Ok(DatasetInfo {
            rows: self.rows,
            sha256: hex::encode(self.digest.finalize()),
        })
    }

    fn failed(&self, source: io::Error) -> Error {
        Error::io("can't write", &self.path, source)
    }
}

/// Reads the rows of a `dataset.jsonl`.
pub fn read(path: &Path, each: &mut dyn FnMut(RowPlace, Row) -> Result<()>) -> Result<()> {
    let failed = |source: io::Error| Error::io("can't read", path, source);
    let damaged = |why: String| failed(io::Error::new(io::ErrorKind::InvalidData, why));
    let file = BufReader::new(File::open(path).map_err(failed)?);
    for line in file.lines() {
        // Twice the budget of the original row, because every message has all of its fields here.
        let mut json = json::parse(&line.map_err(failed)?, &Budget::new(2 * MAX_ROW_MEMORY))
            .map_err(|error| damaged(error.to_string()))?;
        let place = serde_json::from_value(json["source"].take())?;
        each(place, row(&json, RowRules::default())?)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use serde_json::json;

    use super::*;

    #[test]
    fn rows_of_every_shape_come_back_the_same() {
        let call =
            json!({ "type": "function", "function": { "name": "f", "arguments": "{\"a\":1}" } });
        let tools = json!([{ "type": "function", "function": { "name": "f" } }]);
        let sources = [
            json!({ "text": "plain" }),
            json!({ "prompt": "1 + 1 =", "completion": " 2" }),
            json!({ "instruction": "Say", "input": "hi", "output": "hi", "system": "Be brief." }),
            json!({ "conversations": [{ "from": "human", "value": "a" }, { "from": "gpt", "value": "b" }] }),
            json!({ "messages": [
                { "role": "developer", "content": "s" },
                { "role": "user", "content": [{ "type": "text", "text": "q" }] },
                { "role": "assistant", "content": "no", "weight": 0 },
                { "role": "assistant", "content": null, "tool_calls": [call] },
                { "role": "tool", "content": "1", "tool_call_id": "x" },
            ], "tools": tools }),
            json!({
                "prompt": [
                    { "role": "user", "content": "a" }, { "role": "assistant", "content": "b" },
                    { "role": "user", "content": "c" },
                ],
                "completion": [{ "role": "assistant", "content": "d" }],
                "tools": tools,
            }),
        ];
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("dataset.jsonl");
        let mut writer = DatasetWriter::create(&path).unwrap();
        let mut rows = Vec::new();
        for (index, source) in sources.iter().enumerate() {
            let place = RowPlace {
                file: None,
                unit: "line".into(),
                number: index + 1,
            };
            let row = row(source, RowRules::default()).unwrap();
            writer.add(&place, &row).unwrap();
            rows.push((place, row));
        }
        let info = writer.finish().unwrap();
        let digest = hex::encode(Sha256::digest(fs::read(&path).unwrap()));
        assert_eq!((info.rows, info.sha256), (sources.len(), digest));
        let mut again = Vec::new();
        read(&path, &mut |place, row| {
            again.push((place, row));
            Ok(())
        })
        .unwrap();
        for ((place, row), (other_place, other)) in rows.into_iter().zip(again) {
            assert_eq!(place, other_place);
            assert_eq!(learned(&row), learned(&other), "{row:?}");
            assert_eq!(row.to_json(), other.to_json());
        }
    }

    fn learned(row: &Row) -> Vec<crate::conversation::Learn> {
        match row {
            Row::Chat(chat) => chat.learned().collect(),
            _ => Vec::new(),
        }
    }
}
