//! An engine in another process, which speaks JSON lines. Two workers are started as needed, one for
//! training and one for chats. A run that takes up all memory must not end a chat, and vice versa.

mod child;
mod mailbox;
pub mod protocol;
mod worker;

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use safetensors::tensor::{Dtype, TensorView};
use tokio_util::sync::CancellationToken;

use super::{ChatTask, Engine, Generated, Plan, RowOrder, RunEvents, Started, TrainEnd, TrainTask};
use crate::base::{Source, built_in};
use crate::constrain::Constraint;
use crate::error::{Error, Result, refused};
use crate::folder;
use crate::run_config::RunConfig;
use crate::stop::Stop;
use protocol::{Hello, Message, Request};
use worker::Worker;
pub use worker::{Timing, WorkerCommand};

/// The most rows in the order that is passed to a worker.
const MAX_ORDER: usize = 1 << 26;

/// How many messages about a run may be queued. Each of them is written to disk.
const TRAIN_ROOM: usize = 256;

/// Messages about chats are never blocked, because a slow client must not delay the other chats. There
/// are at most as many of them as tokens.
const CHAT_ROOM: usize = usize::MAX;

/// Trains and generates in worker processes.
#[derive(Debug)]
pub struct ProcessEngine {
    command: WorkerCommand,
    hello: Hello,
    trainer: Slot,
    talker: Slot,
}

/// A worker that's started when it's needed, and restarted when it's gone.
type Slot = Mutex<Option<Arc<Worker>>>;

impl ProcessEngine {
    /// Starts a worker, whose `hello` tells what it supports.
    pub fn start(command: WorkerCommand, stop: &dyn Stop) -> Result<Self> {
        let worker = Worker::start(&command, stop)?;
        Ok(Self {
            hello: worker.hello.clone(),
            command,
            trainer: Mutex::new(Some(Arc::new(worker))),
            talker: Mutex::default(),
        })
    }

    fn worker(&self, slot: &Slot, stop: &dyn Stop) -> Result<Arc<Worker>> {
        let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(worker) = slot.as_ref().filter(|worker| worker.is_alive()) {
            return Ok(Arc::clone(worker));
        }
        // Drop the old worker before starting a new one, to free its memory.
        *slot = None;
        let worker = Arc::new(Worker::start(&self.command, stop)?);
        Ok(Arc::clone(slot.insert(worker)))
    }

    /// Whether the worker can quantise a base.
    #[must_use]
    pub fn loads_in_4bit(&self) -> bool {
        self.hello.load_in_4bit
    }

    fn check_load_in_4bit(&self, load_in_4bit: bool) -> Result<()> {
        if load_in_4bit && !self.hello.load_in_4bit {
            return refused(format!(
                "loadIn4bit: true is not supported by the {} engine. Remove it or set it to false.",
                self.hello.name
            ));
        }
        Ok(())
    }

    /// The directory of the model's files. The built-in base is first written to one.
    fn directory<'a>(&'a self, source: &'a Source) -> Result<&'a Path> {
        match source {
            Source::Dir(dir) => Ok(dir),
            Source::Gguf(file) => self.refuse_gguf(file),
            Source::BuiltIn => {
                built_in::export(&self.command.exported)?;
                Ok(&self.command.exported)
            }
        }
    }

    fn refuse_gguf<T>(&self, file: &Path) -> Result<T> {
        refused(format!(
            "model: {} is a GGUF file, which the {} engine can't load, only the CPU engine (--engine cpu). Use the \
             model's safetensors files.",
            file.display(),
            self.hello.name
        ))
    }

    fn unexpected(&self, message: &Message) -> Error {
        let name = &self.hello.name;
        Error::Engine(format!("the {name} engine sent an unexpected {message:?}"))
    }
}

impl Engine for ProcessEngine {
    fn name(&self) -> &str {
        &self.hello.name
    }

    fn check_model(&self, source: &Source, _: bool) -> Result<()> {
        match source {
            Source::BuiltIn => Ok(()),
            Source::Dir(dir) => self.check_architecture(dir),
            Source::Gguf(file) => self.refuse_gguf(file),
        }
    }

    fn check_architecture(&self, dir: &Path) -> Result<()> {
        let Some(known) = &self.hello.architectures else {
            return Ok(());
        };
        let config = folder::read_json(dir, "config.json")?;
        let architecture = config["architectures"][0].as_str().unwrap_or("none");
        if known.iter().any(|known| known == architecture) {
            return Ok(());
        }
        refused(format!(
            "model: the architecture {architecture} is not supported by the {} engine, only {}",
            self.hello.name,
            known.join(", ")
        ))
    }

    fn check_config(&self, _: &Source, config: &RunConfig) -> Result<()> {
        self.check_load_in_4bit(config.load_in_4bit)
    }

