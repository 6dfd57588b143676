//! Reads → whole blocks: the guard in front of the parser.
//!
//! It strips the leading byte order mark, ends lines at LF, CR or CRLF (without waiting for the
//! byte after a CR), replaces invalid UTF-8, takes `retry` at its line and refuses what is too
//! large. A block that needed no repair and came in one read is a slice of it, not a copy.

use std::fmt;
use std::time::Duration;

use bytes::{Bytes, BytesMut};

const BOM: &[u8] = b"\xEF\xBB\xBF";

/// The lines of one event, each ended by LF, with the empty line that ends it.
pub struct Block {
    /// The lines, valid UTF-8.
    pub bytes: Bytes,
    /// Whether a `data` field is among them.
    pub has_data: bool,
    /// Whether a valid `id` field is among them.
    pub has_id: bool,
}

/// One event, or one line of it, was larger than the limit (T27).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooLarge {
    /// The limit, in bytes.
    pub limit: usize,
}

impl fmt::Display for TooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mib = self.limit / (1024 * 1024);
        write!(
            f,
            "SSE event larger than the limit of {} bytes ({mib} MiB)",
            self.limit
        )
    }
}

impl std::error::Error for TooLarge {}

/// What the fields of the block so far amount to.
#[derive(Default, Clone, Copy)]
struct Seen {
    data: bool,
    id: bool,
    event: bool,
}

/// The splitter of one connection.
pub struct Blocks {
    /// The part of the unfinished block that is no longer in a read: repaired lines, then the
    /// beginning of the line that the last read cut.
    kept: BytesMut,
    /// Where in `kept` the unfinished line begins.
    line_start: usize,
    /// Bytes of the byte order mark matched so far; `None` once the question is settled.
    bom: Option<usize>,
    /// The last read ended with CR: an LF at the start of the next one belongs to it.
    skip_lf: bool,
    seen: Seen,
    retry: Option<Duration>,
    limit: usize,
}

impl Blocks {
    pub fn new(limit: usize) -> Self {
        Self {
            kept: BytesMut::new(),
            line_start: 0,
            bom: Some(0),
            skip_lf: false,
            seen: Seen::default(),
            retry: None,
            limit,
        }
    }

    pub fn retry(&self) -> Option<Duration> {
        self.retry
    }

    /// Takes the next read and hands on every block that it completes.
    ///
    /// # Errors
    /// [`TooLarge`] when the unfinished or the finished block passes the limit.
    pub fn push(&mut self, read: &Bytes, mut sink: impl FnMut(Block)) -> Result<(), TooLarge> {
        let mut from = self.strip_bom(read);
        if self.skip_lf && from < read.len() {
            self.skip_lf = false;
            from += usize::from(read[from] == b'\n');
        }
        // The unfinished block is `kept`, then `read[from..]`; the unfinished line begins in
        // `kept` only if `line_start < kept.len()`, and then `line == from`.
        let mut line = from;
        let mut at = from;
        while let Some(found) = memchr::memchr2(b'\n', b'\r', &read[at..]) {
            let end = at + found;
            let next = self.after_line_end(read, end);
            let in_kept = self.line_start < self.kept.len();
            if !in_kept && end == line {
                self.check(self.kept.len() + (end - from))?;
                let lines = self.take_block(read, from, end);
                self.finish(lines, &mut sink);
                from = next;
            } else if in_kept || read[end] == b'\r' {
                self.kept.extend_from_slice(&read[from..end]);
                self.check(self.kept.len())?;
                let start = if in_kept {
                    self.line_start
                } else {
                    self.kept.len() - (end - line)
                };
                note(&self.kept[start..], &mut self.seen, &mut self.retry);
                self.kept.extend_from_slice(b"\n");
                self.line_start = self.kept.len();
                from = next;
            } else {
                note(&read[line..end], &mut self.seen, &mut self.retry);
            }
            line = next;
            at = next;
        }
        if from < read.len() {
            let cut_line_in_kept = self.line_start < self.kept.len();
            self.kept.extend_from_slice(&read[from..]);
            if !cut_line_in_kept {
                self.line_start = self.kept.len() - (read.len() - line);
            }
        }
        self.check(self.kept.len())
    }

    /// Where the content begins after the byte order mark, which may come in pieces.
    fn strip_bom(&mut self, read: &[u8]) -> usize {
        let Some(mut matched) = self.bom else {
            return 0;
        };
        let before = matched;
        let mut at = 0;
        while matched < BOM.len() && at < read.len() && read[at] == BOM[matched] {
            matched += 1;
            at += 1;
        }
        if matched == BOM.len() {
            self.bom = None;
            at
        } else if at == read.len() {
            self.bom = Some(matched);
            at
        } else {
            // It was none: what earlier reads had of it is the beginning of a line.
            self.bom = None;
            self.kept.extend_from_slice(&BOM[..before]);
            0
        }
    }

    /// The position after the line end at `end`: LF, CR LF, or CR alone.
    fn after_line_end(&mut self, read: &[u8], end: usize) -> usize {
        if read[end] == b'\n' {
            return end + 1;
        }
        match read.get(end + 1) {
            Some(b'\n') => end + 2,
            Some(_) => end + 1,
            None => {
                self.skip_lf = true;
                end + 1
            }
        }
    }

    /// The finished block: a slice of the read where nothing of it was kept.
    fn take_block(&mut self, read: &Bytes, from: usize, end: usize) -> Bytes {
        self.line_start = 0;
        if self.kept.is_empty() && read[end] == b'\n' {
            return read.slice(from..=end);
        }
        self.kept.extend_from_slice(&read[from..end]);
        self.kept.extend_from_slice(b"\n");
        self.kept.split().freeze()
    }

    fn finish(&mut self, lines: Bytes, sink: &mut impl FnMut(Block)) {
        let seen = std::mem::take(&mut self.seen);
        if !(seen.data || seen.id || seen.event) {
            return;
        }
        let bytes = match std::str::from_utf8(&lines) {
            Ok(_) => lines,
            Err(_) => Bytes::from(String::from_utf8_lossy(&lines).into_owned()),
        };
        sink(Block {
            bytes,
            has_data: seen.data,
            has_id: seen.id,
        });
    }

    fn check(&self, size: usize) -> Result<(), TooLarge> {
        if size > self.limit {
            Err(TooLarge { limit: self.limit })
        } else {
            Ok(())
        }
    }
}

/// Looks at one line, without its end, for the fields that matter before the block is whole.
fn note(line: &[u8], seen: &mut Seen, retry: &mut Option<Duration>) {
    // Only these names matter, and none is longer than five bytes.
    let head = &line[..line.len().min(6)];
    let colon = memchr::memchr(b':', head);
    match colon.map_or(line, |at| &line[..at]) {
        b"data" => seen.data = true,
        b"event" => seen.event = true,
        b"id" => seen.id |= memchr::memchr(0, line).is_none(),
        b"retry" => {
            if let Some(value) = colon.map(|at| &line[at + 1..]).and_then(reconnection_time) {
                *retry = Some(value);
            }
        }
        _ => {}
    }
}

/// WHATWG: a value of ASCII digits only is the reconnection time in milliseconds.
fn reconnection_time(value: &[u8]) -> Option<Duration> {
    let digits = value.strip_prefix(b" ").unwrap_or(value);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let millis = digits.iter().fold(0_u64, |sum, digit| {
        sum.saturating_mul(10)
            .saturating_add(u64::from(digit - b'0'))
    });
    Some(Duration::from_millis(millis))
}
