#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use serde_json::{Value, json};

use super::*;
use crate::base::{Base, Source};
use crate::conversation::tests::base_with;
use crate::data::rows::{RowRules, row};

fn example(value: &Value, responses_only: bool, max_length: usize) -> (Base, Example) {
    let base = Base::load(&Source::BuiltIn).unwrap();
    let row = row(value, RowRules::default()).unwrap();
    let example = encode(row, &base.text, max_length, responses_only).unwrap();
    (base, example)
}

/// The trained part of a row, as text.
fn learned(value: &Value, responses_only: bool, max_length: usize) -> String {
    let (base, example) = example(value, responses_only, max_length);
    let ids: Vec<u32> = example
        .ids
        .iter()
        .zip(&example.trained)
        .filter_map(|(id, trained)| trained.then_some(*id))
        .collect();
    base.text.tokenizer().decode(&ids, false).unwrap()
}

fn conversation() -> Value {
    json!({ "messages": [
        { "role": "system", "content": "Be brief." },
        { "role": "user", "content": "Hi ü" },
        { "role": "assistant", "content": "Hello!" },
        { "role": "user", "content": "Bye" },
        { "role": "assistant", "content": "See you." },
    ] })
}

#[test]
fn responses_only_trains_every_answer_and_its_end_and_nothing_else() {
    assert_eq!(
        learned(&conversation(), true, 1000),
        "Hello!<|im_end|>See you.<|im_end|>"
    );
}

#[test]
fn else_the_whole_chat_is_trained() {
    let text = learned(&conversation(), false, 1000);
    assert!(
        text.starts_with("<|im_start|>system\nBe brief.<|im_end|>\n"),
        "{text}"
    );
    assert!(text.ends_with("See you.<|im_end|>\n"), "{text}");
}

#[test]
fn a_message_of_weight_0_was_learned() {
    let mut chat = conversation();
    chat["messages"][2]["weight"] = json!(0);
    assert_eq!(learned(&chat, true, 1000), "See you.<|im_end|>");
    let whole = learned(&conversation(), false, 1000);
    let without = whole.replacen("Hello!<|im_end|>", "", 1);
    assert_eq!(learned(&chat, false, 1000), without);

    chat["messages"][0]["weight"] = json!(0.0);
    let without = without.replacen("<|im_start|>system\nBe brief.<|im_end|>", "", 1);
    assert_eq!(learned(&chat, false, 1000), without);
    assert_eq!(learned(&chat, true, 1000), "See you.<|im_end|>");
}

#[test]
fn an_answer_in_a_prompt_is_no_response() {
    let messages = conversation()["messages"].as_array().unwrap().clone();
    let row = json!({ "prompt": messages[..4], "completion": messages[4..] });
    assert_eq!(learned(&row, true, 1000), "See you.<|im_end|>");
    assert_eq!(
        learned(&row, false, 1000),
        learned(&conversation(), false, 1000)
    );
}

#[test]
fn a_completion_is_trained_with_the_end_of_the_text() {
    let row = json!({ "prompt": "1 + 1 =", "completion": " 2" });
    assert_eq!(learned(&row, true, 1000), " 2<|im_end|>");
    assert_eq!(learned(&row, false, 1000), "1 + 1 = 2<|im_end|>");
}

#[test]
fn a_text_that_ends_with_the_end_of_the_text_got_a_second_one() {
    for row in [
        json!({ "text": "hello<|im_end|>" }),
        json!({ "prompt": "hel", "completion": "lo<|im_end|>" }),
        json!({ "text": "hello" }),
    ] {
        let (_, example) = example(&row, false, 1000);
        assert_eq!(example.ids.len(), 6, "{row}");
    }
    let row = json!({ "prompt": "hello", "completion": "<|im_end|>" });
    assert_eq!(learned(&row, true, 1000), "<|im_end|>");
}

