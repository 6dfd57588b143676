//! The requests, one function each: method, path, query, body. Nothing is sent here.

use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{Method, Url};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::error::{Error, Result};

/// What `encodeURIComponent` leaves as it is.
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

/// One request to the backend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The HTTP method.
    pub method: Method,
    /// The path, its parts percent-encoded.
    pub path: String,
    /// The query, not encoded.
    pub query: Vec<(&'static str, String)>,
    /// The body, JSON text.
    pub body: Option<String>,
    /// The `Accept` header.
    pub accept: Option<&'static str>,
    /// The `Last-Event-ID` header (T24).
    pub last_event_id: Option<String>,
}

/// Whose jobs: the query of every call about one.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Scope {
    /// The organisation.
    pub org_slug: String,
    /// The project in it.
    pub project_slug: String,
}

impl Request {
    fn new(method: Method, path: String) -> Self {
        Self {
            method,
            path,
            query: Vec::new(),
            body: None,
            accept: None,
            last_event_id: None,
        }
    }

    fn scope(mut self, scope: &Scope) -> Self {
        self.query.push(("orgSlug", scope.org_slug.clone()));
        self.query.push(("projectSlug", scope.project_slug.clone()));
        self
    }

    fn json<T: Serialize + ?Sized>(mut self, body: &T) -> Self {
        // Maps of strings and raw JSON: this can't fail.
        self.body = Some(serde_json::to_string(body).unwrap_or_default());
        self
    }

    /// Path and query, as they go into the URL.
    ///
    /// # Errors
    /// When an id can't be a part of a path: a URL's path has no such name, whichever way it is
    /// encoded, and the request would be another one.
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

/// A backend's base URL as requests use it: no slash at the end, and no user, who would be a second
/// `Authorization`.
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

/// A value as it goes into a query or a form.
#[must_use]
pub fn component(value: &str) -> String {
    utf8_percent_encode(value, COMPONENT).to_string()
}

/// A new anonymous identity.
#[must_use]
pub fn anonymous(kind: &str) -> Request {
    Request::new(Method::POST, "/v1/auth/anonymous".to_owned())
        .json(&serde_json::json!({ "kind": kind }))
}

/// How to log in at this deployment.
#[must_use]
pub fn cli_config() -> Request {
    Request::new(Method::GET, "/v1/auth/cli/config".to_owned())
}

/// Whose token it is, and the organisations.
#[must_use]
pub fn me() -> Request {
    Request::new(Method::GET, "/v1/me".to_owned())
}

/// The organisation's projects.
#[must_use]
pub fn list_projects(org_slug: &str) -> Request {
    let mut request = Request::new(Method::GET, "/v1/projects".to_owned());
    request.query.push(("orgSlug", org_slug.to_owned()));
    request
}

/// A new project; 409 when the slug exists.
#[must_use]
pub fn create_project(org_slug: &str, name: &str, slug: &str) -> Request {
    let mut request = Request::new(Method::POST, "/v1/projects".to_owned());
    request.query.push(("orgSlug", org_slug.to_owned()));
    request.json(&serde_json::json!({ "name": name, "slug": slug }))
}

/// Submits a job; name and config are JSON.
#[must_use]
pub fn create_job(scope: &Scope, name: &RawValue, config: &RawValue) -> Request {
    #[derive(Serialize)]
    struct Body<'a> {
        name: &'a RawValue,
        config: &'a RawValue,
    }
    Request::new(Method::POST, "/v1/jobs".to_owned())
        .scope(scope)
        .json(&Body { name, config })
}

/// The project's jobs.
#[must_use]
pub fn list_jobs(scope: &Scope) -> Request {
    Request::new(Method::GET, "/v1/jobs".to_owned()).scope(scope)
}

/// One job as it is now.
#[must_use]
pub fn get_job(scope: &Scope, id: &str) -> Request {
    Request::new(Method::GET, job_path(id, "")).scope(scope)
}

/// Stops a job.
#[must_use]
pub fn cancel_job(scope: &Scope, id: &str) -> Request {
    Request::new(Method::POST, job_path(id, "/cancel")).scope(scope)
}

/// A job's event stream after `last_event_id`.
#[must_use]
pub fn stream_events(scope: &Scope, id: &str, last_event_id: Option<&str>) -> Request {
    let request = Request::new(Method::GET, job_path(id, "/events/stream")).scope(scope);
    Request {
        accept: Some("text/event-stream"),
        last_event_id: last_event_id.map(str::to_owned),
        ..request
    }
}

/// Asks a model; `body` is JSON text.
#[must_use]
pub fn chat(scope: &Scope, body: String) -> Request {
    let request = Request::new(Method::POST, "/v1/inference/chat".to_owned()).scope(scope);
    Request {
        body: Some(body),
        ..request
    }
}

fn job_path(id: &str, rest: &str) -> String {
    format!("/v1/jobs/{}{rest}", component(id))
}

/// A project's deployments.
#[must_use]
pub fn list_deployments(scope: &Scope) -> Request {
    Request::new(Method::GET, "/v1/endpoints".to_owned()).scope(scope)
}

/// One deployment.
#[must_use]
pub fn get_deployment(scope: &Scope, id: &str) -> Request {
    Request::new(Method::GET, endpoint_path(id, "")).scope(scope)
}

/// A new deployment; `input` is JSON.
#[must_use]
pub fn create_deployment(scope: &Scope, input: &RawValue) -> Request {
    Request::new(Method::POST, "/v1/endpoints".to_owned())
        .scope(scope)
        .json(input)
}

/// Changes a deployment; `input` is JSON.
#[must_use]
pub fn update_deployment(scope: &Scope, id: &str, input: &RawValue) -> Request {
    Request::new(Method::PATCH, endpoint_path(id, ""))
        .scope(scope)
        .json(input)
}

/// Ends a deployment.
#[must_use]
pub fn delete_deployment(scope: &Scope, id: &str) -> Request {
    Request::new(Method::DELETE, endpoint_path(id, "")).scope(scope)
}

/// A deployment's keys.
#[must_use]
pub fn list_deployment_keys(scope: &Scope, id: &str) -> Request {
    Request::new(Method::GET, endpoint_path(id, "/keys")).scope(scope)
}

/// A new key of a deployment; `input` is JSON.
#[must_use]
pub fn create_deployment_key(scope: &Scope, id: &str, input: &RawValue) -> Request {
    Request::new(Method::POST, endpoint_path(id, "/keys"))
        .scope(scope)
        .json(input)
}

/// Ends a key of a deployment.
#[must_use]
pub fn revoke_deployment_key(scope: &Scope, id: &str, key: &str) -> Request {
    let path = endpoint_path(id, &format!("/keys/{}", component(key)));
    Request::new(Method::DELETE, path).scope(scope)
}

fn endpoint_path(id: &str, rest: &str) -> String {
    format!("/v1/endpoints/{}{rest}", component(id))
}
