//! Requests to the Hub: what they send, which failures are retried, and how long to wait in between.

use std::time::Duration;

use reqwest::header::{ACCEPT_ENCODING, HeaderMap, RANGE, RETRY_AFTER};
use reqwest::{Client, Response, StatusCode, Url};
use tokio_util::sync::CancellationToken;

use super::cache::Folder;
use super::repo::{Repo, RepoKind};
use super::settings::{Hub, Timing};
use crate::error::{Error, Result};
use crate::net::{chain, is_loopback};

/// The longest time between two tries, even if `Retry-After` asks for more.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Why a request failed, or its response was incomplete.
#[derive(Debug)]
pub(super) enum Fault {
    /// A failure that is worth a retry.
    Passing {
        /// A sentence that names the host.
        what: String,
        /// The response's `Retry-After`.
        wait: Option<Duration>,
    },
    /// A failure that a retry wouldn't change.
    Lasting(Error),
}

impl Fault {
    pub(super) fn passing(what: String) -> Self {
        Self::Passing { what, wait: None }
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Lasting(error)
    }
}

/// Sends requests about one repository.
pub(super) struct Http<'a> {
    pub(super) hub: &'a Hub,
    pub(super) repo: &'a Repo,
    pub(super) cancel: &'a CancellationToken,
    endpoint: Url,
    client: Client,
}

impl<'a> Http<'a> {
    pub(super) fn new(hub: &'a Hub, repo: &'a Repo, cancel: &'a CancellationToken) -> Result<Self> {
        let endpoint = Url::parse(&hub.endpoint)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https"))
            .ok_or_else(|| no_endpoint(hub, repo))?;
        let mut client = Client::builder()
            .user_agent(concat!("arkor-local/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(hub.timing.connect)
            .read_timeout(hub.timing.silence)
            // No redirect may lead from TLS to plain HTTP.
            .https_only(endpoint.scheme() == "https");
        if is_loopback(&endpoint) {
            client = client.no_proxy();
        }
        let client = client
            .build()
            .map_err(|error| no_client(repo, &chain(&error)))?;
        Ok(Self {
            hub,
            repo,
            cancel,
            endpoint,
            client,
        })
    }

    /// The Hub's name for messages.
    pub(super) fn host(&self) -> &str {
        self.endpoint.host_str().unwrap_or_default()
    }

    /// The URL of the repository's page, where users ask for access.
    pub(super) fn page(&self) -> Url {
        self.url(&self.prefix())
    }

    /// The URL of the revision's metadata, which list all its files.
    pub(super) fn info_url(&self) -> Url {
        let kind = match self.repo.kind {
            RepoKind::Model => "models",
            RepoKind::Dataset => "datasets",
        };
        let mut segments = vec!["api", kind];
        segments.extend(self.repo.name.split('/'));
        segments.extend(["revision", &self.repo.revision]);
        let mut url = self.url(&segments);
        url.set_query(Some("blobs=true"));
        url
    }

    pub(super) fn file_url(&self, commit: &str, path: &str) -> Url {
        let mut segments = self.prefix();
        segments.extend(["resolve", commit]);
        segments.extend(path.split('/'));
        self.url(&segments)
    }

    fn prefix(&self) -> Vec<&str> {
        let kind = match self.repo.kind {
            RepoKind::Model => None,
            RepoKind::Dataset => Some("datasets"),
        };
        kind.into_iter().chain(self.repo.name.split('/')).collect()
    }

    /// Builds a URL. Each segment is escaped, including slashes in it.
    fn url(&self, segments: &[&str]) -> Url {
        let mut url = self.endpoint.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        url
    }

    /// Sends one request, and returns the response once its headers have arrived. That is a success, or a
    /// 416 if the file ends before byte `from`.
    pub(super) async fn get(&self, url: Url, from: u64) -> Result<Response, Fault> {
        if self.hub.offline {
            return Err(offline(self.hub, self.repo).into());
        }
        // With compression, a range would be one of the compressed bytes.
        let mut request = self.client.get(url).header(ACCEPT_ENCODING, "identity");
        if from > 0 {
            request = request.header(RANGE, format!("bytes={from}-"));
        }
        if let Some(token) = &self.hub.token {
            // reqwest removes the token when a redirect leads to another host, port or scheme.
            request = request.bearer_auth(token);
        }
        let answer = self
            .cancel
            .run_until_cancelled(request.send())
            .await
            .ok_or(Error::Stopped)?
            .map_err(|error| self.unsent(error))?;
        let status = answer.status();
        if status.is_success() || (from > 0 && status == StatusCode::RANGE_NOT_SATISFIABLE) {
            return Ok(answer);
        }
        let passing = status.is_server_error()
            || matches!(
                status,
                StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT
            );
        if passing {
            let host = answer.url().host_str().unwrap_or_default();
            return Err(Fault::Passing {
                what: format!("{host} answered {status}"),
                wait: retry_after(answer.headers()),
            });
        }
        let elsewhere = answer.url().origin() != self.endpoint.origin();
        Err(bad_status(self, &answer, elsewhere).into())
    }

    fn unsent(&self, error: reqwest::Error) -> Fault {
        // Leave out the URL: after a redirect, its query contains a signature.
        let host = match error.url().and_then(Url::host_str) {
            Some(host) => host.to_owned(),
            None => self.host().to_owned(),
        };
        let error = error.without_url();
        let what = format!("{host} can't be reached ({})", chain(&error));
        if error.is_builder() || error.is_redirect() || is_tls(&error) {
            return unreachable(self, &what).into();
        }
        Fault::passing(what)
    }

    /// The error to report when no retries are left.
    pub(super) fn final_error(&self, fault: Fault) -> Error {
        match fault {
            Fault::Passing { what, .. } => unreachable(self, &what),
            Fault::Lasting(error) => error,
        }
    }
}

/// Whether the server was reached but its certificate is invalid. A retry wouldn't change that.
fn is_tls(error: &reqwest::Error) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if error.is::<rustls::Error>() {
            return true;
        }
        // `source` of an I/O error skips the error that it wraps.
        cause = match error.downcast_ref::<std::io::Error>() {
            Some(error) => error.get_ref().map(|inner| inner as _),
            None => error.source(),
        };
    }
    false
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    seconds.parse().ok().map(Duration::from_secs)
}

