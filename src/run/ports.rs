//! The loop's interfaces to the backend and the callbacks, and the data that passes through them.

use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use futures::Stream;
use tokio::time::{Instant, timeout};

use crate::batch::{Batch, Events, Last, MOST_BYTES};
use crate::error::Error;
use crate::reconnect::Policy;

/// The approximate size of the queue, in bytes, at which reading stops (T27).
pub const QUEUE_BYTES: usize = 64 * 1024;

// A batch that could grow larger than the queue would never become full: reading would stop while the batch
// still waits.
const _: () = assert!(QUEUE_BYTES >= MOST_BYTES);

/// How long a stream that's reopened after the end of the run may send only keep-alives before the loop
/// fetches the job (T18).
pub const QUIET: Duration = Duration::from_secs(5);

/// The source of the events.
pub trait Backend {
    /// The bytes of one open stream.
    type Body: Stream<Item = Result<Bytes, Error>> + Send + Unpin;

    /// Opens the event stream after the event with this id (T24). The head of the response has to arrive
    /// [`within_idle`] (T26).
    fn open(
        &self,
        last_event_id: Option<&str>,
        idle_timeout: Option<Duration>,
    ) -> impl Future<Output = Result<Self::Body, Refusal>> + Send;

    /// The job's current state, as JSON text; `None` if it can't be fetched (T13).
    fn job(&self) -> impl Future<Output = Option<String>> + Send;
}

/// Why a stream couldn't be opened.
#[derive(Debug, Clone)]
pub struct Refusal {
    /// The error for the user.
    pub error: Error,
    /// 401, 403, 410 and 426 end `wait()` at once (T23).
    pub permanent: bool,
    /// The response's lower bound for the delay (T25).
    pub retry_after: Option<Duration>,
}

impl Refusal {
    /// A refusal that may be retried.
    #[must_use]
    pub fn transient(error: Error) -> Self {
        Self {
            error,
            permanent: false,
            retry_after: None,
        }
    }
}

/// The receiver of the events.
pub trait Callbacks {
    /// Hands the events of a batch to JavaScript. Returns `false` if the Node environment is gone and no
    /// acknowledgement will come.
    fn submit(&mut self, events: Events) -> bool;

    /// Waits until every callback that ran for the last batch has settled, and returns the acknowledgement.
    /// Cancel-safe: dropping the future doesn't lose the acknowledgement.
    fn settled(&mut self) -> impl Future<Output = Ack> + Send;

    /// Announces that the stream will be reopened after a delay. Resolves once JavaScript has received the
    /// notice.
    fn reconnecting(&mut self, notice: Notice) -> impl Future<Output = ()> + Send;
}

/// The outcome of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ack {
    /// Every callback settled.
    Done,
    /// A callback threw, or its promise rejected.
    Threw {
        /// The event's index in the batch.
        index: usize,
        /// Whether the abort signal is aborted: then the error goes to `wait()` (T14.1).
        aborted: bool,
    },
    /// The signal was aborted; no further callback started (T29).
    Aborted {
        /// The index of the first event in the batch whose callback didn't start.
        index: usize,
    },
    /// The Node environment is gone.
    Gone,
}

/// The argument of `onReconnect`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Consecutive failures before this one, from 0.
    pub attempt: u32,
    /// The delay that follows.
    pub delay: Duration,
    /// The reason; `None` when the backend closed the stream after at least one data event.
    pub error: Option<Error>,
    /// The last event id for the request that opens the stream.
    pub last_event_id: Option<String>,
}

/// The trainer's options that the loop needs.
#[derive(Debug, Clone, Copy)]
pub struct LoopOptions {
    /// Delays and attempts.
    pub policy: Policy,
    /// How long a connection may be silent before it counts as dead; `None` means forever (T26).
    pub idle_timeout: Option<Duration>,
    /// `callbackErrors: "reject"` (T20).
    pub reject_callback_errors: bool,
    /// Whether the run is observed; events of unknown types then cross, too.
    pub observed: bool,
}

/// The position at which a later `wait()` resumes (T4).
#[derive(Debug, Clone, Default)]
pub struct Resume {
    /// The id of the last block passed; an empty one sends no header (T24).
    pub last_event_id: Option<String>,
    /// The stream's reconnection time.
    pub retry: Option<Duration>,
    /// A terminal event was dispatched, and its callback threw (T18).
    pub terminal: bool,
}

impl Resume {
    /// Records that the run is over (T18) if the terminal event is among the first `count` blocks of a batch,
    /// whatever its callback did.
    pub fn note_terminal(&mut self, batch: &Batch, count: usize) {
        self.terminal |= batch.last() == Some(Last::Terminal) && count == batch.block_count();
    }
}

/// Waits for a response's head. If there's none within the idle timeout, the connection counts as dead (T26).
///
/// # Errors
/// Those of `opening`, and a transient refusal after the timeout.
pub async fn within_idle<T>(
    idle_timeout: Option<Duration>,
    opening: impl Future<Output = Result<T, Refusal>>,
) -> Result<T, Refusal> {
    match idle_timeout {
        None => opening.await,
        Some(limit) => timeout(limit, opening)
            .await
            .unwrap_or_else(|_| Err(Refusal::transient(headless(limit)))),
    }
}

fn headless(limit: Duration) -> Error {
    Error::plain(format!(
        "SSE stream idle: no complete head of an answer within {} ms (idleTimeoutMs)",
        limit.as_millis()
    ))
}

pub fn idle(limit: Duration) -> Error {
    Error::plain(format!(
        "SSE stream idle: not one byte from the backend for {} ms (idleTimeoutMs)",
        limit.as_millis()
    ))
}

pub fn idle_deadline(limit: Option<Duration>) -> Option<Instant> {
    limit.and_then(|limit| Instant::now().checked_add(limit))
}
