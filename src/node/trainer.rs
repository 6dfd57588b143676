//! The native half of `createTrainer`: one job, with at most one loop following it at a time.

#![allow(
    clippy::needless_pass_by_value,
    reason = "napi hands arguments over by value"
)]

use std::sync::{Arc, Mutex as SyncMutex};

use napi::Env;
use napi::bindgen_prelude::{Function, Object};
use napi_derive::napi;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::sync::{Mutex, Notify, mpsc};
use tokio_util::sync::CancellationToken;

use super::crossing::{argument, crossing, milliseconds};
use super::dispatch::{Answers, Arguments, JsCallbacks, dispatcher};
use super::listener::listener;
use super::promise::promise;
use super::response::{NativeAbort, NativeResponse, aborted};
use super::runtime::locked;
use crate::api::endpoints::{CANCEL_JOB, CHAT};
use crate::api::request::Parts;
use crate::api::{self, within_limit};
use crate::credentials::{Credentials, Listener};
use crate::environment::Environment;
use crate::error::{Error, Result};
use crate::inference::{self, Checkpoint};
use crate::job::Job;
use crate::job_config;
use crate::reconnect::Policy;
use crate::run::{self, Ack, Outcome, Resume};
use crate::session::{self, JobEvents, Session};

/// The trainer options that affect the loop.
#[napi(object)]
pub struct TrainerOptions {
    /// `reconnectDelayMs`.
    pub reconnect_delay_ms: f64,
    /// `maxReconnectDelayMs`.
    pub max_reconnect_delay_ms: f64,
    /// `maxReconnectAttempts`; no limit if absent.
    pub max_reconnect_attempts: Option<u32>,
    /// `idleTimeoutMs`; no timeout if absent.
    pub idle_timeout_ms: Option<f64>,
    /// `callbackErrors: "reject"`.
    pub reject_callback_errors: bool,
}

/// The fields of `createTrainer`'s input that go into the job's config.
#[napi(catch_unwind)]
pub fn input_fields() -> Vec<&'static str> {
    job_config::input_fields()
}

/// The path (`lora.r`) of every input option that becomes part of the config.
#[napi(catch_unwind)]
pub fn input_paths() -> Vec<&'static str> {
    job_config::input_paths()
}

/// Every argument of `infer` that's sent to the backend.
#[napi(catch_unwind)]
pub fn infer_fields() -> Vec<&'static str> {
    [&inference::FIELDS[..], &["stream"]].concat()
}

/// The job's config that `start` would submit for an input. Both are JSON text.
#[napi(catch_unwind)]
pub fn wire_config(input: String) -> napi::Result<String> {
    job_config::from_input(&input)
        .map(|config| config.get().to_owned())
        .map_err(|error| crossing(&error))
}

/// The job that `start` submits, and the identity that submits it. Crosses as JSON text.
#[derive(Deserialize)]
struct Submission {
    name: Box<RawValue>,
    /// The fields of the input that go into the config, as JSON text.
    input: String,
    #[serde(flatten)]
    submitter: Submitter,
}

/// The job that `attach` follows, and the identity for it. Crosses as JSON text.
#[derive(Deserialize)]
struct Attachment {
    id: String,
    #[serde(flatten)]
    submitter: Submitter,
}

/// The identity and the project of a trainer.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Submitter {
    environment: Environment,
    base_url: Option<String>,
    credentials: Option<Credentials>,
    directory: std::path::PathBuf,
}

impl Submitter {
    async fn open(self, existing: bool, on_credentials: Option<Listener>) -> Result<Session> {
        Session::open(session::SessionOptions {
            env: self.environment,
            base_url: self.base_url,
            credentials: self.credentials,
            on_credentials,
            directory: self.directory,
            existing,
        })
        .await
    }
}

/// How `wait` ended, unless it failed.
#[napi(string_enum = "camelCase")]
pub enum WaitEndKind {
    /// A terminal event was dispatched.
    Completed,
    /// The stream ended without a terminal event.
    Ended,
    /// The abort signal ended it.
    Aborted,
    /// The environment is shutting down.
    Gone,
}

/// The result of `wait`.
#[napi(object, object_from_js = false)]
pub struct WaitEnd {
    /// Why it ended.
    pub kind: WaitEndKind,
    /// If the stream ended without a terminal event: the job as the backend returned it, as JSON text.
    pub job: Option<String>,
}

/// A submitted job.
struct Started {
    session: Session,
    job: String,
}

