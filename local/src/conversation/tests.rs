#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::path::Path;

use serde_json::{Value, json};

use super::*;
use crate::base::{Base, Source};

/// The built-in base with another tokenizer config and a changed tokenizer.
pub fn base_with(config: &Value, change: impl FnOnce(&mut Value)) -> Base {
    let assets = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/arkor-tiny");
    let dir = tempfile::tempdir().unwrap();
    for name in ["config.json", "model.safetensors"] {
        std::fs::copy(assets.join(name), dir.path().join(name)).unwrap();
    }
    let text = std::fs::read_to_string(assets.join("tokenizer.json")).unwrap();
    let mut tokenizer: Value = serde_json::from_str(&text).unwrap();
    change(&mut tokenizer);
    std::fs::write(dir.path().join("tokenizer.json"), tokenizer.to_string()).unwrap();
    let path = dir.path().join("tokenizer_config.json");
    std::fs::write(path, config.to_string()).unwrap();
    Base::load(&Source::Dir(dir.path().to_owned())).unwrap()
}

fn with_template(template: &str) -> Base {
    let config = json!({ "eos_token": "<|im_end|>", "chat_template": template });
    base_with(&config, |_| {})
}

/// A template that renders tools, calls and reasoning.
const FULL: &str = "{% if tools %}T{{ tools | tojson }}\n{% endif %}{% for m in messages %}{{ m.role }}: \
    {{ m.content }}{% if m.reasoning_content %} R{{ m.reasoning_content }}{% endif %}\
    {% for c in m.tool_calls %} C{{ c.function.name }}{{ c.function.arguments | tojson }}{% endfor %}\n{% endfor %}";

/// A template that only renders texts.
const PLAIN: &str = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}";

fn render(template: &str, messages: &Value, tools: Option<&Value>) -> Result<String, String> {
    let base = with_template(template);
    let mut conversation = Conversation::new(messages, tools).map_err(|error| error.to_string())?;
    conversation
        .render(&base.text, false)
        .map_err(|error| error.to_string())
}

fn call(arguments: &Value) -> Value {
    json!([
        { "role": "user", "content": "How many?" },
        { "role": "assistant", "content": null, "tool_calls": [
            { "id": "c1", "type": "function", "function": { "name": "count", "arguments": arguments } },
        ] },
        { "role": "tool", "tool_call_id": "c1", "name": "count", "content": "12" },
    ])
}

fn tools() -> Value {
    json!([{ "type": "function", "function": { "name": "count", "parameters": {} } }])
}

#[test]
fn arguments_that_are_json_text_were_quoted_twice() {
    let expected = render(FULL, &call(&json!({ "n": "A7" })), None).unwrap();
    assert!(expected.contains("Ccount{"), "{expected}");
    let text = call(&json!("{\"n\": \"A7\"}"));
    assert_eq!(render(FULL, &text, None).unwrap(), expected);
    let mut bare = call(&json!({ "n": "A7" }));
    bare[1]["tool_calls"] = json!([{ "name": "count", "arguments": { "n": "A7" } }]);
    assert_eq!(render(FULL, &bare, None).unwrap(), expected);
}

#[test]
fn a_template_that_joins_arguments_to_a_text_gets_them_as_text() {
    let joins = "{% for m in messages %}{{ m.content or '' }}{% for c in m.tool_calls %}\
        {{ c.function.name + ': ' + c.function.arguments }}{% endfor %}{% endfor %}";
    let text = render(joins, &call(&json!({ "n": 1 })), None).unwrap();
    assert_eq!(text, "How many?count: {\"n\":1}12");
}

#[test]
fn a_call_without_content_was_rendered_as_none() {
    let text = render(FULL, &call(&json!({})), None).unwrap();
    assert!(text.contains("assistant:  Ccount{}"), "{text}");
    let joins = "{% for m in messages %}{{ '[' + m.content + ']' }}{% for c in m.tool_calls %}\
        {{ c.function.name }}{% endfor %}{% endfor %}";
    let text = render(joins, &call(&json!({})), None).unwrap();
    assert_eq!(text, "[How many?][]count[12]");
}

