//! One open connection: reads go into the bounded queue while callbacks run, batches go out one
//! at a time, and the last event id follows what was passed (T24).

use std::collections::VecDeque;
use std::pin::pin;

use bytes::Bytes;
use futures::StreamExt;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::{
    Ack, BATCH_BYTES, BATCH_EVENTS, Callbacks, Dispatch, Options, QUEUE_BYTES, Refusal, Resume,
    idle, idle_deadline,
};
use crate::error::Error;
use crate::event::{self, Event, Meaning};
use crate::reconnect::Backoff;
use crate::sse::Decoder;

/// How a connection ended, or why there was none.
pub enum End {
    /// It was not opened.
    Refused(Refusal),
    /// The terminal event's callback settled.
    Terminal,
    /// `event: end`.
    Done,
    /// The backend closed it; whether a data event had come.
    Eof { data: bool },
    /// A read failed, an event was too large, or nothing came for too long.
    Failed(Error),
    /// A callback threw; whether after the abort.
    Threw { aborted: bool },
    /// The abort signal.
    Aborted,
    /// The environment is gone.
    Gone,
}

/// A block in the queue.
struct Queued {
    id: Option<String>,
    meaning: Meaning,
}

/// A block in flight; its event is with the callbacks.
struct Passed {
    id: Option<String>,
    data: bool,
    dispatched: bool,
}

