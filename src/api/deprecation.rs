//! Deprecation notices for this SDK in the backend's responses. The latest is kept for the command to print.

use std::sync::{Mutex, PoisonError};

static LATEST: Mutex<Option<Deprecation>> = Mutex::new(None);

/// Takes the latest deprecation notice from any response, so that it's reported only once.
#[must_use]
pub fn take() -> Option<Deprecation> {
    LATEST.lock().unwrap_or_else(PoisonError::into_inner).take()
}

/// Keeps a notice, if there is one.
pub fn note(found: Option<Deprecation>) {
    if found.is_some() {
        *LATEST.lock().unwrap_or_else(PoisonError::into_inner) = found;
    }
}

/// The deprecation notice in a response's headers.
#[must_use]
pub fn of(response: &reqwest::Response) -> Option<Deprecation> {
    let header = |name: &str| {
        response
            .headers()
            .get(name)
            .and_then(|value| value.to_str().ok())
    };
    read(header("deprecation"), header("warning"), header("sunset"))
}

/// The backend's notice that this SDK is deprecated: a response with `Deprecation: true`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deprecation {
    /// The backend's message, or a default one.
    pub message: String,
    /// When support ends: the `Sunset` header, unparsed.
    pub sunset: Option<String>,
}

/// Reads the notice from these headers.
#[must_use]
pub fn read(
    deprecation: Option<&str>,
    warning: Option<&str>,
    sunset: Option<&str>,
) -> Option<Deprecation> {
    deprecation.filter(|value| value.trim().eq_ignore_ascii_case("true"))?;
    let message = warning
        .and_then(warning_text)
        .unwrap_or_else(|| format!("Arkor SDK {} is deprecated", env!("CARGO_PKG_VERSION")));
    Some(Deprecation {
        message,
        sunset: sunset.map(str::to_owned),
    })
}

/// The text of `299 - "text"`, with its escapes resolved.
fn warning_text(value: &str) -> Option<String> {
    let from = value
        .match_indices("299 ")
        .map(|(at, _)| at)
        .find(|at| value[..*at].trim_end().ends_with(',') || value[..*at].trim().is_empty())?;
    let quoted = value[from..].split_once('"')?.1;
    let mut text = String::new();
    let mut chars = quoted.chars();
    loop {
        match chars.next()? {
            '"' => break,
            '\\' => text.push(chars.next()?),
            char => text.push(char),
        }
    }
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deprecation_has_the_backends_words_or_our_own() {
        let found = read(
            Some("true"),
            Some(r#"299 - "use \"2.x\" soon""#),
            Some("then"),
        );
        assert_eq!(
            found.as_ref().map(|it| it.message.as_str()),
            Some(r#"use "2.x" soon"#)
        );
        assert_eq!(found.and_then(|it| it.sunset).as_deref(), Some("then"));
        let found = read(Some("true"), Some(r#"110 - "old", 299 - "new""#), None);
        assert_eq!(found.map(|it| it.message).as_deref(), Some("new"));
        for warning in [None, Some(""), Some("299 - \"\""), Some("110 - \"stale\"")] {
            let found = read(Some("true"), warning, None).map(|it| it.message);
            let own = format!("Arkor SDK {} is deprecated", env!("CARGO_PKG_VERSION"));
            assert_eq!(found, Some(own), "{warning:?}");
        }
        assert_eq!(read(Some("false"), None, None), None);
        assert_eq!(read(None, Some("299 - \"x\""), None), None);
    }
}
