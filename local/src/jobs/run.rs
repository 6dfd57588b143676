//! The run of one job: where an engine, which knows nothing of jobs, meets events and files. However the
//! job ends, its record and its events say so; when the server stops, the job is left to the next one.

use std::collections::BTreeMap;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use tokio_util::sync::CancellationToken;

use super::downloads::{DatasetFiles, fetch_weights, find_dataset};
use super::handle::JobHandle;
use super::prepare::{Rows, TOKENS, prepare};
use crate::adapter_folder::{artifacts, publish};
use crate::base::resolve::HubModel;
use crate::base::{Bases, Source};
use crate::data::DatasetSource;
use crate::data::fetch::measured;
use crate::engine::{Engine, Log, Phase, Progress, RunEvents, Started, TrainTask, Unit};
use crate::error::{Error, Result, refused};
use crate::run_config::RunConfig;
use crate::stop::Stop;
use crate::store::{PreparedRun, RunRecord};
use crate::wire;

/// Progress is reported once work takes so long, and then as often.
const PROGRESS_EVERY: Duration = Duration::from_secs(1);

/// So often may servers die during a run without a new checkpoint. A run that takes all of the memory would
/// end every server that is started for it.
const MOST_ATTEMPTS: u32 = 8;

/// What runs jobs.
#[derive(Debug)]
pub struct Runner {
    /// Trains.
    pub engine: Arc<dyn Engine>,
    /// The bases that are in memory.
    pub bases: Arc<Bases>,
    /// Set when the server stops.
    pub stopping: Arc<AtomicBool>,
    /// Where downloads run.
    pub runtime: tokio::runtime::Handle,
}

impl Runner {
    /// Runs a job. It's over when this returns, unless the server is stopping.
    pub fn run(&self, handle: &Arc<JobHandle>) {
        let mut run = Run {
            runner: self,
            handle,
            step: None,
            phase: None,
        };
        let result = catch_unwind(AssertUnwindSafe(|| run.train()));
        let step = run.step;
        handle.remove_unfinished();
        let ended = match result {
            Ok(Ok(())) => Ok(()),
            Ok(Err(Error::Stopped)) => {
                if !handle.is_over() {
                    handle.forget_attempt();
                    crate::log(format_args!(
                        "job {} goes on when the local backend is started again",
                        handle.id()
                    ));
                }
                return;
            }
            Ok(Err(error)) => handle.fail(&error.to_string(), step),
            Err(_) => handle.fail(
                "the local backend has a bug: the run panicked, see its log",
                step,
            ),
        };
        let job = handle.job();
        crate::log(format_args!("job {} is {}", job.id, job.status.name()));
        if let Some(error) = job.error {
            crate::log(format_args!("job {}: {error}", job.id));
        }
        if let Err(error) = ended {
            crate::log(format_args!(
                "job {}: its end could not be stored: {error}",
                job.id
            ));
        }
    }
}

/// A job that runs.
struct Run<'a> {
    runner: &'a Runner,
    handle: &'a Arc<JobHandle>,
    /// The last step that was logged.
    step: Option<usize>,
    /// The phase before the first step, when it began, and when it was last reported.
    phase: Option<(Phase, Instant)>,
}