#[derive(Default)]
struct State {
    started: SyncMutex<Option<Arc<Started>>>,
    resume: Mutex<Resume>,
    /// Aborts the running loop.
    abort: SyncMutex<CancellationToken>,
    acks: SyncMutex<Option<mpsc::UnboundedSender<Ack>>>,
    heard: SyncMutex<Arc<Notify>>,
}

impl State {
    fn keep(&self, session: Session, job: Job) -> String {
        let started = Started {
            session,
            job: job.id,
        };
        *locked(&self.started) = Some(Arc::new(started));
        job.text
    }

    fn started(&self) -> Result<Arc<Started>> {
        let started = locked(&self.started).clone();
        started.ok_or_else(|| Error::plain("The trainer has not been started"))
    }
}

/// One trainer.
#[napi]
pub struct NativeTrainer {
    options: run::LoopOptions,
    state: Arc<State>,
}

#[napi]
impl NativeTrainer {
    /// Creates a trainer that hasn't been started.
    #[napi(constructor, catch_unwind)]
    pub fn new(options: TrainerOptions) -> Self {
        let options = run::LoopOptions {
            policy: Policy {
                base: milliseconds(options.reconnect_delay_ms),
                cap: milliseconds(options.max_reconnect_delay_ms),
                max_attempts: options.max_reconnect_attempts,
            },
            idle_timeout: options.idle_timeout_ms.map(milliseconds),
            reject_callback_errors: options.reject_callback_errors,
            observed: false,
        };
        Self {
            options,
            state: Arc::default(),
        }
    }

