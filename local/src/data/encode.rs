//! Rows as tokens. Flow in: rows and a base's tokenizer. Flow out: token ids, with a mark on every
//! token that is trained. A module because the mask of "responses only" is where training most
//! easily goes wrong unnoticed.

use serde_json::Value;

use super::{Example, Row};
use crate::base::text::{Encoded, TextCodec};
use crate::error::{Result, refused};

/// Encodes one row, cut off at `max_length` tokens.
pub fn encode(
    row: &Row,
    text: &TextCodec,
    max_length: usize,
    responses_only: bool,
) -> Result<Example> {
    let mut example = match row {
        Row::Messages(messages) => chat(messages, text, responses_only)?,
        Row::PromptCompletion(prompt, completion) => {
            let encoded = text.encode(&format!("{prompt}{completion}"), true)?;
            let trained = responses_only.then(|| vec![(prompt.len(), usize::MAX)]);
            with_end(marked(encoded, trained.as_deref()), text.eos())
        }
        Row::Text(content) => with_end(marked(text.encode(content, true)?, None), text.eos()),
    };
    example.ids.truncate(max_length);
    example.trained.truncate(max_length);
    Ok(example)
}

fn chat(messages: &[Value], text: &TextCodec, responses_only: bool) -> Result<Example> {
    let full = text.render(messages, None, false)?;
    let responses = responses_only
        .then(|| response_ranges(messages, text, &full))
        .transpose()?;
    Ok(marked(text.encode(&full, false)?, responses.as_deref()))
}

/// The bytes of `full` that a model would have had to write: from the end of the prompt for each
/// answer to the end of that answer. Found by rendering the chat up to there.
fn response_ranges(
    messages: &[Value],
    text: &TextCodec,
    full: &str,
) -> Result<Vec<(usize, usize)>> {
    let mut ranges = Vec::new();
    for (index, message) in messages.iter().enumerate() {
        if message.get("role").and_then(Value::as_str) != Some("assistant") {
            continue;
        }
        let before = text.render(&messages[..index], None, true)?;
        let after = text.render(&messages[..=index], None, false)?;
        if !full.starts_with(&after) || !after.starts_with(&before) {
            return refused(
                "trainOnResponsesOnly: the chat template of this model renders a chat differently as it \
                 grows, so that the responses can't be told apart. Set trainOnResponsesOnly to false.",
            );
        }
        ranges.push((before.len(), after.trim_end().len()));
    }
    Ok(ranges)
}

/// Marks the tokens that overlap one of `ranges`; all of them when there are none.
fn marked(encoded: Encoded, ranges: Option<&[(usize, usize)]>) -> Example {
    let trained = encoded
        .offsets
        .iter()
        .map(|(start, end)| {
            ranges.is_none_or(|ranges| ranges.iter().any(|(from, to)| start < to && end > from))
        })
        .collect();
    Example {
        ids: encoded.ids,
        trained,
    }
}

fn with_end(mut example: Example, eos: Option<u32>) -> Example {
    if let Some(eos) = eos {
        example.ids.push(eos);
        example.trained.push(true);
    }
    example
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use serde_json::json;

    use super::*;
    use crate::base::{Base, Source};

    /// What is trained of a row, as text.
    fn trained(row: &Row, responses_only: bool, max_length: usize) -> String {
        let base = Base::load(&Source::BuiltIn).unwrap();
        let example = encode(row, &base.text, max_length, responses_only).unwrap();
        let ids: Vec<u32> = example
            .ids
            .iter()
            .zip(&example.trained)
            .filter_map(|(id, trained)| trained.then_some(*id))
            .collect();
        base.text.tokenizer().decode(&ids, false).unwrap()
    }

    fn conversation() -> Row {
        Row::Messages(vec![
            json!({ "role": "system", "content": "Be brief." }),
            json!({ "role": "user", "content": "Hi ü" }),
            json!({ "role": "assistant", "content": "Hello!" }),
            json!({ "role": "user", "content": "Bye" }),
            json!({ "role": "assistant", "content": "See you." }),
        ])
    }

    #[test]
    fn responses_only_trains_every_answer_and_its_end_and_nothing_else() {
        assert_eq!(
            trained(&conversation(), true, 1000),
            "Hello!<|im_end|>See you.<|im_end|>"
        );
    }

    #[test]
    fn else_the_whole_chat_is_trained() {
        let text = trained(&conversation(), false, 1000);
        assert!(
            text.starts_with("<|im_start|>system\nBe brief.<|im_end|>\n"),
            "{text}"
        );
        assert!(text.ends_with("See you.<|im_end|>\n"), "{text}");
    }

    #[test]
    fn a_completion_is_trained_with_the_end_of_the_text() {
        let row = Row::PromptCompletion("1 + 1 =".to_owned(), " 2".to_owned());
        assert_eq!(trained(&row, true, 1000), " 2<|im_end|>");
        assert_eq!(trained(&row, false, 1000), "1 + 1 = 2<|im_end|>");
    }

    #[test]
    fn a_long_row_is_cut_off() {
        assert_eq!(trained(&Row::Text("abcdef".to_owned()), false, 4), "abcd");
    }
}
