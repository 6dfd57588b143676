//! A response whose body JavaScript pulls chunk by chunk, as the user reads it (T32).

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt};
use hyper::ext::ReasonPhrase;
use napi::Env;
use napi::bindgen_prelude::{Object, Uint8Array};
use napi_derive::napi;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use super::promise::promise;
use crate::api;
use crate::error::{Error, Result};

/// Aborts one request: before its response arrives, or while the body streams (T34).
#[napi]
#[derive(Default)]
pub struct NativeAbort {
    token: CancellationToken,
}

#[napi]
impl NativeAbort {
    /// Creates a handle for one request.
    #[napi(constructor, catch_unwind)]
    pub fn new() -> Self {
        Self::default()
    }

    /// Closes the connection and rejects the pending calls.
    #[napi(catch_unwind)]
    pub fn abort(&self) {
        self.token.cancel();
    }

    pub(super) fn token(&self) -> CancellationToken {
        self.token.clone()
    }
}

/// The received bytes that haven't been read yet, and the stream of those still to come.
struct Body {
    rest: Bytes,
    /// `None` once the stream has ended.
    reads: Option<BoxStream<'static, Result<Bytes>>>,
}

/// The response to a request. Its body is read with `next` until that returns null.
#[napi]
pub struct NativeResponse {
    status: u16,
    status_text: String,
    headers: Vec<String>,
    url: String,
    body: Arc<Mutex<Body>>,
    token: CancellationToken,
}

#[napi]
impl NativeResponse {
    pub(super) fn new(response: reqwest::Response, token: CancellationToken) -> Self {
        let headers = api::flat(response.headers());
        let (status, url) = (response.status().as_u16(), response.url().to_string());
        let reason = response.extensions().get::<ReasonPhrase>();
        let status_text = match reason {
            // The bytes of the reason phrase are Latin-1, like those of a header: `Response` accepts nothing
            // else.
            Some(phrase) => phrase.as_bytes().iter().copied().map(char::from).collect(),
            None => response
                .status()
                .canonical_reason()
                .unwrap_or_default()
                .to_owned(),
        };
        let mut body = Body {
            rest: Bytes::new(),
            reads: Some(api::body(response).boxed()),
        };
        // A small body arrived with the head; taking it now saves a hop between threads.
        body.fill();
        Self {
            status,
            status_text,
            headers,
            url,
            body: Arc::new(Mutex::new(body)),
            token,
        }
    }

    /// The HTTP status code.
    #[napi(getter, catch_unwind)]
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The reason phrase.
    #[napi(getter, catch_unwind)]
    pub fn status_text(&self) -> String {
        self.status_text.clone()
    }

    /// Header names and values, alternating.
    #[napi(getter, catch_unwind)]
    pub fn headers(&self) -> Vec<String> {
        self.headers.clone()
    }

    /// The URL of the response, after redirects.
    #[napi(getter, catch_unwind)]
    pub fn url(&self) -> String {
        self.url.clone()
    }

    /// Up to `most` bytes of the body that have already arrived; null if there are none.
    #[napi(catch_unwind)]
    pub fn take(&self, most: u32) -> Option<Uint8Array> {
        // Only a pending `next` can hold the lock.
        let mut body = self.body.try_lock().ok()?;
        let bytes = body.take(at_most(most));
        (!bytes.is_empty()).then(|| Uint8Array::from(bytes.to_vec()))
    }

    /// Whether the whole body was read.
    #[napi(getter, catch_unwind)]
    pub fn is_over(&self) -> bool {
        self.body
            .try_lock()
            .is_ok_and(|body| body.rest.is_empty() && body.reads.is_none())
    }

    /// Waits for bytes of the body and returns up to `most` of those that have arrived; null at the end.
    #[napi(catch_unwind, ts_return_type = "Promise<Uint8Array | null>")]
    pub fn next<'env>(&self, env: &'env Env, most: u32) -> napi::Result<Object<'env>> {
        let (body, token) = (self.body.clone(), self.token.clone());
        promise(env, async move {
            let mut body = tokio::select! {
                biased;
                () = token.cancelled() => return Err(aborted()),
                body = body.lock() => body,
            };
            let read = tokio::select! {
                biased;
                () = token.cancelled() => Err(aborted()),
                read = body.next(at_most(most)) => read,
            };
            if read.is_err() {
                body.close();
            }
            Ok(read?.map(|bytes| Uint8Array::from(bytes.to_vec())))
        })
    }

    /// Closes the connection.
    #[napi(catch_unwind)]
    pub fn close(&self) {
        self.token.cancel();
        // A pending read notices the cancelled token and drops the body itself.
        if let Ok(mut body) = self.body.try_lock() {
            body.close();
        }
    }
}

pub fn aborted() -> Error {
    Error::plain("This operation was aborted")
}

fn at_most(most: u32) -> usize {
    usize::try_from(most).unwrap_or(usize::MAX).max(1)
}

impl Body {
    /// Waits for the next bytes; `None` at the end.
    async fn next(&mut self, most: usize) -> Result<Option<Bytes>> {
        while self.rest.is_empty() {
            let Some(reads) = &mut self.reads else {
                return Ok(None);
            };
            match reads.next().await {
                Some(read) => self.rest = read?,
                None => self.reads = None,
            }
        }
        let first = self.take(most);
        if first.len() == most {
            return Ok(Some(first));
        }
        let mut joined = BytesMut::from(first);
        while joined.len() < most {
            self.fill();
            let more = self.take(most - joined.len());
            if more.is_empty() {
                break;
            }
            joined.extend_from_slice(&more);
        }
        Ok(Some(joined.freeze()))
    }

    /// Takes up to `most` bytes of those that have arrived.
    fn take(&mut self, most: usize) -> Bytes {
        self.rest.split_to(self.rest.len().min(most))
    }

    /// If nothing is left, fetches more bytes without waiting.
    fn fill(&mut self) {
        while self.rest.is_empty()
            && let Some(reads) = &mut self.reads
        {
            match reads.next().now_or_never() {
                Some(Some(Ok(read))) => self.rest = read,
                // Keep the error for the next read.
                Some(Some(Err(error))) => {
                    self.reads = Some(futures::stream::iter([Err(error)]).boxed());
                    return;
                }
                Some(None) => self.reads = None,
                None => return,
            }
        }
    }

    fn close(&mut self) {
        self.rest = Bytes::new();
        self.reads = None;
    }
}
