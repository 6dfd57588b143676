//! Whether a model fits into this machine's memory.

use crate::error::{Result, refused};

/// Refuses `bytes` more than there is room for. Where the system doesn't say how much that is,
/// everything passes.
pub fn check(what: &str, bytes: u64) -> Result<()> {
    const GIBIBYTE: u64 = 1024 * 1024 * 1024;
    match available() {
        Some(free) if bytes > free => refused(format!(
            "{what} needs {} GiB of memory in f32, this machine has {} GiB free. Use a smaller model.",
            bytes / GIBIBYTE,
            free / GIBIBYTE
        )),
        _ => Ok(()),
    }
}

/// In bytes: what the kernel can hand out, within the limit of the container. `None` where the system doesn't
/// say.
#[cfg(target_os = "linux")]
#[must_use]
pub fn available() -> Option<u64> {
    use std::fs;

    let meminfo = fs::read_to_string("/proc/meminfo").ok()?;
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kibibytes: u64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    let limit = fs::read_to_string("/sys/fs/cgroup/memory.max")
        .ok()
        .and_then(|text| text.trim().parse().ok());
    Some(limit.map_or(kibibytes * 1024, |limit: u64| limit.min(kibibytes * 1024)))
}

/// The system doesn't say.
#[cfg(not(target_os = "linux"))]
#[must_use]
pub fn available() -> Option<u64> {
    None
}
