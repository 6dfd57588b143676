//! The HTTP clients: one for each set of network settings, shared by the whole process (T35).

use std::collections::HashMap;
use std::error::Error as _;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Duration;

use reqwest::header::{ACCEPT_ENCODING, HeaderMap, HeaderValue};
use reqwest::{Client, NoProxy, Proxy, Response, Url, redirect};

use super::tls;
use crate::environment::Network;
use crate::error::{Error, Result, system_code};

/// How long a peer may send no TCP acknowledgement before the connection counts as dead.
const TCP_KEEPALIVE: Duration = Duration::from_secs(60);
/// How many redirects are followed, as in `fetch`.
pub const MOST_REDIRECTS: usize = 20;
/// Hosts that never go through a proxy, whatever `NO_PROXY` says (T36).
const LOOPBACK: &str = "localhost,localhost.,127.0.0.0/8,::1,::ffff:127.0.0.0/104";

/// The `Accept-Encoding` header of every request.
pub const ACCEPTED: &str = "gzip, deflate, br, zstd";

/// How long an idle connection is kept. Shorter than servers usually keep it (Node: 5 s), so that a request
/// isn't written to a connection that the server is about to close.
const KEEP_IDLE: Duration = Duration::from_secs(4);
/// How much earlier than `Keep-Alive: timeout=` to drop a connection, to allow for the round trip.
const KEEP_ALIVE_MARGIN: Duration = Duration::from_secs(1);

static CLIENTS: LazyLock<Mutex<HashMap<(Network, Duration), Client>>> =
    LazyLock::new(Mutex::default);
/// How long a server keeps an idle connection, by origin. Contains only servers that announced a shorter time
/// than [`KEEP_IDLE`].
static KEPT_BY: LazyLock<Mutex<HashMap<String, Duration>>> = LazyLock::new(Mutex::default);

/// The client for these settings and for the server at this URL.
///
/// # Errors
/// When a setting can't be used; the message names it.
pub fn client(network: &Network, base_url: &str) -> Result<Client> {
    let idle = Url::parse(base_url).ok().and_then(|url| {
        let kept_by = KEPT_BY.lock().unwrap_or_else(PoisonError::into_inner);
        kept_by.get(&url.origin().ascii_serialization()).copied()
    });
    let key = (network.clone(), idle.unwrap_or(KEEP_IDLE));
    let mut clients = CLIENTS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(client) = clients.get(&key) {
        return Ok(client.clone());
    }
    let client = build(network, key.1)?;
    clients.insert(key, client.clone());
    Ok(client)
}

/// Records the server's `Keep-Alive: timeout=`. It applies from the next request onwards.
pub fn note_keep_alive(response: &Response) {
    let Some(kept) = response
        .headers()
        .get("keep-alive")
        .and_then(|value| value.to_str().ok())
        .and_then(keep_alive_timeout)
    else {
        return;
    };
    let kept = kept.saturating_sub(KEEP_ALIVE_MARGIN);
    if kept < KEEP_IDLE {
        let origin = response.url().origin().ascii_serialization();
        let mut kept_by = KEPT_BY.lock().unwrap_or_else(PoisonError::into_inner);
        kept_by.insert(origin, kept);
    }
}

/// The `timeout` of a `Keep-Alive` header.
fn keep_alive_timeout(value: &str) -> Option<Duration> {
    value.split(',').find_map(|parameter| {
        let (name, seconds) = parameter.split_once('=')?;
        let seconds = seconds.trim().trim_matches('"').parse().ok()?;
        name.trim()
            .eq_ignore_ascii_case("timeout")
            .then(|| Duration::from_secs(seconds))
    })
}

