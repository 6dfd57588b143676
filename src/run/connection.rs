//! One open connection. Reads go into the bounded queue while callbacks run, batches go out one at a time,
//! and the last event id follows the blocks that were passed (T24).

use std::collections::VecDeque;
use std::future::ready;
use std::pin::pin;

use bytes::Bytes;
use futures::StreamExt;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::ports::{
    Ack, Backend, Callbacks, LoopOptions, QUEUE_BYTES, QUIET, Refusal, Resume, idle, idle_deadline,
};
use crate::batch::{Batch, COLUMNS, Last};
use crate::error::Error;
use crate::event::{self, Event, Meaning};
use crate::json::fields;
use crate::reconnect::Backoff;
use crate::sse::Decoder;

/// How many bytes of a read to decode before the loop checks on the callbacks again. A read may be hundreds
/// of KiB, and decoding it all at once would delay JavaScript's next batch.
const DECODED_AT_ONCE: usize = 16 * 1024;

/// Whether a header can carry an id (RFC 9110, section 5.5). An id that it can't carry is ignored: the stream
/// then resumes after the last usable id instead of from the beginning.
fn is_carriable(id: &str) -> bool {
    id.bytes()
        .all(|byte| byte == b'\t' || !byte.is_ascii_control())
}

/// Whether a job, given as JSON text, has ended.
fn is_over(job: &str) -> bool {
    let status = fields(job).ok().and_then(|job| {
        let raw = job.get(b"status".as_slice())?;
        serde_json::from_str::<String>(raw.get()).ok()
    });
    matches!(
        status.as_deref(),
        Some("completed" | "failed" | "cancelled")
    )
}

/// How a connection ended, or why it was never opened.
pub enum End {
    /// The stream couldn't be opened.
    Refused(Refusal),
    /// The terminal event's callback settled.
    Terminal,
    /// `event: end`.
    Done,
    /// The backend closed the connection. `data`: whether a data event had arrived.
    Eof { data: bool },
    /// A read failed, an event was too large, or nothing arrived for too long.
    Failed(Error),
    /// A callback threw. `aborted`: whether that was after the abort.
    Threw { aborted: bool },
    /// The abort signal fired.
    Aborted,
    /// The Node environment is gone.
    Gone,
}

/// An open connection and everything that its events change.
pub struct Connection<'a, Body, C> {
    body: Body,
    callbacks: &'a mut C,
    options: &'a LoopOptions,
    resume: &'a mut Resume,
    backoff: &'a mut Backoff,
    decoder: Decoder,
    /// Bytes that were read but not decoded yet.
    undecoded: Bytes,
    queue: VecDeque<Batch>,
    queued_bytes: usize,
    /// The batch that the callbacks are handling.
    in_flight: Option<Batch>,
    /// How reading ended. Takes effect once the queue is empty.
    read_end: Option<End>,
    /// Whether a data event was seen on this connection (T22).
    data: bool,
}

