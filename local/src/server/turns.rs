//! Limits how many chats run, because each one takes memory for its text. A few run at once, a few more
//! wait, and the rest get a 429 with `Retry-After`.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::http::StatusCode;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::error::ApiError;

/// How many chats run at once.
pub const AT_ONCE: usize = 4;

/// How many chats may wait for their turn.
pub const WAITING: usize = 16;

/// The `Retry-After` of a refused chat, in seconds.
const RETRY_AFTER: u32 = 5;

/// Hands out turns.
#[derive(Debug)]
pub struct Turns {
    free: Arc<Semaphore>,
    waiting: Arc<AtomicUsize>,
}

impl Default for Turns {
    fn default() -> Self {
        Self {
            free: Arc::new(Semaphore::new(AT_ONCE)),
            waiting: Arc::default(),
        }
    }
}

impl Turns {
    /// Waits for a turn, which lasts until the permit is dropped. Returns a 429 if too many chats are
    /// waiting.
    pub async fn take(&self) -> Result<OwnedSemaphorePermit, ApiError> {
        let place = Place::new(&self.waiting);
        if place.before >= WAITING && self.free.available_permits() == 0 {
            let message = format!(
                "{AT_ONCE} chats are being answered and {WAITING} wait: try again in {RETRY_AFTER} s"
            );
            let error = ApiError::new(StatusCode::TOO_MANY_REQUESTS, message);
            return Err(error.retry_after(RETRY_AFTER));
        }
        let turn = Arc::clone(&self.free).acquire_owned().await;
        turn.map_err(|_| ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "the server is stopping"))
    }
}

/// A place in the queue. It's given up when the client disconnects.
struct Place {
    waiting: Arc<AtomicUsize>,
    before: usize,
}

impl Place {
    fn new(waiting: &Arc<AtomicUsize>) -> Self {
        Self {
            before: waiting.fetch_add(1, Ordering::Relaxed),
            waiting: Arc::clone(waiting),
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}
