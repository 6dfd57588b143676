//! Renews logins. All callers in the process share one renewal per refresh token, because an identity
//! provider that rotates refresh tokens accepts each only once.

use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use futures::FutureExt;
use futures::future::{BoxFuture, Shared};

use super::refresh::{expired, request, same_login};
use super::store::{network_lock, replace};
use super::stored::{Credentials, Stored, read};
use super::token::Exchange;
use crate::environment::Environment;
use crate::error::{Error, Result, notice};

/// A renewal in progress, shared by any number of callers.
pub type Running = Shared<BoxFuture<'static, Result<Credentials>>>;

/// How many outcomes to remember for callers that still hold a used refresh token.
const MOST_DONE: usize = 64;

/// A refresh token, its identity provider and client, and the home directory where its login is stored.
#[derive(Clone, PartialEq, Eq)]
struct Key {
    home: Option<PathBuf>,
    domain: String,
    client: String,
    refresh_token: String,
}

enum State {
    Running(Running),
    Done(Credentials),
}

static RENEWALS: Mutex<Vec<(Key, State)>> = Mutex::new(Vec::new());

/// Whether requests may carry the token: it hasn't expired, and the backend hasn't refused it.
pub fn usable(credentials: &Credentials, refused: Option<&str>) -> bool {
    !expired(credentials) && refused != Some(credentials.token())
}

/// The login with a usable token: from the file or an earlier renewal if possible, else from the identity
/// provider.
///
/// # Errors
/// Those of the request. Everybody who waits for the same renewal gets the same error.
pub async fn renewed(
    env: &Environment,
    held: &Credentials,
    refused: Option<&str>,
    exchange: Exchange,
) -> Result<Credentials> {
    let stored = stored_as(env.home.as_deref(), held);
    let (current, running) = {
        let mut all = renewals();
        let current = latest(&all, env, stored.clone().unwrap_or_else(|| held.clone()));
        let is_usable = usable(&current, refused);
        let running = (!is_usable).then(|| join(&mut all, env, &current, refused, exchange));
        (current, running)
    };
    if let Some(running) = running {
        return running.await;
    }
    // The file may be stale: writing it failed, or somebody restored old credentials.
    if let Some(old) = stored.filter(|old| *old != current) {
        store(env.home.as_deref(), &old, &current).await;
    }
    Ok(current)
}

/// Spawns the future, so that it completes even if the caller is dropped. By then, the refresh token may be
/// used up, and the new one must not be lost.
pub fn detached(
    future: impl Future<Output = Result<Credentials>> + Send + 'static,
) -> BoxFuture<'static, Result<Credentials>> {
    let task = tokio::spawn(future);
    async move {
        task.await
            .map_err(|error| Error::plain(format!("The login could not be renewed: {error}")))?
    }
    .boxed()
}

fn join(
    all: &mut Vec<(Key, State)>,
    env: &Environment,
    current: &Credentials,
    refused: Option<&str>,
    exchange: Exchange,
) -> Running {
    let Some(key) = key(env, current) else {
        return std::future::ready(Ok(current.clone())).boxed().shared();
    };
    for (other, state) in all.iter() {
        if let State::Running(running) = state
            && *other == key
        {
            return running.clone();
        }
    }
    let (home, refused) = (env.home.clone(), refused.map(str::to_owned));
    let (current, done) = (current.clone(), key.clone());
    let running = detached(async move {
        let renewing = renew(home.as_deref(), current, refused.as_deref(), &exchange);
        // A panic must not leave the entry in `State::Running` forever.
        let result = AssertUnwindSafe(renewing).catch_unwind().await;
        let result =
            result.unwrap_or_else(|_| Err(Error::plain("arkor: internal error in a renewal")));
        finish(&done, result.as_ref().ok());
        result
    })
    .shared();
    all.push((key, State::Running(running.clone())));
    running
}

async fn renew(
    home: Option<&Path>,
    mut current: Credentials,
    refused: Option<&str>,
    exchange: &Exchange,
) -> Result<Credentials> {
    let mut lock = None;
    let mut is_stored = false;
    if let Some(home) = home
        && stored_as(Some(home), &current).is_some()
    {
        lock = network_lock(home).await?;
        // Another process may have renewed it while this one waited for the lock.
        if let Some(found) = stored_as(Some(home), &current) {
            if usable(&found, refused) {
                return Ok(found);
            }
            is_stored = true;
            current = found;
        }
    }
    let renewed = request(&current, exchange).await;
    tracing::debug!(ok = renewed.is_ok(), "renewed the login");
    let renewed = renewed?;
    if is_stored {
        store(home, &current, &renewed).await;
    }
    drop(lock);
    Ok(renewed)
}

/// Stores the renewed login, unless somebody has logged out or in meanwhile.
async fn store(home: Option<&Path>, old: &Credentials, new: &Credentials) {
    let Some(home) = home else { return };
    if let Err(error) = replace(home, old, new).await {
        // The old refresh token may be used up by now, so a disk error must not fail the renewal.
        notice(&format!("the renewed login is not stored: {error}"));
    }
}

