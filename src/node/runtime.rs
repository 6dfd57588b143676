//! The runtime of the process, and the lifetime of each Node environment in it.

use std::cell::RefCell;
use std::io;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use napi::bindgen_prelude::Object;
use napi::{Env, Result};
use napi_derive::napi;
use tokio::runtime::{Builder, Runtime};
use tokio_util::sync::CancellationToken;

use super::crossing::crossing;
use crate::error::{Error, system_code};

/// Two workers: one reads and decodes while the other drives a connection. More would only add wake-ups.
const WORKERS: usize = 2;

thread_local! {
    /// Cancelled when this thread's environment is torn down.
    static ENVIRONMENT: RefCell<CancellationToken> = RefCell::new(CancellationToken::new());
}

/// Runs once for every environment that loads the addon.
#[napi(module_exports)]
pub fn init(_exports: Object, env: Env) -> Result<()> {
    let token = CancellationToken::new();
    ENVIRONMENT.with_borrow_mut(|current| *current = token.clone());
    env.add_env_cleanup_hook(token, |token| token.cancel())?;
    Ok(())
}

/// A token that is cancelled when the calling thread's environment is torn down. A call into a dead
/// environment never returns a result, so every wait must also select on this token.
pub fn lifetime() -> CancellationToken {
    ENVIRONMENT.with_borrow(CancellationToken::child_token)
}

/// The process's runtime. It's never shut down: its threads end with the process, and a pooled connection may
/// outlive the worker that opened it.
pub fn runtime() -> Result<&'static Runtime> {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    static STARTING: Mutex<()> = Mutex::new(());
    if let Some(runtime) = RUNTIME.get() {
        return Ok(runtime);
    }
    let _starting = STARTING.lock().unwrap_or_else(PoisonError::into_inner);
    // Only a success is kept: a process that ran out of file descriptors may succeed later.
    match RUNTIME.get() {
        Some(runtime) => Ok(runtime),
        None => start()
            .map(|runtime| RUNTIME.get_or_init(|| runtime))
            .map_err(|error| {
                crossing(&Error::Network {
                    code: system_code(&error).map(str::to_owned),
                    message: format!("arkor can't start its runtime: {error}"),
                })
            }),
    }
}

fn start() -> io::Result<Runtime> {
    Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .thread_name("arkor")
        .enable_all()
        .build()
}

/// Locks a mutex, even one that a panic poisoned.
pub fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
