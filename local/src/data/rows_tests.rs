#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use super::*;

fn read(value: &Value) -> Result<Row, String> {
    row(value, RowRules::default()).map_err(|error| {
        assert!(error.is_refusal());
        error.to_string()
    })
}

fn with(value: &Value, format: &str, responses_only: bool) -> Result<Row, String> {
    let format = Format::from_name(format).unwrap();
    let wanted = RowRules {
        format,
        responses_only,
    };
    row(value, wanted).map_err(|error| error.to_string())
}

fn chat() -> Value {
    json!([{ "role": "user", "content": "hi" }, { "role": "assistant", "content": "yo" }])
}

#[test]
fn every_shape_of_a_conversation_is_the_same_row() {
    let expected = Row::Chat(Conversation::new(&chat(), None).unwrap());
    let parts = json!([
        { "role": "user", "content": [{ "type": "text", "text": "h" }, { "type": "text", "text": "i" }] },
        { "role": "assistant", "content": "yo" },
    ]);
    for value in [
        json!({ "messages": chat() }),
        json!({ "messages": parts, "id": 7, "source": "web", "prompt": "hi", "images": [] }),
    ] {
        assert_eq!(read(&value).unwrap(), expected, "{value}");
    }
    // Compares conversations without the places of their messages.
    let rendered = |value: &Value| match read(value) {
        Ok(Row::Chat(chat)) => format!(
            "{:?}",
            chat.learned().zip(chat.messages()).collect::<Vec<_>>()
        ),
        other => panic!("{value}: {other:?}"),
    };
    let same = rendered(&json!({ "messages": chat() }));
    for value in [
        json!({ "conversations": [{ "from": "human", "value": "hi" }, { "from": "gpt", "value": "yo" }] }),
        json!({ "conversations": chat() }),
        json!({ "instruction": "hi", "input": "", "output": "yo" }),
        json!({ "instruction": "hi", "input": null, "output": "yo" }),
        json!({ "prompt": [chat()[0]], "completion": [chat()[1]] }),
    ] {
        assert_eq!(rendered(&value), same, "{value}");
    }
    let with_input = json!({ "instruction": "Translate.", "input": "hi", "output": "yo" });
    let text = rendered(&with_input);
    assert!(text.contains(r"Translate.\nhi"), "{text}");
    let with_system =
        json!({ "system": "Be nice", "conversations": [{ "from": "human", "value": "hi" }] });
    assert!(rendered(&with_system).contains("Be nice"));
}

#[test]
fn texts_are_read() {
    assert_eq!(
        read(&json!({ "prompt": "p", "completion": "c" })),
        Ok(Row::PromptCompletion("p".to_owned(), "c".to_owned()))
    );
    assert_eq!(
        read(&json!({ "text": "t", "label": 3 })),
        Ok(Row::Text("t".to_owned()))
    );
}

#[test]
fn a_row_that_can_not_be_honoured_is_refused_by_what_is_wrong() {
    let call = json!([{ "type": "function", "function": { "name": "f" } }]);
    for (value, expected) in [
        (json!([]), "expected a JSON object, it is a list"),
        (
            json!({ "subject": 1, "body": 2 }),
            "or `text`, but found `subject`, `body`",
        ),
        (json!({}), "but found nothing"),
        (
            json!({ "text": 1 }),
            "`text` must be a string, it is a number",
        ),
        (json!({ "prompt": "p" }), "`completion` is missing"),
        (json!({ "instruction": "p" }), "`output` is missing"),
        (
            json!({ "prompt": chat(), "completion": "c" }),
            "`prompt` must be a string",
        ),
        (
            json!({ "prompt": "p", "chosen": "a", "rejected": "b" }),
            "preference row",
        ),
        (
            json!({ "prompt": "p", "completion": "c", "label": false }),
            "`label` is false",
        ),
        (
            json!({ "prompt": "p", "completion": "c", "label": 0 }),
            "`label` is 0",
        ),
        (
            json!({ "messages": chat(), "chosen": chat(), "rejected": chat() }),
            "preference row",
        ),
        (
            json!({ "instruction": "i", "context": "c", "output": "o" }),
            "`context` can't be honoured",
        ),
        (
            json!({ "prompt": "p", "completion": "c", "input": "i" }),
            "`input` can't be honoured",
        ),
        (
            json!({ "messages": chat(), "system_prompt": "Be a pirate" }),
            "`system_prompt`",
        ),
        (
            json!({ "conversations": [{ "from": "gpt", "value": "a", "content": "b" }] }),
            "conversations[0] has `content` beside `from`",
        ),
        (
            json!({ "text": "t", "instruction": "i", "output": "o" }),
            "datasetFormat",
        ),
        (json!({ "messages": chat(), "text": "t" }), "datasetFormat"),
        (
            json!({ "messages": chat(), "functions": call }),
            "`functions`",
        ),
        (json!({ "messages": chat(), "images": ["a"] }), "`images`"),
        (json!({ "messages": chat(), "weight": 0.5 }), "`weight`"),
        (
            json!({ "messages": chat(), "tools": "x" }),
            "tools must be a list",
        ),
        (
            json!({ "text": "t", "tools": call }),
            "`tools` can't be honoured",
        ),
        (
            json!({ "prompt": "p", "completion": "c", "tools": call }),
            "`tools` need messages",
        ),
        (
            json!({ "prompt": "p", "completion": "c", "system": "s" }),
            "`system` can't be",
        ),
        (
            json!({ "messages": [{ "role": "system", "content": "a" }], "system": "s" }),
            "system",
        ),
        (
            json!({ "messages": [] }),
            "messages must be a list with at least one",
        ),
        (json!({ "messages": "hi" }), "messages must be a list"),
        (
            json!({ "conversations": [{ "from": "alien", "value": "x" }] }),
            "conversations[0].from",
        ),
        (
            json!({ "conversations": [{ "from": "gpt", "value": 1 }] }),
            "conversations[0].value",
        ),
    ] {
        let error = read(&value).unwrap_err();
        assert!(error.contains(expected), "{value}: {error}");
    }
}

#[test]
fn a_format_allows_its_shapes_and_decides_between_several() {
    let both = json!({ "text": "t", "instruction": "i", "output": "o" });
    assert_eq!(with(&both, "text", false), Ok(Row::Text("t".to_owned())));
    assert!(matches!(with(&both, "alpaca", false), Ok(Row::Chat(_))));
    let messages = json!({ "messages": chat() });
    let sharegpt = json!({ "conversations": [{ "from": "gpt", "value": "x" }] });
    for format in ["chatml", "chat", "messages"] {
        assert!(with(&messages, format, false).is_ok(), "{format}");
    }
    for format in ["chatml", "sharegpt"] {
        assert!(with(&sharegpt, format, false).is_ok(), "{format}");
    }
    let error = with(&json!({ "text": "a" }), "messages", false).unwrap_err();
    assert!(error.contains("datasetFormat"), "{error}");
}

#[test]
fn a_row_without_a_response_is_refused_when_only_responses_are_trained() {
    for value in [
        json!({ "text": "a" }),
        json!({ "messages": [{ "role": "user", "content": "hi" }] }),
    ] {
        let error = with(&value, "auto", true).unwrap_err();
        assert!(error.contains("trainOnResponsesOnly"), "{error}");
    }
}
