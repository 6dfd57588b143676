//! The words of 426: this version of the SDK is no longer served.

use serde::Deserialize;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    error: String,
    current_version: Option<String>,
    supported_range: Option<String>,
    reason: Option<String>,
}

/// What is wrong, then the command that mends it, for the user's package manager.
pub fn message(text: &str, manager: Option<&str>) -> String {
    let body = serde_json::from_str::<Body>(text)
        .ok()
        .filter(|body| body.error == "sdk_version_unsupported");
    let wrong = match body {
        None => "Arkor SDK is no longer supported".to_owned(),
        Some(body) => match body.reason.as_deref() {
            Some("missing") => "X-Arkor-Client header was missing".to_owned(),
            Some("malformed") => "X-Arkor-Client header was malformed".to_owned(),
            _ => {
                let version = body
                    .current_version
                    .as_deref()
                    .unwrap_or(env!("CARGO_PKG_VERSION"));
                let range = body
                    .supported_range
                    .as_deref()
                    .map(|range| format!(" (supported: {range})"));
                format!(
                    "Arkor SDK {version} is no longer supported{}",
                    range.unwrap_or_default()
                )
            }
        },
    };
    format!("{wrong}. Upgrade with: {}", command(manager))
}

fn command(manager: Option<&str>) -> &'static str {
    match manager {
        Some("pnpm") => "pnpm add -g arkor@latest",
        Some("yarn") => "yarn global add arkor@latest",
        Some("bun") => "bun add -g arkor@latest",
        _ => "npm install -g arkor@latest",
    }
}
