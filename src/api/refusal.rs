//! The error message for a response that isn't 2xx.

use crate::json;

/// The body's `error` string, else the body's text, else `cloud-api <status>`. For a 426, the message also
/// says how to upgrade.
#[must_use]
pub fn message(status: u16, text: &str, location: Option<&str>, manager: Option<&str>) -> String {
    if status == 426 {
        return upgrade(text, manager);
    }
    if let Some(error) = field(&json::strict(text), "error") {
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

/// The message for a 426: the problem, then the upgrade command for the user's package manager.
fn upgrade(text: &str, manager: Option<&str>) -> String {
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

/// The value of a field in a JSON object, if it's a string.
pub fn field(text: &str, name: &str) -> Option<String> {
    let fields = json::fields(text).ok()?;
    json::text(fields.get(name.as_bytes())?.get())
}

/// The URL without user, password, query and fragment, which may contain secrets.
fn without_secrets(place: &str) -> String {
    // Resolve against a host that can't exist: if the host stays, the URL was only a path.
    let here = "http://here.invalid/";
    let Ok(mut url) = reqwest::Url::parse(here).and_then(|base| base.join(place)) else {
        return "an address that can't be read".to_owned();
    };
    // This fails only for a URL that can't have a user.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_query(None);
    url.set_fragment(None);
    let text = url.to_string();
    text.strip_prefix("http://here.invalid")
        .map_or(text.clone(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::{message, without_secrets};

    #[test]
    fn t9_a_refusal_is_read_as_every_other_answer() {
        let deep = format!("{}{}", "[".repeat(1000), "]".repeat(1000));
        let deep = format!(r#"{{"error":"deep","at":{deep}}}"#);
        let cases = [
            (r#"{"error":"too many jobs"}"#, "too many jobs"),
            (r#"{"error":"loss is off","loss":NaN}"#, "loss is off"),
            (
                r#"{"error":"cut \ud83c","limit":1e400}"#,
                "cut \u{fffd}\u{fffd}\u{fffd}",
            ),
            (deep.as_str(), "deep"),
            (
                r#"{"error":{"message":"m"}}"#,
                r#"{"error":{"message":"m"}}"#,
            ),
            ("no JSON\n", "no JSON"),
            ("", "cloud-api 500"),
        ];
        for (text, expected) in cases {
            assert_eq!(message(500, text, None, None), expected, "{text}");
        }
    }

    #[test]
    fn t36_a_redirect_is_told_without_its_secrets() {
        let cases = [
            (
                "https://u:s3cret@a.test/x?s3cret#s3cret",
                "https://a.test/x",
            ),
            ("//u:s3cret@a.test/x", "http://a.test/x"),
            ("/\\u:s3cret@a.test/x", "http://a.test/x"),
            (
                "http://u:s3cret@a.test:99999/",
                "an address that can't be read",
            ),
            ("http://u:s3cret@[bad/x", "an address that can't be read"),
            ("/moved?s3cret", "/moved"),
        ];
        for (place, expected) in cases {
            assert_eq!(without_secrets(place), expected, "{place}");
        }
    }
}
