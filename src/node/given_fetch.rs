//! Uses the user's own `fetch` in place of the engine's HTTP client. JavaScript makes single requests;
//! redirects, renewals and limits are decided here, as for the engine's own requests.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

use futures::FutureExt;
use napi::Status;
use napi::bindgen_prelude::Function;
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use reqwest::Url;
use serde::Serialize;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::runtime::{lifetime, locked};
use crate::api::http::MOST_REDIRECTS;
use crate::api::{self, Request};
use crate::credentials::{self, Answer, Exchange, TokenRequest};
use crate::error::{Error, Result};

/// The head of a response. JavaScript keeps the response itself under `id`.
pub struct Fetched {
    /// The id of the response.
    pub id: u32,
    /// The HTTP status code.
    pub status: u16,
    /// The `Location` header.
    pub location: Option<String>,
    /// The body, if it was asked for.
    pub text: Option<String>,
}

/// The requests without a response yet, by id.
pub type Waiting = Arc<Mutex<HashMap<u32, oneshot::Sender<Result<Fetched>>>>>;

/// Weak: it must not keep the process alive. The promise that the call returns does that.
type Call = ThreadsafeFunction<String, (), String, Status, false, true>;

/// The user's `fetch`, for one call of a client.
#[derive(Clone)]
pub struct GivenFetch {
    call: Arc<Call>,
    waiting: Waiting,
    lifetime: CancellationToken,
}

/// One request, as it crosses to JavaScript.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Crossing<'a> {
    id: u32,
    url: &'a str,
    method: &'a str,
    headers: &'a BTreeMap<String, String>,
    body: Option<&'a str>,
    /// A time limit for the whole response. If it's set, JavaScript also sends the response's text.
    limit_ms: Option<u64>,
    /// The id of an earlier response that nobody will read.
    discards: Option<u32>,
}

/// Removes a request from `Waiting` once nobody waits for its response.
struct Entry<'a>(&'a Waiting, u32);

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        locked(self.0).remove(&self.1);
    }
}

impl GivenFetch {
    pub fn new(function: &Function<'_, String, ()>, waiting: Waiting) -> napi::Result<Self> {
        let call = function
            .build_threadsafe_function::<String>()
            .callee_handled::<false>()
            .weak::<true>()
            .build_callback(|call| Ok(call.value))?;
        Ok(Self {
            call: Arc::new(call),
            waiting,
            lifetime: lifetime(),
        })
    }

    /// Makes a request and, like `fetch`, follows its redirects, but only within one origin (T36): another
    /// origin must get neither the token nor the body. `discards` is the id of a response that this one
    /// replaces.
    pub async fn request(
        &self,
        base_url: &str,
        request: &Request,
        token: &str,
        mut discards: Option<u32>,
    ) -> Result<Fetched> {
        let mut url = format!("{base_url}{}", request.target()?);
        let mut method = request.method.as_str();
        let mut body = request.body.as_deref();
        let mut headers: BTreeMap<String, String> = api::headers(request, Some(token))?
            .into_iter()
            .map(|(name, value)| (name.to_owned(), api::latin1(&value)))
            .collect();
        for followed in 0.. {
            let fetched = self
                .fetch(Crossing {
                    id: fastrand::u32(..),
                    url: &url,
                    method,
                    headers: &headers,
                    body,
                    limit_ms: None,
                    discards: discards.take(),
                })
                .await?;
            let target = redirect(&url, &fetched).filter(|_| followed < MOST_REDIRECTS);
            let Some(target) = target else {
                return Ok(fetched);
            };
            url = target;
            discards = Some(fetched.id);
            if fetched.status == 303 || (fetched.status < 303 && method == "POST") {
                (method, body) = ("GET", None);
                headers.remove("content-type");
            }
        }
        Err(Error::plain("unreachable: the redirects are limited"))
    }

    /// The function through which a login is renewed.
    pub fn exchange(&self) -> Exchange {
        let this = self.clone();
        Arc::new(move |request: TokenRequest| {
            let this = this.clone();
            async move {
                let headers = TokenRequest::HEADERS
                    .map(|(name, value)| (name.to_owned(), value.to_owned()))
                    .into();
                let limit = u64::try_from(api::CALL_LIMIT.as_millis()).unwrap_or(u64::MAX);
                let fetched = this.fetch(Crossing {
                    id: fastrand::u32(..),
                    url: &request.url,
                    method: "POST",
                    headers: &headers,
                    body: Some(&request.body),
                    limit_ms: Some(limit),
                    discards: None,
                });
                // JavaScript limits the time, too. The limit here is longer, so that a response at the last
                // moment isn't lost.
                let Fetched { status, text, .. } = credentials::within_fetch_limit(fetched).await?;
                let text = text.unwrap_or_default();
                Ok(Answer { status, text })
            }
            .boxed()
        })
    }

    async fn fetch(&self, crossing: Crossing<'_>) -> Result<Fetched> {
        let gone = || Error::plain("The request could not be made: its thread is gone");
        let (sender, answer) = oneshot::channel();
        let id = crossing.id;
        locked(&self.waiting).insert(id, sender);
        let text = serde_json::to_string(&crossing).unwrap_or_default();
        let _entry = Entry(&self.waiting, id);
        let mode = ThreadsafeFunctionCallMode::NonBlocking;
        if self.call.call(text, mode) != Status::Ok {
            return Err(gone());
        }
        tokio::select! {
            biased;
            () = self.lifetime.cancelled() => Err(gone()),
            answer = answer => answer.unwrap_or_else(|_| Err(gone())),
        }
    }
}

/// The target of a redirect, if it's within the origin.
fn redirect(url: &str, fetched: &Fetched) -> Option<String> {
    let location = fetched.location.as_deref()?;
    if !matches!(fetched.status, 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let from = Url::parse(url).ok()?;
    let mut target = from.join(location).ok()?;
    if target.origin() != from.origin() {
        return None;
    }
    let _ = target.set_username("");
    let _ = target.set_password(None);
    Some(target.into())
}
