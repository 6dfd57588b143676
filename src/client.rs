//! `CloudApiClient`'s calls by name: arguments → request, answer → what the caller gets.
//!
//! Pure on both sides of the exchange, so that a client with a `fetch` of its own makes the same
//! requests and gets the same answers as one that goes through [`crate::api`].

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::api::calls::{self, Request, Scope};
use crate::error::{Error, Result};
use crate::job;

/// What the answer to a call holds, besides being 2xx.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// Nothing that anybody reads.
    Nothing,
    /// `{ job }`, perhaps with more.
    Job,
    /// An object with these fields.
    Fields(&'static [&'static str]),
    /// `{ keys }` whose entries must not hold a `plaintext`: it is shown once, at creation.
    Keys,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ProjectArguments {
    org_slug: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    slug: String,
}

#[derive(Deserialize)]
struct JobArguments {
    #[serde(flatten)]
    scope: Scope,
    name: String,
}

#[derive(Deserialize)]
struct ConfigArgument<'a> {
    #[serde(borrow)]
    config: Option<&'a RawValue>,
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
        "listProjects" => {
            calls::list_projects(&owned::<ProjectArguments>(call, arguments)?.org_slug)
        }
        "createProject" => {
            let ProjectArguments {
                org_slug,
                name,
                slug,
            } = owned(call, arguments)?;
            calls::create_project(&org_slug, &name, &slug)
        }
        "createJob" => {
            let JobArguments { scope, name } = owned(call, arguments)?;
            let config = read::<ConfigArgument<'_>>(call, arguments)?.config;
            let config = config.ok_or_else(|| lacks(call, "config"))?;
            calls::create_job(&scope, &name, config)
        }
        "getJob" => by_id(call, arguments, calls::get_job)?,
        "cancelJob" => by_id(call, arguments, calls::cancel_job)?,
        "openEventStream" => {
            let ById {
                id,
                scope,
                last_event_id,
                ..
            } = owned(call, arguments)?;
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
            } = owned(call, arguments)?;
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
pub fn answer(call: &str, request: &Request, text: &str) -> Result<Option<String>> {
    let from = request.to_string();
    match shape(call) {
        Shape::Nothing => Ok(None),
        Shape::Job => job::read(text, &from).map(|_| Some(text.to_owned())),
        Shape::Fields(fields) => {
            object(text, &from, fields)?;
            Ok(Some(text.to_owned()))
        }
        Shape::Keys => {
            let mut answer = object(text, &from, &["keys"])?;
            if let Some(Value::Array(keys)) = answer.get_mut("keys") {
                for key in keys.iter_mut().filter_map(Value::as_object_mut) {
                    key.remove("plaintext");
                }
            }
            Ok(Some(Value::Object(answer).to_string()))
        }
    }
}

fn shape(call: &str) -> Shape {
    match call {
        "listProjects" => Shape::Fields(&["org", "projects"]),
        "createProject" => Shape::Fields(&["project"]),
        "createJob" | "getJob" => Shape::Job,
        "listDeployments" => Shape::Fields(&["deployments"]),
        "getDeployment" | "createDeployment" | "updateDeployment" => Shape::Fields(&["deployment"]),
        "listDeploymentKeys" => Shape::Keys,
        "createDeploymentKey" => Shape::Fields(&["key"]),
        _ => Shape::Nothing,
    }
}

fn object(text: &str, from: &str, fields: &[&str]) -> Result<Map<String, Value>> {
    let unusable = |what: &str| {
        Error::plain(format!(
            "The backend's answer to {from} is not usable: {what}"
        ))
    };
    let answer: Map<String, Value> =
        serde_json::from_str(text).map_err(|_| unusable("it is no JSON object"))?;
    match fields
        .iter()
        .find(|field| answer.get(**field).is_none_or(Value::is_null))
    {
        Some(missing) => Err(unusable(&format!("{missing} is missing"))),
        None => Ok(answer),
    }
}

fn by_id(call: &str, arguments: &str, make: fn(&Scope, &str) -> Request) -> Result<Request> {
    let ById { id, scope, .. } = owned(call, arguments)?;
    Ok(make(&scope, &id))
}

fn owned<T: DeserializeOwned>(call: &str, arguments: &str) -> Result<T> {
    read(call, arguments)
}

fn read<'a, T: Deserialize<'a>>(call: &str, arguments: &'a str) -> Result<T> {
    serde_json::from_str(arguments)
        .map_err(|error| Error::plain(format!("CloudApiClient.{call}: {error}")))
}

fn lacks(call: &str, field: &str) -> Error {
    Error::plain(format!("CloudApiClient.{call}: missing field `{field}`"))
}
