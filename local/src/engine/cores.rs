//! Thread pools for work that uses all cores.

use std::num::NonZero;
use std::thread;

/// Stack of a training thread. The backward pass through a deep model is recursive.
const STACK_BYTES: usize = 64 * 1024 * 1024;

/// Runs `work` in its own pool with one thread per core, so that training neither waits for
/// other users of the global pool nor makes them wait.
pub fn with_all_cores<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    with_cores(
        thread::available_parallelism().map_or(1, NonZero::get),
        work,
    )
}

/// Runs `work` in its own pool with one thread for each of `cores`.
pub fn with_cores<T: Send>(cores: usize, work: impl FnOnce() -> T + Send) -> T {
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(cores)
        .stack_size(STACK_BYTES);
    match pool.build() {
        Ok(pool) => pool.install(work),
        // No threads to be had: slower, but the same result.
        Err(_) => work(),
    }
}
