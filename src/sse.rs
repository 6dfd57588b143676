//! Bytes → frames: the WHATWG event-stream decoder of one connection.
//!
//! Reads of any size flow in, whole frames flow out. The semantics of fields and dispatch are
//! `eventsource-stream`'s; the guard in front of it ([`blocks`]) hands it one whole block at a
//! time, so that it never sees a byte order mark, a split line or invalid UTF-8.

mod blocks;

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use eventsource_stream::EventStream;
use futures::Stream;

pub use blocks::TooLarge;
use blocks::{Block, Blocks};

/// The largest event that is accepted, in bytes (T27). Without a limit a backend that never ends
/// its line takes the process down.
pub const EVENT_LIMIT: usize = 16 * 1024 * 1024;

/// How much of a block the parser is given at once, in bytes. It moves the rest of its buffer for
/// every line, so a 10 MB event of many lines would cost the square of its size in one piece.
const PIECE: usize = 16 * 1024;

/// One block of the stream that had at least one field of meaning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// The event type; `message` if the block named none.
    pub event: String,
    /// The data lines, joined by LF.
    pub data: String,
    /// Whether there was a data field at all: the standard makes no event of a block without
    /// one, but a bare `event: end` ends the run (T12), and its id counts (T24).
    pub has_data: bool,
    /// The block's id, if it set one; an empty id clears the last event id.
    pub id: Option<String>,
}

/// The incremental decoder of one connection.
pub struct Decoder {
    blocks: Blocks,
    pieces: Pieces,
    parser: EventStream<Pieces>,
}

impl Default for Decoder {
    fn default() -> Self {
        Self::with_limit(EVENT_LIMIT)
    }
}

impl Decoder {
    /// A decoder that refuses a block of more than `limit` bytes.
    #[must_use]
    pub fn with_limit(limit: usize) -> Self {
        let pieces = Pieces::default();
        // A comment first: the parser looks for a byte order mark in its first piece, and
        // panics when it finds one. The guard has removed the real one by then.
        pieces.push(Bytes::from_static(b":\n"));
        Self {
            blocks: Blocks::new(limit),
            parser: EventStream::new(pieces.clone()),
            pieces,
        }
    }

    /// Takes the next read, hands every frame that it completes to `sink`, in order.
    ///
    /// # Errors
    /// [`TooLarge`] when a block passes the limit; the decoder is of no use after that.
    pub fn push(&mut self, read: &Bytes, mut sink: impl FnMut(Frame)) -> Result<(), TooLarge> {
        let Self {
            blocks,
            pieces,
            parser,
        } = self;
        blocks.push(read, |block| {
            if let Some(frame) = parse(pieces, parser, &block) {
                sink(frame);
            }
        })
    }

    /// The reconnection time that the stream asked for last, by a `retry` field.
    #[must_use]
    pub fn retry(&self) -> Option<Duration> {
        self.blocks.retry()
    }
}

/// Runs one block through the parser. `None` can't happen with a block that the guard let pass.
fn parse(pieces: &Pieces, parser: &mut EventStream<Pieces>, block: &Block) -> Option<Frame> {
    if !block.has_data {
        // The parser reports no block without data; this one then has empty data, and says so.
        pieces.push(Bytes::from_static(b"data\n"));
    }
    split_at_lines(&block.bytes, |piece| pieces.push(piece));
    match Pin::new(parser).poll_next(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Some(Ok(event))) => Some(Frame {
            event: event.event,
            data: event.data,
            has_data: block.has_data,
            id: block.has_id.then_some(event.id),
        }),
        _ => None,
    }
}

fn split_at_lines(block: &Bytes, mut sink: impl FnMut(Bytes)) {
    let mut rest = block.clone();
    while rest.len() > PIECE {
        let end = memchr::memrchr(b'\n', &rest[..PIECE])
            .or_else(|| memchr::memchr(b'\n', &rest[PIECE..]).map(|at| at + PIECE));
        match end {
            Some(end) => sink(rest.split_to(end + 1)),
            None => break,
        }
    }
    if !rest.is_empty() {
        sink(rest);
    }
}

/// The parser's source: what was pushed and not yet taken. It is never at its end, only empty.
#[derive(Clone, Default)]
struct Pieces(Arc<Mutex<VecDeque<Bytes>>>);

impl Pieces {
    fn push(&self, piece: Bytes) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push_back(piece);
    }
}

impl Stream for Pieces {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        match self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop_front()
        {
            Some(piece) => Poll::Ready(Some(Ok(piece))),
            None => Poll::Pending,
        }
    }
}

#[cfg(test)]
mod tests;