/// Counts consecutive tries without progress.
pub(super) struct Tries {
    pub(super) failed: u32,
    retries: u32,
    timing: Timing,
}

impl Tries {
    pub(super) fn new(http: &Http<'_>, retries: u32) -> Self {
        Self {
            failed: 0,
            retries,
            timing: http.hub.timing,
        }
    }

    /// Waits until the next try is due. Returns the fault if there are no more tries.
    pub(super) async fn after(&mut self, fault: Fault, http: &Http<'_>) -> Result<(), Fault> {
        let Fault::Passing { wait, .. } = &fault else {
            return Err(fault);
        };
        if self.failed >= self.retries {
            return Err(fault);
        }
        let pause = pause(self.timing.backoff, self.failed, *wait);
        self.failed += 1;
        let sleep = tokio::time::sleep(pause);
        let waited = http.cancel.run_until_cancelled(sleep).await;
        waited.ok_or(Fault::Lasting(Error::Stopped))
    }
}

fn pause(backoff: Duration, failed: u32, wait: Option<Duration>) -> Duration {
    match wait {
        Some(wait) => wait.min(LONGEST_PAUSE),
        None => backoff.saturating_mul(2_u32.saturating_pow(failed.min(5))),
    }
}

// Errors for failed requests. They never contain the token, or a URL with a query.

fn refusal(repo: &Repo, text: &str) -> Error {
    Error::Refused(format!("{}: {text}", repo.field()))
}

/// The way to do it without the Hub.
fn instead(repo: &Repo) -> &'static str {
    match repo.kind {
        RepoKind::Model => "give the directory of a model",
        RepoKind::Dataset => "give a file (type \"blob\")",
    }
}