impl Run<'_> {
    fn train(&mut self) -> Result<()> {
        let (runner, handle) = (self.runner, self.handle);
        let stop = || runner.stopping.load(Ordering::Relaxed) || handle.is_over();
        stop.check()?;
        let job = handle.job();
        let Some(mut record) = job.run else {
            return refused(
                "job.json has no `run`: the job is from another version. Start it again.",
            );
        };
        let config = RunConfig::from_json(&job.config)?;
        self.weights(&mut record, &stop)?;
        let prepared = self.prepared(&record, &config, &stop)?;
        let resume = self.resume(&record)?;
        let base_name = record.base.used();
        let tokens = handle.dir().join(TOKENS);
        let task = TrainTask {
            source: &record.base.source,
            base_name: &base_name,
            plan: &prepared.plan,
            tokens: &tokens,
            folder: handle.dir(),
            resume: resume.as_ref().map(|(step, dir)| (*step, dir.as_path())),
        };
        let mut events = Recorder {
            metadata: metadata(&record, &config, &prepared, runner.engine.name()),
            keep: config.save_total_limit,
            resumed_at: resume.as_ref().map(|(step, _)| *step),
            stand_in: record
                .base
                .stand_in
                .as_ref()
                .map(|reason| format!("{base_name} stands in: {reason}")),
            run: self,
        };
        let end = runner.engine.train(&task, &mut events, &stop)?;
        stop.check()?;
        let artifacts = publish(&task.adapter_folder(), &handle.adapter_dir())?;
        let metrics = json!({
            "steps": prepared.plan.total_steps,
            "loss": wire::number(end.loss),
            "evalLoss": wire::number(end.eval_loss),
        });
        handle.complete(&json!({ "metrics": metrics, "artifacts": artifacts }))
    }

    /// The rows of the run: as they were prepared, or prepared now.
    fn prepared(
        &mut self,
        record: &RunRecord,
        config: &RunConfig,
        stop: &dyn Stop,
    ) -> Result<PreparedRun> {
        let handle = self.handle;
        if let Some(prepared) = &record.prepared
            && handle.dir().join(TOKENS).is_file()
        {
            return Ok(prepared.clone());
        }
        let base = self.runner.bases.get(&record.base.source)?;
        let (rows, total) = match &record.prepared {
            Some(prepared) => {
                let info = prepared.dataset.clone();
                let total = info.rows as u64;
                (Rows::Checked(info), total)
            }
            None => {
                let paths = self.dataset(config, stop)?;
                (Rows::Files(measured(paths)?), 0)
            }
        };
        let prepared = prepare(config, &base, rows, handle.dir(), stop, &mut |done| {
            self.progress(&Progress {
                phase: Phase::Encoding,
                name: None,
                done,
                total,
                unit: Unit::Rows,
            })
        })?;
        handle.set_prepared(&prepared)?;
        Ok(prepared)
    }

    /// The files of a dataset on the Hub, which are downloaded if need be.
    fn dataset(&mut self, config: &RunConfig, stop: &dyn Stop) -> Result<Vec<PathBuf>> {
        let DatasetSource::Hub(dataset) = config.dataset()? else {
            return refused(
                "datasetSource: the rows are gone from the job's folder. Start it again.",
            );
        };
        let runtime = self.runner.runtime.clone();
        runtime.block_on(async {
            match find_dataset(&dataset, &CancellationToken::new()).await? {
                DatasetFiles::Here(paths) => Ok(paths),
                DatasetFiles::Remote(remote) => {
                    remote
                        .fetch(stop, &mut |progress| self.progress(progress))
                        .await
                }
            }
        })
    }

    /// Downloads the weights of a model, if they aren't there yet.
    fn weights(&mut self, record: &mut RunRecord, stop: &dyn Stop) -> Result<()> {
        let Some(HubModel {
            name,
            missing_weights: Some(commit),
        }) = &record.base.hub
        else {
            return Ok(());
        };
        let runtime = self.runner.runtime.clone();
        let report = &mut |progress: &Progress| self.progress(progress);
        let dir = runtime.block_on(fetch_weights(name, commit, stop, report))?;
        let source = Source::Dir(dir);
        self.runner.engine.check_model(&source)?;
        record.base.source = source;
        if let Some(hub) = &mut record.base.hub {
            hub.missing_weights = None;
        }
        self.handle.set_base(&record.base)
    }

    /// The checkpoint to go on from, if there is one. Tells of one that was saved but not announced.
    fn resume(&self, record: &RunRecord) -> Result<Option<(usize, PathBuf)>> {
        let handle = self.handle;
        let resume = match handle.checkpoints().last() {
            Some(step) => Some((*step, handle.checkpoint_dir(*step))),
            None => record
                .resumed_from
                .as_ref()
                .map(|from| (from.step, handle.resume_dir())),
        };
        let resume = resume.filter(|(_, dir)| dir.is_dir());
        let step = resume.as_ref().map_or(0, |(step, _)| *step);
        if handle.count_attempt(step)? > MOST_ATTEMPTS {
            return refused(format!(
                "the local backend ended {MOST_ATTEMPTS} times during this run, each time before a new \
                 checkpoint. Memory may not be enough: use a smaller batchSize, maxLength or model."
            ));
        }
        let announced = handle.log.last_step("checkpoint.saved");
        if handle.has_started()
            && let Some((step, dir)) = &resume
            && announced.is_none_or(|announced| announced < *step)
        {
            let fields = json!({ "step": step, "artifacts": artifacts(dir)? });
            handle.emit("checkpoint.saved", &fields)?;
        }
        Ok(resume)
    }

    /// Reports work that takes a while.
    fn progress(&mut self, progress: &Progress) -> Result<()> {
        match &mut self.phase {
            Some((phase, at)) if *phase == progress.phase => {
                if at.elapsed() < PROGRESS_EVERY {
                    return Ok(());
                }
                *at = Instant::now();
            }
            other => {
                *other = Some((progress.phase, Instant::now()));
                // What is done within a second isn't worth a word.
                return Ok(());
            }
        }
        let fields = serde_json::to_value(progress)?;
        self.handle.emit("training.progress", &fields)
    }
}

