//! Shared by all requests to other servers.

use reqwest::Url;

/// Whether an address is on this machine, where no proxy leads.
pub(crate) fn is_loopback(url: &Url) -> bool {
    matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"))
}

/// An error and what caused it: reqwest's own text stops before the reason.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    match error.source() {
        None => error.to_string(),
        Some(source) => format!("{error}: {}", chain(source)),
    }
}
