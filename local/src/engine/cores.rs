//! Thread pools for work that uses all cores.

use std::num::NonZero;
use std::thread;

/// The stack size of a training thread. The backward pass through a deep model is recursive.
const STACK_BYTES: usize = 64 * 1024 * 1024;

/// Runs `work` in its own pool with one thread per core, so that training doesn't compete with other
/// users of the global pool.
pub fn with_all_cores<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    with_cores(
        thread::available_parallelism().map_or(1, NonZero::get),
        work,
    )
}

/// Runs `work` in its own pool with this many threads.
pub fn with_cores<T: Send>(cores: usize, work: impl FnOnce() -> T + Send) -> T {
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(cores)
        .stack_size(STACK_BYTES);
    match pool.build() {
        Ok(pool) => pool.install(work),
        // No threads can be created. Without a pool, the work takes longer but has the same result.
        Err(_) => work(),
    }
}
