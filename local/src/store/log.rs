//! The events of a job. They're appended in order, and can be read from any position by any number of
//! readers, even after a restart. A reader never holds up training: it's only notified that there are
//! more events, and reads them at its own pace.
//!
//! The log of a finished job keeps no file open, and no events in memory. Readers load the events again,
//! and keep them for as long as they read.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io::{ErrorKind, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use bytes::{Bytes, BytesMut};
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::error::{Error, Result};
use crate::wire;

/// The most bytes that a reader gets at once, so that a long history isn't copied as a whole.
const MAX_READ_BYTES: usize = 64 * 1024;

/// Complete frames of an event stream. The event at index n has the id n + 1.
pub type Frames = Vec<Bytes>;

/// An append-only log of events.
#[derive(Debug)]
pub struct EventLog {
    path: PathBuf,
    state: Mutex<State>,
    changed: watch::Sender<()>,
}

#[derive(Debug)]
enum State {
    /// The job isn't over.
    Live(Live),
    /// The job is over.
    Over(Over),
}

#[derive(Debug)]
struct Live {
    path: PathBuf,
    /// Opened by the first event, so that a queued job doesn't use up a file descriptor.
    file: Option<File>,
    /// How many bytes of `file` are complete lines.
    length: u64,
    frames: Frames,
    last_event: Option<Value>,
    /// The highest step among the events of each type.
    last_steps: HashMap<String, usize>,
}

#[derive(Debug, Default)]
struct Over {
    /// The events, shared by the current readers.
    frames: Weak<Frames>,
    /// The terminal event, if writing it failed: it may be missing in the file.
    unwritten: Option<Value>,
}

/// The result of a read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Read {
    /// Complete frames.
    pub bytes: Bytes,
    /// Where the next read starts.
    pub next: usize,
    /// Whether there is nothing after `next`, now or later.
    pub ended: bool,
    /// Keeps the events of a finished job in memory. Hold it until the next read.
    pub held: Option<Arc<Frames>>,
}

impl EventLog {
    /// Opens the log of an unfinished job. A partial last line is removed. Fails if an earlier line is
    /// damaged, and leaves the file unchanged.
    pub fn open(path: &Path) -> Result<Self> {
        let (events, whole) = read_file(path)?;
        let mut live = Live {
            path: path.to_owned(),
            file: None,
            length: u64::try_from(whole).unwrap_or(u64::MAX),
            frames: Frames::new(),
            last_event: None,
            last_steps: HashMap::new(),
        };
        for event in &events {
            live.keep(event);
        }
        if path.exists() {
            live.file()?;
            live.file = None;
        }
        Ok(Self::new(path, State::Live(live)))
    }

    /// Creates the log of a finished job, which is read lazily. `last` is the job's terminal event, in
    /// case it's missing in the file.
    #[must_use]
    pub fn over(path: &Path, last: Option<Value>) -> Self {
        let over = Over {
            frames: Weak::new(),
            unwritten: last,
        };
        Self::new(path, State::Over(over))
    }

    fn new(path: &Path, state: State) -> Self {
        Self {
            path: path.to_owned(),
            state: Mutex::new(state),
            changed: watch::Sender::new(()),
        }
    }

    /// Appends an event. Does nothing once the log has ended, because a cancelled run may still report
    /// something. An event that can't be written isn't sent to readers either.
    pub fn append(&self, event: &Value) -> Result<()> {
        let mut state = self.lock();
        let State::Live(live) = &mut *state else {
            return Ok(());
        };
        live.write(event)?;
        live.keep(event);
        drop(state);
        self.changed.send_replace(());
        Ok(())
    }

    /// Ends the log, with a terminal event if there is one, and closes its file. Readers get the event
    /// and the end even if the event can't be written, for example on a full disk: they need to know why
    /// the run is over.
    pub fn end(&self, last: Option<&Value>) -> Result<()> {
        let mut state = self.lock();
        let State::Live(live) = &mut *state else {
            return Ok(());
        };
        let written = last.map_or(Ok(()), |event| live.write(event));
        // Best effort: the OS already has the events, and this only protects against a power failure.
        let _ = live.file.as_ref().map(File::sync_data);
        *state = State::Over(Over {
            frames: Weak::new(),
            unwritten: last.filter(|_| written.is_err()).cloned(),
        });
        drop(state);
        self.changed.send_replace(());
        written
    }

    /// The index to read from for a `Last-Event-ID`. 0, the start, if the id isn't from this log.
    pub fn position(&self, last_event_id: Option<&str>) -> Result<usize> {
        let Some(index) = last_event_id.and_then(|id| {
            id.parse::<usize>()
                .ok()
                .filter(|index| index.to_string() == id)
        }) else {
            return Ok(0);
        };
        let known = match &mut *self.lock() {
            State::Live(live) => live.frames.len(),
            State::Over(over) => over.frames(&self.path)?.len(),
        };
        Ok(if index <= known { index } else { 0 })
    }

    /// Returns frames, starting at an index.
    pub fn read(&self, from: usize) -> Result<Read> {
        match &mut *self.lock() {
            State::Live(live) => Ok(piece(&live.frames, from, None)),
            State::Over(over) => {
                let frames = over.frames(&self.path)?;
                Ok(piece(&Arc::clone(&frames), from, Some(frames)))
            }
        }
    }

    /// Returns a receiver that is notified when there are more events.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// The highest step among the events of a type. `None` if there are none, or the log is over.
    #[must_use]
    pub fn last_step(&self, kind: &str) -> Option<usize> {
        match &*self.lock() {
            State::Live(live) => live.last_steps.get(kind).copied(),
            State::Over(_) => None,
        }
    }

