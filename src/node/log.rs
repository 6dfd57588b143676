//! `ARKOR_LOG`: logs what the engine does, one line per event, to stderr.

use std::str::FromStr;

use napi_derive::napi;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::{Registry, fmt};

/// Starts logging the events that pass a `tracing` filter (`debug`, or `arkor::run=debug,warn`). Returns an
/// error message if the filter is invalid. Only the first call in a process has an effect.
#[napi(catch_unwind)]
#[allow(
    clippy::needless_pass_by_value,
    reason = "napi hands arguments over by value"
)]
pub fn start_log(filter: String) -> Option<String> {
    // A bare level applies to this package only, not to its dependencies.
    let filter = if filter.contains(['=', ',']) {
        filter
    } else {
        format!("arkor={filter}")
    };
    let filter = match Targets::from_str(&filter) {
        Ok(filter) => filter,
        Err(error) => return Some(error.to_string()),
    };
    let lines = fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .log_internal_errors(false);
    // This fails if a subscriber is already set.
    let _ = tracing::subscriber::set_global_default(Registry::default().with(filter).with(lines));
    None
}
