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

use crate::batch::Events;
use crate::error::Description;
use crate::run::{Ack, Callbacks, Notice, Reason};

/// `dispatch(columns, texts, notice)`.
pub type Arguments = FnArgs<(Option<Float64Array>, Option<Vec<String>>, Option<String>)>;
/// Weak: it must not keep the process alive (T6).
pub type Dispatcher = ThreadsafeFunction<Message, (), Arguments, Status, false, true>;

/// What crosses to JavaScript.
pub enum Message {
    /// The events of a batch.
    Batch(Events),
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
    fn submit(&mut self, events: Events) -> bool {
        self.call(Message::Batch(events))
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
