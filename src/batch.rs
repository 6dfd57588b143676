//! The blocks of the stream, in order. Their events are laid out for JavaScript: a row of numbers for each
//! event, and JSON text for everything else.
//!
//! An event is laid out once, when it's decoded, and never rearranged after that.

use std::ops::Range;

use crate::event::{Event, Meaning};

/// The most events in a batch. It leaves timers and sockets their turn between batches, even during a flood
/// of events (T8).
pub const MOST_EVENTS: usize = 256;
/// The size in bytes at which a batch counts as full.
pub const MOST_BYTES: usize = 64 * 1024;

/// The numbers of one event: its flags, its step, and the five metrics.
pub const COLUMNS: usize = 2 + 5;
/// The column of the flags.
pub const FLAGS: usize = 0;
/// The column of the step.
pub const STEP: usize = 1;
/// The column of the first metric.
pub const METRICS: usize = 2;

/// The callbacks, indexed by the kind of their event, which is in the lowest bits of the flags.
pub const CALLBACKS: [&str; 5] = [
    "onLog",
    "onStarted",
    "onCheckpoint",
    "onCompleted",
    "onFailed",
];
/// The mask of the bits that hold the kind.
pub const KIND: u32 = 0b111;
/// The flag of an event that has an id.
pub const HAS_ID: u32 = 1 << 3;
/// The flag of an event whose first metric is a number. The flags of the other metrics are the next bits.
pub const HAS_METRIC: u32 = 1 << 4;

const LOG: u32 = 0;
const STARTED: u32 = 1;
const CHECKPOINT: u32 = 2;
const COMPLETED: u32 = 3;
const FAILED: u32 = 4;
/// An unknown event: no callback gets it, only observers of the run.
const UNKNOWN: u32 = 5;

/// The events of a batch, in the form in which they cross to JavaScript.
#[derive(Debug, Default, PartialEq)]
pub struct Events {
    /// [`COLUMNS`] numbers for each event.
    pub columns: Vec<f64>,
    /// For each event that isn't a log, its detail as JSON text. An event of an unknown type has its
    /// unchanged data here.
    pub texts: Vec<String>,
}

/// What the last block of a batch means for the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Last {
    /// A terminal event.
    Terminal,
    /// `event: end`.
    End,
}

/// One block. If it has an event, that's a row of [`Events`].
struct Item {
    /// Where [`Batch::ids`] holds the block's id.
    id: Option<Range<usize>>,
    role: Role,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    /// A block without a callback, of which only the id counts.
    Passed,
    /// A data event that doesn't cross.
    Unknown,
    /// An event that crosses.
    Dispatched,
}

/// Consecutive blocks.
#[derive(Default)]
pub struct Batch {
    events: Events,
    blocks: Vec<Item>,
    ids: String,
    text_bytes: usize,
    last: Option<Last>,
}

impl Batch {
    /// Appends a block.
    pub fn push(&mut self, id: Option<&str>, meaning: Meaning) {
        let role = match meaning {
            Meaning::Nothing => Role::Passed,
            Meaning::End => {
                self.last = Some(Last::End);
                Role::Passed
            }
            Meaning::Data(Event::Unknown(None)) => Role::Unknown,
            Meaning::Data(event) => {
                if event.is_terminal() {
                    self.last = Some(Last::Terminal);
                }
                self.lay_out(event, id.is_some_and(|id| !id.is_empty()));
                Role::Dispatched
            }
        };
        let id = id.map(|id| {
            let start = self.ids.len();
            self.ids.push_str(id);
            start..self.ids.len()
        });
        self.blocks.push(Item { id, role });
    }

    /// Whether the next block must go into another batch.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.last.is_some()
            || self.events.columns.len() >= MOST_EVENTS * COLUMNS
            || self.bytes() >= MOST_BYTES
    }

    /// The approximate size of the batch in memory.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.blocks.len() * size_of::<Item>()
            + self.events.columns.len() * size_of::<f64>()
            + self.ids.len()
            + self.text_bytes
    }

    /// Takes the events out to hand them to the callbacks.
    #[must_use]
    pub fn take_events(&mut self) -> Events {
        std::mem::take(&mut self.events)
    }

    /// What the last block means for the run, if anything.
    #[must_use]
    pub fn last(&self) -> Option<Last> {
        self.last
    }

    /// How many blocks there are.
    #[must_use]
    pub fn block_count(&self) -> usize {
        self.blocks.len()
    }

    /// The position of the block that holds event `index`, or [`Self::block_count`] if there is none.
    #[must_use]
    pub fn block_of(&self, index: usize) -> usize {
        let blocks = self.blocks.iter().enumerate();
        let mut dispatched = blocks.filter(|(_, block)| block.role == Role::Dispatched);
        dispatched
            .nth(index)
            .map_or(self.blocks.len(), |(at, _)| at)
    }

    /// The last id among the blocks before `end`, if any has one.
    #[must_use]
    pub fn last_id(&self, end: usize) -> Option<&str> {
        let place = self.blocks[..end]
            .iter()
            .rev()
            .find_map(|block| block.id.clone())?;
        Some(&self.ids[place])
    }

    /// Whether a data event is among the blocks before `end`.
    #[must_use]
    pub fn has_data(&self, end: usize) -> bool {
        self.blocks[..end]
            .iter()
            .any(|block| block.role != Role::Passed)
    }

    fn lay_out(&mut self, event: Event, has_id: bool) {
        let id = if has_id { HAS_ID } else { 0 };
        match event {
            Event::Log(log) => {
                let mut flags = id | LOG;
                let mut row = [0.0; COLUMNS];
                row[STEP] = log.step;
                for (index, metric) in log.metrics.into_iter().enumerate() {
                    if let Some(number) = metric {
                        flags |= HAS_METRIC << index;
                        row[METRICS + index] = number;
                    }
                }
                row[FLAGS] = f64::from(flags);
                self.events.columns.extend_from_slice(&row);
            }
            Event::Started(text) => self.lay_out_text(id | STARTED, f64::NAN, text),
            Event::Checkpoint { step, detail } => self.lay_out_text(id | CHECKPOINT, step, detail),
            Event::Completed(text) => self.lay_out_text(id | COMPLETED, f64::NAN, text),
            Event::Failed(text) => self.lay_out_text(id | FAILED, f64::NAN, text),
            Event::Unknown(Some(data)) => self.lay_out_text(id | UNKNOWN, f64::NAN, data),
            Event::Unknown(None) => {}
        }
    }

    fn lay_out_text(&mut self, flags: u32, step: f64, text: String) {
        let mut row = [0.0; COLUMNS];
        row[FLAGS] = f64::from(flags);
        row[STEP] = step;
        self.events.columns.extend_from_slice(&row);
        self.text_bytes += text.len();
        self.events.texts.push(text);
    }
}

#[cfg(test)]
mod tests;
