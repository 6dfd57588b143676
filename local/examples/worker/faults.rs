//! Faults of a worker.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

/// The kinds of faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// Never sends `hello`.
    Late,
    /// Exits before it sends `hello`.
    Stillborn,
    /// Sends `hello` with another protocol version.
    OldProtocol,
    /// Writes a line that isn't a message, after two steps.
    Garbage,
    /// Writes a line that never ends, after two steps.
    EndlessLine,
    /// Writes nothing more after two steps.
    Silent,
    /// Exits with an error after two steps.
    Die,
    /// Is killed after two steps, as if memory had run out.
    Killed,
    /// Writes a hundred thousand heartbeats, and a line on stderr for every thousand of them, before
    /// every step.
    Flood,
    /// Continues with a cancelled request.
    IgnoreCancel,
    /// Announces a checkpoint that doesn't exist.
    NoCheckpoint,
    /// Reports after two steps that memory ran out.
    OutOfMemory,
    /// Doesn't support constraints.
    NoConstraints,
    /// Reports after two steps that one of its processes is gone.
    Lost,
    /// Reports an error after two steps.
    Error,
    /// Dies after two steps, and the next worker never sends `hello`. Needs `--once`.
    NoSuccessor,
    /// After two steps, starts a process in another session, which reads stdin until it ends. Writes its
    /// id to a file in the job's folder.
    Orphan,
}

/// The fault of this worker, and how often it occurs.
#[derive(Debug, Default)]
pub struct Plan {
    fault: Option<Fault>,
    /// If given, the fault only occurs if this file doesn't exist, and then creates it.
    once: Option<PathBuf>,
}

/// How many messages a flood has.
const FLOOD: usize = 100_000;

impl Plan {
    /// Reads `--fault NAME` and `--once FILE`.
    pub fn from_args() -> Result<Self, serde_json::Error> {
        let value = |name: &str| std::env::args().skip_while(|arg| arg != name).nth(1);
        let fault = value("--fault").map(|name| serde_json::from_value(Value::from(name)));
        Ok(Self {
            fault: fault.transpose()?,
            once: value("--once").map(PathBuf::from),
        })
    }

    /// Whether this is the fault, however often it occurs.
    pub fn is(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    /// Whether a cancelled request continues.
    pub fn ignore_cancel(&self) -> bool {
        self.is(Fault::IgnoreCancel) || self.is(Fault::Orphan)
    }

    /// The fault, if it occurs now.
    fn due(&self) -> Option<Fault> {
        let is_new = |path: &PathBuf| File::create_new(path).is_ok();
        self.fault.filter(|_| self.once.as_ref().is_none_or(is_new))
    }
}

/// Misbehaves before the first message.
pub fn before_hello(plan: &Plan) {
    let has_died = || plan.once.as_ref().is_some_and(|file| file.exists());
    if plan.is(Fault::Late) || (plan.is(Fault::NoSuccessor) && has_died()) {
        forever();
    }
    if plan.is(Fault::Stillborn) && plan.due().is_some() {
        eprintln!("no module named torch");
        std::process::exit(3);
    }
}

/// Misbehaves before the log of a step. `folder` is the job's folder.
pub fn at_step(plan: &Plan, step: usize, id: u64, folder: &Path) {
    if plan.is(Fault::Flood) {
        let mut stdout = io::stdout().lock();
        for line in 0..FLOOD {
            let _ = writeln!(stdout, "{}", json!({ "type": "alive" }));
            if line % 1000 == 0 {
                eprintln!("flood {line}");
            }
        }
    }
    if step < 3 {
        return;
    }
    let Some(fault) = plan.due() else { return };
    match fault {
        Fault::Garbage => {
            let _ = writeln!(io::stdout(), "Loading checkpoint shards: 100%|████| 2/2");
        }
        Fault::EndlessLine => {
            let mut stdout = io::stdout().lock();
            while stdout.write_all(&[b'x'; 4096]).is_ok() {}
        }
        Fault::Silent => forever(),
        Fault::Die | Fault::NoSuccessor => {
            eprintln!("Segmentation fault in a kernel");
            std::process::exit(7);
        }
        Fault::Killed => {
            let pid = std::process::id().to_string();
            let _ = Command::new("kill").args(["-KILL", &pid]).status();
            forever();
        }
        Fault::OutOfMemory => fail(id, "outOfMemory", "CUDA has 8 GiB, 9 GiB are needed."),
        Fault::Lost => fail(id, "lost", "rank 1 of 2 is gone."),
        Fault::Error => fail(id, "error", "a kernel has a bug."),
        Fault::Orphan => orphan(folder),
        _ => {}
    }
}

fn fail(id: u64, kind: &str, message: &str) {
    crate::send(&json!({ "type": "failed", "id": id, "kind": kind, "message": message }));
    forever();
}

fn orphan(folder: &Path) {
    let path = folder.join("orphan.pid");
    if path.exists() {
        return;
    }
    let child = Command::new("setsid")
        .args(["cat", "-"])
        .stdout(Stdio::null())
        .spawn();
    if let Ok(child) = child {
        let _ = std::fs::write(path, child.id().to_string());
    }
}

fn forever() {
    loop {
        thread::sleep(Duration::from_secs(60));
    }
}
