//! The engine that needs nothing: training and generation on the CPU, in this process, with candle.

pub mod adapter;
mod allocator;
pub mod generate;
mod loaded;
pub mod model;
pub mod shared_model;
pub mod train;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio_util::sync::CancellationToken;

use super::{
    ChatTask, Engine, Generated, Log, Phase, Progress, RunEvents, Started, TrainEnd, TrainTask,
    Unit, cores,
};
use crate::base::Source;
use crate::data::tokens;
use crate::error::{Result, refused};
use crate::run_config::RunConfig;
use crate::stop::Stop;
use allocator::KeepFreedMemory;
pub use loaded::CandleModel;
use loaded::LoadedModels;
use model::lora::Lora;
use model::{memory, weights};
use shared_model::SharedModel;
use train::budget;
use train::run::Checkpoint;

/// Refuses to quantise a base whose weights can't be, or that is quantised already.
fn check_load_in_4bit(source: &Source, load_in_4bit: bool) -> Result<()> {
    if !load_in_4bit {
        return Ok(());
    }
    match source {
        Source::BuiltIn => Ok(()),
        Source::Dir(dir) => weights::bytes_in_4bit(&loaded::config_of(dir)?).map(drop),
        Source::Gguf(file) => refused(format!(
            "loadIn4bit: true is for safetensors files; {} stays in the types that it has. Remove loadIn4bit.",
            file.display()
        )),
    }
}

const NAME: &str = "candle";

/// What it computes on.
const DEVICE: &str = "cpu";

/// Trains and generates in this process.
#[derive(Debug, Default)]
pub struct CandleEngine {
    loaded: LoadedModels,
    /// Those that chats are generating with.
    shared: Mutex<Vec<Weak<SharedModel>>>,
    /// Bytes that a run may take, the weights included.
    memory: Option<u64>,
}

impl Engine for CandleEngine {
    fn name(&self) -> &'static str {
        NAME
    }

    fn device(&self) -> Option<&str> {
        Some(DEVICE)
    }

    fn check_model(&self, source: &Source, in_4bit: bool) -> Result<()> {
        CandleModel::check(source, in_4bit)
    }

    fn check_architecture(&self, dir: &Path) -> Result<()> {
        loaded::config_of(dir).map(drop)
    }

    fn check_config(&self, source: &Source, config: &RunConfig) -> Result<()> {
        check_load_in_4bit(source, config.load_in_4bit)
    }

    fn train(
        &self,
        task: &TrainTask,
        run: &mut dyn RunEvents,
        stop: &dyn Stop,
    ) -> Result<TrainEnd> {
        // A job may come from a server with another engine.
        check_load_in_4bit(task.source, task.plan.load_in_4bit)?;
        cores::with_all_cores(|| self.train_here(task, run, stop))
    }

    fn load(&self, source: &Source, adapter: Option<&Path>, stop: &dyn Stop) -> Result<()> {
        self.shared_model(source, adapter, stop).map(drop)
    }

    fn chat(
        &self,
        task: ChatTask,
        cancel: &CancellationToken,
        on_text: &mut (dyn FnMut(&str) -> bool + Send),
    ) -> Result<Generated> {
        let gone = || cancel.is_cancelled();
        let model = self.shared_model(&task.base.source, task.adapter, &gone)?;
        // In its own pool; otherwise every operation would be handed to the one shared thread.
        cores::with_all_cores(|| generate::generate(&model, task, cancel, on_text))
    }
}

impl CandleEngine {
    /// Creates an engine whose runs take at most this many bytes, weights included. Without a limit, they may
    /// take what's free.
    #[must_use]
    pub fn with_memory(memory: Option<u64>) -> Self {
        Self {
            memory,
            ..Self::default()
        }
    }

    fn train_here(
        &self,
        task: &TrainTask,
        run: &mut dyn RunEvents,
        stop: &dyn Stop,
    ) -> Result<TrainEnd> {
        let mut failed = Ok(());
        let in_4bit = task.plan.load_in_4bit;
        let model = self
            .loaded
            .model(task.source, in_4bit, stop, &mut |done, total| {
                let progress = Progress {
                    phase: Phase::Loading,
                    name: Some(task.base_name.to_owned()),
                    done,
                    total,
                    unit: Unit::Tensors,
                };
                if failed.is_ok() {
                    failed = run.progress(&progress);
                }
            })?;
        failed?;
        let rows = tokens::read(task.tokens, stop)?;
        let free = memory::available();
        let fit = budget::fit(
            &model.config,
            (model.weights.bytes(), model.weights.converted()),
            task.plan,
            &rows.train,
            (self.memory, free),
            rayon::current_num_threads(),
        )?;
        if let Some(savings) = fit.savings(model.config.layers) {
            crate::log(format_args!("{savings}"));
        }
        run.started(&Started {
            engine: NAME.to_owned(),
            device: DEVICE.to_owned(),
            base_parameters: model.weights.parameters(),
            trainable_parameters: Lora::parameters_for(&model.config, task.plan.lora_r),
            dtype: model.weights.dtype().map(str::to_owned),
            memory_bytes: Some(fit.bytes),
            ..Started::default()
        })?;
        let mut observer = Observer { task, run };
        let resume = task.resume.map(|(_, folder)| folder);
        let resume = (resume, fit.recomputed);
        let _kept = KeepFreedMemory::new();
        let trained = cores::with_cores(fit.cores, || {
            train::run(&model, &rows, task.plan, resume, stop, &mut observer)
        })?;
        adapter::write(&task.adapter_folder(), &trained.lora, task.base_name)?;
        Ok(TrainEnd {
            loss: trained.loss,
            eval_loss: trained.eval_loss,
        })
    }

    /// The decoder that chats with this model and adapter share. It's loaded now if it isn't in memory.
    fn shared_model(
        &self,
        source: &Source,
        adapter: Option<&Path>,
        stop: &dyn Stop,
    ) -> Result<Arc<SharedModel>> {
        let base = self.loaded.model(source, false, stop, &mut |_, _| {})?;
        let lora = adapter.map(|dir| self.loaded.adapter(dir)).transpose()?;
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        shared.retain(|model| model.strong_count() > 0);
        let mut in_use = shared.iter().filter_map(Weak::upgrade);
        if let Some(model) = in_use.find(|model| model.is_of(&base, lora.as_ref())) {
            return Ok(model);
        }
        drop(in_use);
        let model = Arc::new(SharedModel::new(base, lora)?);
        shared.push(Arc::downgrade(&model));
        Ok(model)
    }
}

/// Writes checkpoints, and passes everything on.
struct Observer<'a, 'b> {
    task: &'a TrainTask<'a>,
    run: &'b mut dyn RunEvents,
}

impl train::Observer for Observer<'_, '_> {
    fn log(&mut self, log: &Log) -> Result<()> {
        self.run.log(log)
    }

    fn checkpoint(&mut self, checkpoint: &Checkpoint) -> Result<()> {
        let step = checkpoint.state.step;
        let folder = self.task.checkpoint_folder(step);
        write_checkpoint(&folder, checkpoint, self.task.base_name)?;
        self.run.checkpoint(step)
    }
}

fn write_checkpoint(folder: &Path, checkpoint: &Checkpoint, base_name: &str) -> Result<()> {
    adapter::write(folder, checkpoint.lora, base_name)?;
    train::resume::save(folder, checkpoint.optimizer, &checkpoint.state)
}
