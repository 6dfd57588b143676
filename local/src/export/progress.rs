//! Reports the progress of an export as lines of JSON, and checks whether it was cancelled.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::error::Result;
use crate::stop::Stop;

/// The time between two lines.
const INTERVAL: Duration = Duration::from_millis(100);

/// Prints one line.
pub type Print<'a> = &'a mut (dyn FnMut(&Value) -> Result<()> + Send);

/// Counts the bytes of an export.
pub struct Progress<'a> {
    print: Print<'a>,
    stop: &'a dyn Stop,
    done: u64,
    total: u64,
    file: String,
    printed: Option<Instant>,
}

impl<'a> Progress<'a> {
    /// Starts an export of `total` bytes.
    pub fn new(print: Print<'a>, stop: &'a dyn Stop, total: u64) -> Self {
        Self {
            print,
            stop,
            done: 0,
            total,
            file: String::new(),
            printed: None,
        }
    }

    /// Begins another file.
    pub fn begin(&mut self, file: &str) -> Result<()> {
        file.clone_into(&mut self.file);
        self.add(0)
    }

    /// Records that more bytes were written. Fails if the export was cancelled.
    pub fn add(&mut self, bytes: usize) -> Result<()> {
        self.stop.check()?;
        self.done += bytes as u64;
        let due = self.printed.is_none_or(|last| last.elapsed() >= INTERVAL);
        if due { self.print() } else { Ok(()) }
    }

    /// Reports the end of the export.
    pub fn end(&mut self) -> Result<()> {
        self.print()
    }

    fn print(&mut self) -> Result<()> {
        self.printed = Some(Instant::now());
        (self.print)(&json!({
            "type": "progress", "done": self.done, "total": self.total, "file": self.file,
        }))
    }
}
