//! Ways to misbehave.

use std::io::{self, Write};
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
}

/// So many lines are a flood.
const FLOOD: usize = 100_000;

impl Fault {
    /// `--fault NAME`.
    pub fn from_args() -> Result<Option<Self>, serde_json::Error> {
        let mut args = std::env::args().skip_while(|arg| arg != "--fault").skip(1);
        args.next()
            .map(|name| serde_json::from_value(Value::from(name)))
            .transpose()
    }
}

/// Before the first message.
pub fn before_hello(fault: Option<Fault>) {
    match fault {
        Some(Fault::Late) => forever(),
        Some(Fault::Stillborn) => {
            eprintln!("no module named torch");
            std::process::exit(3);
        }
        _ => {}
    }
}

/// Before the log of a step.
pub fn at_step(fault: Option<Fault>, step: usize, id: u64) {
    let Some(fault) = fault else { return };
    if fault == Fault::Flood {
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
    match fault {
        Fault::Garbage => {
            let _ = writeln!(io::stdout(), "Loading checkpoint shards: 100%|████| 2/2");
        }
        Fault::EndlessLine => {
            let mut stdout = io::stdout().lock();
            while stdout.write_all(&[b'x'; 4096]).is_ok() {}
        }
        Fault::Silent => forever(),
        Fault::Die => {
            eprintln!("Segmentation fault in a kernel");
            std::process::exit(7);
        }
        Fault::Killed => {
            let pid = std::process::id().to_string();
            let _ = std::process::Command::new("kill")
                .args(["-KILL", &pid])
                .status();
            forever();
        }
        Fault::OutOfMemory => {
            crate::send(&json!({
                "type": "failed", "id": id, "kind": "outOfMemory",
                "message": "CUDA has 8 GiB, 9 GiB are needed.",
            }));
            forever();
        }
        _ => {}
    }
}

fn forever() {
    loop {
        thread::sleep(Duration::from_secs(60));
    }
}