impl<'a, Body, C> Connection<'a, Body, C>
where
    Body: futures::Stream<Item = Result<Bytes, Error>> + Unpin,
    C: Callbacks,
{
    pub fn new(
        body: Body,
        callbacks: &'a mut C,
        options: &'a LoopOptions,
        resume: &'a mut Resume,
        backoff: &'a mut Backoff,
    ) -> Self {
        Self {
            body,
            callbacks,
            options,
            resume,
            backoff,
            decoder: Decoder::default(),
            undecoded: Bytes::new(),
            queue: VecDeque::new(),
            queued_bytes: 0,
            in_flight: None,
            read_end: None,
            data: false,
        }
    }

    /// Dispatches events until the connection or the run ends.
    pub async fn follow<B: Backend>(mut self, abort: &CancellationToken, backend: &B) -> End {
        let limit = self.options.idle_timeout;
        // T18: the terminal event was seen, so the backend may have nothing more to send.
        let mut is_held = self.resume.terminal;
        let mut quiet = pin!(sleep(QUIET));
        let mut deadline = idle_deadline(limit);
        let mut watchdog = pin!(sleep_until(deadline.unwrap_or_else(Instant::now)));
        let mut aborted = pin!(abort.cancelled());
        loop {
            // A batch takes everything that has arrived, up to its limit.
            let ready_to_go =
                self.undecoded.is_empty() || self.queue.front().is_some_and(Batch::is_full);
            if self.in_flight.is_none() && ready_to_go {
                if let Some(end) = self.dispatch_next() {
                    return end;
                }
                if self.in_flight.is_none() && self.undecoded.is_empty() {
                    match self.read_end.take() {
                        // Every block has been passed, so it's known whether a data event arrived.
                        Some(End::Eof { .. }) => return End::Eof { data: self.data },
                        Some(end) => return end,
                        None => {}
                    }
                }
            }
            let busy = self.in_flight.is_some();
            let has_room = self.queued_bytes < QUEUE_BYTES;
            let decoding = has_room && !self.undecoded.is_empty();
            let reading = has_room && self.undecoded.is_empty() && self.read_end.is_none();
            tokio::select! {
                biased;
                ack = self.callbacks.settled(), if busy => {
                    if let Some(end) = self.settle(ack) {
                        return end;
                    }
                    if abort.is_cancelled() {
                        return End::Aborted;
                    }
                    // The time that a callback takes never counts (T26).
                    deadline = idle_deadline(limit);
                }
                () = aborted.as_mut(), if !busy => return End::Aborted,
                () = ready(()), if decoding => self.decode(),
                read = self.body.next(), if reading => {
                    deadline = idle_deadline(limit);
                    self.take(read);
                }
                () = quiet.as_mut(), if is_held && !busy => {
                    is_held = false;
                    if !self.data {
                        tokio::select! {
                            biased;
                            () = abort.cancelled() => return End::Aborted,
                            job = backend.job() => if job.is_some_and(|job| is_over(&job)) {
                                return End::Terminal;
                            },
                        }
                        deadline = idle_deadline(limit);
                    }
                }
                () = watchdog.as_mut(), if !busy && deadline.is_some() => {
                    // Reads only move `deadline`; the timer is reset only when it fires.
                    match (deadline, limit) {
                        (Some(at), _) if at > Instant::now() => watchdog.as_mut().reset(at),
                        (_, Some(limit)) => return End::Failed(idle(limit)),
                        _ => {}
                    }
                }
            }
        }
    }

    /// Takes the result of one read.
    fn take(&mut self, read: Option<Result<Bytes, Error>>) {
        match read {
            Some(Ok(bytes)) => self.undecoded = bytes,
            Some(Err(error)) => self.read_end = Some(End::Failed(error)),
            None => self.read_end = Some(End::Eof { data: false }),
        }
    }

    /// Decodes the next piece of the read into the queue.
    fn decode(&mut self) {
        let piece = self
            .undecoded
            .split_to(self.undecoded.len().min(DECODED_AT_ONCE));
        let observed = self.options.observed;
        let (queue, queued_bytes) = (&mut self.queue, &mut self.queued_bytes);
        let decoded = self.decoder.push(&piece, |frame| {
            let mut meaning = event::read(&frame);
            if observed && let Meaning::Data(Event::Unknown(data)) = &mut meaning {
                *data = Some(frame.data.as_ref().to_owned());
            }
            if queue.back().is_none_or(Batch::is_full) {
                queue.push_back(Batch::default());
            }
            if let Some(batch) = queue.back_mut() {
                let before = batch.bytes();
                batch.push(frame.id.as_deref().filter(|id| is_carriable(id)), meaning);
                *queued_bytes += batch.bytes() - before;
            }
        });
        if let Some(retry) = self.decoder.retry() {
            self.resume.retry = Some(retry);
            self.backoff.set_base(retry);
        }
        if let Err(error) = decoded {
            self.undecoded = Bytes::new();
            self.read_end = Some(End::Failed(Error::plain(error.to_string())));
        }
    }

    /// Passes batches without events, and hands the next batch with events to the callbacks.
    fn dispatch_next(&mut self) -> Option<End> {
        while let Some(mut batch) = self.queue.pop_front() {
            self.queued_bytes -= batch.bytes();
            let events = batch.take_events();
            if !events.columns.is_empty() {
                tracing::debug!(events = events.columns.len() / COLUMNS, "batch");
                self.in_flight = Some(batch);
                return (!self.callbacks.submit(events)).then_some(End::Gone);
            }
            if let Some(end) = self.finish(&batch) {
                return Some(end);
            }
        }
        None
    }

    /// Handles the acknowledgement of the batch in flight. `Some` if that ends the connection.
    fn settle(&mut self, ack: Ack) -> Option<End> {
        let batch = self.in_flight.take()?;
        match ack {
            Ack::Done => self.finish(&batch),
            Ack::Threw { index, aborted } => {
                let at = batch.block_of(index);
                self.pass(&batch, at);
                if !self.options.reject_callback_errors && at < batch.block_count() {
                    // T15: the event whose callback threw counts as passed, too.
                    self.data = true;
                    self.resume.note_terminal(&batch, at + 1);
                    self.advance(batch.last_id(at + 1));
                }
                Some(End::Threw { aborted })
            }
            Ack::Aborted { index } => {
                // A later `wait()` resumes after what was dispatched (T4).
                let at = batch.block_of(index);
                self.pass(&batch, at);
                self.resume.note_terminal(&batch, at);
                Some(End::Aborted)
            }
            Ack::Gone => Some(End::Gone),
        }
    }

    /// Marks the whole batch as passed. `Some` if that ends the connection.
    fn finish(&mut self, batch: &Batch) -> Option<End> {
        self.pass(batch, batch.block_count());
        batch.last().map(|last| match last {
            Last::Terminal => End::Terminal,
            Last::End => End::Done,
        })
    }

    /// Marks the blocks before `end` as passed: their ids count (T24), and a data event resets the count of
    /// failures (T17).
    fn pass(&mut self, batch: &Batch, end: usize) {
        if batch.has_data(end) {
            self.data = true;
            self.backoff.succeeded();
        }
        self.advance(batch.last_id(end));
    }

    fn advance(&mut self, id: Option<&str>) {
        if let Some(id) = id {
            self.resume.last_event_id = Some(id.to_owned());
        }
    }
}