#[test]
fn what_a_template_leaves_out_vanished() {
    let chat =
        json!([{ "role": "user", "content": "hi" }, { "role": "assistant", "content": "yo" }]);
    assert!(
        render(FULL, &chat, Some(&tools()))
            .unwrap()
            .starts_with('T')
    );
    let as_text = Value::from(tools().to_string());
    assert_eq!(
        render(FULL, &chat, Some(&as_text)),
        render(FULL, &chat, Some(&tools()))
    );
    let error = render(PLAIN, &chat, Some(&tools())).unwrap_err();
    assert!(error.starts_with("tools: "), "{error}");
    let error = render(PLAIN, &call(&json!({})), None).unwrap_err();
    assert!(error.starts_with("messages[1].tool_calls: "), "{error}");

    let mut thought = chat.clone();
    thought[1]["reasoning_content"] = json!("hm");
    assert!(render(FULL, &thought, None).unwrap().contains("Rhm"));
    let error = render(PLAIN, &thought, None).unwrap_err();
    assert!(
        error.starts_with("messages[1].reasoning_content: "),
        "{error}"
    );
    let mut named = chat.clone();
    named[0]["name"] = json!("ann");
    let error = render(FULL, &named, None).unwrap_err();
    assert!(error.starts_with("messages[0].name: "), "{error}");

    let only_two = "{% for m in messages %}{% if m.role in ['user', 'assistant'] %}{{ m.content }}\n\
        {% endif %}{% endfor %}";
    for (template, role) in [
        (
            "{% for m in messages %}{% if m.role == 'user' %}{{ m.content }}{% endif %}{% endfor %}",
            "assistant",
        ),
        ("{{ messages[-1].content }}", "user"),
        ("hello", "user"),
    ] {
        let error = render(template, &chat, None).unwrap_err();
        assert!(error.contains(&format!("of the role {role}")), "{error}");
    }
    let mut with_system = chat.as_array().unwrap().clone();
    assert!(render(only_two, &chat, None).is_ok());
    with_system.insert(0, json!({ "role": "system", "content": "Be nice" }));
    let error = render(only_two, &with_system.into(), None).unwrap_err();
    assert!(
        error.starts_with("messages[0]: ") && error.contains("role system"),
        "{error}"
    );
}

#[test]
fn a_chain_of_thought_that_a_template_cuts_off_is_its_own_business() {
    let cuts = "{% for m in messages %}{{ m.content.split('</think>')[-1] | trim }}\n{% endfor %}";
    let chat = json!([{ "role": "assistant", "content": "<think>hm\n</think>\n\nYes.\n" }]);
    assert_eq!(render(cuts, &chat, None).unwrap(), "Yes.\n");
}

#[test]
fn the_role_developer_was_trained_verbatim() {
    let chat = |role: &str| json!([{ "role": role, "content": "Be nice" }]);
    assert_eq!(
        render(PLAIN, &chat("developer"), None).unwrap(),
        "system: Be nice\n"
    );
    let knows = "{% for m in messages %}{% if m.role == 'developer' %}DEV {% endif %}{{ m.content }}{% endfor %}";
    assert_eq!(
        render(knows, &chat("developer"), None).unwrap(),
        "DEV Be nice"
    );
    let error = render(PLAIN, &chat("narrator"), None).unwrap_err();
    assert!(error.starts_with("messages[0].role must be"), "{error}");
}

#[test]
fn what_says_nothing_to_a_model_is_left_alone() {
    let chat = json!([{
        "role": "assistant", "content": "yo", "tool_calls": null, "refusal": null, "annotations": [],
        "function_call": null, "id": "m1", "timestamp": 3, "metadata": { "a": 1 }, "weight": 1,
    }]);
    assert_eq!(render(PLAIN, &chat, None).unwrap(), "assistant: yo\n");
}

