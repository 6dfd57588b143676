//! Ways to misbehave.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// Never says hello.
    Late,
    /// Ends before it says hello.
    Stillborn,
    /// Says hello in another version of the protocol.
    OldProtocol,
    /// Writes a line that is no message, after two steps.
    Garbage,
    /// Writes a line without end, after two steps.
    EndlessLine,
    /// Says nothing more after two steps.
    Silent,
    /// Ends with an error after two steps.
    Die,
    /// Is killed after two steps, as for memory.
    Killed,
    /// Writes a hundred thousand messages about nothing, and as many lines on stderr, before every step.
    Flood,
    /// Goes on when it's told to end a request.
    IgnoreCancel,
    /// Announces a checkpoint that isn't there.
    NoCheckpoint,
    /// Runs out of memory after two steps, and says so.
    OutOfMemory,
    /// Can't hold an answer to a form.
    NoConstraints,
    /// Loses one of its processes after two steps, and says so.
    Lost,
    /// Fails after two steps, and says so.
    Error,
    /// Dies after two steps, and the next one never says hello. Needs `--once`.
    NoSuccessor,
    /// Starts a process in a session of its own after two steps, which takes what comes on stdin until it
    /// ends. Its id is in the job's folder.
    Orphan,
}

/// A fault, and how often it happens.
#[derive(Debug, Default)]
pub struct Plan {
    fault: Option<Fault>,
    /// It happens only if this file isn't there yet, and then it is.
    once: Option<PathBuf>,
}

/// So many lines are a flood.
const FLOOD: usize = 100_000;

impl Plan {
    /// `--fault NAME`, and `--once FILE`.
    pub fn from_args() -> Result<Self, serde_json::Error> {
        let value = |name: &str| std::env::args().skip_while(|arg| arg != name).nth(1);
        let fault = value("--fault").map(|name| serde_json::from_value(Value::from(name)));
        Ok(Self {
            fault: fault.transpose()?,
            once: value("--once").map(PathBuf::from),
        })
    }

    /// Whether it's this one, however often it happens.
    pub fn is(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    /// Whether it goes on when it's told to end a request.
    pub fn ignore_cancel(&self) -> bool {
        self.is(Fault::IgnoreCancel) || self.is(Fault::Orphan)
    }

    /// The fault, if it happens now.
    fn due(&self) -> Option<Fault> {
        let is_new = |path: &PathBuf| File::create_new(path).is_ok();
        self.fault.filter(|_| self.once.as_ref().is_none_or(is_new))
    }
}

/// Before the first message.
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

/// Before the log of a step. `folder` is the job's.
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
