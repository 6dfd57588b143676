//! The native half of `CloudApiClient`, and of its calls that go through a `fetch` of the user's.

#![allow(
    clippy::needless_pass_by_value,
    reason = "napi hands arguments over by value"
)]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use futures::FutureExt;
use napi::bindgen_prelude::{Function, Object};
use napi::threadsafe_function::ThreadsafeFunctionCallMode;
use napi::{Env, Status};
use napi_derive::napi;
use tokio::sync::oneshot;

use super::crossing::{argument, crossing};
use super::listener::listener;
use super::promise::promise;
use super::response::{NativeAbort, NativeResponse, aborted};
use super::runtime::lifetime;
use super::trainer::milliseconds;
use crate::api::deprecation::{self, Deprecation};
use crate::api::{self, Api, request};
use crate::client_calls;
use crate::credentials::{self, Answer, Credentials, Exchange, Identity, TokenRequest};
use crate::environment::Environment;
use crate::error::{Error, Result};
use crate::json;

/// One backend as one identity sees it.
#[napi]
pub struct NativeClient {
    identity: Identity,
    /// Who waits for the answer to the renewal under way; there is one at a time.
    renewal: Renewal,
    base_url: String,
}

/// By its number: an answer that comes too late must not be taken for that of the next one.
type Renewal = Arc<Mutex<Option<(u32, oneshot::Sender<Result<Answer>>)>>>;

/// A request that JavaScript makes itself.
#[napi(object)]
pub struct PreparedRequest {
    /// The whole URL.
    pub url: String,
    /// The HTTP method.
    pub method: String,
    /// Names and values in turn.
    pub headers: Vec<String>,
    /// The body, if there is one.
    pub body: Option<String>,
    /// The access token that is among the headers.
    pub token: String,
    /// Whether a 401 is final: the token was renewed for this very request.
    pub is_renewed: bool,
}

/// A deprecation as it was read from an answer.
#[napi(object)]
pub struct DeprecationNotice {
    /// The backend's words, else our own.
    pub message: String,
    /// When it ends.
    pub sunset: Option<String>,
}

impl From<Deprecation> for DeprecationNotice {
    fn from(Deprecation { message, sunset }: Deprecation) -> Self {
        Self { message, sunset }
    }
}

#[napi]
impl NativeClient {
    /// A client; `credentials` is JSON text, as is what `on_credentials` is told.
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
            renewal: Arc::default(),
            base_url: request::root(&base_url),
        })
    }

    /// Makes a request; resolves with the answer, its body unread, whatever its status.
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

    /// Resolves when it is not; until then it keeps the process alive.
    #[napi(catch_unwind, ts_return_type = "Promise<void>")]
    pub fn renewal_settled<'env>(&self, env: &'env Env) -> napi::Result<Object<'env>> {
        let identity = self.identity.clone();
        promise(env, async move {
            identity.settled().await;
            Ok(())
        })
    }

    /// The same request for a `fetch` of the user's. If the login has to be renewed first, `renew` is
    /// called with that request as JSON text, `{ id, url, headers, body, limitMs }`, and is answered
    /// with `renewed` or `notRenewed`. `refused` is the token that was answered with 401; null when
    /// there is no other one to try.
    #[napi(catch_unwind, ts_return_type = "Promise<PreparedRequest | null>")]
    #[allow(
        clippy::too_many_arguments,
        reason = "an object of them could hold neither a function nor a class"
    )]
    pub fn prepare<'env>(
        &self,
        env: &'env Env,
        environment: String,
        call: String,
        arguments: String,
        abort: &NativeAbort,
        renew: Function<'_, String, ()>,
        refused: Option<String>,
    ) -> napi::Result<Object<'env>> {
        let request = client_calls::request(&call, &arguments).map_err(|error| crossing(&error))?;
        let base_url = self.base_url.clone();
        let identity = self.identity.clone();
        let (exchange, token) = (self.exchange(&renew)?, abort.token());
        // A `fetch` may take addresses of its own kind, but a URL has to be one.
        let is_url = base_url.starts_with("http://") || base_url.starts_with("https://");
        if is_url && reqwest::Url::parse(&base_url).is_err() {
            return Err(crossing(&api::http::invalid_url()));
        }
        promise(env, async move {
            let environment: Environment = argument("environment", &environment)?;
            let obtaining = async {
                match refused {
                    None => identity.access_by(&environment, exchange).await.map(Some),
                    Some(refused) => {
                        identity
                            .after_refusal(&environment, &refused, exchange)
                            .await
                    }
                }
            };
            let access = tokio::select! {
                biased;
                () = token.cancelled() => return Err(aborted()),
                access = obtaining => access?,
            };
            let Some(access) = access else {
                return Ok(None);
            };
            let url = format!("{base_url}{}", request.target()?);
            let headers = api::headers(&request, Some(access.credentials().token()))?;
            Ok(Some(PreparedRequest {
                url,
                method: request.method.to_string(),
                headers: headers
                    .into_iter()
                    .flat_map(|(name, value)| [name.to_owned(), api::latin1(&value)])
                    .collect(),
                body: request.body,
                token: access.credentials().token().to_owned(),
                is_renewed: access.is_new(),
            }))
        })
    }

    /// The answer to the renewal that `prepare` asked for.
    #[napi(catch_unwind)]
    pub fn renewed(&self, id: u32, status: u16, text: String) {
        self.settle(id, Ok(Answer { status, text }));
    }

    /// The renewal's request failed in JavaScript, which keeps the error under this id.
    #[napi(catch_unwind)]
    pub fn not_renewed(&self, id: u32) {
        self.settle(id, Err(Error::FetchRejected { id }));
    }
}

