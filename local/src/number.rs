//! Converts counts to floating point.

/// Exact, because counts here are far below 2^52.
#[allow(clippy::cast_precision_loss, reason = "counts here are far below 2^52")]
pub(crate) fn as_f64(count: usize) -> f64 {
    count as f64
}
