//! `--engine auto`: the CPU engine for models that it supports, and a worker for other models and for
//! 4-bit bases. The worker is only started when it's needed.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use tokio_util::sync::CancellationToken;

use super::candle::CandleEngine;
use super::process::{ProcessEngine, WorkerCommand};
use super::{ChatTask, Engine, Generated, RunEvents, TrainEnd, TrainTask};
use crate::base::Source;
use crate::error::{Error, Result};
use crate::folder;
use crate::run_config::RunConfig;
use crate::stop::Stop;

/// The command that installs the worker.
pub const INSTALL: &str = "arkor engine install torch";

/// Chooses an engine for each model.
#[derive(Debug, Default)]
pub struct AutoEngine {
    cpu: Arc<CandleEngine>,
    worker: Option<LazyWorker>,
}

/// A worker that's started when it's needed. If that fails, the next use tries again.
#[derive(Debug)]
struct LazyWorker {
    command: WorkerCommand,
    engine: Mutex<Option<Arc<ProcessEngine>>>,
}

impl AutoEngine {
    /// Creates an engine, with a worker if `worker` is given.
    #[must_use]
    pub fn new(cpu: CandleEngine, worker: Option<WorkerCommand>) -> Self {
        Self {
            cpu: Arc::new(cpu),
            worker: worker.map(|command| LazyWorker {
                command,
                engine: Mutex::default(),
            }),
        }
    }

    /// Chooses the CPU engine if it supports the model, or else the worker. A 4-bit base also goes to a
    /// worker that can quantise, which has better data types for it, and a GPU. Without a worker, the CPU
    /// engine's refusal is returned. Only the config decides whether the CPU engine supports a model,
    /// since it doesn't depend on downloaded weights or free memory.
    fn choose(&self, source: &Source, in_4bit: bool, stop: &dyn Stop) -> Result<Arc<dyn Engine>> {
        let cpu = || Arc::clone(&self.cpu) as Arc<dyn Engine>;
        let known = match source {
            // No worker can load a GGUF file.
            Source::Gguf(_) => return Ok(cpu()),
            Source::BuiltIn => Ok(()),
            Source::Dir(dir) => {
                // No engine can load a model without a config.
                folder::read_json(dir, "config.json")?;
                self.cpu.check_architecture(dir)
            }
        };
        match (known, &self.worker) {
            (Ok(()), Some(worker)) if in_4bit => {
                let worker = worker.engine(stop)?;
                Ok(if worker.loads_in_4bit() {
                    worker
                } else {
                    cpu()
                })
            }
            (Ok(()), _) => Ok(cpu()),
            (Err(_), Some(worker)) => Ok(worker.engine(stop)?),
            (Err(Error::Refused(reason)), None) => Err(Error::Refused(format!(
                "{}. The torch engine may do it. Install it with: {INSTALL}",
                reason.trim_end_matches('.')
            ))),
            (Err(error), None) => Err(error),
        }
    }

    fn choose_for_model(&self, source: &Source, stop: &dyn Stop) -> Result<Arc<dyn Engine>> {
        self.choose(source, false, stop)
    }
}

impl LazyWorker {
    fn engine(&self, stop: &dyn Stop) -> Result<Arc<ProcessEngine>> {
        if let Ok(engine) = self.engine.try_lock()
            && let Some(engine) = &*engine
        {
            return Ok(Arc::clone(engine));
        }
        // This takes seconds, because of Python, and a submission would block one of the runtime's
        // threads.
        tokio::task::block_in_place(|| {
            let mut engine = self.engine.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(engine) = &*engine {
                return Ok(Arc::clone(engine));
            }
            let started = Arc::new(ProcessEngine::start(self.command.clone(), stop)?);
            Ok(Arc::clone(engine.insert(started)))
        })
    }
}

impl Engine for AutoEngine {
    fn name(&self) -> &'static str {
        "auto"
    }

    fn check_model(&self, source: &Source, in_4bit: bool) -> Result<()> {
        self.choose(source, in_4bit, &|| false)?
            .check_model(source, in_4bit)
    }

    fn check_architecture(&self, dir: &Path) -> Result<()> {
        self.choose_for_model(&Source::Dir(dir.to_owned()), &|| false)?
            .check_architecture(dir)
    }

    fn check_config(&self, source: &Source, config: &RunConfig) -> Result<()> {
        self.choose(source, config.load_in_4bit, &|| false)?
            .check_config(source, config)
    }

    fn train(
        &self,
        task: &TrainTask,
        run: &mut dyn RunEvents,
        stop: &dyn Stop,
    ) -> Result<TrainEnd> {
        self.choose(task.source, task.plan.load_in_4bit, stop)?
            .train(task, run, stop)
    }

    fn load(&self, source: &Source, adapter: Option<&Path>, stop: &dyn Stop) -> Result<()> {
        self.choose_for_model(source, stop)?
            .load(source, adapter, stop)
    }

    fn chat(
        &self,
        task: ChatTask,
        cancel: &CancellationToken,
        on_text: &mut (dyn FnMut(&str) -> bool + Send),
    ) -> Result<Generated> {
        let stop = || cancel.is_cancelled();
        self.choose_for_model(&task.base.source, &stop)?
            .chat(task, cancel, on_text)
    }

    fn shut_down(&self) {
        let Some(worker) = &self.worker else { return };
        let engine = worker.engine.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(engine) = &*engine {
            engine.shut_down();
        }
    }
}