fn build(network: &Network, idle: Duration) -> Result<Client> {
    let accepted = HeaderValue::from_static(ACCEPTED);
    let mut builder = Client::builder()
        .default_headers(HeaderMap::from_iter([(ACCEPT_ENCODING, accepted)]))
        // HTTP/1.1, with one connection per stream. On a shared HTTP/2 connection, a few slow callbacks would
        // use up the flow-control window and block everything else from that backend (T7).
        .http1_only()
        .no_proxy()
        .redirect(redirect::Policy::custom(|attempt| {
            // Follow redirects within one origin only: another origin must not even learn that a token
            // exists.
            let same = attempt
                .previous()
                .last()
                .is_some_and(|from| from.origin() == attempt.url().origin());
            if same && attempt.previous().len() <= MOST_REDIRECTS {
                attempt.follow()
            } else {
                attempt.stop()
            }
        }))
        // The URL's query may be private, and `fetch` doesn't send a `Referer` either.
        .referer(false)
        .pool_idle_timeout(idle)
        .tcp_keepalive(TCP_KEEPALIVE);
    if idle.is_zero() {
        builder = builder.pool_max_idle_per_host(0);
    }
    if let Some(exceptions) = no_proxy(network.no_proxy.as_deref().unwrap_or_default()) {
        if let Some(url) = setting(network.http_proxy.as_deref()) {
            builder = builder.proxy(proxy("HTTP_PROXY", Proxy::http(url), &exceptions)?);
        }
        if let Some(url) = setting(network.https_proxy.as_deref()) {
            builder = builder.proxy(proxy("HTTPS_PROXY", Proxy::https(url), &exceptions)?);
        }
    }
    let extra = network.extra_ca_certs.as_deref();
    let tls = tls::config(extra.filter(|path| !path.as_os_str().is_empty()))?;
    builder
        .tls_backend_preconfigured(tls)
        .build()
        .map_err(|error| {
            Error::plain(format!(
                "Can't set up the HTTP client: {}",
                describe(&error)
            ))
        })
}

/// Converts a `NO_PROXY` list to the form that the HTTP client accepts: names and networks, separated by
/// commas. Other common notations (spaces, `*.name`, a port, a bracketed address) are normalised; ports are
/// ignored. `None` means that the list contains a `*`: no request goes through a proxy.
fn no_proxy(list: &str) -> Option<String> {
    let mut out = LOOPBACK.to_owned();
    for entry in list.split(|char: char| char == ',' || char.is_whitespace()) {
        if entry == "*" {
            return None;
        }
        let entry = entry
            .strip_prefix('*')
            .filter(|rest| rest.starts_with('.'))
            .unwrap_or(entry);
        let bracketed = entry
            .strip_prefix('[')
            .and_then(|rest| rest.split_once(']'));
        let entry = match (bracketed, entry.rsplit_once(':')) {
            (Some((address, _)), _) => address,
            (None, Some((host, port))) if !host.contains(':') && port.parse::<u16>().is_ok() => {
                host
            }
            _ => entry,
        };
        let entry = entry.strip_suffix('.').unwrap_or(entry);
        if !entry.is_empty() {
            out.push(',');
            out.push_str(entry);
        }
    }
    Some(out)
}

fn setting(value: Option<&str>) -> Option<&str> {
    value.filter(|value| !value.is_empty())
}

fn proxy(name: &str, proxy: reqwest::Result<Proxy>, exceptions: &str) -> Result<Proxy> {
    // The value may hold a password: the message only names the variable.
    proxy
        .map(|proxy| proxy.no_proxy(NoProxy::from_string(exceptions)))
        .map_err(|_| Error::plain(format!("{name} is no URL that a proxy could have")))
}

/// The error that `fetch` reports for an invalid URL.
#[must_use]
pub fn invalid_url() -> Error {
    Error::Network {
        code: Some("ERR_INVALID_URL".to_owned()),
        message: "the backend's URL can't be parsed (ARKOR_CLOUD_API_URL?)".to_owned(),
    }
}

/// Converts a network failure to the error that `fetch` reports (T33): the system's code, the reason, and the
/// host that couldn't be reached. It names only the origin, because a URL may contain a password.
pub fn network_error(error: &reqwest::Error) -> Error {
    if error.is_builder() {
        return invalid_url();
    }
    let mut code = None;
    let mut message = describe(error);
    let mut source = error.source();
    while let Some(inner) = source {
        if let Some((name, words)) = tls_fault(inner) {
            code = Some(name);
            message = words;
            break;
        }
        if let Some(io) = inner.downcast_ref::<std::io::Error>() {
            code = system_code(io).or(code);
        }
        // The peer closed the connection before it responded.
        if inner
            .downcast_ref::<hyper::Error>()
            .is_some_and(hyper::Error::is_incomplete_message)
        {
            code = code.or(Some("ECONNRESET"));
        }
        // The peer doesn't speak HTTP.
        if inner
            .downcast_ref::<hyper::Error>()
            .is_some_and(hyper::Error::is_parse)
        {
            code = code.or(Some("EPROTO"));
        }
        source = inner.source();
    }
    if code.is_none() {
        code = if error.is_dns() {
            Some(dns_code(&message))
        } else if error.is_timeout() {
            Some("ETIMEDOUT")
        } else {
            None
        };
    }
    if let Some(url) = error.url() {
        message = format!("{}: {message}", url.origin().ascii_serialization());
    }
    Error::Network {
        code: code.map(str::to_owned),
        message,
    }
}