fn no_endpoint(hub: &Hub, repo: &Repo) -> Error {
    let text = format!("HF_ENDPOINT is no http(s) address: {:?}", hub.endpoint);
    refusal(repo, &text)
}

fn no_client(repo: &Repo, why: &str) -> Error {
    refusal(repo, &format!("can't connect to the Hub: {why}"))
}

pub(super) fn offline(hub: &Hub, repo: &Repo) -> Error {
    let text = format!(
        "{} isn't complete in the Hugging Face cache ({}), and nothing is downloaded because HF_HUB_OFFLINE \
         (or TRANSFORMERS_OFFLINE) is set. Unset it, or {}.",
        repo.name,
        hub.cache.display(),
        instead(repo)
    );
    refusal(repo, &text)
}

fn unreachable(http: &Http<'_>, what: &str) -> Error {
    let repo = http.repo;
    let folder = Folder::of(&http.hub.cache, repo);
    let text = format!(
        "can't get {} from the Hub: {what}. Try again later; what has been downloaded is kept. Without a \
         network, copy {} from a machine that has it, or {}.",
        repo.name,
        folder.dir().display(),
        instead(repo)
    );
    Error::Unreachable {
        // The causes follow in parentheses.
        what: what.split(" (").next().unwrap_or(what).to_owned(),
        text: format!("{}: {text}", repo.field()),
    }
}

/// The error for a status code that a retry wouldn't change. `elsewhere` means that the Hub redirected to
/// another server.
fn bad_status(http: &Http<'_>, answer: &Response, elsewhere: bool) -> Error {
    let repo = http.repo;
    let (name, noun, host, page) = (&repo.name, repo.noun(), http.host(), http.page());
    let status = answer.status();
    let code = answer
        .headers()
        .get("x-error-code")
        .and_then(|code| code.to_str().ok());
    if elsewhere {
        let host = answer.url().host_str().unwrap_or_default();
        let text = format!("can't get {name}: {host}, which the Hub pointed to, answered {status}");
        return refusal(repo, &text);
    }
    let token = http.hub.token.is_some();
    let text = match (status, code) {
        (_, Some("RevisionNotFound")) => {
            format!("{name} has no revision {:?} on {host}", repo.revision)
        }
        (_, Some("EntryNotFound")) => {
            format!("a file of {name} is no longer on {host}. Try again.")
        }
        (StatusCode::FORBIDDEN, _) | (_, Some("GatedRepo")) if token => format!(
            "{name} is gated or private, and the token (HF_TOKEN, or that of `hf auth login`) has no access \
             to it. Ask for access on {page}."
        ),
        (StatusCode::FORBIDDEN, _) | (_, Some("GatedRepo")) => format!(
            "{name} is gated or private, and HF_TOKEN isn't set. Ask for access on {page}, then set HF_TOKEN \
             or run `hf auth login`."
        ),
        (StatusCode::UNAUTHORIZED | StatusCode::NOT_FOUND, _) if token => format!(
            "{host} has no {noun} {name} for this user: it doesn't exist, or the token (HF_TOKEN, or that of \
             `hf auth login`) has no access to it or isn't valid. See {page}."
        ),
        (StatusCode::UNAUTHORIZED | StatusCode::NOT_FOUND, _) => format!(
            "{host} has no {noun} {name}: it doesn't exist, or it's private or gated and HF_TOKEN isn't set. \
             Check the name; for one that needs access, ask for it on {page} and set HF_TOKEN or run `hf \
             auth login`."
        ),
        _ => format!("can't get {name}: {host} answered {status}"),
    };
    refusal(repo, &text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_what_the_server_asks_for_counts_within_bounds() {
        let second = Duration::from_secs(1);
        let own = [0, 1, 2, 5, 99].map(|failed| pause(second, failed, None).as_secs());
        assert_eq!(own, [1, 2, 4, 32, 32]);
        assert_eq!(pause(second, 3, Some(Duration::ZERO)), Duration::ZERO);
        assert_eq!(pause(second, 0, Some(17 * second)), 17 * second);
        assert_eq!(pause(second, 0, Some(86_400 * second)), LONGEST_PAUSE);
    }
}
