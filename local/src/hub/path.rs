//! Paths that come from a server.

/// Whether a path that a server or a client names stays in the folder that it's joined to, on every
/// system: no `..`, not absolute, no drive, no backslash.
pub(super) fn is_safe(path: &str) -> bool {
    let plain = |part: &str| {
        !matches!(part, "" | "." | "..")
            && !part.contains(['\\', '\0'])
            // `C:name` is on a drive and `name:stream` in a file.
            && !(part.contains(':') && (cfg!(windows) || part.find(':') == Some(1)))
    };
    path.split('/').all(plain)
}
