//! The events of a job: appended in order, read from any place by any number of readers, also after
//! a restart. A reader never holds up training. It reads at its own pace, and is only told that
//! there is more.
//!
//! The log of a job that is over holds neither a descriptor nor its events. A reader brings them
//! back for as long as it reads.

use std::fs::{self, File};
use std::io::{ErrorKind, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use bytes::{Bytes, BytesMut};
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::error::{Error, Result};

/// A reader gets at most this many bytes at a time: a long history must not be copied at once.
const MAX_READ_BYTES: usize = 64 * 1024;

/// Whole frames of an event stream. The event at index n has the id n + 1.
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
    /// The job goes on.
    Live(Live),
    /// The job is over.
    Over(Over),
}

#[derive(Debug)]
struct Live {
    file: File,
    /// Bytes of `file` that are whole lines.
    length: u64,
    frames: Frames,
    last_event: Option<Value>,
}

#[derive(Debug, Default)]
struct Over {
    /// What the readers of this moment share.
    frames: Weak<Frames>,
    /// The terminal event, if it may not be in the file: it couldn't be written.
    unwritten: Option<Value>,
}

/// What a reader gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Read {
    /// Frames, whole ones.
    pub bytes: Bytes,
    /// Where to read on.
    pub next: usize,
    /// Whether nothing comes after `next`, now or later.
    pub ended: bool,
    /// Keeps the events of a job that is over in memory; hold it until the next read.
    pub held: Option<Arc<Frames>>,
}

impl EventLog {
    /// Opens the log of a job that isn't over, and creates it if needed. A last line that was not
    /// written completely is cut off; one that is damaged before others is an error, and the file is
    /// left as it is.
    pub fn open(path: &Path) -> Result<Self> {
        let failed = |source| Error::io("can't open", path, source);
        let (events, whole) = read_file(path)?;
        let mut file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path)
            .map_err(failed)?;
        let length = u64::try_from(whole).unwrap_or(u64::MAX);
        file.set_len(length).map_err(failed)?;
        file.seek(SeekFrom::End(0)).map_err(failed)?;
        Ok(Self::new(
            path,
            State::Live(Live {
                file,
                length,
                frames: frames(&events),
                last_event: events.into_iter().last(),
            }),
        ))
    }

    /// The log of a job that is over; nothing is read before somebody asks. `last` is its terminal
    /// event if that may not be in the file.
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

    /// Appends an event. Refuses silently once the log has ended: a run that was cancelled may still
    /// have something to say. An event that can't be written does not exist.
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

    /// Ends the log, with its terminal event if there is one, and closes its file. Readers get the event and
    /// the end even when it can't be written: on a full disk, too, they must hear why the run is over.
    pub fn end(&self, last: Option<&Value>) -> Result<()> {
        let mut state = self.lock();
        let State::Live(live) = &mut *state else {
            return Ok(());
        };
        let written = last.map_or(Ok(()), |event| live.write(event));
        // Best effort: the events are already with the system, this is against a power cut.
        let _ = live.file.sync_data();
        *state = State::Over(Over {
            frames: Weak::new(),
            unwritten: last.filter(|_| written.is_err()).cloned(),
        });
        drop(state);
        self.changed.send_replace(());
        written
    }

    /// The index to read from for a `Last-Event-ID`; 0, the start, for one that is not from here.
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

    /// Frames from an index on.
    pub fn read(&self, from: usize) -> Result<Read> {
        match &mut *self.lock() {
            State::Live(live) => Ok(piece(&live.frames, from, None)),
            State::Over(over) => {
                let frames = over.frames(&self.path)?;
                Ok(piece(&Arc::clone(&frames), from, Some(frames)))
            }
        }
    }

    /// Tells when there is more to read.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// The last event, as it was appended; `None` also once the log is over.
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

/// The whole events of a file, and how many bytes they take; none if there is no file.
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
        assert_eq!(log.position(None).unwrap(), 0);
        assert_eq!(log.position(Some("1")).unwrap(), 1);
        for unknown in ["", "3", "01", "+1", "-1", "abc"] {
            assert_eq!(log.position(Some(unknown)).unwrap(), 0, "{unknown:?}");
        }
        let read = log.read(1).unwrap();
        let text = "id: 2\nevent: training.log\ndata: {\"type\":\"training.log\",\"step\":2}\n\n";
        assert_eq!(
            read,
            Read {
                bytes: Bytes::from(text),
                next: 2,
                ended: false,
                held: None,
            }
        );
        log.end(None).unwrap();
        assert!(log.read(2).unwrap().ended);
        log.append(&event(3)).unwrap();
        assert_eq!(
            log.read(2).unwrap().bytes.len(),
            0,
            "nothing comes after the end"
        );
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
            assert_eq!(EventLog::open(&path).unwrap().read(0).unwrap().next, 2);
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
    fn the_log_of_a_job_that_is_over_has_no_descriptor_and_reads_its_file_anew() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("events.jsonl");
        let log = EventLog::open(&path).unwrap();
        log.append(&event(1)).unwrap();
        log.end(Some(&json!({ "type": "training.completed" })))
            .unwrap();
        assert!(matches!(&*log.lock(), State::Over(over) if over.frames.upgrade().is_none()));
        let first = log.read(0).unwrap();
        assert!((first.next, first.ended) == (2, true) && first.held.is_some());
        let (one, other) = (log.read(0).unwrap().held, log.read(1).unwrap().held);
        assert!(
            Arc::ptr_eq(&one.unwrap(), &other.unwrap()),
            "readers share it"
        );
        let reopened = EventLog::over(&path, None);
        assert_eq!(reopened.read(0).unwrap().bytes, first.bytes);
        assert_eq!(reopened.position(Some("2")).unwrap(), 2);
    }

    #[test]
    fn a_long_history_comes_in_pieces_of_whole_frames() {
        let dir = tempfile::tempdir().unwrap();
        let log = EventLog::open(&dir.path().join("events.jsonl")).unwrap();
        let large = json!({ "type": "x", "text": "a".repeat(40_000) });
        for _ in 0..3 {
            log.append(&large).unwrap();
        }
        let first = log.read(0).unwrap();
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
        if let State::Live(live) = &mut *log.lock() {
            live.file = File::open(&path).unwrap();
        }
        assert!(log.append(&event(2)).is_err());
        assert_eq!((log.read(0).unwrap().next, log.last()), (1, Some(event(1))));
        let last = json!({ "type": "training.failed" });
        assert!(log.end(Some(&last)).is_err());
        let read = log.read(1).unwrap();
        assert!(read.ended && read.bytes.starts_with(b"id: 2\n"));
        assert_eq!(EventLog::open(&path).unwrap().read(0).unwrap().next, 1);
    }
}
