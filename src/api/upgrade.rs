//! The words of 426: this version of the SDK is no longer served.

use super::refusal::field;
use crate::json;

/// What is wrong, then the command that mends it, for the user's package manager.
pub fn message(text: &str, manager: Option<&str>) -> String {
    let text = json::strict(text);
    let field = |name| field(&text, name);
    let is_told = field("error").as_deref() == Some("sdk_version_unsupported");
    let wrong = match field("reason").as_deref() {
        _ if !is_told => "Arkor SDK is no longer supported".to_owned(),
        Some("missing") => "X-Arkor-Client header was missing".to_owned(),
        Some("malformed") => "X-Arkor-Client header was malformed".to_owned(),
        _ => {
            let version = field("currentVersion");
            let version = version.as_deref().unwrap_or(env!("CARGO_PKG_VERSION"));
            let range = field("supportedRange").map(|range| format!(" (supported: {range})"));
            let range = range.unwrap_or_default();
            format!("Arkor SDK {version} is no longer supported{range}")
        }
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
