//! Helpers for all requests to other servers.

use reqwest::Url;

/// Whether a URL is on this machine. Such URLs must not use a proxy.
pub(crate) fn is_loopback(url: &Url) -> bool {
    matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"))
}

/// An error and its causes. reqwest's own text lacks the underlying reason.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    match error.source() {
        None => error.to_string(),
        Some(source) => format!("{error}: {}", chain(source)),
    }
}
