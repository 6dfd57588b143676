//! `CloudApiClient`'s calls by name: arguments → request, answer → what the caller gets.
//!
//! Pure on both sides of the exchange, so that a client with a `fetch` of its own makes the same
//! requests and gets the same answers as one that goes through [`crate::api`].

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::api::calls::{self, Request, Scope};
use crate::error::{Error, Result};
use crate::job;
use crate::json;
use crate::shape::Kind::{Array, Flag, Id, Object, Optional, Text, TextOrNull};
use crate::shape::{self, Field};

const PROJECT: &[Field] = &[("id", Id), ("slug", Text), ("name", Text), ("orgId", Text)];
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
const KEY: &[Field] = &[
    ("id", Id),
    ("label", Text),
    ("prefix", Text),
    ("enabled", Flag),
    ("createdAt", Text),
    ("lastUsedAt", Optional(&TextOrNull)),
];
/// The key exists by now, and its plaintext is shown this once: nothing else that is missing may
/// cost the caller the answer.
const NEW_KEY: &[Field] = &[("id", Id), ("plaintext", Text)];

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ProjectArguments {
    org_slug: String,
    name: String,
    slug: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OrgArguments {
    org_slug: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct JobArguments<'a> {
    org_slug: String,
    project_slug: String,
    #[serde(borrow)]
    name: &'a RawValue,
    #[serde(borrow)]
    config: &'a RawValue,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ById {
    id: String,
    scope: Scope,
    key_id: Option<String>,
    last_event_id: Option<String>,
}

#[derive(Deserialize)]
struct InScope<'a> {
    scope: Scope,
    id: Option<String>,
    #[serde(borrow)]
    body: Option<&'a RawValue>,
}

/// The request of a call; `arguments` is a JSON object.
///
/// # Errors
/// When the arguments do not fit; the message names the field.
pub fn request(call: &str, arguments: &str) -> Result<Request> {
    let in_scope = || read::<InScope<'_>>(call, arguments);
    Ok(match call {
        "listProjects" => calls::list_projects(&read::<OrgArguments>(call, arguments)?.org_slug),
        "createProject" => {
            let ProjectArguments {
                org_slug,
                name,
                slug,
            } = read(call, arguments)?;
            calls::create_project(&org_slug, &name, &slug)
        }
        "createJob" => {
            let JobArguments {
                org_slug,
                project_slug,
                name,
                config,
            } = read(call, arguments)?;
            calls::create_job(
                &Scope {
                    org_slug,
                    project_slug,
                },
                name,
                config,
            )
        }
        "getJob" => by_id(call, arguments, calls::get_job)?,
        "cancelJob" => by_id(call, arguments, calls::cancel_job)?,
        "openEventStream" => {
            let ById {
                id,
                scope,
                last_event_id,
                ..
            } = read(call, arguments)?;
            let last = last_event_id.as_deref().filter(|id| !id.is_empty());
            calls::stream_events(&scope, &id, last)
        }
        "chat" => {
            let InScope { scope, body, .. } = in_scope()?;
            calls::chat(
                &scope,
                body.ok_or_else(|| lacks(call, "body"))?.get().to_owned(),
            )
        }
        "listDeployments" => calls::list_deployments(&in_scope()?.scope),
        "getDeployment" => by_id(call, arguments, calls::get_deployment)?,
        "createDeployment" => {
            let InScope { scope, body, .. } = in_scope()?;
            calls::create_deployment(&scope, body.ok_or_else(|| lacks(call, "input"))?)
        }
        "updateDeployment" => {
            let InScope { scope, id, body } = in_scope()?;
            let id = id.ok_or_else(|| lacks(call, "id"))?;
            calls::update_deployment(&scope, &id, body.ok_or_else(|| lacks(call, "input"))?)
        }
        "deleteDeployment" => by_id(call, arguments, calls::delete_deployment)?,
        "listDeploymentKeys" => by_id(call, arguments, calls::list_deployment_keys)?,
        "createDeploymentKey" => {
            let InScope { scope, id, body } = in_scope()?;
            let id = id.ok_or_else(|| lacks(call, "id"))?;
            calls::create_deployment_key(&scope, &id, body.ok_or_else(|| lacks(call, "label"))?)
        }
        "revokeDeploymentKey" => {
            let ById {
                id, scope, key_id, ..
            } = read(call, arguments)?;
            let key = key_id.ok_or_else(|| lacks(call, "keyId"))?;
            calls::revoke_deployment_key(&scope, &id, &key)
        }
        _ => return Err(Error::plain(format!("CloudApiClient has no call {call}"))),
    })
}

/// What the caller gets of a 2xx answer: JSON text in which a marker stands for a bare NaN.
///
/// # Errors
/// When the answer is not what the call promises; the message names the field.
pub fn answer(call: &str, text: &str) -> Result<String> {
    let from = format!("CloudApiClient.{call}");
    let text = json::strict(text);
    if matches!(call, "createJob" | "getJob") {
        job::read(&text, &from)?;
    } else {
        shape::read(&text, &from, promised(call))?;
    }
    Ok(text.into_owned())
}

/// The fields of the answer to a call.
fn promised(call: &str) -> &'static [Field] {
    match call {
        "listProjects" => &[
            ("org", Object(&[("slug", Text)])),
            ("projects", Array(PROJECT)),
        ],
        "createProject" => &[("project", Object(PROJECT))],
        "listDeployments" => &[("deployments", Array(DEPLOYMENT))],
        "getDeployment" | "createDeployment" | "updateDeployment" => {
            &[("deployment", Object(DEPLOYMENT))]
        }
        "listDeploymentKeys" => &[("keys", Array(KEY))],
        "createDeploymentKey" => &[("key", Object(NEW_KEY))],
        _ => &[],
    }
}

fn by_id(call: &str, arguments: &str, make: fn(&Scope, &str) -> Request) -> Result<Request> {
    let ById { id, scope, .. } = read(call, arguments)?;
    Ok(make(&scope, &id))
}

fn read<'a, T: Deserialize<'a>>(call: &str, arguments: &'a str) -> Result<T> {
    serde_json::from_str(arguments)
        .map_err(|error| Error::plain(format!("CloudApiClient.{call}: {}", json::words(&error))))
}

fn lacks(call: &str, field: &str) -> Error {
    Error::plain(format!("CloudApiClient.{call}: missing field `{field}`"))
}
