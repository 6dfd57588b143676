//! The rows of a run as tokens, in a safetensors file that every engine reads, so that all of them train
//! on the same tokens. Rows are in the order of the dataset.
//!
//! | tensor     | type | shape    |                                                        |
//! | ---------- | ---- | -------- | ------------------------------------------------------ |
//! | `ends`     | U64  | `[rows]` | the end of each row in `ids`                           |
//! | `ids`      | U32  | `[tokens]` | token ids                                            |
//! | `trained`  | U8   | `[tokens]` | 1 where the model learns to predict the token        |
//! | `held_out` | U8   | `[rows]` | 1 for rows that only measure the eval loss; if all are 0, every row measures it |

use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Seek, Write};
use std::path::Path;

use safetensors::SafeTensors;
use safetensors::tensor::TensorView;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Example, Split, held_out_rows};
use crate::error::{Error, Result, refused};
use crate::stop::Stop;

/// The largest size of a run's encoded rows in bytes, since training keeps them in memory.
pub const MAX_BYTES: u64 = 512 * 1024 * 1024;

/// How many rows are read before checking whether to stop.
const ROWS_PER_CHECK: usize = 4096;

/// The numbers of rows and tokens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TokenCounts {
    /// Rows to train on.
    pub train_rows: usize,
    /// Rows for the eval loss.
    pub eval_rows: usize,
    /// Whether the rows for the eval loss are excluded from training.
    pub held_out: bool,
    /// Tokens of the rows to train on.
    pub train_tokens: u64,
    /// Tokens of the rows for the eval loss.
    pub eval_tokens: u64,
}

/// Writes rows to disk as they are encoded.
pub struct TokenWriter {
    ids: BufWriter<File>,
    trained: BufWriter<File>,
    ends: Vec<u64>,
}

impl TokenWriter {
    /// Creates a writer with temporary files in `folder`.
    pub fn new(folder: &Path) -> Result<Self> {
        let temporary = || tempfile::tempfile_in(folder).map_err(|source| failed(folder, source));
        Ok(Self {
            ids: BufWriter::new(temporary()?),
            trained: BufWriter::new(temporary()?),
            ends: Vec::new(),
        })
    }

    /// Adds a row. Refuses to exceed [`MAX_BYTES`].
    pub fn add(&mut self, example: &Example) -> Result<()> {
        let end = self.tokens() + example.ids.len() as u64;
        let bytes = end * 5 + self.ends.len() as u64 * 64;
        if bytes > MAX_BYTES {
            return refused(format!(
                "datasetSource: the encoded rows take more than {} MiB of memory. Use fewer or shorter rows.",
                MAX_BYTES >> 20
            ));
        }
        let written = example
            .ids
            .iter()
            .try_for_each(|id| self.ids.write_all(&id.to_le_bytes()))
            .and_then(|()| {
                let trained: Vec<u8> = example.trained.iter().map(|flag| u8::from(*flag)).collect();
                self.trained.write_all(&trained)
            });
        written.map_err(|source| failed(Path::new("the encoded rows"), source))?;
        self.ends.push(end);
        Ok(())
    }

    /// Whether no row has been added.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    fn tokens(&self) -> u64 {
        self.ends.last().copied().unwrap_or_default()
    }

    /// Decides which rows are held out, and writes the file atomically.
    pub fn finish(self, path: &Path, seed: u64) -> Result<TokenCounts> {
        let rows = self.ends.len();
        let mut held_out = vec![0_u8; rows];
        for row in held_out_rows(rows, seed) {
            held_out[row] = 1;
        }
        let counts = counts(&self.ends, &held_out);
        let unfinished = path.with_extension("tmp");
        self.write(&unfinished, &held_out)
            .and_then(|()| fs::rename(&unfinished, path))
            .map_err(|source| failed(path, source))?;
        Ok(counts)
    }

    fn write(self, path: &Path, held_out: &[u8]) -> io::Result<()> {
        let (rows, tokens) = (self.ends.len() as u64, self.tokens());
        let mut start = 0;
        let mut tensor = |dtype: &str, count: u64, size: u64| {
            let end = start + count * size;
            let info = json!({ "dtype": dtype, "shape": [count], "data_offsets": [start, end] });
            start = end;
            info
        };
        let header = json!({
            "ends": tensor("U64", rows, 8),
            "ids": tensor("U32", tokens, 4),
            "trained": tensor("U8", tokens, 1),
            "held_out": tensor("U8", rows, 1),
        });
        let mut header = header.to_string();
        // The data must begin at a multiple of 8. The format allows padding with spaces.
        while !header.len().is_multiple_of(8) {
            header.push(' ');
        }
        let mut file = BufWriter::new(File::create(path)?);
        file.write_all(&(header.len() as u64).to_le_bytes())?;
        file.write_all(header.as_bytes())?;
        for end in &self.ends {
            file.write_all(&end.to_le_bytes())?;
        }
        for part in [self.ids, self.trained] {
            let mut part = part.into_inner()?;
            part.rewind()?;
            io::copy(&mut part, &mut file)?;
        }
        file.write_all(held_out)?;
        file.into_inner()?.sync_all()
    }
}

