//! `ARKOR_LOG`: what the engine does, one line each on stderr.

use std::str::FromStr;

use napi_derive::napi;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::{Registry, fmt};

/// Begins to log what passes a filter of `tracing`'s (`debug`, or `arkor::run=debug,warn`). Gives what is
/// wrong with the filter. Only the first call of a process counts.
#[napi(catch_unwind)]
#[allow(
    clippy::needless_pass_by_value,
    reason = "napi hands arguments over by value"
)]
pub fn start_log(filter: String) -> Option<String> {
    // A level alone is about this package, not the libraries that it uses.
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
    // It fails when there is a log already.
    let _ = tracing::subscriber::set_global_default(Registry::default().with(filter).with(lines));
    None
}
