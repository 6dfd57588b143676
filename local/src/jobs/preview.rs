//! A preview of a dataset as a model would see it. A job that isn't submitted goes through the code that
//! prepares a run, so that preview and run can't differ.

use std::ops::Range;

use serde::Serialize;
use serde_json::Value;

use super::Jobs;
use super::prepare::{Rows, max_length, prepare};
use super::submit::Staged;
use crate::base::Base;
use crate::base::text::TextCodec;
use crate::data::encode::{Encoded, boundary};
use crate::data::held_out_rows;
use crate::data::reader::RowPlace;
use crate::error::Result;
use crate::run_config::RunConfig;
use crate::stop::Stop;

/// The most bytes that are shown of a row's text, and of the part of it that's cut off.
const SHOWN_BYTES: usize = 64 * 1024;
const SHOWN_CUT_BYTES: usize = 2 * 1024;

/// The number of bars in the histogram.
const BARS: usize = 24;

/// A preview of a dataset's rows as a model would see them.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Preview {
    model: String,
    /// Why another model stands in, if one does.
    stand_in: Option<String>,
    max_length: usize,
    responses_only: bool,
    totals: Totals,
    /// A histogram of the rows' lengths.
    lengths: Vec<Bar>,
    offset: usize,
    rows: Vec<ShownRow>,
}

/// Totals over all rows.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Totals {
    rows: usize,
    /// Tokens that the model sees.
    tokens: usize,
    /// Tokens among these that the model learns to predict.
    trained_tokens: usize,
    /// Rows that are longer than `max_length`.
    cut_rows: usize,
    cut_tokens: usize,
    /// Rows without a trained token, which aren't used.
    without_target: usize,
    /// Rows that are only used for the eval loss.
    held_out: usize,
    /// Rows that a dry run checks but doesn't train on.
    not_in_dry_run: usize,
    /// The number of tokens in the longest row.
    longest: usize,
}

/// A bar of the histogram: the number of rows with more than `from` and at most `to` tokens.
#[derive(Debug, Serialize)]
struct Bar {
    from: usize,
    to: usize,
    rows: usize,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ShownRow {
    source: RowPlace,
    segments: Vec<Segment>,
    /// How many bytes of the row's text the segments leave out.
    hidden_bytes: usize,
    /// The number of tokens in the whole row.
    tokens: usize,
    trained_tokens: usize,
    cut_tokens: usize,
    held_out: bool,
}

/// A part of a row's text whose tokens are all treated alike.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(Default))]
struct Segment {
    text: String,
    #[serde(flatten)]
    fate: Fate,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
struct Fate {
    /// Whether the model learns to predict it.
    trained: bool,
    /// Whether it's beyond the part that the model sees.
    cut: bool,
    /// Whether it's a token that the tokenizer added, which isn't in the text.
    added: bool,
}

impl Jobs {
    /// Reads and encodes the rows of a config like a submission, and returns the rows in `page`. Fails
    /// where a submission would fail. `None` if the rows are only on the Hub: the first run downloads
    /// them.
    pub async fn preview(&self, config: &Value, page: Range<usize>) -> Result<Option<Preview>> {
        let (config, base) = self.check(config).await?;
        let Some(files) = self.files(&config).await? else {
            return Ok(None);
        };
        let staged = Staged::new(&self.store.jobs_dir())?;
        let (model, stand_in) = (base.requested.clone(), base.stand_in.clone());
        let read = move |base: &Base, stop: &dyn Stop| {
            let mut view = View::new(&config, base, page);
            let rows = Rows::Files(files);
            let each = &mut |place, row| view.add(place, &row);
            let folder = &staged.path;
            let prepared = prepare(
                &config,
                base,
                rows,
                folder,
                stop,
                &mut |_| Ok(()),
                Some(each),
            )?;
            Ok(view.finish(model, stand_in, prepared.dataset.rows))
        };
        self.read_rows(&base, read).await.map(Some)
    }
}

/// Collects the preview as rows are encoded.
struct View<'a> {
    codec: &'a TextCodec,
    max_length: usize,
    responses_only: bool,
    seed: u64,
    page: Range<usize>,
    rows: Vec<ShownRow>,
    totals: Totals,
    lengths: Vec<usize>,
    /// The lengths of the rows that are used.
    used: Vec<usize>,
}

impl<'a> View<'a> {
    fn new(config: &RunConfig, base: &'a Base, page: Range<usize>) -> Self {
        Self {
            codec: &base.text,
            max_length: max_length(config, base),
            responses_only: config.responses_only,
            seed: config.seed,
            page,
            rows: Vec::new(),
            totals: Totals::default(),
            lengths: Vec::new(),
            used: Vec::new(),
        }
    }

