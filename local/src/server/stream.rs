//! The event stream of a job: past events, then live ones, pings while there are none, and finally `end`.
//! Each client reads at its own pace, and none can slow the training down.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::stream;
use tokio::sync::watch;
use tokio::time::timeout;

use super::app::App;
use super::error::ApiError;
use crate::jobs::JobHandle;
use crate::store::log::Frames;

/// A client gets a ping at least this often, because clients treat a silent connection as dead.
const PING_EVERY: Duration = Duration::from_secs(15);

const PING: &[u8] = b"event: ping\ndata: {}\n\n";
const END: &[u8] = b"event: end\ndata: {}\n\n";

/// `GET /v1/jobs/{id}/events/stream`
pub async fn events(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let handle = app.jobs.get(&id).ok_or_else(ApiError::no_such_job)?;
    let last = headers
        .get("last-event-id")
        .and_then(|value| value.to_str().ok());
    let reader = Reader {
        position: handle.log.position(last)?,
        changed: handle.log.subscribe(),
        ending: app.ending.subscribe(),
        handle,
        over: false,
        held: None,
    };
    let frames = stream::unfold(reader, |mut reader| async move {
        let bytes = reader.next().await?;
        Some((Ok::<Bytes, std::convert::Infallible>(bytes), reader))
    });
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    Ok((headers, Body::from_stream(frames)).into_response())
}

struct Reader {
    handle: Arc<JobHandle>,
    position: usize,
    changed: watch::Receiver<()>,
    ending: watch::Receiver<bool>,
    over: bool,
    /// The events of a finished job. They stay in memory while they are being read.
    held: Option<Arc<Frames>>,
}

impl Reader {
    /// The next frames or a ping, or `None` after the end.
    async fn next(&mut self) -> Option<Bytes> {
        while !self.over {
            // Marked before reading: an event that is appended after that wakes the wait below.
            self.changed.mark_unchanged();
            let read = match self.handle.log.read(self.position) {
                Ok(read) => read,
                Err(error) => {
                    // Cuts the stream off without an `end`, so that the client knows that something is
                    // missing.
                    crate::log(format_args!("{error}"));
                    return None;
                }
            };
            self.position = read.next;
            self.held = read.held;
            if !read.bytes.is_empty() {
                return Some(read.bytes);
            }
            if read.ended {
                self.over = true;
                return Some(Bytes::from_static(END));
            }
            let wait = async {
                tokio::select! {
                    _ = self.changed.changed() => {}
                    // The server is stopping, and this job has no last event: just close.
                    _ = self.ending.wait_for(|ending| *ending) => self.over = true,
                }
            };
            if timeout(PING_EVERY, wait).await.is_err() {
                return Some(Bytes::from_static(PING));
            }
        }
        None
    }
}
