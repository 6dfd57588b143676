//! The run of one job. Here the reports of an engine, which knows nothing of jobs, become events and
//! files. However the job ends, its record and its events say so. If the server stops, the next one
//! resumes the job.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use super::downloads::{fetch_dataset, fetch_weights};
use super::handle::JobHandle;
use super::prepare::{Rows, TOKENS, prepare};
use super::recorder::{ProgressReport, Recorder};
use crate::adapter_folder::{artifacts, publish};
use crate::base::resolve::HubModel;
use crate::base::{Bases, Source};
use crate::data::DatasetSource;
use crate::data::fetch::measured;
use crate::engine::{Engine, Phase, Progress, TrainTask, Unit};
use crate::error::{Error, Result, refused};
use crate::run_config::RunConfig;
use crate::stop::Stop;
use crate::store::{PreparedRun, RunRecord};
use crate::wire;

/// How many servers may die during a run without a new checkpoint. Without this limit, a run that uses up
/// all memory would kill every server that is started.
const MOST_ATTEMPTS: u32 = 8;

/// Runs jobs.
#[derive(Debug)]
pub struct Runner {
    /// The engine that trains.
    pub engine: Arc<dyn Engine>,
    /// The bases that are in memory.
    pub bases: Arc<Bases>,
    /// Set when the server is stopping.
    pub stopping: Arc<AtomicBool>,
    /// The runtime for downloads.
    pub runtime: tokio::runtime::Handle,
    /// How many times a run resumes after its worker was lost.
    max_failures: u32,
}

impl Runner {
    /// Creates a runner that downloads on the current runtime.
    #[must_use]
    pub fn new(engine: Arc<dyn Engine>, max_failures: u32) -> Self {
        Self {
            engine,
            bases: Arc::default(),
            stopping: Arc::default(),
            runtime: tokio::runtime::Handle::current(),
            max_failures,
        }
    }

    /// Runs a job. When this returns, the job is over, unless the server is stopping.
    pub fn run(&self, handle: &Arc<JobHandle>) {
        let mut run = Run {
            runner: self,
            handle,
            step: None,
            progress: ProgressReport::default(),
        };
        let result = catch_unwind(AssertUnwindSafe(|| run.train_through_failures()));
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

/// A running job.
struct Run<'a> {
    runner: &'a Runner,
    handle: &'a Arc<JobHandle>,
    /// The last step that was logged.
    step: Option<usize>,
    progress: ProgressReport,
}

impl<'a> Run<'a> {
    /// Whether the run is to stop.
    fn stop(&self) -> impl Fn() -> bool + Sync + use<'a> {
        let (runner, handle) = (self.runner, self.handle);
        move || runner.stopping.load(Ordering::Relaxed) || handle.is_over()
    }

    /// Trains. If a worker is lost, resumes as after a restart.
    fn train_through_failures(&mut self) -> Result<()> {
        loop {
            match self.train() {
                Err(Error::Lost(why)) => self.count_failure(&why)?,
                end => return end,
            }
        }
    }

    /// Counts a lost worker. Fails if too many have been lost.
    fn count_failure(&self, why: &str) -> Result<()> {
        let (most, handle) = (self.runner.max_failures, self.handle);
        self.stop().check()?;
        let failures = handle.count_failure()?;
        if failures > most {
            let often = match most {
                0 => String::new(),
                _ => format!(" (lost {failures} times, and --max-failures is {most})"),
            };
            return Err(Error::Lost(format!("{why}{often}")));
        }
        handle.remove_unfinished();
        // Attempts count dead servers, not lost workers.
        handle.forget_attempt();
        let from = match handle.last_checkpoint() {
            Some((step, _)) => format!("after the checkpoint of step {step}"),
            None => "from its start".to_owned(),
        };
        crate::log(format_args!("job {}: {why}", handle.id()));
        crate::log(format_args!(
            "job {} goes on {from}: failure {failures} of at most {most}",
            handle.id()
        ));
        Ok(())
    }

