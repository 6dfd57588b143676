//! Sends batches of events to the JavaScript dispatcher, and its acknowledgements back to the loop.
//!
//! Each batch takes one weak threadsafe call, and one synchronous call back that becomes its [`Ack`].
//! Awaiting a promise in Rust would cost twice as many thread wake-ups.

use std::sync::Arc;

use napi::Status;
use napi::bindgen_prelude::{Float64Array, FnArgs, Function};
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use napi_derive::napi;
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::sync::{Notify, mpsc};

use crate::batch::{self, Events};
use crate::run::{Ack, Callbacks, Notice};

/// `Dispatcher.receive(columns, texts, notice)` in `lib/dispatch.js`.
pub type Arguments = FnArgs<(Option<Float64Array>, Option<Vec<String>>, Option<String>)>;
/// Weak: it must not keep the process alive (T6).
pub type ReceiveFunction = ThreadsafeFunction<Message, (), Arguments, Status, false, true>;

/// What crosses to JavaScript.
pub enum Message {
    /// The events of a batch.
    Batch(Events),
    /// A reconnect is about to happen; JSON text.
    Notice(String),
}

/// The JavaScript side, as the loop sees it.
pub struct JsCallbacks {
    dispatcher: Arc<ReceiveFunction>,
    answers: Answers,
}

/// What JavaScript reports back.
pub struct Answers {
    /// The outcome of each batch.
    pub acks: mpsc::UnboundedReceiver<Ack>,
    /// Notified when JavaScript has handled the notice of a reconnect.
    pub heard: Arc<Notify>,
}

impl JsCallbacks {
    pub fn new(dispatcher: Arc<ReceiveFunction>, answers: Answers) -> Self {
        Self {
            dispatcher,
            answers,
        }
    }

    fn call(&self, message: Message) -> bool {
        self.dispatcher
            .call(message, ThreadsafeFunctionCallMode::NonBlocking)
            == Status::Ok
    }
}

impl Callbacks for JsCallbacks {
    fn submit(&mut self, events: Events) -> bool {
        self.call(Message::Batch(events))
    }

    async fn settled(&mut self) -> Ack {
        self.answers.acks.recv().await.unwrap_or(Ack::Gone)
    }

    async fn reconnecting(&mut self, notice: Notice) {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Crossing {
            attempt: u32,
            delay_ms: u64,
            last_event_id: Option<String>,
            error: Option<Box<RawValue>>,
        }
        let crossing = Crossing {
            attempt: notice.attempt,
            delay_ms: u64::try_from(notice.delay.as_millis()).unwrap_or(u64::MAX),
            last_event_id: notice.last_event_id,
            error: notice
                .error
                .and_then(|error| RawValue::from_string(error.to_json()).ok()),
        };
        let text = serde_json::to_string(&crossing).unwrap_or_default();
        if self.call(Message::Notice(text)) {
            self.answers.heard.notified().await;
        }
    }
}

/// Turns the JavaScript dispatcher into a threadsafe function.
pub fn dispatcher(function: &Function<'_, Arguments, ()>) -> napi::Result<ReceiveFunction> {
    function
        .build_threadsafe_function::<Message>()
        .callee_handled::<false>()
        .weak::<true>()
        .build_callback(|call| {
            Ok(FnArgs::from(match call.value {
                Message::Batch(Events { columns, texts }) => (
                    Some(Float64Array::new(columns)),
                    (!texts.is_empty()).then_some(texts),
                    None,
                ),
                Message::Notice(text) => (None, None, Some(text)),
            }))
        })
}

/// The string that stands for NaN in the texts of a batch (T9).
#[napi(catch_unwind)]
pub fn nan_marker() -> &'static str {
    crate::json::nan_marker()
}

/// The layout of a batch.
#[napi(object, object_from_js = false)]
pub struct BatchLayout {
    /// How many numbers each event has.
    pub columns: u32,
    /// The column of the flags.
    pub flags: u32,
    /// The column of the step.
    pub step: u32,
    /// The column of the first metric.
    pub metrics: u32,
    /// The names of the callbacks, indexed by the kind of the event.
    pub callbacks: Vec<String>,
    /// The mask of the bits in the flags that hold the kind.
    pub kind: u32,
    /// The flag of an event that has an id.
    pub has_id: u32,
    /// The flag of an event whose first metric is a number. The flags of the other metrics are the next bits.
    pub has_metric: u32,
}

/// The layout of the batches that the dispatcher receives.
#[napi(catch_unwind)]
pub fn batch_layout() -> BatchLayout {
    let column = |index: usize| u32::try_from(index).unwrap_or_default();
    BatchLayout {
        columns: column(batch::COLUMNS),
        flags: column(batch::FLAGS),
        step: column(batch::STEP),
        metrics: column(batch::METRICS),
        callbacks: batch::CALLBACKS.map(str::to_owned).to_vec(),
        kind: batch::KIND,
        has_id: batch::HAS_ID,
        has_metric: batch::HAS_METRIC,
    }
}
