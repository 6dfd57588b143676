//! Credentials that the requests of one trainer or client share, their access token kept fresh.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use tokio::sync::{Mutex, watch};
use tokio::time::timeout;

use super::Credentials;
use super::refresh::{expired, fresh};
use super::token::{self, Exchange};
use crate::environment::Environment;
use crate::error::{Error, Result};

/// How long a process is kept alive for a renewal that nobody waits for.
const PATIENCE: Duration = Duration::from_secs(10);

/// How many renewals are under way in this process.
static IN_FLIGHT: LazyLock<watch::Sender<usize>> = LazyLock::new(|| watch::Sender::new(0));

/// A renewal under way.
struct InFlight;

impl InFlight {
    fn begin() -> Self {
        IN_FLIGHT.send_modify(|count| *count += 1);
        Self
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        IN_FLIGHT.send_modify(|count| *count -= 1);
    }
}

/// Whether a renewal is under way in this process.
#[must_use]
pub fn renewing() -> bool {
    *IN_FLIGHT.borrow() > 0
}

/// Resolves when none is, or after a while: an identity provider that says nothing for so long has
/// rotated nothing.
pub async fn renewals_settled() {
    let mut in_flight = IN_FLIGHT.subscribe();
    let settled = in_flight.wait_for(|count| *count == 0);
    let _ = timeout(PATIENCE, settled).await;
}

/// An identity. Cheap to clone.
#[derive(Clone)]
pub struct Identity(Arc<Mutex<Credentials>>);

impl Identity {
    /// The identity of these credentials.
    #[must_use]
    pub fn new(credentials: Credentials) -> Self {
        Self(Arc::new(Mutex::new(credentials)))
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
        let in_flight = InFlight::begin();
        let renewal = tokio::spawn(async move {
            let _in_flight = in_flight;
            *held = fresh(&env, &held, &exchange).await?;
            Ok(held.clone())
        });
        renewal
            .await
            .map_err(|error| Error::plain(format!("The login could not be renewed: {error}")))?
    }
}
