#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use serde_json::Map;

use super::*;
use crate::base::{Base, Source};

/// The text that results from always choosing the first allowed token of those in `prefers`.
fn first(constraint: &Constraint, prefers: &str) -> String {
    let base = Base::load(&Source::BuiltIn).unwrap();
    let mut guide = base.text.guide(constraint, "x").unwrap();
    let mut ids = Vec::new();
    while let Some(mask) = guide.allowed().unwrap() {
        let wanted: Vec<u32> = prefers.bytes().map(u32::from).collect();
        let text = base.text.tokenizer().decode(&ids, false).unwrap();
        let next = wanted
            .iter()
            .copied()
            .filter(|_| text.len() < 40)
            .find(|id| mask.is_allowed(id_of(&base, *id)))
            .map(|byte| id_of(&base, byte))
            .or_else(|| mask.iter().next())
            .unwrap();
        if base.text.is_stop(next) {
            break;
        }
        guide.advance(next).unwrap();
        ids.push(next);
    }
    base.text.tokenizer().decode(&ids, false).unwrap()
}

fn id_of(base: &Base, byte: u32) -> u32 {
    let text = char::from_u32(byte).unwrap().to_string();
    base.text.encode(&text, false).unwrap().ids[0]
}

#[test]
fn an_answer_is_led_along_its_constraint() {
    let choice = Constraint::Choice(vec!["yes".to_owned(), "no, \"never\"".to_owned()]);
    assert_eq!(first(&choice, "n"), "no, \"never\"");
    assert_eq!(first(&choice, "y"), "yes");
    assert_eq!(
        first(&Constraint::Regex("[ab]{3}c?".to_owned()), "bc"),
        "bbbc"
    );
    let schema = json!({
        "type": "object", "properties": { "ok": { "type": "boolean" } },
        "required": ["ok"], "additionalProperties": false,
        "x-guidance": { "whitespace_flexible": false },
    });
    let text = first(&Constraint::Json(schema), "{\"tf}");
    assert_eq!(
        serde_json::from_str::<Value>(&text).unwrap(),
        json!({ "ok": true })
    );
}

#[test]
fn a_call_stands_between_its_marks() {
    let call = Constraint::Call {
        open: "<call>".to_owned(),
        schema: json!({
            "const": { "name": "f" }, "x-guidance": { "whitespace_flexible": false },
        }),
        close: "</call>".to_owned(),
    };
    let text = first(&call, "<{\"n}");
    assert!(
        text.starts_with("<call>{") && text.ends_with("</call>"),
        "{text}"
    );
}

#[test]
fn what_would_be_compiled_for_ever_or_overflow_the_stack_takes_seconds_at_most() {
    let base = Base::load(&Source::BuiltIn).unwrap();
    let json = |schema| Constraint::Json(schema);
    let patterns: Vec<Value> = (0..300)
        .map(|index| json!({ "pattern": format!("(.*{index}){{50}}") }))
        .collect();
    let link = |index| json!({ "items": { "$ref": format!("#/$defs/{}", index + 1) } });
    let mut chain: Map<String, Value> = (0..1400)
        .map(|index| (index.to_string(), link(index)))
        .collect();
    chain.insert("1400".to_owned(), json!({ "type": "string" }));
    let cases = [
        json(json!({ "type": "integer", "multipleOf": 99_999_989 })),
        json(json!({ "type": "number", "multipleOf": 1e-9 })),
        json(json!({ "type": "array", "minItems": 1_000_000_000 })),
        json(json!({ "properties": { "a": { "maxLength": 4_000_000_000_u64 } } })),
        Constraint::Regex("(a|b)?".repeat(100_000)),
        Constraint::Regex("(a|b)?".repeat(9_000)),
        Constraint::Regex("((a{1,999}){1,999}){1,999}".to_owned()),
        Constraint::Choice(vec!["x".repeat(100_000)]),
        json(json!({ "allOf": [{ "multipleOf": 99_991 }, { "multipleOf": 99_989 }] })),
        json(json!({ "prefixItems": vec![json!({ "multipleOf": 90_001 }); 800] })),
        json(json!({ "allOf": patterns })),
        json(json!({ "$defs": chain, "$ref": "#/$defs/0" })),
    ];
    for constraint in cases {
        let begin = std::time::Instant::now();
        let refused = base.text.guide(&constraint, "x");
        assert!(
            begin.elapsed() < COMPILE_LIMIT * 2,
            "{:?} took {:?}",
            constraint.grammar().grammars.len(),
            begin.elapsed()
        );
        if let Err(error) = refused {
            assert!(
                error.is_refusal() && error.to_string().starts_with("x: "),
                "{error}"
            );
        }
    }
    let harmless = json!({ "type": "integer", "multipleOf": 5, "maximum": 1_000_000_000 });
    base.text.guide(&Constraint::Json(harmless), "x").unwrap();
}

#[test]
fn what_is_not_understood_is_refused_where_it_stands() {
    let base = Base::load(&Source::BuiltIn).unwrap();
    for (constraint, field) in [
        (Constraint::Regex("(".to_owned()), "structuredOutputs.regex"),
        (
            Constraint::Json(json!({ "type": "thing" })),
            "responseFormat",
        ),
    ] {
        let error = base.text.guide(&constraint, field).err().unwrap();
        assert!(
            error.is_refusal() && error.to_string().starts_with(field),
            "{error}"
        );
    }
}

#[test]
fn thousands_of_choices_and_of_optional_properties_were_too_much_in_the_middle_of_an_answer() {
    let base = Base::load(&Source::BuiltIn).unwrap();
    let texts: Vec<String> = (0..4000).map(|index| format!("choice {index}.*")).collect();
    let text = first(&Constraint::Choice(texts.clone()), "choice 49");
    assert!(texts.contains(&text), "{text}");
    let properties: Map<String, Value> = (0..1000)
        .map(|index| (format!("p{index}"), json!({ "type": "string" })))
        .collect();
    let schema = Constraint::Json(json!({ "type": "object", "properties": properties }));
    let mut guide = base.text.guide(&schema, "x").unwrap();
    for byte in "{\"p9".bytes() {
        assert!(
            guide
                .allowed()
                .unwrap()
                .unwrap()
                .is_allowed(id_of(&base, byte.into()))
        );
        guide.advance(id_of(&base, byte.into())).unwrap();
    }
}

#[test]
fn the_librarys_own_words_were_told() {
    let base = Base::load(&Source::BuiltIn).unwrap();
    let schema = |schema| Constraint::Json(schema);
    for (constraint, expected) in [
        (
            Constraint::Regex("[^\\s\\S]".to_owned()),
            "x: no text matches it",
        ),
        (
            Constraint::Regex("[a-".to_owned()),
            "x: unclosed character class",
        ),
        (schema(json!({ "$ref": "#" })), "x: no text matches it"),
    ] {
        let error = base.text.guide(&constraint, "x").err().unwrap().to_string();
        assert_eq!(error, expected);
    }
    let one_of = schema(
        json!({ "oneOf": [{ "type": "object" }, { "type": "object", "properties": { "a": {} } }] }),
    );
    let error = base
        .text
        .guide(&one_of, "x")
        .err()
        .map(|error| error.to_string());
    assert!(error.is_none_or(|error| !error.contains("coerce_one_of")));
}
