//! Prepares a job: reads, checks, renders and encodes every row, and computes the numbers that depend on
//! the number of rows. The rows are stored on disk, so that a queued job takes no memory and survives a
//! restart of the server.

use std::path::Path;

use rayon::prelude::*;

use super::plan::plan;
use crate::base::Base;
use crate::data::dataset_file::{self, DatasetInfo, DatasetWriter};
use crate::data::encode::{self, Encoded};
use crate::data::fetch::DataFile;
use crate::data::reader::{self, RowPlace};
use crate::data::rows::{Row, RowRules, row};
use crate::data::tokens::TokenWriter;
use crate::engine::cores::with_all_cores;
use crate::error::{Result, refused};
use crate::json;
use crate::run_config::{DRY_RUN_ROWS, RunConfig};
use crate::stop::Stop;
use crate::store::PreparedRun;

/// The file with the checked rows in a job's folder.
pub const DATASET: &str = "dataset.jsonl";

/// The file with the encoded rows in a job's folder. It's removed when the job is over.
pub const TOKENS: &str = "tokens.safetensors";

/// Batches of this many rows or bytes are encoded at once, on all cores.
const BATCH_ROWS: usize = 256;
const BATCH_BYTES: usize = 1024 * 1024;

/// The source of a run's rows.
pub enum Rows {
    /// The files of a dataset. Their rows are checked, and written to the job's folder.
    Files(Vec<DataFile>),
    /// The `dataset.jsonl` in the job's folder.
    Checked(DatasetInfo),
}

/// Receives how many rows are done. An error from it ends the work.
type ReportRows<'a> = &'a mut (dyn FnMut(u64) -> Result<()> + Send);

/// Receives each encoded row in order, with the part of it that's cut off.
pub type EachRow<'a> = &'a mut (dyn FnMut(RowPlace, Encoded) + Send);

/// The most tokens of a row that are used. The rest is cut off.
#[must_use]
pub fn max_length(config: &RunConfig, base: &Base) -> usize {
    config.max_length.min(base.context)
}

/// Reads, checks and encodes all rows of a run into a job's folder. If a row is invalid, refuses the run
/// and names that row. `progress` receives how many rows are done.
pub fn prepare<'a>(
    config: &'a RunConfig,
    base: &'a Base,
    rows: Rows,
    folder: &Path,
    stop: &'a dyn Stop,
    progress: ReportRows<'a>,
    each: Option<EachRow<'a>>,
) -> Result<PreparedRun> {
    let max_length = max_length(config, base);
    let encoder = Encoder {
        config,
        base,
        max_length,
        stop,
        progress,
        each,
        count: 0,
        batch: Vec::new(),
        batch_bytes: 0,
        tokens: TokenWriter::new(folder)?,
        without_target: 0,
    };
    with_all_cores(|| encoder.encode_all(rows, folder))
}

struct Encoder<'a> {
    config: &'a RunConfig,
    base: &'a Base,
    max_length: usize,
    stop: &'a dyn Stop,
    progress: ReportRows<'a>,
    each: Option<EachRow<'a>>,
    count: usize,
    batch: Vec<(RowPlace, Row)>,
    batch_bytes: usize,
    tokens: TokenWriter,
    without_target: usize,
}

impl Encoder<'_> {
    /// Reads, checks and encodes all rows into a job's folder.
    fn encode_all(mut self, rows: Rows, folder: &Path) -> Result<PreparedRun> {
        let (config, max_length) = (self.config, self.max_length);
        let path = folder.join(DATASET);
        let dataset = match rows {
            Rows::Checked(info) => {
                dataset_file::read(&path, &mut |place, row| self.add(place, row))?;
                info
            }
            Rows::Files(files) => {
                let wanted = RowRules {
                    format: config.format()?,
                    responses_only: config.responses_only,
                };
                let mut writer = DatasetWriter::create(&path)?;
                for file in files {
                    let name = file.name.clone();
                    reader::read(file.open()?, name.as_deref(), &mut |place, value| {
                        let row = row(&value, wanted).map_err(|error| place.blame(error))?;
                        writer.add(&place, &row)?;
                        self.batch_bytes += json::length(&value);
                        self.add(place, row)
                    })?;
                }
                writer.finish()?
            }
        };
        self.flush()?;
        if self.count == 0 {
            return reader::no_rows();
        }
        if self.tokens.is_empty() {
            let which = if self.config.dry_run && self.count > DRY_RUN_ROWS {
                format!("none of the first {DRY_RUN_ROWS} rows, which a dry run trains,")
            } else {
                "no row".to_owned()
            };
            return refused(format!(
                "maxLength: {which} has a trained token within {max_length} tokens. Use a larger maxLength or \
                 shorter rows."
            ));
        }
        let (count, without_target) = (self.count, self.without_target);
        let tokens = self.tokens.finish(&folder.join(TOKENS), config.seed)?;
        Ok(PreparedRun {
            plan: plan(config, tokens.train_rows, count),
            max_length,
            dataset,
            tokens,
            without_target,
        })
    }

    fn add(&mut self, place: RowPlace, row: Row) -> Result<()> {
        self.stop.check()?;
        self.batch.push((place, row));
        if self.batch.len() >= BATCH_ROWS || self.batch_bytes >= BATCH_BYTES {
            self.flush()?;
        }
        Ok(())
    }

    /// Encodes the rows of the batch. A dry run only checks the ones beyond those that it uses.
    fn flush(&mut self) -> Result<()> {
        let limit = if self.config.dry_run {
            DRY_RUN_ROWS.saturating_sub(self.count)
        } else {
            usize::MAX
        };
        let batch = std::mem::take(&mut self.batch);
        self.batch_bytes = 0;
        self.count += batch.len();
        let (text, responses_only) = (&self.base.text, self.config.responses_only);
        let (max_length, stop, shows) = (self.max_length, self.stop, self.each.is_some());
        let work = |(index, (place, row)): (usize, (RowPlace, Row))| {
            stop.check()?;
            let encoded = if index >= limit {
                encode::check(row, text).map(|()| None)
            } else if shows {
                encode::encode_whole(row, text, max_length, responses_only)
                    .map(|whole| Some((whole.cut(max_length), Some(whole))))
            } else {
                encode::encode(row, text, max_length, responses_only)
                    .map(|example| Some((example, None)))
            };
            let encoded = encoded.map_err(|error| place.blame(error))?;
            Ok(encoded.map(|(example, whole)| (place, example, whole)))
        };
        let encoded: Vec<Result<_>> = batch.into_par_iter().enumerate().map(work).collect();
        for row in encoded {
            let Some((place, example, whole)) = row? else {
                continue;
            };
            if let (Some(each), Some(whole)) = (&mut self.each, whole) {
                each(place, whole);
            }
            if example.targets() > 0 {
                self.tokens.add(&example)?;
            } else {
                self.without_target += 1;
            }
        }
        (self.progress)(self.count as u64)
    }
}