    fn train(&mut self) -> Result<()> {
        let (runner, handle) = (self.runner, self.handle);
        let stop = self.stop();
        stop.check()?;
        let job = handle.job();
        let Some(mut record) = job.run else {
            return refused(
                "job.json has no `run`: the job is from another version. Start it again.",
            );
        };
        let config = RunConfig::from_json(&job.config)?;
        self.weights(&mut record, config.load_in_4bit, &stop)?;
        let prepared = self.prepared(&record, &config, &stop)?;
        let resume = self.resume()?;
        let base_name = record.base.used();
        let tokens = handle.dir().join(TOKENS);
        let task = TrainTask {
            source: &record.base.source,
            base_name: &base_name,
            plan: &prepared.plan,
            tokens: &tokens,
            rows: prepared.tokens.train_rows,
            folder: handle.dir(),
            resume: resume.as_ref().map(|(step, dir)| (*step, dir.as_path())),
        };
        let mut events = Recorder {
            metadata: metadata(&record, &config, &prepared),
            keep: config.save_total_limit,
            resumed_at: resume.as_ref().map_or(0, |(step, _)| *step),
            stand_in: record
                .base
                .stand_in
                .as_ref()
                .map(|reason| format!("{base_name} stands in: {reason}")),
            step: &mut self.step,
            progress: &mut self.progress,
            handle,
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

    /// The rows of the run. Prepares them if that wasn't done before.
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
        let (rows, total) = if let Some(prepared) = &record.prepared {
            let info = prepared.dataset.clone();
            let total = info.rows as u64;
            (Rows::Checked(info), total)
        } else {
            let paths = self.dataset(config, stop)?;
            (Rows::Files(measured(paths)?), 0)
        };
        let report = &mut |done| {
            self.progress.report(
                handle,
                &Progress {
                    phase: Phase::Encoding,
                    name: None,
                    done,
                    total,
                    unit: Unit::Rows,
                },
            )
        };
        let prepared = prepare(config, &base, rows, handle.dir(), stop, report, None)?;
        handle.set_prepared(&prepared)?;
        Ok(prepared)
    }

    /// The files of a dataset on the Hub. Downloads missing ones.
    fn dataset(&mut self, config: &RunConfig, stop: &dyn Stop) -> Result<Vec<PathBuf>> {
        let DatasetSource::Hub(dataset) = config.dataset()? else {
            return refused(
                "datasetSource: the rows are gone from the job's folder. Start it again.",
            );
        };
        let report = &mut |progress: &Progress| self.progress.report(self.handle, progress);
        let files = fetch_dataset(&dataset, stop, report);
        self.runner.runtime.block_on(files)
    }

    /// Downloads the weights of a model, unless they are in the cache.
    fn weights(&mut self, record: &mut RunRecord, in_4bit: bool, stop: &dyn Stop) -> Result<()> {
        let Some(HubModel {
            name,
            missing_weights: Some(commit),
        }) = &record.base.hub
        else {
            return Ok(());
        };
        let report = &mut |progress: &Progress| self.progress.report(self.handle, progress);
        let weights = fetch_weights(name, commit, stop, report);
        let dir = self.runner.runtime.block_on(weights)?;
        let source = Source::Dir(dir);
        self.runner.engine.check_model(&source, in_4bit)?;
        record.base.source = source;
        if let Some(hub) = &mut record.base.hub {
            hub.missing_weights = None;
        }
        self.handle.set_base(&record.base)
    }

    /// The checkpoint to resume from, if there is one. Announces a checkpoint that was saved but not
    /// announced.
    fn resume(&self) -> Result<Option<(usize, PathBuf)>> {
        let handle = self.handle;
        let resume = handle.last_checkpoint();
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
}

fn metadata(record: &RunRecord, config: &RunConfig, prepared: &PreparedRun) -> Value {
    let (plan, tokens) = (&prepared.plan, &prepared.tokens);
    json!({
        "backend": "arkor-local",
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
