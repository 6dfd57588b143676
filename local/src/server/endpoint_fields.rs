//! The request bodies of `/v1/endpoints`. Unsupported fields and values are refused by name.

use serde::Deserialize;
use serde_json::Value;

use super::chat_fields::{AdapterField, AdapterKind};
use crate::endpoints::{Adapter, AuthMode, Target};
use crate::error::{Result, refused};
use crate::request_fields;

/// The longest label that a domain name can have.
const MAX_SLUG: usize = 63;
const MAX_LABEL: usize = 80;

/// The fields of a new endpoint, or of a change to one.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct EndpointFields {
    slug: Option<String>,
    target: Option<TargetField>,
    auth_mode: Option<AuthMode>,
    #[serde(rename = "urlFormat")]
    _url_format: Option<UrlFormat>,
    enabled: Option<bool>,
    custom_domain: Option<Value>,
    run_retention_mode: Option<String>,
    run_retention_days: Option<Value>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum UrlFormat {
    OpenaiCompat,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct TargetField {
    kind: TargetKind,
    adapter: Option<AdapterField>,
    base_model: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum TargetKind {
    Adapter,
    BaseModel,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyFields {
    label: String,
}

/// The settings that a body contains. The caller checks whether the target exists.
#[derive(Debug)]
pub struct Settings {
    /// The slug in its address.
    pub slug: Option<String>,
    /// The model that answers.
    pub target: Option<Target>,
    /// How its callers authenticate.
    pub auth_mode: Option<AuthMode>,
    /// Whether it can be called.
    pub enabled: Option<bool>,
}

impl Settings {
    /// Checks the body of a request that creates or changes an endpoint.
    pub fn from_json(body: &Value) -> Result<Self> {
        let fields: EndpointFields = request_fields::read(body)?;
        if let Some(slug) = &fields.slug {
            check_slug(slug)?;
        }
        if fields.custom_domain.is_some() {
            return refused(
                "customDomain must be null: the local backend has no domains, an endpoint is called under /e/",
            );
        }
        // Nothing is ever retained here, which is what "disabled" means.
        match fields.run_retention_mode.as_deref() {
            None | Some("disabled") => {}
            Some(mode) => {
                return refused(format!(
                    "runRetentionMode must be \"disabled\", it is {mode:?}: the local backend keeps no runs of an endpoint"
                ));
            }
        }
        if fields.run_retention_days.is_some() {
            return refused(
                "runRetentionDays is not supported: the local backend keeps no runs of an endpoint",
            );
        }
        Ok(Self {
            slug: fields.slug,
            target: fields.target.map(target).transpose()?,
            auth_mode: fields.auth_mode,
            enabled: fields.enabled,
        })
    }
}

/// Checks the body of a request for a new key, and returns the key's label.
pub fn key_label(body: &Value) -> Result<String> {
    let KeyFields { label } = request_fields::read(body)?;
    if label.trim().is_empty() || label.chars().count() > MAX_LABEL {
        return refused(format!("label must have 1 to {MAX_LABEL} characters"));
    }
    Ok(label)
}

fn check_slug(slug: &str) -> Result<()> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if slug.is_empty() || slug.len() > MAX_SLUG || !slug.chars().all(fits) {
        return refused(format!("slug must be 1 to {MAX_SLUG} of a-z, 0-9 and -"));
    }
    Ok(())
}

fn target(field: TargetField) -> Result<Target> {
    match (field.kind, field.adapter, field.base_model) {
        (TargetKind::Adapter, Some(adapter), None) => Ok(Target::Adapter {
            adapter: self::adapter(adapter)?,
        }),
        (TargetKind::BaseModel, None, Some(base_model)) => Ok(Target::BaseModel { base_model }),
        (TargetKind::Adapter, None, _) => refused("target.adapter is missing"),
        (TargetKind::Adapter, _, Some(_)) => {
            refused("target.baseModel means nothing for the kind \"adapter\"")
        }
        (TargetKind::BaseModel, _, None) => refused("target.baseModel is missing"),
        (TargetKind::BaseModel, Some(_), _) => {
            refused("target.adapter means nothing for the kind \"base_model\"")
        }
    }
}

fn adapter(field: AdapterField) -> Result<Adapter> {
    let job_id = field.job_id;
    match (field.kind, field.step) {
        (AdapterKind::Final, None) => Ok(Adapter::Final { job_id }),
        (AdapterKind::Checkpoint, Some(step)) => Ok(Adapter::Checkpoint { job_id, step }),
        (AdapterKind::Final, Some(_)) => {
            refused("target.adapter.step means nothing for the kind \"final\"")
        }
        (AdapterKind::Checkpoint, None) => refused("target.adapter.step is missing"),
    }
}
