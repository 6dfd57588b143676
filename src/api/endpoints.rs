//! The backend's endpoints, one row each: the method, the path, and the required fields of the request and
//! the response. Nothing is sent here.
//!
//! A new method of `CloudApiClient` is a row in [`CLIENT_ENDPOINTS`], the method in `lib/client.js`, and its
//! type in `index.d.ts`.

use reqwest::Method;

use super::request::{Parts, Request, Scope, component};
use crate::error::{Error, Result};
use crate::job::JOB;
use crate::shape::Kind::{Any, Array, Flag, Id, Object, Optional, Text, TextOrNull};
use crate::shape::{Field, check};

/// A project in the responses of `POST /v1/projects` and `GET /v1/projects`.
pub const PROJECT: &[Field] = &[("id", Id), ("slug", Text), ("name", Text), ("orgId", Text)];
const DEPLOYMENT: &[Field] = &[
    ("id", Id),
    ("slug", Text),
    ("orgId", Text),
    ("projectId", Text),
    ("target", Object(&[("kind", Text)])),
    ("authMode", Text),
    ("urlFormat", Text),
    ("enabled", Flag),
    ("customDomain", TextOrNull),
    ("createdAt", Text),
    ("updatedAt", Text),
];
const ONE_DEPLOYMENT: &[Field] = &[("deployment", Object(DEPLOYMENT))];
const KEY: &[Field] = &[
    ("id", Id),
    ("label", Text),
    ("prefix", Text),
    ("enabled", Flag),
    ("createdAt", Text),
    ("lastUsedAt", Optional(&TextOrNull)),
];
/// Checks as little as possible. The key already exists and its plaintext is shown only once, so another
/// missing field must not make the call fail.
const NEW_KEY: &[Field] = &[("id", Id), ("plaintext", Text)];
const ONE_JOB: &[Field] = &[("job", Object(JOB))];

/// An endpoint of the backend.
#[derive(Debug, Clone, Copy)]
pub struct Endpoint {
    /// The name of the `CloudApiClient` method.
    pub name: &'static str,
    method: &'static str,
    /// Placeholders: `{id}` and `{keyId}`, the arguments of these names.
    path: &'static str,
    query: Query,
    /// The fields that a body must have; `None` for a request without one.
    body: Option<&'static [Field]>,
    accept: Option<&'static str>,
    /// The required fields of the response.
    pub answer: &'static [Field],
}

/// The data that a request is about: the part of the scope that goes into the query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Query {
    Nothing,
    Org,
    Project,
}

/// Base values for the rows. `name` stays empty if `CloudApiClient` doesn't offer the call.
const GET: Endpoint = Endpoint {
    name: "",
    method: "GET",
    path: "",
    query: Query::Project,
    body: None,
    accept: None,
    answer: &[],
};
const DELETE: Endpoint = Endpoint {
    method: "DELETE",
    ..GET
};
/// Accepts any object as its body.
const POST: Endpoint = Endpoint {
    method: "POST",
    body: Some(&[]),
    ..GET
};

/// Creates an anonymous identity.
pub const ANONYMOUS: Endpoint = Endpoint {
    path: "/v1/auth/anonymous",
    query: Query::Nothing,
    ..POST
};
/// How to log in at this deployment.
pub const CLI_CONFIG: Endpoint = Endpoint {
    path: "/v1/auth/cli/config",
    query: Query::Nothing,
    ..GET
};
/// The user that the token belongs to, and the user's organisations.
pub const ME: Endpoint = Endpoint {
    path: "/v1/me",
    query: Query::Nothing,
    ..GET
};
/// The project's jobs.
pub const LIST_JOBS: Endpoint = Endpoint {
    path: "/v1/jobs",
    answer: &[("jobs", Array(JOB))],
    ..GET
};
/// The organisation's projects.
pub const LIST_PROJECTS: Endpoint = Endpoint {
    name: "listProjects",
    path: "/v1/projects",
    query: Query::Org,
    answer: &[
        ("org", Object(&[("slug", Text)])),
        ("projects", Array(PROJECT)),
    ],
    ..GET
};
/// Creates a project; 409 if the slug is taken.
pub const CREATE_PROJECT: Endpoint = Endpoint {
    name: "createProject",
    path: "/v1/projects",
    query: Query::Org,
    body: Some(&[("name", Text), ("slug", Text)]),
    answer: &[("project", Object(PROJECT))],
    ..POST
};
/// Submits a job.
pub const CREATE_JOB: Endpoint = Endpoint {
    name: "createJob",
    path: "/v1/jobs",
    body: Some(&[("name", Any), ("config", Any)]),
    answer: ONE_JOB,
    ..POST
};
/// The current state of one job.
pub const GET_JOB: Endpoint = Endpoint {
    name: "getJob",
    path: "/v1/jobs/{id}",
    answer: ONE_JOB,
    ..GET
};
/// Stops a job.
pub const CANCEL_JOB: Endpoint = Endpoint {
    name: "cancelJob",
    path: "/v1/jobs/{id}/cancel",
    body: None,
    ..POST
};
/// Creates a job that resumes a failed or cancelled one from its last checkpoint. Only the local backend
/// supports this.
pub const RESUME_JOB: Endpoint = Endpoint {
    path: "/v1/jobs/{id}/resume",
    body: None,
    answer: ONE_JOB,
    ..POST
};
/// A job's event stream.
pub const OPEN_EVENT_STREAM: Endpoint = Endpoint {
    name: "openEventStream",
    path: "/v1/jobs/{id}/events/stream",
    accept: Some("text/event-stream"),
    ..GET
};
/// Sends a chat to a model.
pub const CHAT: Endpoint = Endpoint {
    name: "chat",
    path: "/v1/inference/chat",
    ..POST
};