#[test]
fn arguments_under_another_name_were_trained_as_none() {
    for (call, path) in [
        (
            json!({ "name": "f", "parameters": { "n": 1 } }),
            "function.parameters",
        ),
        (
            json!({ "function": { "name": "f", "input": {} }, "arguments": { "n": 1 } }),
            "arguments",
        ),
        (
            json!({ "function": { "name": "f", "input": { "n": 1 } } }),
            "function.input",
        ),
    ] {
        let messages = json!([{ "role": "assistant", "content": null, "tool_calls": [call] }]);
        let error = render(FULL, &messages, None).unwrap_err();
        assert!(
            error.starts_with(&format!("messages[0].tool_calls[0].{path} ")),
            "{error}"
        );
    }
    let flat = json!([{
        "role": "assistant", "content": null,
        "tool_calls": [{ "id": "1", "name": "f", "arguments": { "n": 1 } }],
    }]);
    assert!(render(FULL, &flat, None).unwrap().contains(r#"Cf{"n": 1}"#));
    let weighed =
        json!([{ "role": "user", "content": [{ "type": "text", "text": "a", "weight": 0 }] }]);
    let error = render(FULL, &weighed, None).unwrap_err();
    assert!(
        error.starts_with("messages[0].content[0].weight "),
        "{error}"
    );
}

#[test]
fn a_message_that_can_not_be_honoured_is_refused_by_its_path() {
    let one =
        |message: Value| Conversation::new(&json!([message]), None).map_err(|e| e.to_string());
    for (message, expected) in [
        (json!("hi"), "messages[0] must be an object"),
        (
            json!({ "content": "hi" }),
            "messages[0].role must be a string, it is missing",
        ),
        (
            json!({ "role": "user" }),
            "messages[0].content must be a string, it is missing",
        ),
        (
            json!({ "role": "user", "content": null }),
            "messages[0].content must be a string",
        ),
        (
            json!({ "role": "user", "content": 1 }),
            "messages[0].content must be a string",
        ),
        (
            json!({ "role": "user", "content": [{ "type": "text", "text": "a" }, { "type": "image_url" }] }),
            "messages[0].content[1] is a part of type \"image_url\"",
        ),
        (
            json!({ "role": "assistant", "content": "a", "weight": 0.5 }),
            "messages[0].weight must be 0 or 1",
        ),
        (
            json!({ "role": "assistant", "content": "a", "weight": "0" }),
            "messages[0].weight must be 0 or 1",
        ),
        (
            json!({ "role": "assistant", "content": null, "function_call": { "name": "f" } }),
            "messages[0].function_call",
        ),
        (
            json!({ "role": "user", "content": "a", "tool_calls": [{ "name": "f" }] }),
            "messages[0].tool_calls: only an assistant",
        ),
        (
            json!({ "role": "assistant", "tool_calls": [{ "function": {} }] }),
            "messages[0].tool_calls[0].function.name",
        ),
        (
            json!({ "role": "assistant", "tool_calls": [1] }),
            "messages[0].tool_calls[0]",
        ),
        (
            json!({ "role": "assistant", "tool_calls": [{ "name": "f", "arguments": "{" }] }),
            "messages[0].tool_calls[0].function.arguments",
        ),
        (
            json!({ "role": "assistant", "tool_calls": [{ "type": "custom", "custom": {} }] }),
            "messages[0].tool_calls[0].type",
        ),
    ] {
        let error = one(message.clone()).unwrap_err();
        assert!(error.contains(expected), "{message}: {error}");
    }
    let user = json!([{ "role": "user", "content": "a" }]);
    for tools in [json!({}), json!([{ "name": "f" }]), json!("x"), json!([1])] {
        let error = Conversation::new(&user, Some(&tools))
            .unwrap_err()
            .to_string();
        assert!(error.contains("tools"), "{tools}: {error}");
    }
}
