//! An answer whose body JavaScript pulls, chunk by chunk, as the user reads it (T32).

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt};
use napi::Env;
use napi::bindgen_prelude::{Object, Uint8Array};
use napi_derive::napi;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use super::promise::promise;
use crate::api;
use crate::error::{Error, Result};

/// Ends one request: before the answer, or while its body streams (T34).
#[napi]
#[derive(Default)]
pub struct NativeAbort {
    token: CancellationToken,
}

#[napi]
impl NativeAbort {
    /// A handle for one request.
    #[napi(constructor, catch_unwind)]
    pub fn new() -> Self {
        Self::default()
    }

    /// Closes the connection; what waits for it is rejected.
    #[napi(catch_unwind)]
    pub fn abort(&self) {
        self.token.cancel();
    }

    pub(super) fn token(&self) -> CancellationToken {
        self.token.clone()
    }
}

/// What has come of the body and is not yet read, and where more comes from.
struct Body {
    rest: Bytes,
    reads: BoxStream<'static, Result<Bytes>>,
}

/// The answer to a request; its body is read with `next` until that gives null.
#[napi]
pub struct NativeResponse {
    status: u16,
    headers: Vec<String>,
    url: String,
    body: Arc<Mutex<Option<Body>>>,
    token: CancellationToken,
}

#[napi]
impl NativeResponse {
    pub(super) fn new(response: reqwest::Response, token: CancellationToken) -> Self {
        let mut headers = Vec::new();
        for (name, value) in response.headers() {
            headers.push(name.as_str().to_owned());
            // As `fetch` does: header bytes are Latin-1.
            headers.push(
                value
                    .as_bytes()
                    .iter()
                    .map(|byte| char::from(*byte))
                    .collect(),
            );
        }
        Self {
            status: response.status().as_u16(),
            headers,
            url: response.url().to_string(),
            body: Arc::new(Mutex::new(Some(Body {
                rest: Bytes::new(),
                reads: api::body(response).boxed(),
            }))),
            token,
        }
    }

    /// The HTTP status.
    #[napi(getter, catch_unwind)]
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The status in words.
    #[napi(getter, catch_unwind)]
    pub fn status_text(&self) -> &'static str {
        let status = reqwest::StatusCode::from_u16(self.status).ok();
        status
            .and_then(|status| status.canonical_reason())
            .unwrap_or_default()
    }

    /// Names and values in turn.
    #[napi(getter, catch_unwind)]
    pub fn headers(&self) -> Vec<String> {
        self.headers.clone()
    }

    /// The URL that answered.
    #[napi(getter, catch_unwind)]
    pub fn url(&self) -> String {
        self.url.clone()
    }

    /// The next bytes of the body, `most` of them at most: as soon as there are any, with what
    /// has arrived besides; null at the end.
    #[napi(catch_unwind, ts_return_type = "Promise<Uint8Array | null>")]
    pub fn next<'env>(&self, env: &'env Env, most: u32) -> napi::Result<Object<'env>> {
        let (body, token) = (self.body.clone(), self.token.clone());
        let most = usize::try_from(most).unwrap_or(usize::MAX).max(1);
        promise(env, async move {
            let mut held = tokio::select! {
                biased;
                () = token.cancelled() => return Err(aborted()),
                held = body.lock() => held,
            };
            let Some(body) = held.as_mut() else {
                return Ok(None);
            };
            let read = tokio::select! {
                biased;
                () = token.cancelled() => Err(aborted()),
                read = next(body, most) => read,
            };
            if !matches!(read, Ok(Some(_))) {
                *held = None;
            }
            Ok(read?.map(|bytes| Uint8Array::from(bytes.to_vec())))
        })
    }

    /// Closes the connection.
    #[napi(catch_unwind)]
    pub fn close(&self) {
        self.token.cancel();
        // A read that is under way sees the token and lets go of the body itself.
        if let Ok(mut body) = self.body.try_lock() {
            *body = None;
        }
    }
}

pub fn aborted() -> Error {
    Error::plain("This operation was aborted")
}

async fn next(body: &mut Body, most: usize) -> Result<Option<Bytes>> {
    while body.rest.is_empty() {
        match body.reads.next().await {
            Some(read) => body.rest = read?,
            None => return Ok(None),
        }
    }
    let first = body.rest.split_to(body.rest.len().min(most));
    if !body.rest.is_empty() || first.len() == most {
        return Ok(Some(first));
    }
    let mut joined = BytesMut::from(first);
    while joined.len() < most {
        // An error or the end is found again by the next call.
        match body.reads.next().now_or_never() {
            Some(Some(Ok(mut read))) => {
                let room = most - joined.len();
                joined.extend_from_slice(&read.split_to(read.len().min(room)));
                body.rest = read;
            }
            Some(Some(Err(error))) => {
                body.reads = futures::stream::iter([Err(error)]).boxed();
                break;
            }
            Some(None) => {
                body.reads = futures::stream::empty().boxed();
                break;
            }
            None => break,
        }
    }
    Ok(Some(joined.freeze()))
}
