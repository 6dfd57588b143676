//! Handles Ctrl-C while a callback blocks the main thread, when JavaScript's own listener can't run.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::sleep;

/// How long JavaScript has to notice a key press.
const PATIENCE: Duration = Duration::from_secs(1);

/// Resolves once Ctrl-C was pressed twice without JavaScript noticing, and never otherwise. `say` prints a
/// notice to the user; it must not fail.
pub async fn unheard_twice(
    presses: &mut mpsc::UnboundedReceiver<()>,
    heard: &AtomicUsize,
    say: impl Fn(&str),
) {
    let mut count = 0;
    while presses.recv().await.is_some() {
        count += 1;
        sleep(PATIENCE).await;
        while presses.try_recv().is_ok() {
            count += 1;
        }
        match count - heard.load(Ordering::Relaxed).min(count) {
            0 => {}
            1 => say("A callback holds this process up. Ctrl-C again ends it at once."),
            _ => {
                say("Ended. A run in the cloud goes on: see arkor jobs.");
                return;
            }
        }
    }
    // Nobody sends presses any more.
    std::future::pending::<()>().await;
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::cell::RefCell;

    use tokio::time::timeout;

    use super::*;

    /// Sends `presses`, of which JavaScript notices `heard`. Returns whether the process would end, and how
    /// many notices were printed.
    async fn after(presses: usize, heard: usize) -> (bool, usize) {
        let (sender, mut receiver) = mpsc::unbounded_channel();
        for _ in 0..presses {
            sender.send(()).unwrap();
        }
        let heard = AtomicUsize::new(heard);
        let said = RefCell::new(0);
        let watching = unheard_twice(&mut receiver, &heard, |_| *said.borrow_mut() += 1);
        let ends = timeout(PATIENCE * 10, watching).await.is_ok();
        (ends, said.into_inner())
    }

    #[tokio::test(start_paused = true)]
    async fn only_what_nobody_hears_ends_the_process() {
        assert_eq!(after(1, 1).await, (false, 0));
        assert_eq!(after(3, 3).await, (false, 0));
        assert_eq!(after(1, 0).await, (false, 1));
        assert_eq!(after(2, 0).await, (true, 1));
        assert_eq!(after(3, 1).await, (true, 1));
    }
}
