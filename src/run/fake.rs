//! Scripted fakes of the loop's two sides.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::float_cmp,
    clippy::unnecessary_wraps,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a test fails by panicking, its numbers are exact, its helpers are short"
)]

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
pub use std::time::Duration;

pub use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
pub use tokio::time::{Instant, timeout};

pub use super::ports::QUIET;
pub use crate::batch::Events;
use crate::batch::{COLUMNS, MOST_EVENTS};
pub use crate::reconnect::Policy;
use crate::run::*;

/// What happens on one connection, in order.
#[derive(Clone)]
pub enum Step {
    /// Bytes arrive.
    Read(String),
    /// Nothing arrives for this long.
    Silence(Duration),
    /// The connection breaks.
    Break,
    /// Nothing more arrives, but the connection doesn't end either.
    Hang,
}

/// How the backend responds to one request for the stream.
pub enum Answer {
    Stream(Vec<Step>),
    Refuse {
        status: u16,
        retry_after: Option<Duration>,
    },
    /// The response's head never arrives.
    NoHeaders,
}

#[derive(Default)]
pub struct FakeBackend {
    pub answers: Mutex<VecDeque<Answer>>,
    /// The `Last-Event-ID` of each request.
    pub opened: Mutex<Vec<Option<String>>>,
    pub job: Option<String>,
}

impl Backend for FakeBackend {
    type Body = BoxStream<'static, Result<Bytes, Error>>;

    async fn open(
        &self,
        last_event_id: Option<&str>,
        idle_timeout: Option<Duration>,
    ) -> Result<Self::Body, Refusal> {
        self.opened
            .lock()
            .unwrap()
            .push(last_event_id.map(str::to_owned));
        let answer = self.answers.lock().unwrap().pop_front();
        match answer {
            Some(Answer::Stream(steps)) => Ok(futures::stream::iter(steps)
                .filter_map(|step| async {
                    match step {
                        Step::Read(text) => Some(Ok(Bytes::from(text))),
                        Step::Silence(time) => {
                            sleep(time).await;
                            None
                        }
                        Step::Break => Some(Err(Error::plain("broken"))),
                        Step::Hang => std::future::pending().await,
                    }
                })
                .boxed()),
            Some(Answer::Refuse {
                status,
                retry_after,
            }) => Err(Refusal {
                error: Error::api(status, ""),
                permanent: matches!(status, 401 | 403 | 410 | 426),
                retry_after,
            }),
            Some(Answer::NoHeaders) => within_idle(idle_timeout, std::future::pending()).await,
            None => panic!("one request more than the script has answers"),
        }
    }

    async fn job(&self) -> Option<String> {
        self.job.clone()
    }
}

/// Maps the step of a log event to its callback's reaction.
pub type Script = Box<dyn FnMut(f64) -> Reaction + Send>;

pub enum Reaction {
    Ok,
    Slow(Duration),
    Throw,
}

pub struct FakeCallbacks {
    pub script: Script,
    /// The steps that were dispatched; terminal events count as 1000.
    pub seen: Arc<Mutex<Vec<f64>>>,
    pub notices: Arc<Mutex<Vec<Notice>>>,
    pub abort: CancellationToken,
    answer: Option<(Ack, Instant)>,
}

impl Callbacks for FakeCallbacks {
    fn submit(&mut self, events: Events) -> bool {
        assert!(self.answer.is_none(), "T7: two batches at once");
        let rows = events.columns.chunks_exact(COLUMNS);
        assert!(rows.len() <= MOST_EVENTS, "T8: a batch of {}", rows.len());
        let mut time = Duration::ZERO;
        let mut ack = Ack::Done;
        let count = rows.len();
        for (index, row) in rows.enumerate() {
            if self.abort.is_cancelled() {
                ack = Ack::Aborted { index };
                break;
            }
            // The kind is in the low bits of the flags: 0 is a log, 3 and 4 are terminal.
            let step = match row[0] as u32 & 7 {
                0 => row[1],
                3 | 4 => 1000.0,
                _ => -1.0,
            };
            self.seen.lock().unwrap().push(step);
            match (self.script)(step) {
                Reaction::Ok => {}
                Reaction::Slow(slow) => time += slow,
                Reaction::Throw => {
                    ack = Ack::Threw {
                        index,
                        aborted: self.abort.is_cancelled(),
                    };
                    break;
                }
            }
        }
        // Like the dispatcher, report an abort even if the last callback of the batch caused it.
        if ack == Ack::Done && self.abort.is_cancelled() {
            ack = Ack::Aborted { index: count };
        }
        self.answer = Some((ack, Instant::now() + time));
        true
    }

    async fn settled(&mut self) -> Ack {
        let (ack, at) = self.answer.unwrap();
        tokio::time::sleep_until(at).await;
        self.answer = None;
        ack
    }

    async fn reconnecting(&mut self, notice: Notice) {
        self.notices.lock().unwrap().push(notice);
    }
}

pub struct Run {
    pub backend: FakeBackend,
    pub callbacks: FakeCallbacks,
    pub options: LoopOptions,
    pub resume: Resume,
    pub abort: CancellationToken,
}

impl Run {
    pub fn new(
        answers: impl IntoIterator<Item = Answer>,
        script: impl FnMut(f64) -> Reaction + Send + 'static,
    ) -> Self {
        let abort = CancellationToken::new();
        Self {
            backend: FakeBackend {
                answers: Mutex::new(answers.into_iter().collect()),
                ..FakeBackend::default()
            },
            callbacks: FakeCallbacks {
                script: Box::new(script),
                seen: Arc::default(),
                notices: Arc::default(),
                abort: abort.clone(),
                answer: None,
            },
            options: LoopOptions {
                policy: Policy {
                    base: Duration::from_secs(1),
                    cap: Duration::from_secs(60),
                    max_attempts: None,
                },
                idle_timeout: Some(Duration::from_secs(60)),
                reject_callback_errors: false,
                observed: false,
            },
            resume: Resume::default(),
            abort,
        }
    }

    pub async fn follow(&mut self) -> Outcome {
        run(
            &self.backend,
            &mut self.callbacks,
            &self.options,
            &mut self.resume,
            &self.abort,
        )
        .await
    }

    pub fn seen(&self) -> Vec<f64> {
        self.callbacks.seen.lock().unwrap().clone()
    }

    pub fn notices(&self) -> Vec<Notice> {
        self.callbacks.notices.lock().unwrap().clone()
    }

    pub fn opened(&self) -> Vec<Option<String>> {
        self.backend.opened.lock().unwrap().clone()
    }
}

pub fn fine(_: f64) -> Reaction {
    Reaction::Ok
}

pub fn log(id: u32) -> String {
    format!("id: {id}\ndata: {{\"type\":\"training.log\",\"step\":{id}}}\n\n")
}

pub fn log_without_id(step: u32) -> String {
    format!("data: {{\"type\":\"training.log\",\"step\":{step}}}\n\n")
}

pub fn logs(ids: impl IntoIterator<Item = u32>) -> Step {
    Step::Read(ids.into_iter().map(log).collect())
}

pub fn completed() -> Step {
    Step::Read("id: 1000\ndata: {\"type\":\"training.completed\"}\n\n".to_owned())
}

pub fn stream(steps: impl Into<Vec<Step>>) -> Answer {
    Answer::Stream(steps.into())
}

pub fn id(id: &str) -> Option<String> {
    Some(id.to_owned())
}
