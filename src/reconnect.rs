//! Decides what to do after a connection has ended: retry after a delay, or give up.
//!
//! Time and randomness are arguments, so that tests never sleep.

use std::time::Duration;

/// The smallest delay that a stream's `retry` field can set: `retry: 0` must not cause a hot loop
/// (T25).
pub const SMALLEST_RETRY: Duration = Duration::from_millis(100);

/// The largest fraction of a delay that jitter adds or subtracts. Without jitter, 1000 clients of a restarted
/// backend would come back in the same millisecond (T21).
const JITTER: f64 = 0.25;

/// The trainer's reconnect options.
#[derive(Debug, Clone, Copy)]
pub struct Policy {
    /// The first delay, unless the stream asked for another (`reconnectDelayMs`).
    pub base: Duration,
    /// The longest delay (`maxReconnectDelayMs`).
    pub cap: Duration,
    /// How many consecutive failures are tolerated; `None` is no limit (`maxReconnectAttempts`).
    pub max_attempts: Option<u32>,
}

/// What to do after a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Wait, then open the stream again.
    Retry {
        /// Consecutive failures before this one, from 0 (T21).
        attempt: u32,
        /// How long to wait.
        delay: Duration,
    },
    /// `maxReconnectAttempts` is exceeded (T14.2, T22).
    GiveUp {
        /// Consecutive failures, this one included.
        failures: u32,
    },
}

/// Counts the consecutive failures of one `wait()`, and keeps the base delay, which the stream may set.
#[derive(Debug, Clone)]
pub struct Backoff {
    policy: Policy,
    base: Duration,
    failures: u32,
}

impl Backoff {
    /// Starts without failures. `retry` is the base delay that the stream has set, if any.
    #[must_use]
    pub fn new(policy: Policy, retry: Option<Duration>) -> Self {
        let mut backoff = Self {
            policy,
            base: policy.base,
            failures: 0,
        };
        if let Some(retry) = retry {
            backoff.set_base(retry);
        }
        backoff
    }

    /// Replaces the base delay by the stream's `retry` field (T25).
    pub fn set_base(&mut self, retry: Duration) {
        self.base = retry.max(SMALLEST_RETRY);
    }

    /// Resets the count: a data event was dispatched successfully (T17).
    pub fn succeeded(&mut self) {
        self.failures = 0;
    }

    /// Counts a failure, and decides what to do (T22). `retry_after` is the response's lower bound for the
    /// delay; `jitter` is in `0..1`.
    pub fn failed(&mut self, retry_after: Option<Duration>, jitter: f64) -> Decision {
        let attempt = self.failures;
        self.failures += 1;
        if self
            .policy
            .max_attempts
            .is_some_and(|max| self.failures > max)
        {
            return Decision::GiveUp {
                failures: self.failures,
            };
        }
        let delay = self
            .delay(attempt, jitter)
            .max(retry_after.unwrap_or_default());
        Decision::Retry {
            attempt,
            delay: delay.min(self.policy.cap),
        }
    }

    /// The delay after the stream ended without an error, which doesn't count as a failure (T22).
    #[must_use]
    pub fn pause(&self, jitter: f64) -> Duration {
        self.delay(0, jitter)
    }

    /// T21: min(base · 2^attempt, cap) ± 25 %, never above the cap.
    fn delay(&self, attempt: u32, jitter: f64) -> Duration {
        let cap = self.policy.cap.as_secs_f64();
        let full = (self.base.as_secs_f64() * 2_f64.powf(f64::from(attempt.min(1000)))).min(cap);
        let jittered = full * (1.0 + JITTER * (2.0 * jitter - 1.0));
        Duration::try_from_secs_f64(jittered.min(cap)).unwrap_or(self.policy.cap)
    }
}

#[cfg(test)]
mod tests;
