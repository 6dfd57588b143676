//! The native half of `CloudApiClient`, including requests through the user's own `fetch`.

#![allow(
    clippy::needless_pass_by_value,
    reason = "napi hands arguments over by value"
)]

use std::sync::Arc;

use napi::Env;
use napi::bindgen_prelude::{Function, Object};
use napi_derive::napi;

use super::crossing::{argument, crossing, milliseconds};
use super::given_fetch::{Fetched, GivenFetch, Waiting};
use super::listener::listener;
use super::promise::promise;
use super::response::{NativeAbort, NativeResponse, aborted};
use super::runtime::locked;
use crate::api::deprecation::{self, Deprecation};
use crate::api::{self, Api, request};
use crate::client_calls;
use crate::credentials::{Credentials, Identity};
use crate::environment::Environment;
use crate::error::{Error, Result};
use crate::json;

/// One backend, used with one identity.
#[napi]
pub struct NativeClient {
    identity: Identity,
    /// Requests that wait for a response of the user's own `fetch`.
    waiting: Waiting,
    base_url: String,
}

/// A deprecation notice from a response.
#[napi(object)]
pub struct DeprecationNotice {
    /// The backend's message, or a default one.
    pub message: String,
    /// When support ends: the `Sunset` header, unparsed.
    pub sunset: Option<String>,
}

impl From<Deprecation> for DeprecationNotice {
    fn from(Deprecation { message, sunset }: Deprecation) -> Self {
        Self { message, sunset }
    }
}

#[napi]
impl NativeClient {
    /// Creates a client. `credentials` is JSON text, and so is the argument of `on_credentials`.
    #[napi(constructor, catch_unwind)]
    pub fn new(
        base_url: String,
        credentials: String,
        on_credentials: Option<Function<'_, String, ()>>,
    ) -> napi::Result<Self> {
        let credentials: Credentials = argument("CloudApiClient: credentials", &credentials)
            .map_err(|error| crossing(&error))?;
        Ok(Self {
            identity: Identity::new(credentials, listener(on_credentials.as_ref())?),
            waiting: Waiting::default(),
            base_url: request::root(&base_url),
        })
    }

