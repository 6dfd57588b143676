//! Turns bytes into frames: the WHATWG event-stream decoder of one connection.
//!
//! It takes reads of any size and returns whole frames. [`blocks`] splits the reads into whole blocks and
//! finds their fields. A block with one line of data, as backends send, becomes a frame without copying. The
//! lines of other blocks are joined by `eventsource-stream`.

mod blocks;
mod lines;

use std::borrow::Cow;
use std::ops::Range;
use std::time::Duration;

pub use blocks::TooLarge;
use blocks::{Block, Blocks, Data};
use lines::Lines;

/// The largest accepted event, in bytes (T27). Without a limit, a backend that never ends its line would
/// exhaust the memory.
pub const EVENT_LIMIT: usize = 16 * 1024 * 1024;

/// One block of the stream, with at least one known field. Borrows from the read where it can.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame<'a> {
    /// The event type; `message` if the block named none.
    pub event: Cow<'a, str>,
    /// The data lines, joined by LF.
    pub data: Cow<'a, str>,
    /// Whether there was a data field at all. By the standard, a block without one isn't an event, but a bare
    /// `event: end` ends the run (T12), and the block's id counts (T24).
    pub has_data: bool,
    /// The block's id, if it set one; an empty id clears the last event id.
    pub id: Option<Cow<'a, str>>,
}

impl Frame<'_> {
    /// The same frame, owned.
    #[must_use]
    pub fn into_owned(self) -> Frame<'static> {
        Frame {
            event: self.event.into_owned().into(),
            data: self.data.into_owned().into(),
            has_data: self.has_data,
            id: self.id.map(|id| id.into_owned().into()),
        }
    }
}

/// The incremental decoder of one connection.
pub struct Decoder {
    blocks: Blocks,
    lines: Lines,
}

impl Default for Decoder {
    fn default() -> Self {
        Self::with_limit(EVENT_LIMIT)
    }
}

impl Decoder {
    /// Creates a decoder that refuses a block of more than `limit` bytes.
    #[must_use]
    pub fn with_limit(limit: usize) -> Self {
        Self {
            blocks: Blocks::new(limit),
            lines: Lines::default(),
        }
    }

    /// Takes the next read and calls `sink` with every frame that it completes, in order.
    ///
    /// # Errors
    /// [`TooLarge`] when a block exceeds the limit. The decoder is unusable after that.
    pub fn push(&mut self, read: &[u8], mut sink: impl FnMut(Frame<'_>)) -> Result<(), TooLarge> {
        let Self { blocks, lines } = self;
        blocks.push(read, |block| sink(frame(&block, lines)))
    }

    /// The reconnection time in the stream's last `retry` field.
    #[must_use]
    pub fn retry(&self) -> Option<Duration> {
        self.blocks.retry()
    }
}

fn frame<'a>(block: &Block<'a>, lines: &mut Lines) -> Frame<'a> {
    let text = |value: &Range<usize>| text(&block.bytes[value.clone()]);
    let event = block.fields.event.as_ref().map(text);
    Frame {
        event: event
            .filter(|event| !event.is_empty())
            .unwrap_or(Cow::Borrowed("message")),
        data: match &block.fields.data {
            Data::None => Cow::Borrowed(""),
            Data::Line(value) => text(value),
            Data::Lines => Cow::Owned(lines.join(block.bytes)),
        },
        has_data: !matches!(block.fields.data, Data::None),
        id: block.fields.id.as_ref().map(text),
    }
}

/// Decodes UTF-8, replacing invalid bytes. It decodes each value on its own: no UTF-8 sequence contains a
/// line end, so a replacement can't reach beyond its line.
fn text(value: &[u8]) -> Cow<'_, str> {
    // Try the strict decoder first: the lossy one is several times slower on valid text.
    std::str::from_utf8(value).map_or_else(|_| String::from_utf8_lossy(value), Cow::Borrowed)
}

#[cfg(test)]
mod tests;
