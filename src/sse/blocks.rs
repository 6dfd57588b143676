//! Splits reads into whole blocks, before their fields are decoded.
//!
//! It strips the leading byte order mark, and ends lines at LF, CR or CRLF without waiting for the byte after
//! a CR. It finds the relevant fields, applies `retry` as soon as its line is complete, and refuses blocks
//! that are too large. A block that needed no repair and came in one read is a slice of that read, not a
//! copy.

use std::fmt;
use std::ops::Range;
use std::time::Duration;

const BOM: &[u8] = b"\xEF\xBB\xBF";

/// How much capacity a buffer keeps after a large block, in bytes.
const KEPT_CAPACITY: usize = 64 * 1024;

/// The lines of one event, each ended by LF, with the empty line that ends it.
pub struct Block<'a> {
    /// The lines; not checked to be UTF-8.
    pub bytes: &'a [u8],
    /// The places of the fields in `bytes`.
    pub fields: Fields,
}

/// The relevant fields of a block. A value's place is a range of offsets into the block.
#[derive(Default, Clone)]
pub struct Fields {
    /// The `data` lines.
    pub data: Data,
    /// The value of the last `event` line.
    pub event: Option<Range<usize>>,
    /// The value of the last `id` line; one that contains NULL doesn't count.
    pub id: Option<Range<usize>>,
}

/// The data of a block.
#[derive(Default, Clone)]
pub enum Data {
    /// There is no `data` line.
    #[default]
    None,
    /// One line: its value.
    Line(Range<usize>),
    /// Several lines, to be joined.
    Lines,
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

/// Splits the reads of one connection.
pub struct Blocks {
    /// The part of the unfinished block from earlier reads: repaired lines, then the beginning of the line
    /// that the last read cut.
    kept: Vec<u8>,
    /// Where in `kept` the unfinished line begins.
    line_start: usize,
    /// How many bytes of the byte order mark have matched so far; `None` once the stream has one or can't
    /// have one.
    bom: Option<usize>,
    /// The last read ended with CR: an LF at the start of the next read belongs to it.
    skip_lf: bool,
    found: Found,
    limit: usize,
}

/// The fields found in the lines so far.
#[derive(Default)]
struct Found {
    /// The unfinished block's fields.
    fields: Fields,
    /// The last valid `retry`.
    retry: Option<Duration>,
}

impl Blocks {
    pub fn new(limit: usize) -> Self {
        Self {
            kept: Vec::new(),
            line_start: 0,
            bom: Some(0),
            skip_lf: false,
            found: Found::default(),
            limit,
        }
    }

    pub fn retry(&self) -> Option<Duration> {
        self.found.retry
    }

    /// Takes the next read and passes on every block that it completes.
    ///
    /// # Errors
    /// [`TooLarge`] when the unfinished or the finished block exceeds the limit.
    pub fn push(&mut self, read: &[u8], mut sink: impl FnMut(Block<'_>)) -> Result<(), TooLarge> {
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
                let whole = (read[end] == b'\n').then(|| &read[from..=end]);
                self.finish(&read[from..end], whole, &mut sink);
                from = next;
            } else if in_kept || read[end] == b'\r' {
                let start = if in_kept {
                    self.line_start
                } else {
                    self.kept.len() + (line - from)
                };
                self.kept.extend_from_slice(&read[from..end]);
                self.check(self.kept.len())?;
                self.found.note(&self.kept[start..], start);
                self.kept.push(b'\n');
                self.line_start = self.kept.len();
                from = next;
            } else {
                let start = self.kept.len() + (line - from);
                self.found.note(&read[line..end], start);
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

    /// The position in `read` after the byte order mark, which may come in pieces.
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
            // Not a byte order mark after all: the bytes that matched in earlier reads are the beginning of a
            // line.
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

    /// Calls `sink` with the finished block: `kept`, then `rest`. If nothing was kept and `whole` is given,
    /// the block is `whole`: `rest` with its LF, without copying.
    fn finish(&mut self, rest: &[u8], whole: Option<&[u8]>, sink: &mut impl FnMut(Block<'_>)) {
        let fields = std::mem::take(&mut self.found.fields);
        let means_something =
            fields.event.is_some() || fields.id.is_some() || !matches!(fields.data, Data::None);
        match whole {
            Some(bytes) if self.kept.is_empty() => {
                if means_something {
                    sink(Block { bytes, fields });
                }
            }
            _ => {
                if means_something {
                    self.kept.extend_from_slice(rest);
                    self.kept.push(b'\n');
                    sink(Block {
                        bytes: &self.kept,
                        fields,
                    });
                }
                self.kept.clear();
                self.kept.shrink_to(KEPT_CAPACITY);
            }
        }
        self.line_start = 0;
    }

    fn check(&self, size: usize) -> Result<(), TooLarge> {
        if size > self.limit {
            Err(TooLarge { limit: self.limit })
        } else {
            Ok(())
        }
    }
}

impl Found {
    /// Looks for relevant fields in one line, given without its end. `start` is its offset in the block.
    fn note(&mut self, line: &[u8], start: usize) {
        let fields = &mut self.fields;
        match line.first() {
            Some(b'd') => {
                if let Some(value) = value_of(line, b"data") {
                    fields.data = match fields.data {
                        Data::None => Data::Line(start + value..start + line.len()),
                        Data::Line(_) | Data::Lines => Data::Lines,
                    };
                }
            }
            Some(b'e') => {
                if let Some(value) = value_of(line, b"event") {
                    fields.event = Some(start + value..start + line.len());
                }
            }
            Some(b'i') => {
                if let Some(value) = value_of(line, b"id")
                    && memchr::memchr(0, line).is_none()
                {
                    fields.id = Some(start + value..start + line.len());
                }
            }
            Some(b'r') => {
                if let Some(value) = value_of(line, b"retry")
                    && let Some(time) = reconnection_time(&line[value..])
                {
                    self.retry = Some(time);
                }
            }
            _ => {}
        }
    }
}

/// The offset of a field's value if the line is of this field: after the colon and one space.
fn value_of(line: &[u8], name: &[u8]) -> Option<usize> {
    match line.strip_prefix(name)? {
        [] => Some(line.len()),
        [b':', b' ', ..] => Some(name.len() + 2),
        [b':', ..] => Some(name.len() + 1),
        _ => None,
    }
}

/// WHATWG: a value of ASCII digits only is the reconnection time in milliseconds.
fn reconnection_time(digits: &[u8]) -> Option<Duration> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let millis = digits.iter().fold(0_u64, |sum, digit| {
        sum.saturating_mul(10)
            .saturating_add(u64::from(digit - b'0'))
    });
    Some(Duration::from_millis(millis))
}
