//! What the allocator does with freed memory while a run trains.

use libmimalloc_sys::{mi_collect, mi_option_get, mi_option_set, mi_option_t};

/// `mi_option_purge_delay` of mimalloc's header, which `libmimalloc_sys` doesn't name: after this many milliseconds,
/// freed memory goes back to the system. At -1, it doesn't.
const PURGE_DELAY: mi_option_t = 15;

/// Keeps freed memory for the next step as long as this lives: otherwise the system clears gigabytes of pages anew in
/// each step, which takes a fifth of its time. When it's dropped, the memory goes back to the system.
pub struct KeepFreedMemory {
    delay: std::ffi::c_long,
}

impl KeepFreedMemory {
    /// Starts to keep freed memory.
    pub fn new() -> Self {
        // SAFETY: these read and write a setting, which is a single word.
        let delay = unsafe { mi_option_get(PURGE_DELAY) };
        unsafe { mi_option_set(PURGE_DELAY, -1) };
        Self { delay }
    }
}

impl Drop for KeepFreedMemory {
    fn drop(&mut self) {
        // SAFETY: as above; collecting touches only what's free.
        unsafe { mi_option_set(PURGE_DELAY, self.delay) };
        unsafe { mi_collect(true) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_setting_is_the_purge_delay_and_is_restored() {
        // SAFETY: as above.
        let delay = || unsafe { mi_option_get(PURGE_DELAY) };
        // mimalloc's default for it.
        assert_eq!(delay(), 1000);
        let kept = KeepFreedMemory::new();
        assert_eq!(delay(), -1);
        drop(kept);
        assert_eq!(delay(), 1000);
    }
}
