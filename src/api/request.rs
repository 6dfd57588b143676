//! A request to the backend, and its parts.

use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{Method, Url};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::error::{Error, Result};

/// The characters that `encodeURIComponent` leaves as they are.
const COMPONENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'!')
    .remove(b'~')
    .remove(b'*')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')');

/// The parts of a request. The endpoint decides which of them are required.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Parts<'a> {
    /// The organisation and project for the query.
    pub scope: Option<Scope>,
    /// The `{id}` of the path.
    pub id: Option<String>,
    /// The `{keyId}` of the path.
    pub key_id: Option<String>,
    /// The `Last-Event-ID` header (T24); an empty one isn't sent.
    pub last_event_id: Option<String>,
    /// The body: a JSON object.
    #[serde(borrow)]
    pub body: Option<&'a RawValue>,
}

/// An organisation, and a project in it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Scope {
    /// The organisation.
    pub org_slug: String,
    /// The project.
    #[serde(default)]
    pub project_slug: Option<String>,
}

/// One request to the backend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The HTTP method.
    pub method: Method,
    /// The path, with its parameters percent-encoded.
    pub path: String,
    /// The query, not encoded.
    pub query: Vec<(&'static str, String)>,
    /// The body, as JSON text.
    pub body: Option<String>,
    /// The `Accept` header.
    pub accept: Option<&'static str>,
    /// The `Last-Event-ID` header (T24).
    pub last_event_id: Option<String>,
}

impl Request {
    /// The path and the query, as they appear in the URL.
    ///
    /// # Errors
    /// When an id is empty, `.` or `..`. No encoding makes those a path segment, so the request would go to
    /// another path.
    pub fn target(&self) -> Result<String> {
        let mut parts = self.path.split('/').skip(1);
        if parts.any(|part| matches!(part, "" | "." | "..")) {
            let words = "an id must not be empty, \".\" or \"..\"";
            return Err(Error::plain(format!("{self}: {words}")));
        }
        let mut out = self.path.clone();
        for (index, (name, value)) in self.query.iter().enumerate() {
            out.push(if index == 0 { '?' } else { '&' });
            out.push_str(name);
            out.push('=');
            out.push_str(&component(value));
        }
        Ok(out)
    }
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.path)
    }
}

/// Normalises a backend's base URL: removes trailing slashes, and the user and password, which would become a
/// second `Authorization`.
#[must_use]
pub fn root(base_url: &str) -> String {
    let root = base_url.trim_end_matches('/');
    match Url::parse(root) {
        Ok(mut url) if !url.username().is_empty() || url.password().is_some() => {
            let _ = url.set_username("");
            let _ = url.set_password(None);
            url.as_str().trim_end_matches('/').to_owned()
        }
        _ => root.to_owned(),
    }
}

/// Percent-encodes a value for a query or a form.
#[must_use]
pub fn component(value: &str) -> String {
    utf8_percent_encode(value, COMPONENT).to_string()
}
