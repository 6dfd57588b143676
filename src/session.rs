//! One trainer's identity and project, resolved once and kept together (`start()`).

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::stream::BoxStream;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::api::endpoints::{CREATE_JOB, GET_JOB, OPEN_EVENT_STREAM};
use crate::api::request::{Parts, Scope, root};
use crate::api::{Api, within_limit};
use crate::credentials::{self, Credentials, Identity, Listener};
use crate::environment::{Environment, base_url};
use crate::error::Result;
use crate::job::{self, Job};
use crate::json;
use crate::project;
use crate::run::{Backend, Refusal};

/// The options of `createTrainer`'s second argument, and the environment.
#[derive(Default)]
pub struct SessionOptions {
    /// The process's environment at the time of the call.
    pub env: Environment,
    /// `context.baseUrl`.
    pub base_url: Option<String>,
    /// `context.credentials`.
    pub credentials: Option<Credentials>,
    /// `context.onCredentials`: called with the renewed credentials.
    pub on_credentials: Option<Listener>,
    /// The project's directory: `context.cwd`, else the working directory.
    pub directory: PathBuf,
    /// Uses the stored identity and project only, and creates neither.
    pub existing: bool,
}

/// An identity, its project, and the backend that both belong to.
pub struct Session {
    env: Environment,
    api: Api,
    identity: Identity,
    scope: Scope,
}

impl Session {
    /// Resolves the identity and the project: the local identity of `arkor start --local`, the given
    /// credentials, those of the home directory, or a fresh anonymous identity.
    ///
    /// # Errors
    /// When the credentials or the project can't be obtained. Nothing was submitted then.
    pub async fn open(options: SessionOptions) -> Result<Self> {
        let SessionOptions {
            mut env,
            base_url: explicit_url,
            credentials,
            on_credentials,
            directory,
            existing,
        } = options;
        if let Some(url) = &explicit_url
            && env.cloud_api_url.as_deref().map(root) != Some(root(url))
        {
            // This URL isn't the local backend's, so it must not receive the local token.
            env.local_token = None;
        }
        let local = credentials::local_identity(&env)?;
        let is_local = local.is_some();
        let (credentials, on_credentials) = match (local, credentials) {
            (Some(local), _) => (local, None),
            (None, Some(given)) => (given, on_credentials),
            (None, None) => {
                let stored = if existing {
                    credentials::signed_in(&env)?
                } else {
                    credentials::ensure(&env).await?
                };
                if explicit_url.is_none() {
                    credentials::check_destination(&env, &stored)?;
                }
                (stored, None)
            }
        };
        let url = base_url(
            explicit_url.as_deref(),
            env.cloud_api_url.as_deref(),
            credentials.cloud_api_url(),
        );
        let identity = Identity::new(credentials, on_credentials);
        let access = identity.access(&env).await?;
        let credentials = access.credentials().clone();
        let api = Api::new(&env, &url, Some(Arc::new(access)))?;
        let project = if is_local {
            project::local(&directory)
        } else if existing {
            project::existing(&credentials, &directory)?
        } else {
            project::resolve(&api, &credentials, &directory).await?
        };
        Ok(Self {
            env,
            api,
            scope: project.scope(),
            identity,
        })
    }

    /// A client for the backend, with a token that hasn't expired.
    ///
    /// # Errors
    /// When the login has expired and can't be renewed.
    pub async fn api(&self) -> Result<Api> {
        let access = self.identity.access(&self.env).await?;
        Ok(self.api.with_access(Arc::new(access)))
    }

    /// The identity that the jobs belong to.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The project that the jobs belong to.
    #[must_use]
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// Fetches a job that the project already has.
    ///
    /// # Errors
    /// Those of the backend and the network.
    pub async fn find(&self, id: &str) -> Result<Job> {
        let request = GET_JOB.of_job(&self.scope, id)?;
        let text = self.api().await?.call(&request).await?;
        job::read(&text, &request.to_string())
    }

    /// Submits a job.
    ///
    /// # Errors
    /// Those of the backend and the network.
    pub async fn submit(&self, name: &RawValue, config: &RawValue) -> Result<Job> {
        #[derive(Serialize)]
        struct Body<'a> {
            name: &'a RawValue,
            config: &'a RawValue,
        }
        let body = json::raw(&Body { name, config })?;
        let request = CREATE_JOB.request(&Parts {
            scope: Some(self.scope.clone()),
            body: Some(&body),
            ..Parts::default()
        })?;
        let text = self.api().await?.call(&request).await?;
        job::read(&text, &request.to_string())
    }
}

/// One job's event stream.
pub struct JobEvents<'a> {
    /// The session that opens the stream.
    pub session: &'a Session,
    /// The job's id.
    pub job: &'a str,
}

impl Backend for JobEvents<'_> {
    type Body = BoxStream<'static, Result<Bytes>>;

    async fn open(
        &self,
        last_event_id: Option<&str>,
        idle_timeout: Option<Duration>,
    ) -> std::result::Result<Self::Body, Refusal> {
        let api = self.session.api().await.map_err(|error| Refusal {
            permanent: error.is_refused_login(),
            ..Refusal::transient(error)
        })?;
        let request = OPEN_EVENT_STREAM
            .request(&Parts {
                scope: Some(self.session.scope.clone()),
                id: Some(self.job.to_owned()),
                last_event_id: last_event_id.map(str::to_owned),
                ..Parts::default()
            })
            .map_err(Refusal::transient)?;
        api.stream(&request, idle_timeout).await
    }

    async fn job(&self) -> Option<String> {
        let request = GET_JOB.of_job(&self.session.scope, self.job).ok()?;
        let name = request.to_string();
        let call = within_limit(&name, async {
            self.session.api().await?.call(&request).await
        });
        Some(job::read(&call.await.ok()?, &name).ok()?.text)
    }
}