#[test]
fn a_text_that_begins_with_the_begin_of_the_text_got_a_second_one() {
    let config = json!({ "eos_token": "<|im_end|>", "bos_token": "<|im_start|>" });
    let base = base_with(&config, |tokenizer| {
        let added = tokenizer["added_tokens"].as_array().unwrap();
        let start = added
            .iter()
            .find(|token| token["content"] == "<|im_start|>")
            .unwrap()["id"]
            .clone();
        let id = json!({ "SpecialToken": { "id": "<|im_start|>", "type_id": 0 } });
        let own = json!({ "Sequence": { "id": "A", "type_id": 0 } });
        tokenizer["post_processor"] = json!({
            "type": "TemplateProcessing",
            "single": [id, own],
            "pair": [id, own, { "Sequence": { "id": "B", "type_id": 0 } }],
            "special_tokens": {
                "<|im_start|>": { "id": "<|im_start|>", "ids": [start], "tokens": ["<|im_start|>"] },
            },
        });
    });
    let ids = |content: &str| {
        let row = Row::Text(content.to_owned());
        encode(row, &base.text, 1000, false).unwrap().ids
    };
    assert_eq!(ids("hello").len(), 7);
    assert_eq!(ids("<|im_start|>hello<|im_end|>"), ids("hello"));
    assert_eq!(
        ids("<|im_start|><|im_start|>x").len(),
        4,
        "only one is the tokenizer's"
    );
}

#[test]
fn a_long_row_is_cut_off_and_not_encoded_beyond_that() {
    assert_eq!(learned(&json!({ "text": "abcdef" }), false, 4), "abcd");
    let long = "ü 日本 words and ".repeat(50_000);
    assert!(long.len() > MAX_ROW_TEXT / 2);
    let (_, all) = example(&json!({ "text": long }), false, usize::MAX / 32);
    let (_, cut) = example(&json!({ "text": long.repeat(4) }), false, 300);
    assert_eq!(cut.ids, all.ids[..300]);
    let chat = |content: &str| json!({ "messages": [{ "role": "user", "content": "?" }, { "role": "assistant", "content": content }] });
    let (_, all) = example(&chat(&long), true, usize::MAX / 32);
    let (_, cut) = example(&chat(&long.repeat(4)), true, 300);
    assert_eq!(
        (&cut.ids[..], &cut.trained[..]),
        (&all.ids[..300], &all.trained[..300])
    );
}

#[test]
fn a_row_that_takes_too_much_memory_to_encode_is_refused() {
    let base = Base::load(&Source::BuiltIn).unwrap();
    let row = Row::Text("x".repeat(MAX_ROW_TEXT + 1));
    let error = encode(row, &base.text, MAX_ROW_TEXT, false).unwrap_err();
    assert!(
        error.is_refusal() && error.to_string().contains("Split it"),
        "{error}"
    );
}

#[test]
fn what_a_template_marks_as_generated_is_what_is_trained() {
    let template = "{% for m in messages %}[{{ m.role }}]{% if m.role == 'assistant' %}{% generation %}\
        {{ m.content }}{% if loop.last %}!{% endif %}{% endgeneration %}{% else %}{{ m.content }}{% endif %}\
        {% endfor %}";
    let config = json!({ "eos_token": "<|im_end|>", "chat_template": template });
    let base = base_with(&config, |_| {});
    let learned = |value: &Value| {
        let row = row(value, RowRules::default()).unwrap();
        let example = encode(row, &base.text, 1000, true).unwrap();
        let pairs = example.ids.iter().zip(&example.trained);
        let ids: Vec<u32> = pairs.filter_map(|(id, on)| on.then_some(*id)).collect();
        base.text.tokenizer().decode(&ids, false).unwrap()
    };
    let mut chat = conversation();
    assert_eq!(learned(&chat), "Hello!See you.!");
    chat["messages"][2]["weight"] = json!(0);
    assert_eq!(learned(&chat), "See you.!");
}

#[test]
fn a_whole_row_begins_with_what_is_trained() {
    let base = Base::load(&Source::BuiltIn).unwrap();
    let long = "a long answer, ".repeat(4000);
    let chat = json!({ "messages": [
        { "role": "user", "content": "Hi" },
        { "role": "assistant", "content": long },
    ] });
    for value in [
        chat,
        json!({ "prompt": "Hi ", "completion": long }),
        json!({ "text": long }),
        json!({ "text": "" }),
    ] {
        for responses_only in [false, value.get("text").is_none()] {
            let row = row(&value, RowRules::default()).unwrap();
            let kept = encode(row.clone(), &base.text, 40, responses_only).unwrap();
            let whole = encode_whole(row, &base.text, 40, responses_only).unwrap();
            assert_eq!(whole.cut(40), kept);
            assert_eq!(whole.places.len(), whole.example.ids.len());
            let own = |(start, end): &&Range| start < end;
            let end = whole
                .places
                .iter()
                .rev()
                .find(own)
                .map_or(0, |place| place.1);
            assert!(whole.text[end..].trim().is_empty());
        }
    }
}
