//! Encodes rows as tokens, with a mask of the tokens that count towards the loss.

use tokenizers::Encoding;

use super::Example;
use super::rows::Row;
use crate::base::text::TextCodec;
use crate::conversation::{Conversation, Learn};
use crate::error::{Error, Result, refused};

/// The largest row that is encoded, in bytes. Encoding takes up to 400 times as much memory.
pub const MAX_ROW_TEXT: usize = 1024 * 1024;

/// An estimate that is nearly always high enough. If it's too low, the whole text is encoded.
const BYTES_PER_TOKEN: usize = 16;

/// The most tokens before a cut that may be tokenized differently because of it.
const MARGIN: usize = 256;

/// A range of bytes in a text, `(start, end)`.
pub type Range = (usize, usize);

/// A row as tokens, and its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded {
    /// The tokens of the whole row.
    pub example: Example,
    /// The row as the chat template renders it.
    pub text: String,
    /// For each token, the range of `text` that it stands for. Empty if the tokenizer added the token.
    pub places: Vec<Range>,
}

impl Encoded {
    /// Cuts the row off at `max_length` tokens.
    #[must_use]
    pub fn cut(&self, max_length: usize) -> Example {
        let end = self.example.ids.len().min(max_length);
        Example {
            ids: self.example.ids[..end].to_vec(),
            trained: self.example.trained[..end].to_vec(),
        }
    }
}

/// How much of a row is encoded: at least `max_length` tokens, and all of them if `is_whole` is set and
/// the row isn't too large.
#[derive(Debug, Clone, Copy)]
struct Extent {
    max_length: usize,
    is_whole: bool,
}

/// Refuses a row that the chat template rejects, without encoding it.
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
    let extent = Extent {
        max_length,
        is_whole: false,
    };
    Ok(located(row, text, extent, responses_only)?.cut(max_length))
}

/// Encodes a row, including the part that [`encode`] cuts off. Only the start of a text above
/// [`MAX_ROW_TEXT`] is encoded.
pub fn encode_whole(
    row: Row,
    text: &TextCodec,
    max_length: usize,
    responses_only: bool,
) -> Result<Encoded> {
    let extent = Extent {
        max_length,
        is_whole: true,
    };
    located(row, text, extent, responses_only)
}

fn located(row: Row, text: &TextCodec, extent: Extent, responses_only: bool) -> Result<Encoded> {
    match row {
        Row::Chat(chat) => self::chat(chat, text, extent, responses_only),
        Row::PromptCompletion(prompt, completion) => {
            let learned = responses_only.then(|| vec![(prompt.len(), usize::MAX)]);
            let content = format!("{prompt}{completion}");
            plain(content, text, extent, learned.as_deref())
        }
        Row::Text(content) => plain(content, text, extent, None),
    }
}

fn chat(
    mut chat: Conversation,
    text: &TextCodec,
    extent: Extent,
    responses_only: bool,
) -> Result<Encoded> {
    let full = chat.render(text, false)?;
    let ranges = |wanted: Learn| ranges(&chat, text, &full, wanted);
    let learned = if responses_only {
        ranges(Learn::Response)?
    } else {
        outside(&ranges(Learn::Never)?)
    };
    let encoding = encoding(&full, false, text, extent)?;
    let (ids, places) = (encoding.get_ids().to_vec(), encoding.get_offsets().to_vec());
    Ok(Encoded {
        example: marked(ids, &places, Some(&learned)),
        text: full,
        places,
    })
}

/// The byte ranges in `full` of the turns whose `Learn` is `wanted`. An answer's range is the text that
/// the model would have to generate. That is the part that the template marks as generated, or else
/// everything after the generation prompt, which is found by rendering the chat up to each turn.
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

/// The gaps between sorted ranges.
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

/// Encodes a plain text, with the tokenizer's special tokens around it and EOS at the end. The text may
/// already contain these tokens, in which case the duplicates are dropped.
fn plain(
    content: String,
    text: &TextCodec,
    extent: Extent,
    learned: Option<&[Range]>,
) -> Result<Encoded> {
    let encoding = encoding(&content, true, text, extent)?;
    let (ids, added) = (encoding.get_ids(), encoding.get_special_tokens_mask());
    let before = added.iter().take_while(|added| **added == 1).count();
    let after = added.iter().rev().take_while(|added| **added == 1).count();
    let own = before..ids.len().saturating_sub(after).max(before);
    // The tokenizer's token replaces the text's own at the same place.
    let doubled_start = before > 0 && ids.get(own.start) == ids.get(own.start - 1);
    let doubled_end = after > 0 && own.end > own.start && ids.get(own.end) == ids.get(own.end - 1);
    let kept = |index: &usize| {
        let doubled = doubled_start && *index == own.start || doubled_end && *index + 1 == own.end;
        !doubled
    };
    let kept: Vec<usize> = (0..ids.len()).filter(kept).collect();
    let mut places: Vec<Range> = kept
        .iter()
        .map(|index| encoding.get_offsets()[*index])
        .collect();
    let ids = kept.iter().map(|index| ids[*index]).collect();
    let mut example = marked(ids, &places, learned);
    match (text.eos(), example.trained.last_mut()) {
        (Some(eos), Some(last)) if example.ids.last() == Some(&eos) => *last = true,
        (Some(eos), _) => {
            example.ids.push(eos);
            example.trained.push(true);
            places.push((content.len(), content.len()));
        }
        (None, _) => {}
    }
    Ok(Encoded {
        example,
        text: content,
        places,
    })
}

/// Tokenizes a text, or at least enough of it for the tokens that will be kept.
fn encoding(content: &str, special: bool, text: &TextCodec, extent: Extent) -> Result<Encoding> {
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
    let wanted = extent.max_length + MARGIN;
    let enough = wanted * BYTES_PER_TOKEN;
    let needs_all = extent.is_whole && content.len() <= MAX_ROW_TEXT;
    if !needs_all && enough <= MAX_ROW_TEXT && enough < content.len() / 2 {
        let encoding = encode(&content[..boundary(content, enough)])?;
        if encoding.len() >= wanted {
            return Ok(encoding);
        }
    }
    encode(content)
}

/// The last character boundary up to `end`.
#[must_use]
pub fn boundary(text: &str, end: usize) -> usize {
    let mut places = (0..=end.min(text.len())).rev();
    places
        .find(|place| text.is_char_boundary(*place))
        .unwrap_or(0)
}

/// Marks the tokens that overlap one of `ranges` as trained, or all tokens without `ranges`.
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
