//! The message of an answer that is not 2xx.

use serde::Deserialize;

use super::upgrade;

#[derive(Deserialize)]
struct Body {
    error: Option<serde_json::Value>,
}

/// The body's `error` string, else the body's text, else `cloud-api <status>`; on 426 with what
/// to do about it.
#[must_use]
pub fn message(status: u16, text: &str, location: Option<&str>, manager: Option<&str>) -> String {
    if status == 426 {
        return upgrade::message(text, manager);
    }
    let error = serde_json::from_str::<Body>(text)
        .ok()
        .and_then(|body| body.error);
    if let Some(serde_json::Value::String(error)) = error {
        return error;
    }
    let text = text.trim();
    if !text.is_empty() {
        return text.to_owned();
    }
    match location {
        Some(place) if (300..400).contains(&status) => {
            let place = without_secrets(place);
            format!(
                "cloud-api {status}: redirect to {place} not followed (another origin, or too many)"
            )
        }
        _ => format!("cloud-api {status}"),
    }
}

/// Only the place: its user, its query and its fragment may hold a secret.
fn without_secrets(place: &str) -> String {
    let Ok(mut url) = reqwest::Url::parse(place) else {
        return place
            .split(['?', '#'])
            .next()
            .unwrap_or_default()
            .to_owned();
    };
    // Fails for a URL that can't have a user: then it has none.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_query(None);
    url.set_fragment(None);
    url.to_string()
}
