//! Everything that can go wrong, and which JavaScript error it becomes.

use serde::Serialize;

/// A failure on its way to JavaScript. Each variant says what the user sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// `CloudApiError(status, message)`: the backend's answer was not 2xx (T33).
    Api {
        /// The HTTP status.
        status: u16,
        /// The backend's message.
        message: String,
        /// The answer; `None` where the error is not that of one.
        answer: Option<Box<Refused>>,
    },
    /// `TypeError("fetch failed")` with `cause: Error(message)` and `cause.code` (T33).
    Network {
        /// The system's code, `ECONNREFUSED` say.
        code: Option<String>,
        /// What happened, in words.
        message: String,
    },
    /// `Error(message)` with this `name`, for what users' code matches by name.
    Named {
        /// The error's `name`.
        name: &'static str,
        /// The message.
        message: String,
        /// The HTTP status, where one was the reason.
        status: Option<u16>,
    },
    /// `Error("Trainer SSE stream failed N consecutive times; giving up.")` (T14.2).
    Exhausted {
        /// Failures in a row.
        failures: u32,
        /// The last of them; `None` is the value that the callback threw, which JavaScript kept.
        cause: Option<Box<Error>>,
    },
    /// What a `fetch` of the user's rejected with, which JavaScript kept by this number.
    Fetch {
        /// The number.
        id: u32,
    },
    /// The system has no root certificates: JavaScript hands over Node's and calls again.
    NoRoots,
    /// `Error(message)` with this `code`: a file could not be read or written.
    File {
        /// The system's code, `EACCES` say.
        code: Option<String>,
        /// The file and the system's words.
        message: String,
    },
    /// `Error(message)`.
    Plain(String),
}

/// An answer that was not 2xx, as far as an error keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Names and values in turn.
    pub headers: Vec<String>,
    /// The beginning of the body.
    pub body: String,
}

/// The result of anything that can fail towards JavaScript.
pub type Result<T> = std::result::Result<T, Error>;

/// Says something on stderr that is no error of any call. It may be closed.
pub fn notice(words: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "arkor: {words}");
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.describe().message)
    }
}

impl Error {
    /// A `CloudApiError` of our own making, without an answer.
    pub fn api(status: u16, message: impl Into<String>) -> Self {
        Self::Api {
            status,
            message: message.into(),
            answer: None,
        }
    }

    /// An `Error` with this message.
    pub fn plain(message: impl Into<String>) -> Self {
        Self::Plain(message.into())
    }

    /// An error of reading or writing a file, with its path and the system's words.
    #[must_use]
    pub fn file(what: &str, path: &std::path::Path, error: &std::io::Error) -> Self {
        Self::File {
            code: system_code(error).map(str::to_owned),
            message: format!("{what} {}: {error}", path.display()),
        }
    }

    /// Whether it is that of a login that can't be renewed: everything else passes.
    #[must_use]
    pub fn is_refused_login(&self) -> bool {
        matches!(self, Self::Api { status: 401, .. })
    }

    /// The form in which it crosses to `lib/errors.js`.
    #[must_use]
    pub fn describe(&self) -> Description {
        let mut out = Description::default();
        match self {
            Self::Api {
                status,
                message,
                answer,
            } => {
                out.kind = "api";
                out.status = Some(*status);
                out.message.clone_from(message);
                if let Some(Refused { headers, body }) = answer.as_deref() {
                    out.headers = Some(headers.clone());
                    out.body = Some(body.clone());
                }
            }
            Self::Network { code, message } => {
                out.kind = "network";
                out.code.clone_from(code);
                out.message.clone_from(message);
            }
            Self::Named {
                name,
                message,
                status,
            } => {
                out.kind = "named";
                out.name = Some(name);
                out.status = *status;
                out.message.clone_from(message);
            }
            Self::Exhausted { failures, cause } => {
                out.kind = "exhausted";
                out.message =
                    format!("Trainer SSE stream failed {failures} consecutive times; giving up.");
                out.cause = cause.as_ref().map(|cause| Box::new(cause.describe()));
            }
            Self::File { code, message } => {
                out.kind = "file";
                out.code.clone_from(code);
                out.message.clone_from(message);
            }
            Self::Fetch { id } => {
                out.kind = "fetch";
                out.id = Some(*id);
                "The login could not be renewed".clone_into(&mut out.message);
            }
            Self::NoRoots => {
                out.kind = "roots";
                "this system has no root certificates".clone_into(&mut out.message);
            }
            Self::Plain(message) => {
                out.kind = "plain";
                out.message.clone_from(message);
            }
        }
        out
    }
}

/// Node's name for what the system said. The numbers differ between systems, the names do not.
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

/// The codes of a process, or a system, that can open nothing more: Rust has no kind for them.
#[cfg(unix)]
#[must_use]
pub fn exhaustion_code(error: &std::io::Error) -> Option<&'static str> {
    // The same on all that Node runs on.
    match error.raw_os_error() {
        Some(23) => Some("ENFILE"),
        Some(24) => Some("EMFILE"),
        _ => None,
    }
}

/// As above.
#[cfg(windows)]
#[must_use]
pub fn exhaustion_code(error: &std::io::Error) -> Option<&'static str> {
    // ERROR_TOO_MANY_OPEN_FILES, WSAEMFILE.
    matches!(error.raw_os_error(), Some(4 | 10024)).then_some("EMFILE")
}

/// An [`Error`] as plain data: JSON on its way to JavaScript.
#[derive(Debug, Default, Serialize, PartialEq, Eq)]
pub struct Description {
    /// Which JavaScript error to make of it: the variant's name in lower case.
    pub kind: &'static str,
    /// The message.
    pub message: String,
    /// The HTTP status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The system's code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The error's `name`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<&'static str>,
    /// The headers of the answer: names and values in turn.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub headers: Option<Vec<String>>,
    /// The beginning of the answer's body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// By which JavaScript finds the error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<u32>,
    /// The cause; absent on `exhausted` where it is the value that the callback threw.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<Box<Description>>,
}
