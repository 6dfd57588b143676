//! Credentials shared by the requests of one trainer or client. Keeps their access token fresh.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::FutureExt;
use futures::future::BoxFuture;

use super::renewals::{Running, detached, renewed, usable};
use super::stored::Credentials;
use super::token::{self, Exchange};
use crate::api;
use crate::environment::Environment;
use crate::error::{Error, Result};

/// Receives renewed credentials, as JSON text. Resolves when JavaScript has received them.
pub type Listener = Arc<dyn Fn(String) -> BoxFuture<'static, ()> + Send + Sync>;

/// An identity. Cheap to clone.
#[derive(Clone)]
pub struct Identity(Arc<Inner>);

struct Inner {
    state: Mutex<State>,
    listener: Option<Listener>,
}

struct State {
    credentials: Credentials,
    renewal: Option<Running>,
}

/// The credentials for one request.
#[derive(Clone)]
pub struct Access {
    identity: Identity,
    env: Environment,
    credentials: Credentials,
    /// Whether the token was renewed for this very request.
    is_new: bool,
}

impl Identity {
    /// Creates an identity from these credentials. `listener` is called whenever they are renewed.
    #[must_use]
    pub fn new(credentials: Credentials, listener: Option<Listener>) -> Self {
        let state = Mutex::new(State {
            credentials,
            renewal: None,
        });
        Self(Arc::new(Inner { state, listener }))
    }

    /// Whether a renewal is in progress.
    #[must_use]
    pub fn is_renewing(&self) -> bool {
        self.state().renewal.is_some()
    }

    /// Resolves once no renewal is in progress.
    pub async fn settled(&self) {
        let renewal = self.state().renewal.clone();
        if let Some(renewal) = renewal {
            // The callers that wait for the renewal get its result.
            let _ = renewal.await;
        }
    }

    /// The credentials for a request. If the access token has expired, it's renewed first.
    ///
    /// A renewal continues even if nobody waits for it any more (after an abort or a timeout). By then, the
    /// identity provider may have rotated the refresh token, and the new one must not be lost.
    ///
    /// # Errors
    /// When the login has expired and can't be renewed.
    pub async fn access(&self, env: &Environment) -> Result<Access> {
        self.access_by(env, token::engine(env)).await
    }

    /// Like [`Self::access`], but `exchange` makes the renewal's request.
    ///
    /// # Errors
    /// Those of [`Self::access`].
    pub async fn access_by(&self, env: &Environment, exchange: Exchange) -> Result<Access> {
        self.obtain(env, None, exchange).await
    }

    /// The credentials for a single retry after the backend has refused this token with a 401: its clock may
    /// differ from this machine's. `None` means that the refusal is final.
    ///
    /// # Errors
    /// When the identity provider refuses the renewal.
    pub async fn after_refusal(
        &self,
        env: &Environment,
        refused: &str,
        exchange: Exchange,
    ) -> Result<Option<Access>> {
        if matches!(self.state().credentials, Credentials::Anonymous { .. }) {
            return Ok(None);
        }
        match self.obtain(env, Some(refused), exchange).await {
            Ok(access) => Ok(Some(access)),
            Err(error @ Error::Api { .. }) => Err(error),
            // The identity provider can't be reached, so the backend's refusal stands.
            Err(_) => Ok(None),
        }
    }

    async fn obtain(
        &self,
        env: &Environment,
        refused: Option<&str>,
        exchange: Exchange,
    ) -> Result<Access> {
        let access = |credentials: Credentials, is_new: bool| Access {
            identity: self.clone(),
            env: env.clone(),
            credentials,
            is_new,
        };
        let renewal = {
            let mut state = self.state();
            if usable(&state.credentials, refused) {
                return Ok(access(state.credentials.clone(), refused.is_some()));
            }
            self.renewal(&mut state, env, refused, exchange)
        };
        Ok(access(renewal.await?, true))
    }

    fn renewal(
        &self,
        state: &mut State,
        env: &Environment,
        refused: Option<&str>,
        exchange: Exchange,
    ) -> Running {
        if let Some(renewal) = &state.renewal {
            return renewal.clone();
        }
        let (identity, env) = (self.clone(), env.clone());
        let (held, refused) = (state.credentials.clone(), refused.map(str::to_owned));
        let renewal = detached(async move {
            let result = renewed(&env, &held, refused.as_deref(), exchange).await;
            if let Ok(credentials) = &result {
                identity.state().credentials.clone_from(credentials);
                identity.notify(credentials).await;
            }
            identity.state().renewal = None;
            result
        })
        .shared();
        state.renewal = Some(renewal.clone());
        renewal
    }

    async fn notify(&self, credentials: &Credentials) {
        if let Some(listener) = &self.0.listener
            && let Ok(text) = serde_json::to_string(credentials)
        {
            listener(text).await;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Access {
    /// The credentials themselves.
    #[must_use]
    pub fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// Whether a refusal of this token is final, because it was renewed for this very request.
    #[must_use]
    pub fn is_new(&self) -> bool {
        self.is_new
    }
}

impl api::Access for Access {
    fn token(&self) -> &str {
        self.credentials.token()
    }

    fn after_refusal(&self) -> BoxFuture<'_, Result<Option<String>>> {
        async move {
            if self.is_new {
                return Ok(None);
            }
            let Self { identity, env, .. } = self;
            let refused = self.credentials.token();
            let renewed = identity
                .after_refusal(env, refused, token::engine(env))
                .await?;
            Ok(renewed.map(|access| access.credentials.token().to_owned()))
        }
        .boxed()
    }
}