    /// Sends a request and resolves with the response, whatever its status code, before its body is read.
    #[napi(catch_unwind, ts_return_type = "Promise<NativeResponse>")]
    pub fn send<'env>(
        &self,
        env: &'env Env,
        environment: String,
        call: String,
        arguments: String,
        abort: &NativeAbort,
        timeout_ms: Option<f64>,
    ) -> napi::Result<Object<'env>> {
        let request = client_calls::request(&call, &arguments).map_err(|error| crossing(&error))?;
        let base_url = self.base_url.clone();
        let (identity, token) = (self.identity.clone(), abort.token());
        let limit = timeout_ms.map_or(api::HEAD_LIMIT, milliseconds);
        promise(env, async move {
            let what = request.to_string();
            let sending = api::head_within(limit, &what, async {
                let environment: Environment = argument("environment", &environment)?;
                let access = identity.access(&environment).await?;
                Api::new(&environment, &base_url, Some(Arc::new(access)))?
                    .exchange(&request)
                    .await
            });
            let response = tokio::select! {
                biased;
                () = token.cancelled() => return Err(aborted()),
                response = sending => response?,
            };
            Ok(NativeResponse::new(response, token.clone()))
        })
    }

    /// Whether the login is being renewed.
    #[napi(getter, catch_unwind)]
    pub fn is_renewing(&self) -> bool {
        self.identity.is_renewing()
    }

    /// Resolves once no renewal is in progress; until then it keeps the process alive.
    #[napi(catch_unwind, ts_return_type = "Promise<void>")]
    pub fn renewal_settled<'env>(&self, env: &'env Env) -> napi::Result<Object<'env>> {
        let identity = self.identity.clone();
        promise(env, async move {
            identity.settled().await;
            Ok(())
        })
    }

    /// Like `send`, but through the user's own `fetch`. Resolves with the id under which JavaScript keeps the
    /// response. `fetch` is called with each request as JSON text (`Crossing` in `given_fetch.rs`).
    /// JavaScript then calls `fetched` or `notFetched`.
    #[napi(catch_unwind, ts_return_type = "Promise<number>")]
    #[allow(
        clippy::too_many_arguments,
        reason = "an object of them could hold neither a function nor a class"
    )]
    pub fn send_by<'env>(
        &self,
        env: &'env Env,
        environment: String,
        call: String,
        arguments: String,
        abort: &NativeAbort,
        fetch: Function<'_, String, ()>,
        timeout_ms: Option<f64>,
    ) -> napi::Result<Object<'env>> {
        let request = client_calls::request(&call, &arguments).map_err(|error| crossing(&error))?;
        let base_url = self.base_url.clone();
        // A custom `fetch` may accept other schemes, but an HTTP URL has to be valid.
        let is_url = base_url.starts_with("http://") || base_url.starts_with("https://");
        if is_url && reqwest::Url::parse(&base_url).is_err() {
            return Err(crossing(&api::http::invalid_url()));
        }
        let (identity, token) = (self.identity.clone(), abort.token());
        let fetch = GivenFetch::new(&fetch, Arc::clone(&self.waiting))?;
        let limit = timeout_ms.map_or(api::HEAD_LIMIT, milliseconds);
        promise(env, async move {
            let what = request.to_string();
            let sending = api::head_within(limit, &what, async {
                let environment: Environment = argument("environment", &environment)?;
                let access = identity.access_by(&environment, fetch.exchange()).await?;
                let held = access.credentials().token().to_owned();
                let first = fetch.request(&base_url, &request, &held, None).await?;
                if first.status != 401 || access.is_new() {
                    return Ok(first.id);
                }
                let renewed = identity
                    .after_refusal(&environment, &held, fetch.exchange())
                    .await?;
                let Some(renewed) = renewed else {
                    return Ok(first.id);
                };
                let held = renewed.credentials().token();
                let second = fetch.request(&base_url, &request, held, Some(first.id));
                Ok(second.await?.id)
            });
            tokio::select! {
                biased;
                () = token.cancelled() => Err(aborted()),
                id = sending => id,
            }
        })
    }

    /// Called by JavaScript with the head of a response, and with its text if that was asked for.
    #[napi(catch_unwind)]
    pub fn fetched(&self, id: u32, status: u16, location: Option<String>, text: Option<String>) {
        let fetched = Fetched {
            id,
            status,
            location,
            text,
        };
        self.settle(id, Ok(fetched));
    }

    /// Called by JavaScript when `fetch` rejected. JavaScript keeps the error under this id.
    #[napi(catch_unwind)]
    pub fn not_fetched(&self, id: u32) {
        self.settle(id, Err(Error::FetchRejected { id }));
    }
}

impl NativeClient {
    fn settle(&self, id: u32, fetched: Result<Fetched>) {
        if let Some(sender) = locked(&self.waiting).remove(&id) {
            // After an abort or a timeout, nobody is waiting.
            let _ = sender.send(fetched);
        }
    }
}

/// The return value of a `CloudApiClient` call for a 2xx response, as JSON text.
#[napi(catch_unwind)]
pub fn client_answer(call: String, text: String) -> napi::Result<String> {
    client_calls::answer(&call, &text).map_err(|error| crossing(&error))
}

/// The error message for a response that isn't 2xx.
#[napi(catch_unwind)]
pub fn refusal_message(
    status: u16,
    text: String,
    location: Option<String>,
    manager: Option<String>,
) -> String {
    api::refusal_message(status, &text, location.as_deref(), manager.as_deref())
}

/// Replaces each bare NaN (Python writes those) with a marker, so that the text is valid JSON.
#[napi(catch_unwind)]
pub fn strict_json(text: String) -> String {
    json::strict(&text).into_owned()
}

/// The deprecation notice in a response's headers.
#[napi(catch_unwind)]
pub fn read_deprecation(
    header: Option<String>,
    warning: Option<String>,
    sunset: Option<String>,
) -> Option<DeprecationNotice> {
    deprecation::read(header.as_deref(), warning.as_deref(), sunset.as_deref())
        .map(DeprecationNotice::from)
}

/// Keeps a deprecation notice for the command to print.
#[napi(catch_unwind)]
pub fn note_deprecation(notice: DeprecationNotice) {
    let DeprecationNotice { message, sunset } = notice;
    deprecation::note(Some(Deprecation { message, sunset }));
}

/// Takes the latest deprecation notice that this process's trainers got, so that it's reported only once.
#[napi(catch_unwind)]
pub fn take_deprecation() -> Option<DeprecationNotice> {
    deprecation::take().map(DeprecationNotice::from)
}