fn counts(ends: &[u64], held_out: &[u8]) -> TokenCounts {
    let mut tokens = [0; 2];
    let mut start = 0;
    for (end, held) in ends.iter().zip(held_out) {
        tokens[usize::from(*held)] += end - start;
        start = *end;
    }
    let eval_rows = held_out.iter().map(|held| usize::from(*held)).sum();
    let is_held_out = eval_rows > 0;
    TokenCounts {
        train_rows: ends.len() - eval_rows,
        eval_rows: if is_held_out { eval_rows } else { ends.len() },
        held_out: is_held_out,
        train_tokens: tokens[0],
        eval_tokens: tokens[usize::from(is_held_out)],
    }
}

/// Reads the rows of a run.
pub fn read(path: &Path, stop: &dyn Stop) -> Result<Split> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|mut file| file.read_to_end(&mut bytes))
        .map_err(|source| Error::io("can't read", path, source))?;
    let file = SafeTensors::deserialize(&bytes)?;
    let ids = file.tensor("ids")?;
    let (trained, held_out) = (file.tensor("trained")?, file.tensor("held_out")?);
    let ends = numbers(&file.tensor("ends")?);
    let mut split = Split {
        train: Vec::new(),
        eval: Vec::new(),
        held_out: held_out.data().contains(&1),
    };
    let mut start = 0;
    for (row, end) in ends.into_iter().enumerate() {
        if row % ROWS_PER_CHECK == 0 {
            stop.check()?;
        }
        let damaged = || Error::io("damaged:", path, io::ErrorKind::InvalidData.into());
        let ids = ids.data().get(start * 4..end * 4).ok_or_else(damaged)?;
        let trained = trained.data().get(start..end).ok_or_else(damaged)?;
        let held = held_out.data().get(row).ok_or_else(damaged)?;
        let (ids, _) = ids.as_chunks();
        let example = Example {
            ids: ids.iter().map(|id| u32::from_le_bytes(*id)).collect(),
            trained: trained.iter().map(|flag| *flag == 1).collect(),
        };
        if *held == 1 {
            split.eval.push(example);
        } else {
            split.train.push(example);
        }
        start = end;
    }
    if !split.held_out {
        split.eval.clone_from(&split.train);
    }
    Ok(split)
}

fn numbers(tensor: &TensorView) -> Vec<usize> {
    let (numbers, _) = tensor.data().as_chunks();
    let number = |bytes: &[u8; 8]| usize::try_from(u64::from_le_bytes(*bytes));
    numbers
        .iter()
        .map(|bytes| number(bytes).unwrap_or(usize::MAX))
        .collect()
}

fn failed(path: &Path, source: io::Error) -> Error {
    Error::io("can't write", path, source)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use super::*;

    fn written(rows: u32) -> (tempfile::TempDir, TokenCounts) {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = TokenWriter::new(dir.path()).unwrap();
        for row in 0..rows {
            let example = Example {
                ids: vec![row; 2 + row as usize % 3],
                trained: (0..2 + row % 3).map(|place| place > 0).collect(),
            };
            writer.add(&example).unwrap();
        }
        let counts = writer.finish(&dir.path().join("t.safetensors"), 7).unwrap();
        (dir, counts)
    }

    #[test]
    fn rows_come_back_in_their_order_and_a_tenth_is_held_out() {
        let (dir, counts) = written(50);
        let split = read(&dir.path().join("t.safetensors"), &|| false).unwrap();
        assert_eq!((split.train.len(), split.eval.len()), (45, 5));
        assert!(split.held_out && counts.held_out);
        assert!(split.train.is_sorted_by_key(|row| row.ids[0]));
        assert_eq!(split.train[0].trained[..2], [false, true]);
        let tokens = |rows: &[Example]| rows.iter().map(|row| row.ids.len() as u64).sum::<u64>();
        assert_eq!(
            (counts.train_tokens, counts.eval_tokens),
            (tokens(&split.train), tokens(&split.eval))
        );
    }

    #[test]
    fn very_few_rows_are_trained_and_measured() {
        let (dir, counts) = written(3);
        let split = read(&dir.path().join("t.safetensors"), &|| false).unwrap();
        assert_eq!((split.train.len(), &split.eval), (3, &split.train));
        assert!(!split.held_out);
        assert_eq!((counts.train_rows, counts.eval_rows), (3, 3));
        assert_eq!(counts.train_tokens, counts.eval_tokens);
    }

    #[test]
    fn reading_stops_when_it_is_asked_to_and_a_damaged_file_is_an_error() {
        let (dir, _) = written(5);
        let path = dir.path().join("t.safetensors");
        assert!(matches!(read(&path, &|| true), Err(Error::Stopped)));
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..bytes.len() - 3]).unwrap();
        assert!(read(&path, &|| false).is_err());
    }
}
