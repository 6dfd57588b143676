//! Passes messages from the thread that reads a worker's output to the thread that waits for them.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A bounded queue of messages. It blocks a worker that writes faster than messages are taken.
#[derive(Debug)]
pub struct Mailbox<T> {
    room: usize,
    state: Mutex<State<T>>,
    changed: Condvar,
}

#[derive(Debug)]
struct State<T> {
    waiting: VecDeque<T>,
    closed: bool,
}

impl<T> Mailbox<T> {
    /// Creates an empty queue.
    pub fn new(room: usize) -> Self {
        Self {
            room,
            state: Mutex::new(State {
                waiting: VecDeque::new(),
                closed: false,
            }),
            changed: Condvar::new(),
        }
    }

    /// Adds a message once there's room. Drops it if the receiver is gone.
    pub fn put(&self, message: T) {
        let full = |state: &mut State<T>| state.waiting.len() >= self.room && !state.closed;
        let mut state = self
            .changed
            .wait_while(self.lock(), full)
            .unwrap_or_else(PoisonError::into_inner);
        if !state.closed {
            state.waiting.push_back(message);
        }
        drop(state);
        self.changed.notify_all();
    }

    /// Takes a message. If there's none, waits for up to `limit`.
    pub fn take(&self, limit: Duration) -> Option<T> {
        let empty = |state: &mut State<T>| state.waiting.is_empty() && !state.closed;
        let (mut state, _) = self
            .changed
            .wait_timeout_while(self.lock(), limit, empty)
            .unwrap_or_else(PoisonError::into_inner);
        let message = state.waiting.pop_front();
        drop(state);
        self.changed.notify_all();
        message
    }

    /// Closes the queue. Messages in it can still be taken.
    pub fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
