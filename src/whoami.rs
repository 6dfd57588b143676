//! The signed-in user, from `GET /v1/me`. Only the fields that the command shows are checked.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::api::Api;
use crate::api::endpoints::ME;
use crate::api::request::Parts;
use crate::credentials::{self, Identity};
use crate::environment::{Environment, base_url};
use crate::error::{Error, Result};
use crate::json;

/// The backend's response about the user, as JSON text in which a marker stands for a bare NaN.
///
/// # Errors
/// When nobody is signed in, the request fails, or the response lacks a field.
pub async fn me(env: &Environment) -> Result<String> {
    let credentials = credentials::signed_in(env)?;
    credentials::check_destination(env, &credentials)?;
    let url = base_url(
        None,
        env.cloud_api_url.as_deref(),
        credentials.cloud_api_url(),
    );
    let request = ME.request(&Parts::default())?;
    let access = Identity::new(credentials, None).access(env).await?;
    let api = Api::new(env, &url, Some(Arc::new(access)))?;
    let text = json::strict(&api.call(&request).await?).into_owned();
    check(&text).map_err(|error| {
        Error::plain(format!(
            "The backend's answer to {request} is not usable: {error}"
        ))
    })?;
    Ok(text)
}

fn check(text: &str) -> serde_json::Result<()> {
    #[derive(Deserialize)]
    struct Me<'a> {
        #[serde(borrow, rename = "user")]
        _user: &'a RawValue,
        #[serde(rename = "orgs")]
        _orgs: Vec<Org>,
    }
    #[derive(Deserialize)]
    struct Org {
        #[serde(rename = "slug")]
        _slug: String,
    }
    serde_json::from_str::<Me<'_>>(text).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named() {
        let cases = [
            (r#"{"user":{},"orgs":[{"slug":"a","new":1}]}"#, ""),
            (r#"{"orgs":[]}"#, "missing field `user`"),
            (r#"{"user":{}}"#, "missing field `orgs`"),
            (r#"{"user":{},"orgs":[{"id":"a"}]}"#, "missing field `slug`"),
        ];
        for (text, expected) in cases {
            let words = check(text).err().map(|error| error.to_string());
            assert!(words.unwrap_or_default().starts_with(expected), "{text}");
        }
        assert!(check(cases[0].0).is_ok());
    }
}
