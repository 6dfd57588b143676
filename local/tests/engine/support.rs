//! A run for an engine, and a recorder of its reports.

use std::fs;
use std::path::Path;
use std::time::Duration;

use arkor_local::base::{Base, Source};
use arkor_local::data::tokens::TokenWriter;
use arkor_local::data::{Row, encode};
use arkor_local::engine::process::{ProcessEngine, Timing, WorkerCommand};
use arkor_local::engine::{
    Engine, Log, Plan, Progress, RunEvents, Schedule, Started, TrainEnd, TrainTask,
};
use arkor_local::error::Result;
use arkor_local::stop::Stop;
use tempfile::TempDir;

pub use crate::worker::worker;

/// Short enough for tests of a timeout to be fast, and far longer than the worker needs.
pub const TIMING: Timing = Timing {
    hello: Duration::from_secs(5),
    silence: Duration::from_secs(3),
    cancel: Duration::from_millis(1500),
};

/// A job's folder with encoded rows.
pub struct Job {
    dir: TempDir,
    pub plan: Plan,
}

impl Job {
    pub fn new(total_steps: usize) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let base = Base::load(&Source::BuiltIn).unwrap();
        let mut tokens = TokenWriter::new(dir.path()).unwrap();
        for number in 0..20 {
            let row = Row::Text(format!("row {number}"));
            tokens
                .add(&encode::encode(row, &base.text, 32, false).unwrap())
                .unwrap();
        }
        tokens
            .finish(&dir.path().join("tokens.safetensors"), 1)
            .unwrap();
        let plan = Plan {
            total_steps,
            batch_size: 4,
            learning_rate: 1e-3,
            schedule: Schedule::Linear,
            warmup_steps: 0,
            weight_decay: 0.0,
            logging_steps: 1,
            save_steps: 4,
            eval_steps: 1000,
            lora_r: 2,
            lora_alpha: 4.0,
            seed: 1,
            load_in_4bit: false,
        };
        Self { dir, plan }
    }

    pub fn folder(&self) -> &Path {
        self.dir.path()
    }

    pub fn engine(&self, fault: &str) -> Result<ProcessEngine> {
        self.start(fault, &|| false)
    }

    /// Like `engine`, but asks the engine to stop right away.
    pub fn stopped_engine(&self, fault: &str) -> Result<ProcessEngine> {
        self.start(fault, &|| true)
    }

    fn start(&self, fault: &str, stop: &dyn Stop) -> Result<ProcessEngine> {
        let args = match fault {
            "" => Vec::new(),
            fault => vec!["--fault".to_owned(), fault.to_owned()],
        };
        let command = WorkerCommand {
            program: worker(),
            args,
            timing: TIMING,
            exported: self.dir.path().join("arkor-tiny"),
        };
        ProcessEngine::start(command, stop)
    }

    pub fn train(&self, engine: &dyn Engine, seen: &mut Seen, stop: &dyn Stop) -> Result<TrainEnd> {
        let tokens = self.dir.path().join("tokens.safetensors");
        let task = TrainTask {
            source: &Source::BuiltIn,
            base_name: "arkor-tiny",
            plan: &self.plan,
            tokens: &tokens,
            rows: 18,
            folder: self.dir.path(),
            resume: None,
        };
        engine.train(&task, seen, stop)
    }
}

/// The reports of a run.
#[derive(Default)]
pub struct Seen {
    pub started: Option<Started>,
    pub logs: Vec<Log>,
    pub checkpoints: Vec<usize>,
    pub on_log: Option<OnLog>,
}

/// A callback for every log.
pub type OnLog = Box<dyn FnMut(&Log) -> Result<()> + Send>;

impl RunEvents for Seen {
    fn progress(&mut self, _: &Progress) -> Result<()> {
        Ok(())
    }

    fn started(&mut self, started: &Started) -> Result<()> {
        self.started = Some(started.clone());
        Ok(())
    }

    fn log(&mut self, log: &Log) -> Result<()> {
        self.logs.push(log.clone());
        self.on_log.as_mut().map_or(Ok(()), |on_log| on_log(log))
    }

    fn checkpoint(&mut self, step: usize) -> Result<()> {
        self.checkpoints.push(step);
        Ok(())
    }
}

/// Whether a process is running, and not a zombie.
#[cfg(target_os = "linux")]
pub fn is_running(pid: &str) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| {
        !stat
            .rsplit(')')
            .next()
            .unwrap_or_default()
            .starts_with(" Z")
    })
}

/// The parent of a process that is still running.
#[cfg(target_os = "linux")]
pub fn parent(pid: &str) -> String {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields = stat.rsplit(')').next().unwrap();
    fields.split_whitespace().nth(1).unwrap().to_owned()
}

/// Kills a process.
#[cfg(target_os = "linux")]
pub fn kill(pid: &str) {
    let mut kill = std::process::Command::new("kill");
    kill.args(["-KILL", pid]).status().unwrap();
}

/// The processes whose command line contains a text.
#[cfg(target_os = "linux")]
pub fn processes_with(text: &str) -> Vec<String> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|pid| {
            let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&line).contains(text)
        })
        .collect()
}