    fn add(&mut self, source: RowPlace, row: &Encoded) {
        let index = self.lengths.len();
        let tokens = row.example.ids.len();
        let trained_tokens = row.cut(self.max_length).targets();
        let cut_tokens = tokens.saturating_sub(self.max_length);
        self.lengths.push(tokens);
        self.totals.tokens += tokens - cut_tokens;
        self.totals.trained_tokens += trained_tokens;
        self.totals.cut_rows += usize::from(cut_tokens > 0);
        self.totals.cut_tokens += cut_tokens;
        if trained_tokens > 0 {
            self.used.push(index);
        } else {
            self.totals.without_target += 1;
        }
        if !self.page.contains(&index) {
            return;
        }
        let name = |id| self.codec.tokenizer().id_to_token(id).unwrap_or_default();
        let (segments, hidden_bytes) = shortened(segments(row, self.max_length, name));
        self.rows.push(ShownRow {
            source,
            segments,
            hidden_bytes,
            tokens,
            trained_tokens,
            cut_tokens,
            held_out: false,
        });
    }

    fn finish(mut self, model: String, stand_in: Option<String>, checked: usize) -> Preview {
        let held_out = held_out_rows(self.used.len(), self.seed);
        for index in held_out.iter().map(|place| self.used[*place]) {
            let shown = index.checked_sub(self.page.start);
            if let Some(row) = shown.and_then(|shown| self.rows.get_mut(shown)) {
                row.held_out = true;
            }
        }
        let longest = self.lengths.iter().copied().max().unwrap_or_default();
        Preview {
            model,
            stand_in,
            max_length: self.max_length,
            responses_only: self.responses_only,
            totals: Totals {
                rows: self.lengths.len(),
                held_out: held_out.len(),
                not_in_dry_run: checked - self.lengths.len(),
                longest,
                ..self.totals
            },
            lengths: bars(&self.lengths),
            offset: self.page.start,
            rows: self.rows,
        }
    }
}

/// Splits a row's text into segments. `name` returns the text of an added token.
fn segments(row: &Encoded, max_length: usize, name: impl Fn(u32) -> String) -> Vec<Segment> {
    let Encoded {
        example,
        text,
        places,
    } = row;
    let mut segments: Vec<Segment> = Vec::new();
    let mut push = |text: &str, fate: Fate| match segments.last_mut() {
        _ if text.is_empty() => {}
        Some(last) if last.fate == fate && !fate.added => last.text.push_str(text),
        _ => segments.push(Segment {
            text: text.to_owned(),
            fate,
        }),
    };
    let mut done = 0;
    let mut last = None;
    for (index, (start, end)) in places.iter().enumerate() {
        let fate = Fate {
            // The first token is never predicted.
            trained: example.trained[index] && index > 0 && index < max_length,
            cut: index >= max_length,
            added: start == end,
        };
        // If several tokens encode one character, the first one gets it. Text between two tokens goes to
        // the earlier one.
        let end = boundary(text, *end).max(done);
        let range = &text[done..end];
        done = end;
        if fate.added {
            push(range, last.unwrap_or_default());
            push(&name(example.ids[index]), fate);
        } else {
            push(range, fate);
            last = Some(fate);
        }
    }
    push(&text[done..], last.unwrap_or_default());
    segments
}

/// Truncates the segments to the shown part. Also returns how many bytes that hides.
fn shortened(segments: Vec<Segment>) -> (Vec<Segment>, usize) {
    let (mut left, mut left_cut, mut hidden) = (SHOWN_BYTES, SHOWN_CUT_BYTES, 0);
    let mut shown = Vec::with_capacity(segments.len());
    for mut segment in segments {
        let budget = if segment.fate.cut {
            &mut left_cut
        } else {
            &mut left
        };
        let end = boundary(&segment.text, *budget);
        hidden += segment.text.len() - end;
        *budget -= end;
        segment.text.truncate(end);
        if end > 0 {
            shown.push(segment);
        }
    }
    (shown, hidden)
}

/// A histogram from the shortest to the longest row.
fn bars(lengths: &[usize]) -> Vec<Bar> {
    let (Some(shortest), Some(longest)) = (lengths.iter().min(), lengths.iter().max()) else {
        return Vec::new();
    };
    let first = shortest.saturating_sub(1);
    let width = (longest - first).div_ceil(BARS).max(1);
    let mut bars: Vec<Bar> = (first..(*longest).max(first + 1))
        .step_by(width)
        .map(|from| Bar {
            from,
            to: from + width,
            rows: 0,
        })
        .collect();
    for length in lengths {
        let bar = (length.saturating_sub(1) - first) / width;
        if let Some(bar) = bars.get_mut(bar) {
            bar.rows += 1;
        }
    }
    bars
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Example;

    fn segment(text: &str, trained: bool, cut: bool) -> Segment {
        let fate = Fate {
            trained,
            cut,
            added: false,
        };
        Segment {
            text: text.to_owned(),
            fate,
        }
    }

    #[test]
    fn every_byte_of_a_text_is_in_one_segment_and_added_tokens_are_named() {
        let row = Encoded {
            example: Example {
                ids: vec![1, 2, 3, 4, 5, 0],
                trained: vec![true, false, true, true, true, true],
            },
            // The é is two tokens. No token covers the space before `c`.
            text: "aé c tail".to_owned(),
            places: vec![(0, 0), (0, 1), (1, 3), (1, 3), (4, 5), (10, 10)],
        };
        let name = |id| format!("<{id}>");
        let mut shown = segments(&row, 99, name);
        let last = shown.pop().unwrap_or_default();
        assert_eq!((last.text.as_str(), last.fate.added), ("<0>", true));
        assert_eq!((shown[0].text.as_str(), shown[0].fate.added), ("<1>", true));
        // The first token is never predicted.
        assert!(!shown[0].fate.trained && last.fate.trained);
        assert_eq!(
            shown[1..],
            [segment("a", false, false), segment("é c tail", true, false)]
        );
        let cut: Vec<bool> = segments(&row, 4, name)
            .iter()
            .map(|one| one.fate.cut)
            .collect();
        assert_eq!(cut, [false, false, false, true, true]);
    }

    #[test]
    fn a_text_without_end_is_shown_in_part() {
        let long = "é".repeat(SHOWN_BYTES);
        let cut = "x".repeat(SHOWN_CUT_BYTES + 5);
        let (shown, hidden) = shortened(vec![
            segment(&long, true, false),
            segment("y", true, false),
            segment(&cut, false, true),
        ]);
        assert_eq!(shown.len(), 2);
        assert_eq!(hidden, SHOWN_BYTES + 1 + 5);
    }

    #[test]
    fn every_row_is_in_one_bar() {
        let rows = |lengths: &[usize]| {
            let bars = bars(lengths);
            assert!(bars.len() <= BARS);
            bars.iter().map(|bar| bar.rows).sum::<usize>()
        };
        assert_eq!(rows(&[1, 2, 3]), 3);
        assert_eq!(rows(&[400, 500, 512]), 3);
        assert_eq!(rows(&[7, 7]), 2);
        assert_eq!(rows(&[0]), 1);
        assert_eq!(rows(&[]), 0);
        let first = bars(&[400, 512]).first().map(|bar| bar.from);
        assert_eq!(first, Some(399));
    }
}
