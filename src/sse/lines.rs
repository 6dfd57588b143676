//! Joins a block's data lines, using `eventsource-stream`.
//!
//! The parser gets whole blocks of valid UTF-8, so that it never sees a byte order mark, a split line or an
//! invalid byte. It gets them in pieces, because it moves the rest of its buffer for every line.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use eventsource_stream::EventStream;
use futures::Stream;

/// How many bytes of a block the parser gets at once. In one piece, an event of many lines would take
/// quadratic time: minutes for 10 MB.
const PIECE: usize = 16 * 1024;

/// The parser and the source that it reads from.
pub struct Lines {
    pieces: Pieces,
    parser: EventStream<Pieces>,
}

impl Default for Lines {
    fn default() -> Self {
        let pieces = Pieces::default();
        // Start with a comment: the parser looks for a byte order mark in its first piece, and panics if it
        // finds one. The stream's own mark has been stripped by then.
        pieces.push(Bytes::from_static(b":\n"));
        Self {
            parser: EventStream::new(pieces.clone()),
            pieces,
        }
    }
}

impl Lines {
    /// The data lines of a block, joined by LF.
    pub fn join(&mut self, block: &[u8]) -> String {
        let text = String::from_utf8_lossy(block).into_owned();
        split_at_lines(Bytes::from(text), |piece| self.pieces.push(piece));
        match Pin::new(&mut self.parser).poll_next(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Some(Ok(event))) => event.data,
            // A whole block with data is always an event, so this can't happen.
            _ => String::new(),
        }
    }
}

fn split_at_lines(block: Bytes, mut sink: impl FnMut(Bytes)) {
    let mut rest = block;
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

/// The parser's source: the pieces that were pushed and not taken yet. It never ends; it's only empty at
/// times.
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
