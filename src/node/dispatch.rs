//! Batches → the JavaScript dispatcher, its answers → the loop.
//!
//! One weak threadsafe call for each batch, and one synchronous `ack` back: a promise awaited in
//! Rust costs twice as many thread wake-ups.

use std::sync::Arc;

use napi::Status;
use napi::bindgen_prelude::{Float64Array, FnArgs, Function};
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use napi_derive::napi;
use serde::Serialize;
use tokio::sync::mpsc;

use crate::error::Description;
use crate::event::Event;
use crate::run::{Ack, Callbacks, Dispatch, Notice, Reason};

/// The numbers of one event: flags, step, and the five metrics. Read by `lib/dispatch.js`.
const COLUMNS: usize = 7;
/// Flags: the event's kind, 0 to 4; then whether it has an id; then which metrics are numbers.
const HAS_ID: u32 = 1 << 3;
const FIRST_METRIC: u32 = 1 << 4;

/// `dispatch(columns, texts, notice)`.
pub type Arguments = FnArgs<(Option<Float64Array>, Option<Vec<String>>, Option<String>)>;
/// Weak: it must not keep the process alive (T6).
pub type Dispatcher = ThreadsafeFunction<Message, (), Arguments, Status, false, true>;

/// What crosses to JavaScript.
pub enum Message {
    /// A batch of events.
    Batch {
        /// [`COLUMNS`] numbers for each event.
        columns: Vec<f64>,
        /// For each event that is no log, its detail as JSON text.
        texts: Vec<String>,
    },
    /// A reconnect is coming, as JSON text.
    Notice(String),
}

/// The JavaScript side, as the loop sees it.
pub struct JsCallbacks {
    dispatcher: Arc<Dispatcher>,
    acks: mpsc::UnboundedReceiver<Ack>,
}

impl JsCallbacks {
    pub fn new(dispatcher: Arc<Dispatcher>, acks: mpsc::UnboundedReceiver<Ack>) -> Self {
        Self { dispatcher, acks }
    }

    fn call(&self, message: Message) -> bool {
        self.dispatcher
            .call(message, ThreadsafeFunctionCallMode::NonBlocking)
            == Status::Ok
    }
}

impl Callbacks for JsCallbacks {
    fn submit(&mut self, batch: Vec<Dispatch>) -> bool {
        self.call(encode(batch))
    }

    async fn settled(&mut self) -> Ack {
        self.acks.recv().await.unwrap_or(Ack::Gone)
    }

    async fn reconnecting(&mut self, notice: Notice) {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Crossing {
            attempt: u32,
            delay_ms: u64,
            last_event_id: Option<String>,
            by_callback: bool,
            error: Option<Description>,
        }
        let crossing = Crossing {
            attempt: notice.attempt,
            delay_ms: u64::try_from(notice.delay.as_millis()).unwrap_or(u64::MAX),
            last_event_id: notice.last_event_id,
            by_callback: notice.reason == Reason::Callback,
            error: match &notice.reason {
                Reason::Failure(error) => Some(error.describe()),
                Reason::Callback | Reason::CleanEnd => None,
            },
        };
        let text = serde_json::to_string(&crossing).unwrap_or_default();
        if self.call(Message::Notice(text)) {
            self.acks.recv().await;
        }
    }
}

/// Makes a threadsafe function of the JavaScript dispatcher.
pub fn dispatcher(function: &Function<'_, Arguments, ()>) -> napi::Result<Dispatcher> {
    function
        .build_threadsafe_function::<Message>()
        .callee_handled::<false>()
        .weak::<true>()
        .build_callback(|call| {
            Ok(FnArgs::from(match call.value {
                Message::Batch { columns, texts } => (
                    Some(Float64Array::new(columns)),
                    (!texts.is_empty()).then_some(texts),
                    None,
                ),
                Message::Notice(text) => (None, None, Some(text)),
            }))
        })
}

fn encode(batch: Vec<Dispatch>) -> Message {
    let mut columns = Vec::with_capacity(batch.len() * COLUMNS);
    let mut texts = Vec::new();
    for Dispatch { event, has_id } in batch {
        let id = if has_id { HAS_ID } else { 0 };
        match event {
            Event::Log(log) => {
                let mut flags = id;
                let mut numbers = [0.0; 5];
                for (index, metric) in log.metrics.iter().enumerate() {
                    if let Some(number) = metric {
                        flags |= FIRST_METRIC << index;
                        numbers[index] = *number;
                    }
                }
                columns.push(f64::from(flags));
                columns.push(log.step);
                columns.extend(numbers);
            }
            Event::Started(text) => other(&mut columns, &mut texts, id | 1, f64::NAN, text),
            Event::Checkpoint { step, detail } => {
                other(&mut columns, &mut texts, id | 2, step, detail);
            }
            Event::Completed(text) => other(&mut columns, &mut texts, id | 3, f64::NAN, text),
            Event::Failed(text) => other(&mut columns, &mut texts, id | 4, f64::NAN, text),
            // The loop passes these over.
            Event::Unknown => {}
        }
    }
    Message::Batch { columns, texts }
}

fn other(columns: &mut Vec<f64>, texts: &mut Vec<String>, flags: u32, step: f64, text: String) {
    columns.push(f64::from(flags));
    columns.push(step);
    columns.extend([0.0; COLUMNS - 2]);
    texts.push(text);
}

/// The string that stands for NaN in the texts of a batch (T9).
#[napi(catch_unwind)]
pub fn nan_marker() -> &'static str {
    crate::event::nan_marker()
}
