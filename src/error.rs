//! Every error of the engine, and the JavaScript error that it becomes.

use serde::{Serialize, Serializer};

/// A failure on its way to JavaScript. `lib/errors.js` turns each variant into a JavaScript error.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum Error {
    /// `CloudApiError(status, message)`: the status code wasn't 2xx (T33).
    #[error("{message}")]
    Api {
        /// The HTTP status code.
        status: u16,
        /// The backend's message.
        #[serde(skip)]
        message: String,
        /// The response; `None` if there was none.
        answer: Option<Box<Refused>>,
    },
    /// `TypeError("fetch failed")` with `cause: Error(message)` and `cause.code` (T33).
    #[error("{message}")]
    Network {
        /// The system's code, for example `ECONNREFUSED`.
        code: Option<String>,
        /// What couldn't be reached, and why.
        #[serde(skip)]
        message: String,
    },
    /// `AnonymousTokenRejectedError(status, message)`.
    #[error("{message}")]
    AnonymousTokenRejected {
        /// The HTTP status code.
        status: u16,
        /// The backend's message.
        #[serde(skip)]
        message: String,
    },
    /// `ProjectStateMismatchError(message)`.
    #[error("{message}")]
    ProjectStateMismatch {
        /// The state file that it's about, and what to do.
        #[serde(skip)]
        message: String,
    },
    /// `Error(message)` with the last failure as its `cause` (T14.2).
    #[error("Trainer SSE stream failed {failures} consecutive times; giving up.")]
    Exhausted {
        /// How many consecutive failures there were.
        #[serde(skip)]
        failures: u32,
        /// The last failure.
        #[source]
        #[serde(serialize_with = "with_message")]
        cause: Box<Error>,
    },
    /// The value that a callback threw. It never leaves JavaScript.
    #[error("a callback threw")]
    Thrown,
    /// The value that the user's `fetch` rejected with. JavaScript keeps it under this id.
    #[error("The login could not be renewed")]
    FetchRejected {
        /// The id.
        id: u32,
    },
    /// The system has no root certificates. JavaScript passes Node's and calls again.
    #[error("this system has no root certificates")]
    NoRoots,
    /// `Error(message)` with this `code`: a file couldn't be read or written.
    #[error("{message}")]
    File {
        /// The system's code, for example `EACCES`.
        code: Option<String>,
        /// The file and the system's message.
        #[serde(skip)]
        message: String,
    },
    /// `Error(message)`.
    #[error("{message}")]
    Plain {
        /// The message.
        #[serde(skip)]
        message: String,
    },
}

/// The parts of a response that an error keeps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refused {
    /// Alternating names and values.
    pub headers: Vec<String>,
    /// The beginning of the body.
    pub body: String,
}

/// The result of anything whose failure reaches JavaScript.
pub type Result<T> = std::result::Result<T, Error>;

/// Prints a line on stderr that doesn't belong to any call. Stderr may be closed.
pub fn notice(words: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "arkor: {words}");
}

impl Error {
    /// A `CloudApiError` from the engine itself, without a response.
    pub fn api(status: u16, message: impl Into<String>) -> Self {
        Self::Api {
            status,
            message: message.into(),
            answer: None,
        }
    }

    /// An `Error` with this message.
    pub fn plain(message: impl Into<String>) -> Self {
        Self::Plain {
            message: message.into(),
        }
    }

    /// An error in reading or writing a file, with its path and the system's message.
    #[must_use]
    pub fn file(what: &str, path: &std::path::Path, error: &std::io::Error) -> Self {
        Self::File {
            code: system_code(error).map(str::to_owned),
            message: format!("{what} {}: {error}", path.display()),
        }
    }

    /// The JSON that `toError` in `lib/errors.js` reads.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut json = Vec::new();
        // The error has only strings and numbers, and memory accepts any write: this can't fail.
        let _ = with_message(self, &mut serde_json::Serializer::new(&mut json));
        String::from_utf8(json).unwrap_or_default()
    }

    /// Whether a login can never be renewed again. All other failures are temporary.
    #[must_use]
    pub fn is_refused_login(&self) -> bool {
        matches!(self, Self::Api { status: 401, .. })
    }
}

/// The error in the form in which it crosses to JavaScript: tagged with its kind, and with its message.
fn with_message<S: Serializer>(
    error: &Error,
    serializer: S,
) -> std::result::Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Crossing<'a> {
        message: String,
        #[serde(flatten)]
        error: &'a Error,
    }
    let message = error.to_string();
    Crossing { message, error }.serialize(serializer)
}

/// Node's name for a system error. The numbers differ between systems; the names don't.
#[must_use]
pub fn system_code(error: &std::io::Error) -> Option<&'static str> {
    use std::io::ErrorKind as Kind;
    if let Some(code) = exhaustion_code(error) {
        return Some(code);
    }
    Some(match error.kind() {
        Kind::ConnectionRefused => "ECONNREFUSED",
        Kind::ConnectionReset | Kind::UnexpectedEof => "ECONNRESET",
        Kind::ConnectionAborted => "ECONNABORTED",
        Kind::BrokenPipe => "EPIPE",
        Kind::TimedOut => "ETIMEDOUT",
        Kind::HostUnreachable => "EHOSTUNREACH",
        Kind::NetworkUnreachable => "ENETUNREACH",
        Kind::NetworkDown => "ENETDOWN",
        Kind::AddrNotAvailable => "EADDRNOTAVAIL",
        Kind::PermissionDenied => "EACCES",
        Kind::NotFound => "ENOENT",
        Kind::NotADirectory => "ENOTDIR",
        Kind::IsADirectory => "EISDIR",
        Kind::ReadOnlyFilesystem => "EROFS",
        Kind::StorageFull => "ENOSPC",
        _ => return None,
    })
}

/// The codes for too many open files in the process or the system, for which Rust has no kind.
#[cfg(unix)]
#[must_use]
pub fn exhaustion_code(error: &std::io::Error) -> Option<&'static str> {
    // The numbers are the same on every Unix that Node supports.
    match error.raw_os_error() {
        Some(23) => Some("ENFILE"),
        Some(24) => Some("EMFILE"),
        _ => None,
    }
}

/// The code for too many open files, for which Rust has no kind.
#[cfg(windows)]
#[must_use]
pub fn exhaustion_code(error: &std::io::Error) -> Option<&'static str> {
    // ERROR_TOO_MANY_OPEN_FILES, WSAEMFILE.
    matches!(error.raw_os_error(), Some(4 | 10024)).then_some("EMFILE")
}