/// Turns what an engine reports into events and files. Steps that an earlier server has reported already
/// are left out.
struct Recorder<'a, 'b> {
    run: &'a mut Run<'b>,
    metadata: Value,
    keep: Option<usize>,
    resumed_at: Option<usize>,
    stand_in: Option<String>,
}

impl Recorder<'_, '_> {
    fn is_known(&self, kind: &str, step: usize) -> bool {
        let last = self.run.handle.log.last_step(kind);
        last.is_some_and(|last| step <= last)
    }
}

impl RunEvents for Recorder<'_, '_> {
    fn progress(&mut self, progress: &Progress) -> Result<()> {
        self.run.progress(progress)
    }

    fn started(&mut self, started: &Started) -> Result<()> {
        if let Value::Object(more) = serde_json::to_value(started)?
            && let Some(metadata) = self.metadata.as_object_mut()
        {
            metadata.extend(more);
        }
        if let Some(reason) = &self.stand_in {
            crate::log(format_args!("job {}: {reason}", self.run.handle.id()));
        }
        let resumed = self.resumed_at.unwrap_or_default();
        if self.run.handle.start(&self.metadata, resumed)? {
            Ok(())
        } else {
            Err(Error::Stopped)
        }
    }

    fn log(&mut self, log: &Log) -> Result<()> {
        self.run.step = Some(log.step);
        if self.is_known("training.log", log.step) {
            return Ok(());
        }
        let fields = serde_json::to_value(log)?;
        self.run.handle.emit("training.log", &fields)
    }

    fn checkpoint(&mut self, step: usize) -> Result<()> {
        let handle = self.run.handle;
        if handle.is_over() {
            return Err(Error::Stopped);
        }
        // The logs up to this step must be there when a run resumes from it.
        handle.log.sync()?;
        let dir = handle.checkpoint_dir(step);
        let artifacts = publish(&dir.with_extension("tmp"), &dir)?;
        if !self.is_known("checkpoint.saved", step) {
            let fields = json!({ "step": step, "artifacts": artifacts });
            handle.emit("checkpoint.saved", &fields)?;
        }
        self.keep.map_or(Ok(()), |keep| remove_others(handle, keep))
    }
}

/// Removes the oldest checkpoints beyond a number, but never the last one and the best one.
fn remove_others(handle: &JobHandle, keep: usize) -> Result<()> {
    let steps = handle.checkpoints();
    let losses: BTreeMap<usize, f64> = handle.log.eval_losses()?;
    // The loss of a checkpoint is the last one that was measured up to its step.
    let loss = |step: &usize| losses.range(..=*step).next_back().map(|(_, loss)| *loss);
    let best = steps
        .iter()
        .filter(|step| loss(step).is_some_and(f64::is_finite))
        .min_by(|left, right| {
            f64::total_cmp(&loss(left).unwrap_or(0.0), &loss(right).unwrap_or(0.0))
        });
    let mut excess = steps.len().saturating_sub(keep);
    for step in &steps {
        let is_kept = Some(step) == best || Some(step) == steps.last();
        if excess == 0 || is_kept {
            continue;
        }
        excess -= 1;
        let dir = handle.checkpoint_dir(*step);
        fs::remove_dir_all(&dir).map_err(|source| Error::io("can't remove", &dir, source))?;
    }
    Ok(())
}

fn metadata(record: &RunRecord, config: &RunConfig, prepared: &PreparedRun, engine: &str) -> Value {
    let (plan, tokens) = (&prepared.plan, &prepared.tokens);
    json!({
        "backend": "arkor-local",
        "engine": engine,
        "baseModel": record.base.metadata(),
        "totalSteps": plan.total_steps,
        "batchSize": plan.batch_size,
        "maxLength": { "requested": config.max_length, "used": prepared.max_length },
        "seed": plan.seed,
        "dryRun": config.dry_run,
        "rows": {
            "train": tokens.train_rows,
            "eval": tokens.eval_rows,
            "evalHeldOut": tokens.held_out,
            "withoutTarget": prepared.without_target,
        },
        "tokens": { "train": tokens.train_tokens, "eval": tokens.eval_tokens },
        "resumedFrom": record.resumed_from,
    })
}