/// The stored credentials, if they are of the same login. An unreadable file is ignored, because the caller
/// already has the login.
fn stored_as(home: Option<&Path>, held: &Credentials) -> Option<Credentials> {
    match read(home?) {
        Ok(Stored::Present(found)) if same_login(&found, held) => Some(found),
        _ => None,
    }
}

/// Follows earlier renewals from these credentials to the latest ones.
fn latest(all: &[(Key, State)], env: &Environment, mut current: Credentials) -> Credentials {
    for _ in 0..all.len() {
        let Some(from) = key(env, &current) else {
            break;
        };
        let next = all.iter().find_map(|(key, state)| match state {
            State::Done(next) if *key == from => Some(next),
            _ => None,
        });
        let Some(next) = next else { break };
        let rotated = key(env, next).is_some_and(|key| key != from);
        if !rotated && expires_at(next) <= expires_at(&current) {
            break;
        }
        current = next.clone();
        if !rotated {
            break;
        }
    }
    current
}

fn finish(key: &Key, renewed: Option<&Credentials>) {
    let mut all = renewals();
    all.retain(|(other, _)| other != key);
    let Some(renewed) = renewed else { return };
    all.push((key.clone(), State::Done(renewed.clone())));
    let is_done = |(_, state): &(Key, State)| matches!(state, State::Done(_));
    if all.iter().filter(|entry| is_done(entry)).count() > MOST_DONE
        && let Some(oldest) = all.iter().position(is_done)
    {
        all.remove(oldest);
    }
}

fn renewals() -> MutexGuard<'static, Vec<(Key, State)>> {
    RENEWALS.lock().unwrap_or_else(PoisonError::into_inner)
}

fn key(env: &Environment, credentials: &Credentials) -> Option<Key> {
    match credentials {
        Credentials::Anonymous { .. } => None,
        Credentials::OAuth {
            auth0_domain,
            client_id,
            refresh_token,
            ..
        } => Some(Key {
            home: env.home.clone(),
            domain: auth0_domain.clone(),
            client: client_id.clone(),
            refresh_token: refresh_token.clone(),
        }),
    }
}

fn expires_at(credentials: &Credentials) -> f64 {
    match credentials {
        Credentials::Anonymous { .. } => f64::INFINITY,
        Credentials::OAuth { expires_at, .. } => *expires_at,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::Semaphore;

    use super::*;
    use crate::credentials::token::Answer;

    fn expired_login(refresh_token: &str) -> Credentials {
        Credentials::OAuth {
            access_token: "access-1".to_owned(),
            refresh_token: refresh_token.to_owned(),
            expires_at: 1.0,
            auth0_domain: "login.made-up.test".to_owned(),
            audience: None,
            client_id: "c".to_owned(),
            arkor_cloud_api_url: None,
            login_id: None,
        }
    }

    /// An identity provider that responds once `open` has a permit, and counts its requests.
    fn provider(status: u16, text: &'static str) -> (Exchange, Arc<Semaphore>, Arc<AtomicUsize>) {
        let (open, asked) = (Arc::new(Semaphore::new(0)), Arc::new(AtomicUsize::new(0)));
        let (opened, count) = (open.clone(), asked.clone());
        let exchange: Exchange = Arc::new(move |_| {
            count.fetch_add(1, Ordering::Relaxed);
            let opened = opened.clone();
            async move {
                let _permit = opened.acquire().await;
                let text = text.to_owned();
                Ok(Answer { status, text })
            }
            .boxed()
        });
        (exchange, open, asked)
    }

    #[tokio::test]
    async fn all_who_wait_for_a_renewal_get_its_one_result_also_a_refusal() {
        let env = Environment::default();
        let (exchange, open, asked) = provider(403, "{}");
        let held = expired_login("of-one-refusal");
        let ask = || renewed(&env, &held, None, exchange.clone());
        let release = async { open.add_permits(1) };
        let (a, b, c, ()) = futures::join!(ask(), ask(), ask(), release);
        for result in [a, b, c] {
            let error = result.err().unwrap();
            assert!(error.is_refused_login(), "{error:?}");
        }
        assert_eq!(asked.load(Ordering::Relaxed), 1);
        // A failure isn't remembered: it may have been temporary.
        assert!(ask().await.is_err());
        assert_eq!(asked.load(Ordering::Relaxed), 2);
    }

    #[tokio::test]
    async fn a_refresh_token_that_is_used_up_leads_to_what_it_became() {
        let env = Environment::default();
        let rotated = r#"{"access_token":"access-2","refresh_token":"rotated"}"#;
        let (exchange, open, asked) = provider(200, rotated);
        open.add_permits(1);
        let held = expired_login("used-up");
        for _ in 0..2 {
            let credentials = renewed(&env, &held, None, exchange.clone()).await.unwrap();
            assert_eq!(credentials.token(), "access-2");
        }
        assert_eq!(asked.load(Ordering::Relaxed), 1);
        // The backend has refused the token, so a new one is needed even though it hasn't expired.
        let refused = renewed(&env, &held, Some("access-2"), exchange.clone()).await;
        assert_eq!(refused.unwrap().token(), "access-2");
        assert_eq!(asked.load(Ordering::Relaxed), 2);
    }
}
