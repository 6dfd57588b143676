//! Checks the backend's responses field by field. The error for an invalid response names the field. Fields
//! that aren't listed here aren't checked.

use serde_json::value::RawValue;

use crate::error::{Error, Result};
use crate::json::{Fields, fields, is_nan_marker};

/// A required field: its name and its kind.
pub type Field = (&'static str, Kind);

/// The type of a field's value.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// Any JSON.
    Any,
    /// A string.
    Text,
    /// A string that is not empty.
    Id,
    /// A string or null.
    TextOrNull,
    /// True or false.
    Flag,
    /// An object with these fields.
    Object(&'static [Field]),
    /// An array of such objects.
    Array(&'static [Field]),
    /// A field that may be missing, and otherwise has this kind.
    Optional(&'static Kind),
}

/// The top-level fields of the response to `call`.
///
/// # Errors
/// When a field is missing or has the wrong type; the message names it.
pub fn read<'a>(text: &'a str, call: &str, shape: &[Field]) -> Result<Fields<'a>> {
    check(text, shape).map_err(|what| unusable(call, &what))
}

/// The top-level fields of an object.
///
/// # Errors
/// The field that's missing or invalid, and why.
pub fn check<'a>(text: &'a str, shape: &[Field]) -> std::result::Result<Fields<'a>, String> {
    let object = fields(text).map_err(|_| "it is no JSON object".to_owned())?;
    check_fields("", &object, shape)?;
    Ok(object)
}

/// The error for an unusable response.
#[must_use]
pub fn unusable(call: &str, what: &str) -> Error {
    Error::plain(format!(
        "The backend's answer to {call} is not usable: {what}"
    ))
}

fn check_fields(
    path: &str,
    fields: &Fields<'_>,
    shape: &[Field],
) -> std::result::Result<(), String> {
    shape.iter().try_for_each(|(name, kind)| {
        let path = format!("{path}{name}");
        match fields.get(name.as_bytes()) {
            None if matches!(kind, Kind::Optional(_)) => Ok(()),
            None => Err(format!("{path} is missing")),
            Some(raw) => check_value(&path, raw, *kind),
        }
    })
}

fn check_value(path: &str, raw: &RawValue, kind: Kind) -> std::result::Result<(), String> {
    let text = raw.get();
    let begins =
        |chars: &str| text.starts_with(|char| chars.contains(char)) && !is_nan_marker(text);
    let (fits, what) = match kind {
        Kind::Any => (true, ""),
        Kind::Optional(kind) => return check_value(path, raw, *kind),
        Kind::Text => (begins("\""), "is no string"),
        Kind::Id => (
            begins("\"") && text != "\"\"",
            "is no string, or an empty one",
        ),
        Kind::TextOrNull => (begins("\"n"), "is neither a string nor null"),
        Kind::Flag => (begins("tf"), "is neither true nor false"),
        Kind::Object(shape) => {
            let object = fields(text).map_err(|_| format!("{path} is no object"))?;
            return check_fields(&format!("{path}."), &object, shape);
        }
        Kind::Array(shape) => {
            let items: Vec<&RawValue> =
                serde_json::from_str(text).map_err(|_| format!("{path} is no array"))?;
            return items.into_iter().enumerate().try_for_each(|(index, item)| {
                check_value(&format!("{path}[{index}]"), item, Kind::Object(shape))
            });
        }
    };
    if fits {
        Ok(())
    } else {
        Err(format!("{path} {what}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_named() {
        let shape: &[Field] = &[
            ("any", Kind::Any),
            ("text", Kind::Text),
            ("id", Kind::Id),
            ("maybe", Kind::TextOrNull),
            ("flag", Kind::Flag),
            ("one", Kind::Object(&[("a", Kind::Text)])),
            ("many", Kind::Array(&[("b", Kind::Text)])),
            ("late", Kind::Optional(&Kind::Text)),
        ];
        let good = r#"{"any":null,"text":"","id":"x","maybe":null,"flag":false,"one":{"a":"","c":1},"many":[{"b":"\ud800"}],"more":1}"#;
        let cases = [
            ("", "", ""),
            (r#""any":null,"#, "", "any is missing"),
            (r#""text":"""#, r#""text":null"#, "text is no string"),
            (
                r#""id":"x""#,
                r#""id":"""#,
                "id is no string, or an empty one",
            ),
            (
                r#""id":"x""#,
                r#""id":7"#,
                "id is no string, or an empty one",
            ),
            (r#""maybe":null"#, r#""maybe":"a""#, ""),
            (
                r#""maybe":null"#,
                r#""maybe":1"#,
                "maybe is neither a string nor null",
            ),
            (r#""flag":false"#, r#""flag":true"#, ""),
            (
                r#""flag":false"#,
                r#""flag":null"#,
                "flag is neither true nor false",
            ),
            (r#"{"a":"","c":1}"#, "[]", "one is no object"),
            (r#"{"a":"","c":1}"#, "{}", "one.a is missing"),
            (r#"[{"b":"\ud800"}]"#, "[]", ""),
            (r#"[{"b":"\ud800"}]"#, "{}", "many is no array"),
            (
                r#"[{"b":"\ud800"}]"#,
                r#"[{"b":""},1]"#,
                "many[1] is no object",
            ),
            (
                r#"[{"b":"\ud800"}]"#,
                r#"[{"b":""},{"b":2}]"#,
                "many[1].b is no string",
            ),
            (r#""more":1"#, r#""late":"now""#, ""),
            (r#""more":1"#, r#""late":7"#, "late is no string"),
            (good, "[]", "it is no JSON object"),
        ];
        for (from, to, expected) in cases {
            let text = good.replacen(from, to, 1);
            let message = match read(&text, "GET /x", shape) {
                Ok(_) => String::new(),
                Err(error) => error.to_string(),
            };
            let expected = match expected {
                "" => String::new(),
                what => format!("The backend's answer to GET /x is not usable: {what}"),
            };
            assert_eq!(message, expected, "{text}");
        }
    }
}
