//! The run loop: opens the stream, reads, batches, dispatches, and decides what comes next.
//!
//! Bytes come from a [`Backend`], batches of events go to [`Callbacks`], and [`Backoff`] decides about every
//! failure. The loop knows neither Node nor HTTP. Rules T3 to T30 are tested here with fakes of both and a
//! paused clock.

mod connection;
mod ports;

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::error::Error;
use crate::reconnect::{Backoff, Decision};
use connection::{Connection, End};
pub use ports::{Ack, Backend, Callbacks, LoopOptions, Notice, Refusal, Resume, within_idle};

/// How `wait()` ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// A terminal event was dispatched; JavaScript holds the result.
    Completed,
    /// `event: end` without a terminal event. Holds the job as the backend returned it, as JSON text (T13).
    Ended(Option<String>),
    /// `wait()` rejects with the signal's reason (T29).
    Aborted,
    /// The Node environment is gone, so nobody awaits the result.
    Gone,
    /// `wait()` rejects with this error.
    Failed(Error),
}

/// Follows one run to its end.
pub async fn run<B: Backend + Sync, C: Callbacks + Send>(
    backend: &B,
    callbacks: &mut C,
    options: &LoopOptions,
    resume: &mut Resume,
    abort: &CancellationToken,
) -> Outcome {
    if resume.terminal {
        return Outcome::Completed;
    }
    let mut backoff = Backoff::new(options.policy, resume.retry);
    loop {
        let opened = tokio::select! {
            biased;
            () = abort.cancelled() => return Outcome::Aborted,
            opened = open(backend, options, resume) => opened,
        };
        let end = match opened {
            Ok(body) => {
                Connection::new(body, callbacks, options, resume, &mut backoff)
                    .follow(abort, backend)
                    .await
            }
            Err(refusal) => End::Refused(refusal),
        };
        let (decision, error) = match end {
            End::Terminal => return Outcome::Completed,
            End::Aborted => return Outcome::Aborted,
            End::Gone => return Outcome::Gone,
            End::Threw { aborted } if aborted || options.reject_callback_errors => {
                return Outcome::Failed(Error::Thrown);
            }
            // T18: no more events will come, and the terminal event was seen.
            End::Done | End::Eof { data: false } if resume.terminal => return Outcome::Completed,
            End::Refused(refusal) if refusal.permanent => {
                return if resume.terminal {
                    Outcome::Completed
                } else {
                    Outcome::Failed(refusal.error)
                };
            }
            End::Done => {
                return tokio::select! {
                    biased;
                    () = abort.cancelled() => Outcome::Aborted,
                    job = backend.job() => Outcome::Ended(job),
                };
            }
            End::Eof { data: true } => {
                let delay = backoff.pause(fastrand::f64());
                (Decision::Retry { attempt: 0, delay }, None)
            }
            End::Eof { data: false } => {
                let error = Error::plain("SSE stream closed without emitting any frame");
                (backoff.failed(None, fastrand::f64()), Some(error))
            }
            End::Refused(refusal) => (
                backoff.failed(refusal.retry_after, fastrand::f64()),
                Some(refusal.error),
            ),
            End::Failed(error) => (backoff.failed(None, fastrand::f64()), Some(error)),
            End::Threw { .. } => (backoff.failed(None, fastrand::f64()), Some(Error::Thrown)),
        };
        let (attempt, delay) = match decision {
            Decision::Retry { attempt, delay } => (attempt, delay),
            Decision::GiveUp { failures } => {
                let cause = Box::new(error.unwrap_or(Error::Thrown));
                return Outcome::Failed(Error::Exhausted { failures, cause });
            }
        };
        let last_event_id = resume.last_event_id.clone().filter(|id| !id.is_empty());
        let why = error.as_ref().map_or_else(
            || "the backend closed the stream".to_owned(),
            ToString::to_string,
        );
        tracing::debug!(attempt, ?delay, %why, "reconnecting");
        callbacks
            .reconnecting(Notice {
                attempt,
                delay,
                error,
                last_event_id,
            })
            .await;
        tokio::select! {
            biased;
            () = abort.cancelled() => return Outcome::Aborted,
            () = sleep(delay) => {}
        }
    }
}

async fn open<B: Backend>(
    backend: &B,
    options: &LoopOptions,
    resume: &Resume,
) -> Result<B::Body, Refusal> {
    let id = resume.last_event_id.as_deref().filter(|id| !id.is_empty());
    backend.open(id, options.idle_timeout).await
}

#[cfg(test)]
mod fake;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod time_tests;
