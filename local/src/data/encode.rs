//! Encodes rows as tokens, with a loss mask over the tokens that are trained.

use tokenizers::Encoding;

use super::Example;
use super::rows::Row;
use crate::base::text::TextCodec;
use crate::conversation::{Conversation, Learn};
use crate::error::{Error, Result, refused};

/// So many bytes of a row may be encoded. That takes up to 400 times as much memory.
pub const MAX_ROW_TEXT: usize = 1024 * 1024;

/// A guess that is nearly always high enough. When it isn't, the whole text is encoded.
const BYTES_PER_TOKEN: usize = 16;

/// Cutting a text may change how its end is tokenized, by up to this many tokens before the cut.
const MARGIN: usize = 256;

/// A part of a text, from one byte up to another.
type Range = (usize, usize);

/// Refuses a row that the chat template refuses, without encoding it.
pub fn check(row: Row, text: &TextCodec) -> Result<()> {
    match row {
        Row::Chat(mut chat) => chat.render(text, false).map(|_| ()),
        Row::PromptCompletion(..) | Row::Text(_) => Ok(()),
    }
}

/// Encodes a row, cut off at `max_length` tokens.
pub fn encode(
    row: Row,
    text: &TextCodec,
    max_length: usize,
    responses_only: bool,
) -> Result<Example> {
    let mut example = match row {
        Row::Chat(chat) => self::chat(chat, text, max_length, responses_only)?,
        Row::PromptCompletion(prompt, completion) => {
            let learned = responses_only.then(|| vec![(prompt.len(), usize::MAX)]);
            let content = format!("{prompt}{completion}");
            plain(&content, text, max_length, learned.as_deref())?
        }
        Row::Text(content) => plain(&content, text, max_length, None)?,
    };
    example.ids.truncate(max_length);
    example.trained.truncate(max_length);
    example.ids.shrink_to_fit();
    example.trained.shrink_to_fit();
    Ok(example)
}

fn chat(
    mut chat: Conversation,
    text: &TextCodec,
    max_length: usize,
    responses_only: bool,
) -> Result<Example> {
    let full = chat.render(text, false)?;
    let ranges = |wanted: Learn| ranges(&chat, text, &full, wanted);
    let learned = if responses_only {
        ranges(Learn::Response)?
    } else {
        outside(&ranges(Learn::Never)?)
    };
    let encoding = encoding(&full, false, text, max_length)?;
    let ids = encoding.get_ids().to_vec();
    Ok(marked(ids, encoding.get_offsets(), Some(&learned)))
}

/// The byte ranges in `full` of the turns with `wanted`. An answer's range is what the model would have to
/// generate: what the template marks as generated, or else everything after the generation prompt. That is
/// found by rendering the chat up to each turn.
fn ranges(chat: &Conversation, text: &TextCodec, full: &str, wanted: Learn) -> Result<Vec<Range>> {
    let mut marked = chat.generated(text)?.map(Vec::into_iter);
    let mut ranges = Vec::new();
    for (index, learn) in chat.learned().enumerate() {
        let marked = marked.as_mut().filter(|_| chat.is_answer(index));
        let marked = marked.and_then(Iterator::next);
        if learn != wanted {
            continue;
        }
        if let Some(range) = marked {
            ranges.push(range);
            continue;
        }
        let before = if index == 0 && !chat.is_answer(index) {
            String::new()
        } else {
            chat.prefix(index, text, chat.is_answer(index))?
        };
        let after = chat.prefix(index + 1, text, false)?;
        if !full.starts_with(&after) || !after.starts_with(&before) {
            return refused(
                "the chat template of this model renders a conversation differently as it grows, so that its \
                 turns can't be told apart. Set trainOnResponsesOnly to false, and remove weights of 0.",
            );
        }
        ranges.push((before.len(), after.trim_end().len()));
    }
    Ok(ranges)
}

/// What is between ranges that are in order.
fn outside(ranges: &[Range]) -> Vec<Range> {
    let mut start = 0;
    let mut outside = Vec::with_capacity(ranges.len() + 1);
    for (from, to) in ranges {
        outside.push((start, *from));
        start = *to;
    }
    outside.push((start, usize::MAX));
    outside
}

/// Encodes a plain text, with the tokenizer's special tokens around it and EOS at the end. A text may
/// contain them already, so duplicates are dropped.
fn plain(
    content: &str,
    text: &TextCodec,
    max_length: usize,
    learned: Option<&[Range]>,
) -> Result<Example> {
    let encoding = encoding(content, true, text, max_length)?;
    let (ids, added) = (encoding.get_ids(), encoding.get_special_tokens_mask());
    let before = added.iter().take_while(|added| **added == 1).count();
    let after = added.iter().rev().take_while(|added| **added == 1).count();
    let own = before..ids.len().saturating_sub(after).max(before);
    // The text's own token goes: the tokenizer's is at the same place.
    let doubled_start = before > 0 && ids.get(own.start) == ids.get(own.start - 1);
    let doubled_end = after > 0 && own.end > own.start && ids.get(own.end) == ids.get(own.end - 1);
    let kept = |index: &usize| {
        let doubled = doubled_start && *index == own.start || doubled_end && *index + 1 == own.end;
        !doubled
    };
    let kept: Vec<usize> = (0..ids.len()).filter(kept).collect();
    let offsets: Vec<Range> = kept
        .iter()
        .map(|index| encoding.get_offsets()[*index])
        .collect();
    let ids = kept.iter().map(|index| ids[*index]).collect();
    let mut example = marked(ids, &offsets, learned);
    match (text.eos(), example.trained.last_mut()) {
        (Some(eos), Some(last)) if example.ids.last() == Some(&eos) => *last = true,
        (Some(eos), _) => {
            example.ids.push(eos);
            example.trained.push(true);
        }
        (None, _) => {}
    }
    Ok(example)
}

/// The tokens of a text: all, or at least as many as will be kept.
fn encoding(content: &str, special: bool, text: &TextCodec, max_length: usize) -> Result<Encoding> {
    let encode = |content: &str| {
        if content.len() > MAX_ROW_TEXT {
            return refused(format!(
                "its text has {} bytes, and may have {MAX_ROW_TEXT}. Split it into shorter rows.",
                content.len()
            ));
        }
        text.tokenizer()
            .encode(content, special)
            .map_err(Error::Tokenizer)
    };
    let wanted = max_length + MARGIN;
    let enough = wanted * BYTES_PER_TOKEN;
    if enough <= MAX_ROW_TEXT && enough < content.len() / 2 {
        let end = (0..=enough)
            .rev()
            .find(|end| content.is_char_boundary(*end));
        let encoding = encode(&content[..end.unwrap_or(0)])?;
        if encoding.len() >= wanted {
            return Ok(encoding);
        }
    }
    encode(content)
}

/// Marks the tokens that overlap one of `ranges`; all of them when there are none.
fn marked(ids: Vec<u32>, offsets: &[Range], ranges: Option<&[Range]>) -> Example {
    let trained = offsets
        .iter()
        .map(|(start, end)| {
            ranges.is_none_or(|ranges| ranges.iter().any(|(from, to)| start < to && end > from))
        })
        .collect();
    Example { ids, trained }
}

#[cfg(test)]
#[path = "encode_tests.rs"]
mod tests;
