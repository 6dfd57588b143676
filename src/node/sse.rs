//! The event-stream decoder for a body that JavaScript reads itself: a response of `infer`.

use napi_derive::napi;

use super::crossing::crossing;
use crate::error::Error;
use crate::sse::Decoder;

/// The decoder of one body.
#[napi]
#[derive(Default)]
pub struct NativeEventStream {
    decoder: Decoder,
}

#[napi]
impl NativeEventStream {
    /// Creates a decoder for the start of a body.
    #[napi(constructor, catch_unwind)]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next chunk and returns the data of every event that it completes. Throws when an event
    /// exceeds the size limit.
    #[napi(catch_unwind)]
    pub fn push(&mut self, chunk: &[u8]) -> napi::Result<Vec<String>> {
        let mut data = Vec::new();
        self.decoder
            .push(chunk, |frame| {
                if frame.has_data {
                    data.push(frame.data.into_owned());
                }
            })
            .map_err(|error| crossing(&Error::plain(error.to_string())))?;
        Ok(data)
    }
}