    /// The logged eval losses by step.
    pub fn eval_losses(&self) -> Result<BTreeMap<usize, f64>> {
        let (events, _) = read_file(&self.path)?;
        let losses = events.iter().filter_map(|event| {
            let step = usize::try_from(event["step"].as_u64()?).ok()?;
            Some((step, event["evalLoss"].as_f64()?))
        });
        Ok(losses.collect())
    }

    /// Waits until all events so far are on disk.
    pub fn sync(&self) -> Result<()> {
        match &*self.lock() {
            State::Live(Live {
                file: Some(file), ..
            }) => file
                .sync_data()
                .map_err(|source| Error::io("can't write", &self.path, source)),
            _ => Ok(()),
        }
    }

    /// The last event. `None` if there is none, or the log is over.
    #[must_use]
    pub fn last(&self) -> Option<Value> {
        match &*self.lock() {
            State::Live(live) => live.last_event.clone(),
            State::Over(_) => None,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Live {
    /// The file, positioned at the end of its complete lines.
    fn file(&mut self) -> Result<&mut File> {
        let (path, length) = (&self.path, self.length);
        match &mut self.file {
            Some(file) => Ok(file),
            closed => {
                let failed = |source| Error::io("can't open", path, source);
                let mut file = File::options()
                    .create(true)
                    .truncate(false)
                    .write(true)
                    .open(path)
                    .map_err(failed)?;
                file.set_len(length).map_err(failed)?;
                file.seek(SeekFrom::End(0)).map_err(failed)?;
                Ok(closed.insert(file))
            }
        }
    }

    /// Writes a line completely or not at all.
    fn write(&mut self, event: &Value) -> Result<()> {
        let id = (self.frames.len() + 1).to_string();
        let line = format!("{}\n", wire::text(&json!({ "id": id, "data": event })));
        let length = self.length;
        let file = self.file()?;
        if let Err(source) = file.write_all(line.as_bytes()) {
            // Remove a partial line, so that the next line doesn't continue it.
            let _ = file.set_len(length);
            let _ = file.seek(SeekFrom::Start(length));
            return Err(Error::Io {
                what: "can't write events.jsonl".to_owned(),
                source,
            });
        }
        self.length += u64::try_from(line.len()).unwrap_or(u64::MAX);
        Ok(())
    }

    fn keep(&mut self, event: &Value) {
        self.frames.push(frame(self.frames.len() + 1, event));
        let step = event["step"]
            .as_u64()
            .and_then(|step| usize::try_from(step).ok());
        if let (Some(kind), Some(step)) = (event["type"].as_str(), step) {
            let last = self.last_steps.entry(kind.to_owned()).or_default();
            *last = step.max(*last);
        }
        self.last_event = Some(event.clone());
    }
}

impl Over {
    fn frames(&mut self, path: &Path) -> Result<Arc<Frames>> {
        if let Some(frames) = self.frames.upgrade() {
            return Ok(frames);
        }
        let (mut events, _) = read_file(path)?;
        if let Some(last) = &self.unwritten
            && events
                .last()
                .is_none_or(|event| event["type"] != last["type"])
        {
            events.push(last.clone());
        }
        let frames = Arc::new(frames(&events));
        self.frames = Arc::downgrade(&frames);
        Ok(frames)
    }
}

fn piece(frames: &Frames, from: usize, held: Option<Arc<Frames>>) -> Read {
    let mut bytes = BytesMut::new();
    let mut next = from;
    while let Some(frame) = frames.get(next) {
        if !bytes.is_empty() && bytes.len() + frame.len() > MAX_READ_BYTES {
            break;
        }
        bytes.extend_from_slice(frame);
        next += 1;
    }
    Read {
        bytes: bytes.freeze(),
        next,
        ended: held.is_some() && next >= frames.len(),
        held,
    }
}

/// The complete events of a file, and how many bytes they take up. Empty if there is no file.
fn read_file(path: &Path) -> Result<(Vec<Value>, usize)> {
    let failed = |source| Error::io("can't open", path, source);
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(failed(error)),
    };
    parse(&bytes).map_err(|line| {
        let words = format!("line {line} is damaged, and events follow it");
        failed(std::io::Error::new(ErrorKind::InvalidData, words))
    })
}

fn frames(events: &[Value]) -> Frames {
    let numbered = events.iter().enumerate();
    numbered.map(|(at, event)| frame(at + 1, event)).collect()
}

/// Parses events. Also returns how many bytes are complete lines with the ids 1, 2, 3, …
///
/// # Errors
///
/// The number of the first damaged line, if more events follow it. In that case, it isn't just a partial
/// last line.
fn parse(bytes: &[u8]) -> Result<(Vec<Value>, usize), usize> {
    let mut events = Vec::new();
    let mut whole = 0;
    let mut lines = bytes.split_inclusive(|byte| *byte == b'\n');
    for line in lines.by_ref() {
        let id = (events.len() + 1).to_string();
        match entry(line) {
            Some(mut entry) if entry["id"].as_str() == Some(&id) => {
                events.push(entry["data"].take());
                whole += line.len();
            }
            _ => break,
        }
    }
    if lines.any(|line| entry(line).is_some()) {
        return Err(events.len() + 1);
    }
    Ok((events, whole))
}

/// Parses a complete line of JSON.
fn entry(line: &[u8]) -> Option<Value> {
    wire::value(line.strip_suffix(b"\n")?)
}

fn frame(id: usize, event: &Value) -> Bytes {
    let kind = event["type"].as_str().unwrap_or("message");
    let data = wire::text(event);
    Bytes::from(format!("id: {id}\nevent: {kind}\ndata: {data}\n\n"))
}

#[cfg(test)]
#[path = "log_tests.rs"]
mod tests;
