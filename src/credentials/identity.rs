//! Credentials that the requests of one trainer or client share, their access token kept fresh.

use std::sync::Arc;

use tokio::sync::Mutex;

use super::Credentials;
use super::refresh::{expired, fresh};
use super::token::{self, Exchange};
use crate::environment::Environment;
use crate::error::{Error, Result};

/// An identity. Cheap to clone.
#[derive(Clone)]
pub struct Identity(Arc<Mutex<Credentials>>);

impl Identity {
    /// The identity of these credentials.
    #[must_use]
    pub fn new(credentials: Credentials) -> Self {
        Self(Arc::new(Mutex::new(credentials)))
    }

    /// Whether a renewal is under way.
    #[must_use]
    pub fn is_renewing(&self) -> bool {
        self.0.try_lock().is_err()
    }

    /// Resolves when none is.
    pub async fn settled(&self) {
        drop(self.0.lock().await);
    }

    /// The credentials, with an access token that has not expired.
    ///
    /// A renewal goes on when nobody waits for it any more (an abort, a timeout): the identity
    /// provider may have rotated the refresh token by then, and the new one must not be lost.
    ///
    /// # Errors
    /// When the login has expired and can't be renewed.
    pub async fn fresh(&self, env: &Environment) -> Result<Credentials> {
        self.fresh_by(env, token::engine(env)).await
    }

    /// The same, renewed by a request that somebody else makes.
    ///
    /// # Errors
    /// As above.
    pub async fn fresh_by(&self, env: &Environment, exchange: Exchange) -> Result<Credentials> {
        let mut held = self.0.clone().lock_owned().await;
        if !expired(&held) {
            return Ok(held.clone());
        }
        let env = env.clone();
        let renewal = tokio::spawn(async move {
            *held = fresh(&env, &held, &exchange).await?;
            Ok(held.clone())
        });
        renewal
            .await
            .map_err(|error| Error::plain(format!("The login could not be renewed: {error}")))?
    }
}
