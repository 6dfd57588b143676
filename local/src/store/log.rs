//! The events of a job. Flow in: events, in order. Flow out: the same, to any number of readers,
//! from any place, also after a restart. A module because a reader must never hold up training: it
//! reads from memory at its own pace, and is only told that there is more.

use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::error::{Error, Result};

/// A reader gets at most this many bytes at a time: a long history must not be copied at once.
const MAX_READ_BYTES: usize = 64 * 1024;

/// An append-only log of events, in a file and in memory.
#[derive(Debug)]
pub struct EventLog {
    state: Mutex<State>,
    changed: watch::Sender<()>,
}

#[derive(Debug)]
struct State {
    file: File,
    /// Bytes of `file` that are whole lines.
    length: u64,
    /// Whole frames of the event stream. The event at index n has the id n + 1.
    frames: Vec<Bytes>,
    last_event: Option<Value>,
    ended: bool,
}

/// What a reader gets.
#[derive(Debug, PartialEq, Eq)]
pub struct Read {
    /// Frames, whole ones.
    pub bytes: Bytes,
    /// Where to read on.
    pub next: usize,
    /// Whether nothing comes after `next`, now or later.
    pub ended: bool,
}

impl EventLog {
    /// Opens a log, and creates it if needed. A last line that was not written completely is cut
    /// off; one that is damaged before others is an error, and the file is left as it is.
    pub fn open(path: &Path) -> Result<Self> {
        let failed = |source| Error::io("can't open", path, source);
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(failed(error)),
        };
        let (events, whole) = parse(&bytes).map_err(|line| {
            let words = format!("line {line} is damaged, and events follow it");
            failed(std::io::Error::new(std::io::ErrorKind::InvalidData, words))
        })?;
        let mut file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path)
            .map_err(failed)?;
        let length = u64::try_from(whole).unwrap_or(u64::MAX);
        file.set_len(length).map_err(failed)?;
        file.seek(SeekFrom::End(0)).map_err(failed)?;
        let frames = events
            .iter()
            .enumerate()
            .map(|(index, event)| frame(index + 1, event))
            .collect();
        let state = State {
            file,
            length,
            frames,
            last_event: events.into_iter().last(),
            ended: false,
        };
        Ok(Self {
            state: Mutex::new(state),
            changed: watch::Sender::new(()),
        })
    }

    /// Appends an event. Refuses silently once the log has ended: a run that was cancelled may still
    /// have something to say. An event that can't be written does not exist.
    pub fn append(&self, event: &Value) -> Result<()> {
        let mut state = self.lock();
        if state.ended {
            return Ok(());
        }
        state.write(event)?;
        state.keep(event);
        drop(state);
        self.changed.send_replace(());
        Ok(())
    }

    /// Ends the log, with a last event if there is one. Readers that are there get it and the end even
    /// when it can't be written: on a full disk, too, they must hear why the run is over.
    pub fn end(&self, last: Option<&Value>) -> Result<()> {
        let mut state = self.lock();
        if state.ended {
            return Ok(());
        }
        let written = last.map_or(Ok(()), |event| state.write(event));
        if let Some(event) = last {
            state.keep(event);
        }
        state.ended = true;
        // Best effort: the events are already with the system, this is against a power cut.
        let _ = state.file.sync_data();
        drop(state);
        self.changed.send_replace(());
        written
    }

    /// The index to read from for a `Last-Event-ID`; 0, the start, for one that is not from here.
    #[must_use]
    pub fn position(&self, last_event_id: Option<&str>) -> usize {
        let known = self.lock().frames.len();
        last_event_id
            .and_then(|id| {
                id.parse::<usize>()
                    .ok()
                    .filter(|index| index.to_string() == id)
            })
            .filter(|index| *index <= known)
            .unwrap_or(0)
    }

    /// Frames from an index on.
    #[must_use]
    pub fn read(&self, from: usize) -> Read {
        let state = self.lock();
        let mut bytes = BytesMut::new();
        let mut next = from;
        while let Some(frame) = state.frames.get(next) {
            if !bytes.is_empty() && bytes.len() + frame.len() > MAX_READ_BYTES {
                break;
            }
            bytes.extend_from_slice(frame);
            next += 1;
        }
        Read {
            bytes: bytes.freeze(),
            next,
            ended: state.ended && next >= state.frames.len(),
        }
    }

    /// Tells when there is more to read.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// The last event, as it was appended.
    #[must_use]
    pub fn last(&self) -> Option<Value> {
        self.lock().last_event.clone()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Writes a line, whole or not at all.
    fn write(&mut self, event: &Value) -> Result<()> {
        let id = (self.frames.len() + 1).to_string();
        let line = format!("{}\n", json!({ "id": id, "data": event }));
        if let Err(source) = self.file.write_all(line.as_bytes()) {
            // What was written of it must not stand before the next line.
            let _ = self.file.set_len(self.length);
            let _ = self.file.seek(SeekFrom::Start(self.length));
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
        self.last_event = Some(event.clone());
    }
}

/// The events of a file, and how many of its bytes are whole lines with the ids 1, 2, 3, …
///
/// # Errors
/// The number of the first line that is none, if another event follows it: it is no torn last line.
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

/// A whole line that is JSON.
fn entry(line: &[u8]) -> Option<Value> {
    serde_json::from_slice(line.strip_suffix(b"\n")?).ok()
}

fn frame(id: usize, event: &Value) -> Bytes {
    let kind = event["type"].as_str().unwrap_or("message");
    Bytes::from(format!("id: {id}\nevent: {kind}\ndata: {event}\n\n"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use super::*;

    fn event(step: u32) -> Value {
        json!({ "type": "training.log", "step": step })
    }

    #[test]
    fn a_reader_gets_the_rest_from_any_place() {
        let dir = tempfile::tempdir().unwrap();
        let log = EventLog::open(&dir.path().join("events.jsonl")).unwrap();
        log.append(&event(1)).unwrap();
        log.append(&event(2)).unwrap();
        assert_eq!(log.position(None), 0);
        assert_eq!(log.position(Some("1")), 1);
        for unknown in ["", "3", "01", "+1", "-1", "abc"] {
            assert_eq!(log.position(Some(unknown)), 0, "{unknown:?}");
        }
        let read = log.read(1);
        let text = "id: 2\nevent: training.log\ndata: {\"type\":\"training.log\",\"step\":2}\n\n";
        assert_eq!(
            read,
            Read {
                bytes: Bytes::from(text),
                next: 2,
                ended: false
            }
        );
        log.end(None).unwrap();
        assert!(log.read(2).ended);
        log.append(&event(3)).unwrap();
        assert_eq!(log.read(2).bytes.len(), 0, "nothing comes after the end");
    }

    #[test]
    fn a_torn_last_line_is_cut_off_and_ids_go_on() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("events.jsonl");
        let log = EventLog::open(&path).unwrap();
        log.append(&event(1)).unwrap();
        drop(log);
        let whole = fs::read(&path).unwrap();
        for torn in [
            "{\"id\":\"2\",\"da",
            "{\"id\":\"2\",\"da\n",
            "{\"id\":\"2\",\"data\":{}}",
        ] {
            fs::write(&path, [whole.as_slice(), torn.as_bytes()].concat()).unwrap();
            let log = EventLog::open(&path).unwrap();
            assert_eq!(log.last(), Some(event(1)));
            assert_eq!(fs::read(&path).unwrap(), whole, "{torn}");
            log.append(&event(2)).unwrap();
            assert_eq!(EventLog::open(&path).unwrap().read(0).next, 2);
        }
    }

    #[test]
    fn a_line_that_is_damaged_before_others_is_an_error_and_nothing_is_lost() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("events.jsonl");
        let log = EventLog::open(&path).unwrap();
        for step in 1..=4 {
            log.append(&event(step)).unwrap();
        }
        let text = fs::read_to_string(&path).unwrap();
        let damaged = text.replacen("\"id\":\"2\"", "\"id\":\"2", 1);
        assert_ne!(damaged, text);
        fs::write(&path, &damaged).unwrap();
        let error = EventLog::open(&path).err().unwrap().to_string();
        assert!(error.contains("events.jsonl: line 2 is damaged"), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), damaged);
    }

    #[test]
    fn a_long_history_comes_in_pieces_of_whole_frames() {
        let dir = tempfile::tempdir().unwrap();
        let log = EventLog::open(&dir.path().join("events.jsonl")).unwrap();
        let large = json!({ "type": "x", "text": "a".repeat(40_000) });
        for _ in 0..3 {
            log.append(&large).unwrap();
        }
        let first = log.read(0);
        assert_eq!(first.next, 1);
        assert!(first.bytes.ends_with(b"\n\n"));
    }

    #[test]
    fn an_event_that_can_not_be_written_does_not_exist_but_the_last_one_is_still_told() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("events.jsonl");
        let log = EventLog::open(&path).unwrap();
        log.append(&event(1)).unwrap();
        // A file that is open for reading only fails as a full disk does.
        log.lock().file = File::open(&path).unwrap();
        assert!(log.append(&event(2)).is_err());
        assert_eq!((log.read(0).next, log.last()), (1, Some(event(1))));
        assert!(log.end(Some(&event(3))).is_err());
        let read = log.read(1);
        assert!(read.ended && read.bytes.starts_with(b"id: 2\n"));
        assert_eq!(EventLog::open(&path).unwrap().read(0).next, 1);
    }
}