    fn train(
        &self,
        task: &TrainTask,
        run: &mut dyn RunEvents,
        stop: &dyn Stop,
    ) -> Result<TrainEnd> {
        // A job may have been submitted to a server with another engine.
        self.check_load_in_4bit(task.plan.load_in_4bit)?;
        let worker = self.worker(&self.trainer, stop)?;
        let base = self.directory(task.source)?;
        let order = task.folder.join("order.safetensors");
        write_order(&order, task.rows, task.plan)?;
        fs::create_dir_all(task.folder.join("checkpoints"))
            .map_err(|source| Error::io("can't create", task.folder, source))?;
        let checkpoint = task
            .folder
            .join("checkpoints")
            .join("checkpoint-{step}.tmp");
        let checkpoint = checkpoint.to_string_lossy();
        let adapter = task.adapter_folder();
        let mut call = worker.call(TRAIN_ROOM, |id| Request::Train {
            id,
            base,
            base_name: task.base_name,
            plan: task.plan,
            tokens: task.tokens,
            order: &order,
            checkpoint: &checkpoint,
            adapter: &adapter,
            resume: task.resume.map(|(_, folder)| folder),
        })?;
        let end = loop {
            match call.next(&|| !stop.stopped())? {
                None => return Err(Error::Stopped),
                Some(Message::Progress { progress, .. }) => run.progress(&progress)?,
                Some(Message::Started { started, .. }) => run.started(&Started {
                    engine: self.hello.name.clone(),
                    ..started
                })?,
                Some(Message::Log { log, .. }) => run.log(&log)?,
                Some(Message::Checkpoint { step, .. }) => run.checkpoint(step)?,
                Some(Message::Completed {
                    loss, eval_loss, ..
                }) => break TrainEnd { loss, eval_loss },
                Some(other) => return Err(self.unexpected(&other)),
            }
        };
        // Best effort: the file is never read again.
        let _ = fs::remove_file(order);
        Ok(end)
    }

    fn load(&self, source: &Source, adapter: Option<&Path>, stop: &dyn Stop) -> Result<()> {
        let worker = self.worker(&self.talker, stop)?;
        let base = self.directory(source)?;
        let mut call = worker.call(CHAT_ROOM, |id| Request::Load { id, base, adapter })?;
        match call.next(&|| !stop.stopped())? {
            None => Err(Error::Stopped),
            Some(Message::Loaded { .. }) => Ok(()),
            Some(other) => Err(self.unexpected(&other)),
        }
    }

    fn chat(
        &self,
        task: ChatTask,
        cancel: &CancellationToken,
        on_text: &mut (dyn FnMut(&str) -> bool + Send),
    ) -> Result<Generated> {
        let worker = self.worker(&self.talker, &|| cancel.is_cancelled())?;
        let constraint = task.constraint.map(|constraint| constraint.source);
        if constraint.is_some() && !self.hello.constraints {
            return refused(format!(
                "structuredOutputs: the {} engine can't hold an answer to a form. Remove it, and \
                 responseFormat and toolChoice too.",
                self.hello.name
            ));
        }
        let base = self.directory(&task.base.source)?;
        let mut call = worker.call(CHAT_ROOM, |id| Request::Chat {
            id,
            base,
            adapter: task.adapter,
            prompt: task.prompt,
            sampling: task.sampling,
            stop: task.base.text.stops(),
            constraint: constraint.as_ref(),
            grammar: constraint.as_ref().map(Constraint::grammar),
        })?;
        let mut wanted = true;
        let mut tokens = 0;
        loop {
            match call.next(&|| wanted && !cancel.is_cancelled())? {
                Some(Message::Text { text, .. }) => {
                    tokens += 1;
                    wanted = wanted && on_text(&text);
                }
                Some(Message::Done { finish, tokens, .. }) => {
                    return Ok(Generated { finish, tokens });
                }
                None => {
                    return Ok(Generated {
                        finish: super::Finish::Length,
                        tokens,
                    });
                }
                Some(other) => return Err(self.unexpected(&other)),
            }
        }
    }

    fn shut_down(&self) {
        for slot in [&self.trainer, &self.talker] {
            let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(worker) = slot.take() {
                worker.end();
            }
        }
    }
}

/// Writes the order of the rows, which determines the batch of each step.
fn write_order(path: &Path, rows: usize, plan: &Plan) -> Result<()> {
    if plan.total_steps.saturating_mul(plan.batch_size) > MAX_ORDER {
        return refused(format!(
            "maxSteps: {} steps of {} rows are more than the {MAX_ORDER} rows that can be handed to an engine",
            plan.total_steps, plan.batch_size
        ));
    }
    let mut order = RowOrder::new(rows, plan.seed);
    let (mut ids, mut ends) = (Vec::new(), Vec::new());
    for _ in 0..plan.total_steps {
        for row in order.next_batch(plan.batch_size) {
            ids.extend(u32::try_from(*row).unwrap_or(u32::MAX).to_le_bytes());
        }
        ends.extend((ids.len() as u64 / 4).to_le_bytes());
    }
    let tensors = HashMap::from([
        (
            "rows",
            TensorView::new(Dtype::U32, vec![ids.len() / 4], &ids)?,
        ),
        (
            "ends",
            TensorView::new(Dtype::U64, vec![ends.len() / 8], &ends)?,
        ),
    ]);
    safetensors::serialize_to_file(tensors, None, path)?;
    Ok(())
}
