//! What happens after a connection ended: retry and when, or give up.
//!
//! Pure: time and randomness come in as arguments, so that a test never sleeps.

use std::time::Duration;

/// The smallest delay that a stream's `retry` field can set: `retry: 0` must not cause a hot loop
/// (T25).
pub const SMALLEST_RETRY: Duration = Duration::from_millis(100);

/// The part of the delay that jitter takes away or adds: 1000 clients of one restarted backend
/// must not come back in the same millisecond (T21).
const JITTER: f64 = 0.25;

/// How to reconnect; the same for the trainer's whole life.
#[derive(Debug, Clone, Copy)]
pub struct Policy {
    /// The first delay, unless the stream asked for another (`reconnectDelayMs`).
    pub base: Duration,
    /// No delay is longer than this (`maxReconnectDelayMs`).
    pub cap: Duration,
    /// How many failures in a row are taken; `None` is no limit (`maxReconnectAttempts`).
    pub max_attempts: Option<u32>,
}

/// What to do after a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Wait, then open the stream again.
    Retry {
        /// Failures in a row before this one, from 0 (T21).
        attempt: u32,
        /// How long to wait.
        delay: Duration,
    },
    /// `maxReconnectAttempts` is exceeded (T14.2, T22).
    GiveUp {
        /// Failures in a row, this one included.
        failures: u32,
    },
}

/// The failures in a row of one `wait()`, and the base delay that the stream may have set.
#[derive(Debug, Clone)]
pub struct Backoff {
    policy: Policy,
    base: Duration,
    failures: u32,
}

impl Backoff {
    /// No failure yet.
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

    /// The stream's `retry` field replaces the base delay (T25).
    pub fn set_base(&mut self, retry: Duration) {
        self.base = retry.max(SMALLEST_RETRY);
    }

    /// A data event was dispatched with success: the row of failures is over (T17).
    pub fn succeeded(&mut self) {
        self.failures = 0;
    }

    /// A failure (T22). `retry_after` is the answer's lower bound, `jitter` is in `0..1`.
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

    /// The delay after a clean end, which is no failure (T22).
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