impl NativeClient {
    fn settle(&self, id: u32, answer: Result<Answer>) {
        let mut waiting = self.renewal.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, sender)) = waiting.take_if(|(number, _)| *number == id) {
            // Nobody waits any more when the environment is going.
            let _ = sender.send(answer);
        }
    }

    /// How JavaScript makes the request of a renewal.
    fn exchange(&self, renew: &Function<'_, String, ()>) -> napi::Result<Exchange> {
        let renew = renew
            .build_threadsafe_function::<String>()
            .callee_handled::<false>()
            .weak::<true>()
            .build_callback(|call| Ok(call.value))?;
        let (renewal, lifetime) = (self.renewal.clone(), lifetime());
        Ok(Arc::new(move |request: TokenRequest| {
            let (sender, answer) = oneshot::channel();
            let id = fastrand::u32(..);
            *renewal.lock().unwrap_or_else(PoisonError::into_inner) = Some((id, sender));
            let crossing = serde_json::json!({
                "id": id,
                "url": request.url,
                "headers": BTreeMap::from(TokenRequest::HEADERS),
                "body": request.body,
                "limitMs": u64::try_from(api::CALL_LIMIT.as_millis()).unwrap_or(u64::MAX),
            });
            let called = renew.call(
                crossing.to_string(),
                ThreadsafeFunctionCallMode::NonBlocking,
            );
            let lifetime = lifetime.clone();
            async move {
                let gone = || Error::plain("The login could not be renewed: its thread is gone");
                if called != Status::Ok {
                    return Err(gone());
                }
                tokio::select! {
                    biased;
                    () = lifetime.cancelled() => Err(gone()),
                    answer = credentials::from_fetch(answer, gone()) => answer,
                }
            }
            .boxed()
        }))
    }
}

/// What the caller of a `CloudApiClient` call gets of a 2xx answer: JSON text.
#[napi(catch_unwind)]
pub fn client_answer(call: String, text: String) -> napi::Result<String> {
    client_calls::answer(&call, &text).map_err(|error| crossing(&error))
}

/// The message of an answer that is not 2xx.
#[napi(catch_unwind)]
pub fn refusal_message(
    status: u16,
    text: String,
    location: Option<String>,
    manager: Option<String>,
) -> String {
    api::refusal_message(status, &text, location.as_deref(), manager.as_deref())
}

/// JSON text in which a marker stands for a bare NaN, of text in which Python wrote one.
#[napi(catch_unwind)]
pub fn strict_json(text: String) -> String {
    json::strict(&text).into_owned()
}

/// What the headers of an answer say about the age of this SDK.
#[napi(catch_unwind)]
pub fn read_deprecation(
    header: Option<String>,
    warning: Option<String>,
    sunset: Option<String>,
) -> Option<DeprecationNotice> {
    deprecation::read(header.as_deref(), warning.as_deref(), sunset.as_deref())
        .map(DeprecationNotice::from)
}

/// Keeps a deprecation for the command to tell.
#[napi(catch_unwind)]
pub fn note_deprecation(notice: DeprecationNotice) {
    let DeprecationNotice { message, sunset } = notice;
    deprecation::note(Some(Deprecation { message, sunset }));
}

/// The last deprecation that the trainers of this process were told of, once.
#[napi(catch_unwind)]
pub fn take_deprecation() -> Option<DeprecationNotice> {
    deprecation::take().map(DeprecationNotice::from)
}