/// An open connection and everything that its events change.
pub struct Connection<'a, Body, C> {
    body: Body,
    callbacks: &'a mut C,
    options: &'a Options,
    resume: &'a mut Resume,
    backoff: &'a mut Backoff,
    decoder: Decoder,
    queue: VecDeque<Queued>,
    queued_bytes: usize,
    /// The batch that the callbacks have, and whether a terminal event ends it.
    in_flight: Option<(Vec<Passed>, bool)>,
    /// How the reading ended; it counts when the queue is empty.
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
        options: &'a Options,
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
            queue: VecDeque::new(),
            queued_bytes: 0,
            in_flight: None,
            read_end: None,
            data: false,
        }
    }

    /// Dispatches until the connection ends, or the run does.
    pub async fn follow(mut self, abort: &CancellationToken) -> End {
        let limit = self.options.idle_timeout;
        let mut deadline = idle_deadline(limit);
        let mut watchdog = pin!(sleep_until(deadline.unwrap_or_else(Instant::now)));
        let mut aborted = pin!(abort.cancelled());
        loop {
            if self.in_flight.is_none() {
                if let Some(end) = self.dispatch_next() {
                    return end;
                }
                if self.in_flight.is_none() && self.queue.is_empty() {
                    match self.read_end.take() {
                        // Whether a data event came is known now that the queue is empty.
                        Some(End::Eof { .. }) => return End::Eof { data: self.data },
                        Some(end) => return end,
                        None => {}
                    }
                }
            }
            let busy = self.in_flight.is_some();
            let reading = self.read_end.is_none() && self.queued_bytes < QUEUE_BYTES;
            tokio::select! {
                biased;
                ack = self.callbacks.settled(), if busy => {
                    if let Some(end) = self.settle(ack) {
                        return end;
                    }
                    // Time that a callback takes never counts (T26).
                    deadline = idle_deadline(limit);
                }
                () = aborted.as_mut(), if !busy => return End::Aborted,
                read = self.body.next(), if reading => {
                    deadline = idle_deadline(limit);
                    self.take(read);
                }
                () = watchdog.as_mut(), if !busy && deadline.is_some() => {
                    // Set anew only when it goes off, not for every read.
                    match (deadline, limit) {
                        (Some(at), _) if at > Instant::now() => watchdog.as_mut().reset(at),
                        (_, Some(limit)) => return End::Failed(idle(limit)),
                        _ => {}
                    }
                }
            }
        }
    }

    /// Decodes one read into the queue.
    fn take(&mut self, read: Option<Result<Bytes, Error>>) {
        let bytes = match read {
            Some(Ok(bytes)) => bytes,
            Some(Err(error)) => {
                self.read_end = Some(End::Failed(error));
                return;
            }
            None => {
                self.read_end = Some(End::Eof { data: false });
                return;
            }
        };
        let (queue, queued_bytes) = (&mut self.queue, &mut self.queued_bytes);
        let decoded = self.decoder.push(&bytes, |frame| {
            let meaning = event::read(&frame);
            let queued = Queued {
                id: frame.id,
                meaning,
            };
            *queued_bytes += queued.weight();
            queue.push_back(queued);
        });
        if let Some(retry) = self.decoder.retry() {
            self.resume.retry = Some(retry);
            self.backoff.set_base(retry);
        }
        if let Err(error) = decoded {
            self.read_end = Some(End::Failed(Error::plain(error.to_string())));
        }
    }

    /// Passes what needs no callback and hands over the next batch, if there is one.
    fn dispatch_next(&mut self) -> Option<End> {
        let mut batch = Vec::new();
        let mut passed = Vec::new();
        let mut bytes = 0;
        let mut terminal = false;
        while batch.len() < BATCH_EVENTS && bytes < BATCH_BYTES && !terminal {
            match self.queue.front() {
                None => break,
                Some(Queued {
                    meaning: Meaning::End,
                    ..
                }) if !batch.is_empty() => break,
                Some(_) => {}
            }
            let Some(queued) = self.queue.pop_front() else {
                break;
            };
            let weight = queued.weight();
            self.queued_bytes -= weight;
            // Blocks without a callback are passed, however many, until there is an event.
            if !batch.is_empty() {
                bytes += weight;
            }
            match queued.meaning {
                Meaning::End => {
                    self.pass(&passed);
                    self.advance(queued.id);
                    return Some(End::Done);
                }
                Meaning::Data(event) if event != Event::Unknown => {
                    if batch.is_empty() {
                        bytes += weight;
                    }
                    terminal = event.is_terminal();
                    let has_id = queued.id.as_ref().is_some_and(|id| !id.is_empty());
                    batch.push(Dispatch { event, has_id });
                    passed.push(Passed {
                        id: queued.id,
                        data: true,
                        dispatched: true,
                    });
                }
                meaning => {
                    let data = matches!(meaning, Meaning::Data(_));
                    passed.push(Passed {
                        id: queued.id,
                        data,
                        dispatched: false,
                    });
                }
            }
        }
        if batch.is_empty() {
            self.pass(&passed);
        } else {
            self.in_flight = Some((passed, terminal));
            if !self.callbacks.submit(batch) {
                return Some(End::Gone);
            }
        }
        None
    }

    /// Takes the answer to the batch in flight. `Some` if the connection is over with it.
    fn settle(&mut self, ack: Ack) -> Option<End> {
        let (passed, terminal) = self.in_flight.take()?;
        match ack {
            Ack::Done => {
                self.pass(&passed);
                terminal.then_some(End::Terminal)
            }
            Ack::Threw { index, aborted } => {
                let at = position(&passed, index);
                self.pass(&passed[..at]);
                if !self.options.reject_callback_errors && at < passed.len() {
                    // T15: the failing event is behind us, too, and T18: if it was the terminal
                    // one, the run is over all the same.
                    self.data = true;
                    self.resume.terminal |= terminal && at + 1 == passed.len();
                    self.advance(passed[at].id.clone());
                }
                Some(End::Threw { aborted })
            }
            Ack::Aborted => Some(End::Aborted),
            Ack::Gone => Some(End::Gone),
        }
    }

    /// These blocks are behind us: their ids count (T24), a data event ends the row of failures
    /// (T17).
    fn pass(&mut self, passed: &[Passed]) {
        for block in passed {
            if block.data {
                self.data = true;
                self.backoff.succeeded();
            }
        }
        if let Some(id) = passed.iter().rev().find_map(|block| block.id.clone()) {
            self.advance(Some(id));
        }
    }

    fn advance(&mut self, id: Option<String>) {
        if id.is_some() {
            self.resume.last_event_id = id;
        }
    }
}

impl Queued {
    fn weight(&self) -> usize {
        let event = match &self.meaning {
            Meaning::Data(event) => event.weight(),
            Meaning::End | Meaning::Nothing => 0,
        };
        size_of::<Self>() + self.id.as_ref().map_or(0, String::len) + event
    }
}

/// Where among the blocks of a batch its event `index` stands.
fn position(passed: &[Passed], index: usize) -> usize {
    let dispatched = passed
        .iter()
        .enumerate()
        .filter(|(_, block)| block.dispatched);
    dispatched
        .map(|(at, _)| at)
        .nth(index)
        .unwrap_or(passed.len())
}
