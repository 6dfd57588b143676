//! `CloudApiClient`'s calls by name: arguments → request, answer → what the caller gets.
//!
//! Pure on both sides of the exchange, so that a client with a `fetch` of its own makes the same
//! requests and gets the same answers as one that goes through [`crate::api`].

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::api::calls::{self, Request, Scope};
use crate::error::{Error, Result};
use crate::job;
use crate::json::fields;

/// What a field of an answer holds.
#[derive(Debug, Clone, Copy)]
enum Content {
    /// An object with these fields at least.
    Object(&'static [&'static str]),
    /// An array of such objects.
    Array(&'static [&'static str]),
}

/// The fields of the answer to a call; none where nobody reads it.
type Shape = &'static [(&'static str, Content)];

const PROJECT: &[&str] = &["id", "slug", "name", "orgId"];
const DEPLOYMENT: &[&str] = &[
    "id",
    "slug",
    "orgId",
    "projectId",
    "target",
    "authMode",
    "urlFormat",
    "enabled",
    "customDomain",
    "createdAt",
    "updatedAt",
];
const KEY: &[&str] = &[
    "id",
    "label",
    "prefix",
    "enabled",
    "createdAt",
    "lastUsedAt",
];
const NEW_KEY: &[&str] = &["id", "label", "prefix", "enabled", "createdAt", "plaintext"];

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

/// What the caller gets of a 2xx answer: JSON text, or nothing.
///
/// # Errors
/// When the answer lacks what the call promises; the message names the field.
pub fn answer(call: &str, text: &str) -> Result<Option<String>> {
    let from = format!("CloudApiClient.{call}");
    let Some(shape) = shape(call) else {
        return Ok(None);
    };
    if matches!(call, "createJob" | "getJob") {
        job::read(text, &from)?;
    }
    let unusable = |what: String| {
        Error::plain(format!(
            "The backend's answer to {from} is not usable: {what}"
        ))
    };
    let answer = fields(text).map_err(|_| unusable("it is no JSON object".to_owned()))?;
    for (name, content) in shape {
        let raw = answer
            .get(name.as_bytes())
            .ok_or_else(|| unusable(format!("{name} is missing")))?;
        check(name, raw, *content).map_err(unusable)?;
    }
    if call == "listDeploymentKeys" {
        return without_plaintext(text).map(Some);
    }
    Ok(Some(text.to_owned()))
}

fn shape(call: &str) -> Option<Shape> {
    use Content::{Array, Object};
    Some(match call {
        "listProjects" => &[("org", Object(&["slug"])), ("projects", Array(PROJECT))],
        "createProject" => &[("project", Object(PROJECT))],
        "createJob" | "getJob" => &[],
        "listDeployments" => &[("deployments", Array(DEPLOYMENT))],
        "getDeployment" | "createDeployment" | "updateDeployment" => {
            &[("deployment", Object(DEPLOYMENT))]
        }
        "listDeploymentKeys" => &[("keys", Array(KEY))],
        "createDeploymentKey" => &[("key", Object(NEW_KEY))],
        _ => return None,
    })
}

/// Whether a field holds what it should; the error names what is missing.
fn check(name: &str, raw: &RawValue, content: Content) -> std::result::Result<(), String> {
    match content {
        Content::Object(required) => {
            let object = fields(raw.get()).map_err(|_| format!("{name} is no object"))?;
            match required
                .iter()
                .find(|field| !object.contains_key(field.as_bytes()))
            {
                Some(missing) => Err(format!("{name}.{missing} is missing")),
                None => Ok(()),
            }
        }
        Content::Array(required) => {
            let items: Vec<&RawValue> =
                serde_json::from_str(raw.get()).map_err(|_| format!("{name} is no array"))?;
            items.iter().enumerate().try_for_each(|(index, item)| {
                check(&format!("{name}[{index}]"), item, Content::Object(required))
            })
        }
    }
}

/// A key is shown once, when it is made; a list must not hold it.
fn without_plaintext(text: &str) -> Result<String> {
    let unusable = |error: serde_json::Error| {
        Error::plain(format!("CloudApiClient.listDeploymentKeys: {error}"))
    };
    let mut answer: Map<String, Value> = serde_json::from_str(text).map_err(unusable)?;
    if let Some(Value::Array(keys)) = answer.get_mut("keys") {
        for key in keys.iter_mut().filter_map(Value::as_object_mut) {
            key.remove("plaintext");
        }
    }
    serde_json::to_string(&answer).map_err(unusable)
}

fn by_id(call: &str, arguments: &str, make: fn(&Scope, &str) -> Request) -> Result<Request> {
    let ById { id, scope, .. } = read(call, arguments)?;
    Ok(make(&scope, &id))
}

fn read<'a, T: Deserialize<'a>>(call: &str, arguments: &'a str) -> Result<T> {
    serde_json::from_str(arguments)
        .map_err(|error| Error::plain(format!("CloudApiClient.{call}: {error}")))
}

fn lacks(call: &str, field: &str) -> Error {
    Error::plain(format!("CloudApiClient.{call}: missing field `{field}`"))
}
