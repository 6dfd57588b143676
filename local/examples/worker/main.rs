//! A worker for the tests that speaks the protocol of `docs/engine-protocol.md` and uses the CPU engine.
//! `arkor-local --worker` runs it like any other worker. `--fault NAME` makes it misbehave, or only once
//! with `--once FILE`. With `--like-torch`, it introduces itself like an engine on a GPU, and supports
//! another architecture, whose models are in a subfolder `llama`.

mod faults;

use std::collections::HashMap;
use std::error::Error;
use std::io::{self, BufRead, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use arkor_local::base::{Base, Source};
use arkor_local::constrain::Constraint;
use arkor_local::engine::candle::CandleEngine;
use arkor_local::engine::{
    ChatTask, CompiledConstraint, Engine, Log, Plan, Progress, RowOrder, RunEvents, Sampling,
    Started, TrainTask,
};
use arkor_local::error::{Error as LocalError, Result as LocalResult};
use arkor_local::wire;
use faults::{Fault, Plan as FaultPlan};
use safetensors::SafeTensors;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

#[derive(Deserialize)]
#[serde(
    tag = "type",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
enum Request {
    Train(Box<Train>),
    Load {
        id: u64,
        base: PathBuf,
        adapter: Option<PathBuf>,
    },
    Chat {
        id: u64,
        base: PathBuf,
        adapter: Option<PathBuf>,
        prompt: Vec<u32>,
        sampling: Sampling,
        constraint: Option<Constraint>,
    },
    Cancel {
        id: u64,
    },
    Shutdown,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Train {
    id: u64,
    base: PathBuf,
    base_name: String,
    plan: Plan,
    tokens: PathBuf,
    order: PathBuf,
    checkpoint: String,
    adapter: PathBuf,
    resume: Option<PathBuf>,
}

/// The state that the threads share.
#[derive(Default)]
struct Worker {
    engine: CandleEngine,
    faults: FaultPlan,
    like_torch: bool,
    running: Mutex<HashMap<u64, CancellationToken>>,
}

fn main() -> Result<(), Box<dyn Error>> {
    // Like arkor-local, which trains rows in parallel instead of single operations.
    for name in ["RAYON_NUM_THREADS", "CANDLE_NUM_THREADS"] {
        // SAFETY: there is no other thread yet.
        unsafe { std::env::set_var(name, "1") };
    }
    let worker = Arc::new(Worker {
        faults: FaultPlan::from_args()?,
        like_torch: std::env::args().any(|arg| arg == "--like-torch"),
        ..Worker::default()
    });
    let faults = &worker.faults;
    faults::before_hello(faults);
    send(&json!({
        "type": "hello",
        "protocol": u32::from(!faults.is(Fault::OldProtocol)),
        "name": "candle-worker",
        "version": env!("CARGO_PKG_VERSION"),
        "constraints": !faults.is(Fault::NoConstraints),
        "loadIn4bit": worker.like_torch,
    }));
    let lively = Arc::clone(&worker);
    thread::spawn(move || {
        while !lively.faults.is(Fault::Silent) {
            thread::sleep(Duration::from_secs(1));
            send(&json!({ "type": "alive" }));
        }
    });
    for line in io::stdin().lock().lines() {
        let request: Request = serde_json::from_str(&line?)?;
        match request {
            Request::Shutdown => break,
            Request::Cancel { id } => {
                if let Some(token) = worker
                    .running
                    .lock()
                    .ok()
                    .and_then(|map| map.get(&id).cloned())
                    && !worker.faults.ignore_cancel()
                {
                    token.cancel();
                }
            }
            other => worker.begin(other),
        }
    }
    // The parent process is gone, so end all threads too.
    std::process::exit(0);
}

/// Prints a line on stdout.
pub(crate) fn send(message: &Value) {
    let mut stdout = io::stdout().lock();
    // An error means that nobody is reading any more.
    let _ = writeln!(stdout, "{}", wire::text(message));
    let _ = stdout.flush();
}

fn with_id(kind: &str, id: u64, fields: &impl serde::Serialize) -> Value {
    let mut message = serde_json::to_value(fields).unwrap_or_default();
    message["type"] = kind.into();
    message["id"] = id.into();
    message
}

impl Worker {
    fn begin(self: &Arc<Self>, request: Request) {
        let id = match &request {
            Request::Train(train) => train.id,
            Request::Load { id, .. } | Request::Chat { id, .. } | Request::Cancel { id } => *id,
            Request::Shutdown => 0,
        };
        let cancel = CancellationToken::new();
        if let Ok(mut running) = self.running.lock() {
            running.insert(id, cancel.clone());
        }
        let worker = Arc::clone(self);
        thread::spawn(move || {
            let last = match worker.work(&request, &cancel) {
                Ok(message) => with_id(message["type"].as_str().unwrap_or_default(), id, &message),
                Err(LocalError::Stopped) => json!({ "type": "cancelled", "id": id }),
                Err(error) => {
                    let kind = match &error {
                        LocalError::Diverged { .. } => "diverged",
                        error if error.is_refusal() => "refused",
                        _ => "error",
                    };
                    json!({ "type": "failed", "id": id, "kind": kind, "message": error.to_string() })
                }
            };
            send(&last);
        });
    }

    fn source(&self, base: &Path) -> Source {
        let llama = base.join("llama");
        let is_other = self.like_torch && llama.is_dir();
        Source::Dir(if is_other { llama } else { base.to_owned() })
    }

    /// Handles a request. Returns its last message.
    fn work(&self, request: &Request, cancel: &CancellationToken) -> LocalResult<Value> {
        let stop = || cancel.is_cancelled();
        match request {
            Request::Train(train) => {
                check_order(train)?;
                let mut events = Events {
                    train,
                    worker: self,
                };
                let saved_at = |dir: &Path| {
                    let state = std::fs::read(dir.join("trainer_state.json")).unwrap_or_default();
                    let state: Value = serde_json::from_slice(&state).unwrap_or_default();
                    usize::try_from(state["step"].as_u64().unwrap_or_default()).unwrap_or_default()
                };
                let resume = train.resume.as_deref().map(|dir| (saved_at(dir), dir));
                let folder = train.adapter.parent().unwrap_or(&train.adapter);
                let task = TrainTask {
                    source: &self.source(&train.base),
                    base_name: &train.base_name,
                    plan: &Plan {
                        load_in_4bit: false,
                        ..train.plan.clone()
                    },
                    tokens: &train.tokens,
                    rows: 0,
                    folder,
                    resume,
                };
                let end = self.engine.train(&task, &mut events, &stop)?;
                Ok(json!({
                    "type": "completed",
                    "loss": wire::number(end.loss),
                    "evalLoss": wire::number(end.eval_loss),
                }))
            }
            Request::Load { base, adapter, .. } => {
                let source = self.source(base);
                self.engine.load(&source, adapter.as_deref(), &stop)?;
                Ok(json!({ "type": "loaded" }))
            }
            Request::Chat {
                id,
                base,
                adapter,
                prompt,
                sampling,
                constraint,
            } => {
                let base = Base::load(&self.source(base))?;
                let constraint = constraint.clone().map(|source| -> LocalResult<_> {
                    let guide = base.text.guide(&source, "constraint")?;
                    Ok(CompiledConstraint { source, guide })
                });
                let task = ChatTask {
                    base: &base,
                    adapter: adapter.as_deref(),
                    prompt,
                    sampling,
                    constraint: constraint.transpose()?,
                };
                let end = self.engine.chat(task, cancel, &mut |text| {
                    send(&json!({ "type": "text", "id": id, "text": text }));
                    true
                })?;
                Ok(json!({ "type": "done", "finish": end.finish, "tokens": end.tokens }))
            }
            Request::Cancel { .. } | Request::Shutdown => Ok(Value::Null),
        }
    }
}

/// Checks that the order in the request is the one that the CPU engine trains in.
fn check_order(train: &Train) -> LocalResult<()> {
    let bytes = std::fs::read(&train.order)
        .map_err(|source| LocalError::io("can't read", &train.order, source))?;
    let file = SafeTensors::deserialize(&bytes)?;
    let (rows, ends) = (file.tensor("rows")?, file.tensor("ends")?);
    let rows: Vec<usize> = rows
        .data()
        .as_chunks()
        .0
        .iter()
        .map(|row| u32::from_le_bytes(*row) as usize)
        .collect();
    let trained = arkor_local::data::tokens::read(&train.tokens, &|| false)?
        .train
        .len();
    let mut order = RowOrder::new(trained, train.plan.seed);
    let mut start = 0;
    for end in ends.data().as_chunks().0 {
        let end = usize::try_from(u64::from_le_bytes(*end)).unwrap_or(usize::MAX);
        if rows.get(start..end) != Some(order.next_batch(train.plan.batch_size)) {
            return Err(LocalError::Engine(
                "the order isn't the engine's".to_owned(),
            ));
        }
        start = end;
    }
    Ok(())
}

/// Reports the events of a run.
struct Events<'a> {
    train: &'a Train,
    worker: &'a Worker,
}

impl RunEvents for Events<'_> {
    fn progress(&mut self, progress: &Progress) -> LocalResult<()> {
        send(&with_id("progress", self.train.id, progress));
        Ok(())
    }

    fn started(&mut self, started: &Started) -> LocalResult<()> {
        let mut started = started.clone();
        if self.worker.like_torch {
            let is_quantised = self.train.plan.load_in_4bit;
            started = Started {
                dtype: Some(if is_quantised { "nf4" } else { "bfloat16" }.to_owned()),
                processes: Some(2),
                model_class: Some("LlamaForCausalLM".to_owned()),
                targets: Some(vec!["q_proj".to_owned(), "v_proj".to_owned()]),
                ..started
            };
        }
        send(&with_id("started", self.train.id, &started));
        Ok(())
    }

    fn log(&mut self, log: &Log) -> LocalResult<()> {
        let folder = self.train.adapter.parent().unwrap_or(&self.train.adapter);
        faults::at_step(&self.worker.faults, log.step, self.train.id, folder);
        send(&with_id("log", self.train.id, log));
        Ok(())
    }

    fn checkpoint(&mut self, step: usize) -> LocalResult<()> {
        // The engine has written it to the folder that the request names.
        let named = self.train.checkpoint.replace("{step}", &step.to_string());
        if self.worker.faults.is(Fault::NoCheckpoint) {
            let _ = std::fs::remove_dir_all(&named);
        }
        send(&with_id(
            "checkpoint",
            self.train.id,
            &json!({ "step": step }),
        ));
        Ok(())
    }
}
