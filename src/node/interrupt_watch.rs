//! Watches for Ctrl-C on behalf of the command while the main thread is blocked.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use napi_derive::napi;
use tokio::task::AbortHandle;

#[cfg(unix)]
use crate::error::notice;

/// Watches until it's closed, alongside JavaScript's own listener.
#[napi]
pub struct InterruptWatch {
    heard: Arc<AtomicUsize>,
    watching: Option<AbortHandle>,
}

#[napi]
impl InterruptWatch {
    /// Starts the watch. JavaScript's own listener must already be installed, because the listener
    /// installed last passes the signal on to the earlier ones.
    #[napi(constructor, catch_unwind)]
    pub fn new() -> napi::Result<Self> {
        let heard = Arc::new(AtomicUsize::new(0));
        Ok(Self {
            watching: watch(&heard)?,
            heard,
        })
    }

    /// JavaScript calls this whenever its own listener has run.
    #[napi(catch_unwind)]
    pub fn heard(&self) {
        self.heard.fetch_add(1, Ordering::Relaxed);
    }

    /// Ends the watch.
    #[napi(catch_unwind)]
    pub fn close(&self) {
        if let Some(watching) = &self.watching {
            watching.abort();
        }
    }
}

#[cfg(unix)]
fn watch(heard: &Arc<AtomicUsize>) -> napi::Result<Option<AbortHandle>> {
    use tokio::signal::unix::{SignalKind, signal};
    use tokio::sync::mpsc;

    let runtime = super::runtime::runtime()?;
    let mut interrupts = {
        let _runtime = runtime.enter();
        signal(SignalKind::interrupt())?
    };
    let heard = heard.clone();
    let watching = runtime.spawn(async move {
        let (sender, mut presses) = mpsc::unbounded_channel();
        let counting =
            async move { while interrupts.recv().await.is_some() && sender.send(()).is_ok() {} };
        tokio::select! {
            () = crate::interrupts::unheard_twice(&mut presses, &heard, notice) => {}
            () = counting => return,
        }
        // Ends the process as if no listener were installed. This returns only on failure, and then nothing
        // else helps.
        let _ = signal_hook::low_level::emulate_default_handler(signal_hook::consts::SIGINT);
    });
    Ok(Some(watching.abort_handle()))
}

/// Windows has no signals: it calls the listeners on a thread of its own.
#[cfg(not(unix))]
fn watch(_: &Arc<AtomicUsize>) -> napi::Result<Option<AbortHandle>> {
    Ok(None)
}
