//! Timestamps: ISO 8601 in UTC with milliseconds.

use std::time::{SystemTime, UNIX_EPOCH};

/// The current time, for example `2026-01-31T09:05:00.250Z`.
#[must_use]
pub fn now() -> String {
    format!("{:.3}", jiff::Timestamp::now())
}

/// Seconds since 1970.
#[must_use]
pub fn unix_seconds() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
}

/// Milliseconds since 1970.
#[must_use]
pub fn unix_millis() -> u128 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_millis()
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_timestamp_has_three_digits_of_a_second() {
        let written = super::now();
        assert_eq!(
            (written.len(), &written[19..20], &written[23..]),
            (24, ".", "Z")
        );
    }
}