/// The endpoints that `CloudApiClient` can call.
pub const CLIENT_ENDPOINTS: &[Endpoint] = &[
    LIST_PROJECTS,
    CREATE_PROJECT,
    CREATE_JOB,
    GET_JOB,
    CANCEL_JOB,
    OPEN_EVENT_STREAM,
    CHAT,
    Endpoint {
        name: "listDeployments",
        path: "/v1/endpoints",
        answer: &[("deployments", Array(DEPLOYMENT))],
        ..GET
    },
    Endpoint {
        name: "getDeployment",
        path: "/v1/endpoints/{id}",
        answer: ONE_DEPLOYMENT,
        ..GET
    },
    Endpoint {
        name: "createDeployment",
        path: "/v1/endpoints",
        answer: ONE_DEPLOYMENT,
        ..POST
    },
    Endpoint {
        name: "updateDeployment",
        method: "PATCH",
        path: "/v1/endpoints/{id}",
        answer: ONE_DEPLOYMENT,
        ..POST
    },
    Endpoint {
        name: "deleteDeployment",
        path: "/v1/endpoints/{id}",
        ..DELETE
    },
    Endpoint {
        name: "listDeploymentKeys",
        path: "/v1/endpoints/{id}/keys",
        answer: &[("keys", Array(KEY))],
        ..GET
    },
    Endpoint {
        name: "createDeploymentKey",
        path: "/v1/endpoints/{id}/keys",
        answer: &[("key", Object(NEW_KEY))],
        ..POST
    },
    Endpoint {
        name: "revokeDeploymentKey",
        path: "/v1/endpoints/{id}/keys/{keyId}",
        ..DELETE
    },
];

impl Endpoint {
    /// Builds the request.
    ///
    /// # Errors
    /// When a path parameter, or a required field of the body, is missing. The message names it.
    pub fn request(&self, parts: &Parts<'_>) -> Result<Request> {
        let lacks = |field: &str| Error::plain(format!("missing field `{field}`"));
        let mut path = self.path.to_owned();
        for (name, value) in [("id", &parts.id), ("keyId", &parts.key_id)] {
            let place = format!("{{{name}}}");
            if path.contains(&place) {
                let value = value.as_deref().ok_or_else(|| lacks(name))?;
                path = path.replace(&place, &component(value));
            }
        }
        let mut query = Vec::new();
        if self.query != Query::Nothing {
            let scope = parts.scope.as_ref().ok_or_else(|| lacks("scope"))?;
            query.push(("orgSlug", scope.org_slug.clone()));
            if self.query == Query::Project {
                let project = scope.project_slug.clone();
                query.push(("projectSlug", project.ok_or_else(|| lacks("projectSlug"))?));
            }
        }
        let body = match (self.body, parts.body) {
            (None, _) => None,
            (Some(_), None) => return Err(lacks("body")),
            (Some(fields), Some(body)) => {
                check(body.get(), fields).map_err(Error::plain)?;
                Some(body.get().to_owned())
            }
        };
        let last_event_id = parts.last_event_id.clone();
        Ok(Request {
            // The methods in the table are all valid.
            method: Method::from_bytes(self.method.as_bytes()).unwrap_or_default(),
            path,
            query,
            body,
            accept: self.accept,
            last_event_id: last_event_id.filter(|id| !id.is_empty()),
        })
    }

    /// Builds a request about one job of a project.
    ///
    /// # Errors
    /// None if the endpoint needs only the scope and the id.
    pub fn of_job(&self, scope: &Scope, id: &str) -> Result<Request> {
        self.request(&Parts {
            scope: Some(scope.clone()),
            id: Some(id.to_owned()),
            ..Parts::default()
        })
    }
}