    /// Submits the job and resolves with it (T1). `on_credentials` receives renewed credentials. All are JSON.
    #[napi(catch_unwind, ts_return_type = "Promise<string>")]
    pub fn start<'env>(
        &self,
        env: &'env Env,
        submission: String,
        on_credentials: Option<Function<'_, String, ()>>,
    ) -> napi::Result<Object<'env>> {
        let Submission {
            name,
            input,
            submitter,
        } = argument("createTrainer", &submission).map_err(|error| crossing(&error))?;
        let state = self.state.clone();
        let on_credentials = listener(on_credentials.as_ref())?;
        promise(env, async move {
            let config = job_config::from_input(&input)?;
            let (session, job) = within_limit("start()", async {
                let session = submitter.open(false, on_credentials).await?;
                let job = session.submit(&name, &config).await?;
                Ok((session, job))
            })
            .await?;
            Ok(state.keep(session, job))
        })
    }

    /// Follows a job that was submitted earlier, instead of starting one. Resolves with the job, as
    /// JSON text.
    #[napi(catch_unwind, ts_return_type = "Promise<string>")]
    pub fn attach<'env>(
        &self,
        env: &'env Env,
        attachment: String,
        on_credentials: Option<Function<'_, String, ()>>,
    ) -> napi::Result<Object<'env>> {
        let Attachment { id, submitter } =
            argument("attach", &attachment).map_err(|error| crossing(&error))?;
        let state = self.state.clone();
        let on_credentials = listener(on_credentials.as_ref())?;
        promise(env, async move {
            let session = submitter.open(true, on_credentials).await?;
            let job = session.find(&id).await?;
            Ok(state.keep(session, job))
        })
    }

    /// Follows the job (T3). `receive` gets each batch, acknowledged with `done`, `threw` or `aborted`, and each notice
    /// of a reconnect, acknowledged with `heard`. If the run is `observed`, events without a callback cross too.
    #[napi(catch_unwind, ts_return_type = "Promise<WaitEnd>")]
    pub fn wait<'env>(
        &self,
        env: &'env Env,
        #[napi(
            ts_arg_type = "(columns: Float64Array | null, texts: string[] | null, notice: string | null) => void"
        )]
        receive: Function<'_, Arguments, ()>,
        observed: bool,
    ) -> napi::Result<Object<'env>> {
        let (sender, acks) = mpsc::unbounded_channel();
        let (heard, abort) = (Arc::new(Notify::new()), CancellationToken::new());
        let answers = Answers {
            acks,
            heard: heard.clone(),
        };
        let mut callbacks = JsCallbacks::new(Arc::new(dispatcher(&receive)?), answers);
        *locked(&self.state.acks) = Some(sender);
        *locked(&self.state.heard) = heard;
        *locked(&self.state.abort) = abort.clone();
        let (state, mut options) = (self.state.clone(), self.options);
        options.observed = observed;
        promise(env, async move {
            let started = state.started()?;
            let events = JobEvents {
                session: &started.session,
                job: &started.job,
            };
            let mut resume = state.resume.lock().await;
            let end = run::run(&events, &mut callbacks, &options, &mut resume, &abort).await;
            let (kind, job) = match end {
                Outcome::Completed => (WaitEndKind::Completed, None),
                Outcome::Ended(job) => (WaitEndKind::Ended, job),
                Outcome::Aborted => (WaitEndKind::Aborted, None),
                Outcome::Gone => (WaitEndKind::Gone, None),
                Outcome::Failed(error) => return Err(error),
            };
            Ok(WaitEnd { kind, job })
        })
    }

    /// Acknowledges a batch: every callback settled.
    #[napi(catch_unwind)]
    pub fn done(&self) {
        self.answer(Ack::Done);
    }

    /// Acknowledges a batch: the callback of the event at `index` threw, after the abort if `aborted`.
    #[napi(catch_unwind)]
    pub fn threw(&self, index: u32, aborted: bool) {
        let index = position(index);
        self.answer(Ack::Threw { index, aborted });
    }

    /// Acknowledges a batch: because of the abort, no callback was called from the event at `index` on.
    #[napi(catch_unwind)]
    pub fn aborted(&self, index: u32) {
        let index = position(index);
        self.answer(Ack::Aborted { index });
    }

    /// Acknowledges the notice of a reconnect.
    #[napi(catch_unwind)]
    pub fn heard(&self) {
        locked(&self.state.heard).notify_one();
    }

    /// Called when the abort signal of `wait` fires (T29).
    #[napi(catch_unwind)]
    pub fn abort(&self) {
        locked(&self.state.abort).cancel();
    }

    /// Cancels the job on the backend (T5).
    #[napi(catch_unwind, ts_return_type = "Promise<void>")]
    pub fn cancel<'env>(&self, env: &'env Env) -> napi::Result<Object<'env>> {
        let started = self.state.started().map_err(|error| crossing(&error))?;
        promise(env, async move {
            let Started { session, job } = &*started;
            let call = CANCEL_JOB.of_job(session.scope(), job)?;
            // The status code is enough: a failure to read the body can't undo the cancellation.
            within_limit("cancel()", async { session.api().await?.open(&call).await })
                .await
                .map(drop)
        })
    }

    /// Whether the login is being renewed.
    #[napi(getter, catch_unwind)]
    pub fn is_renewing(&self) -> bool {
        self.state
            .started()
            .is_ok_and(|started| started.session.identity().is_renewing())
    }

    /// Resolves once no renewal is in progress; until then it keeps the process alive.
    #[napi(catch_unwind, ts_return_type = "Promise<void>")]
    pub fn renewal_settled<'env>(&self, env: &'env Env) -> napi::Result<Object<'env>> {
        let started = self.state.started().map_err(|error| crossing(&error))?;
        promise(env, async move {
            started.session.identity().settled().await;
            Ok(())
        })
    }

    /// Sends a chat to the checkpoint of a step (T31). `arguments` is JSON text.
    #[napi(catch_unwind, ts_return_type = "Promise<NativeResponse>")]
    pub fn chat<'env>(
        &self,
        env: &'env Env,
        arguments: String,
        step: f64,
        abort: &NativeAbort,
    ) -> napi::Result<Object<'env>> {
        let started = self.state.started().map_err(|error| crossing(&error))?;
        let token = abort.token();
        promise(env, async move {
            let Started { session, job } = &*started;
            let body = inference::body(&arguments, Checkpoint { job, step })?;
            let request = CHAT.request(&Parts {
                scope: Some(session.scope().clone()),
                body: Some(&body),
                ..Parts::default()
            })?;
            let what = request.to_string();
            let answered = api::head_within(api::HEAD_LIMIT, &what, async {
                session.api().await?.open(&request).await
            });
            let response = tokio::select! {
                biased;
                () = token.cancelled() => return Err(aborted()),
                answered = answered => answered?,
            };
            Ok(NativeResponse::new(response, token.clone()))
        })
    }
}

impl NativeTrainer {
    fn answer(&self, ack: Ack) {
        if let Some(acks) = locked(&self.state.acks).as_ref() {
            // If the loop is gone, nobody needs the acknowledgement.
            let _ = acks.send(ack);
        }
    }
}

fn position(index: u32) -> usize {
    usize::try_from(index).unwrap_or(usize::MAX)
}