/// Node's code for a failed DNS lookup. Only the error's text distinguishes an unreachable resolver
/// from a name that doesn't exist. The texts for `EAI_AGAIN` are those of glibc and macOS, of musl,
/// and of Windows.
fn dns_code(words: &str) -> &'static str {
    let words = words.to_ascii_lowercase();
    let again = [
        "temporary failure in name resolution",
        "try again",
        "os error 11002",
    ];
    if again.iter().any(|text| words.contains(text)) {
        "EAI_AGAIN"
    } else {
        "ENOTFOUND"
    }
}

fn tls_fault(error: &(dyn std::error::Error + 'static)) -> Option<(&'static str, String)> {
    // TLS errors arrive as I/O errors, which may be wrapped twice.
    let mut inner = error.downcast_ref::<std::io::Error>()?.get_ref()?;
    loop {
        if let Some(error) = inner.downcast_ref() {
            return Some(tls::explain(error));
        }
        inner = inner.downcast_ref::<std::io::Error>()?.get_ref()?;
    }
}

/// The whole chain of an error in one line. It leaves out the URL, because a proxy's URL may contain a
/// password.
fn describe(error: &reqwest::Error) -> String {
    let mut words = Vec::new();
    let mut source = error.source();
    while let Some(inner) = source {
        let text = inner.to_string();
        if words.last() != Some(&text) {
            words.push(text);
        }
        source = inner.source();
    }
    if words.is_empty() {
        "request failed".to_owned()
    } else {
        words.join(": ")
    }
}

#[cfg(test)]
mod tests {
    use super::{dns_code, keep_alive_timeout, no_proxy};

    #[test]
    fn the_time_that_a_server_keeps_a_connection_is_read() {
        let seconds = |value| keep_alive_timeout(value).map(|kept| kept.as_secs());
        assert_eq!(seconds("timeout=5"), Some(5));
        assert_eq!(seconds("max=100, Timeout = \"2\""), Some(2));
        assert_eq!(seconds("max=100"), None);
        assert_eq!(seconds("timeout=soon"), None);
    }

    #[test]
    fn t33_a_resolver_that_is_out_of_reach_is_not_a_name_that_is_not_there() {
        let cases = [
            (
                "dns error: failed to lookup address information: Temporary failure in name resolution",
                "EAI_AGAIN",
            ),
            (
                "dns error: failed to lookup address information: Try again",
                "EAI_AGAIN",
            ),
            (
                "dns error: This is usually a temporary error. (os error 11002)",
                "EAI_AGAIN",
            ),
            (
                "dns error: failed to lookup address information: Name or service not known",
                "ENOTFOUND",
            ),
            (
                "dns error: No such host is known. (os error 11001)",
                "ENOTFOUND",
            ),
        ];
        for (words, expected) in cases {
            assert_eq!(dns_code(words), expected, "{words}");
        }
    }

    #[test]
    fn t36_no_proxy_is_read_as_others_write_it() {
        let read = |list| no_proxy(list).map(|all| all.replace(super::LOOPBACK, ""));
        let cases = [
            ("", ""),
            ("a.test, .b.test  c.test", ",a.test,.b.test,c.test"),
            ("*.d.test,e.test:8080,fe80::1", ",.d.test,e.test,fe80::1"),
            ("[fd00::2],[fd00::3]:80,f.test.", ",fd00::2,fd00::3,f.test"),
        ];
        for (list, expected) in cases {
            assert_eq!(read(list).as_deref(), Some(expected), "{list}");
        }
        assert_eq!(read("a.test,*"), None);
    }
}
