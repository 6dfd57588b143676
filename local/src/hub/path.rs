//! Paths that come from a server.

/// Whether a path from a server or a client stays in the folder that it's joined to, on every system: no
/// `..`, no absolute path, no drive, no backslash.
pub(super) fn is_safe(path: &str) -> bool {
    let plain = |part: &str| {
        !matches!(part, "" | "." | "..")
            && !part.contains(['\\', '\0'])
            // `C:name` refers to a drive, and `name:stream` to a stream of a file.
            && !(part.contains(':') && (cfg!(windows) || part.find(':') == Some(1)))
    };
    path.split('/').all(plain)
}
