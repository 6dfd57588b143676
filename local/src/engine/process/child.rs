//! A worker's process. It has its own process group, its output is read line by line, and killing it also
//! kills all processes that it has started.

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ExitStatus};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::mailbox::Mailbox;
use super::protocol::{Hello, Message};
use crate::wire;

/// The longest line on the worker's stdout, in bytes.
const MAX_LINE_BYTES: u64 = 16 * 1024 * 1024;

/// Lines on its stderr are cut off at this many characters.
const MAX_LOG_CHARS: usize = 2000;

/// How long a process may take to exit once its pipes are closed.
pub const EXIT_LIMIT: Duration = Duration::from_secs(2);

/// Why a worker is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// It died or stopped responding. A new worker may succeed.
    Lost(String),
    /// It broke the protocol, or was shut down.
    Ended(String),
}

/// The state of a worker that its threads share.
#[derive(Debug)]
pub struct Process {
    /// `None` once it was killed, because its id may then belong to another process.
    child: Mutex<Option<Child>>,
    stdin: Mutex<Option<ChildStdin>>,
    /// The mailbox for the messages of each request.
    pub requests: Mutex<HashMap<u64, Arc<Mailbox<Message>>>>,
    /// The time when a line was last read.
    pub heard: Mutex<Instant>,
    /// Why the worker is gone.
    pub ended: Mutex<Option<End>>,
    last_line: Mutex<String>,
    /// Whether its stderr has been read to the end.
    all_heard: AtomicBool,
}

impl Process {
    /// Wraps a process that was just started.
    pub fn new(mut child: Child) -> Self {
        Self {
            stdin: Mutex::new(child.stdin.take()),
            child: Mutex::new(Some(child)),
            requests: Mutex::default(),
            heard: Mutex::new(Instant::now()),
            ended: Mutex::default(),
            last_line: Mutex::default(),
            all_heard: AtomicBool::new(false),
        }
    }

    /// Reads messages until the output ends, and returns why it ended.
    pub fn listen(&self, stdout: impl Read, hello: &Mailbox<Hello>) -> End {
        let mut stdout = BufReader::new(stdout);
        let mut line = Vec::new();
        loop {
            line.clear();
            match stdout
                .by_ref()
                .take(MAX_LINE_BYTES + 1)
                .read_until(b'\n', &mut line)
            {
                Ok(0) | Err(_) => return End::Lost(self.exit()),
                Ok(_) => {}
            }
            if line.len() as u64 > MAX_LINE_BYTES {
                let most = MAX_LINE_BYTES >> 20;
                return End::Ended(format!("it wrote a line of more than {most} MiB"));
            }
            *lock(&self.heard) = Instant::now();
            let message = wire::value(&line).and_then(|json| serde_json::from_value(json).ok());
            match message {
                Some(Message::Hello(said)) => hello.put(said),
                Some(message) => {
                    let mailbox = message
                        .id()
                        .and_then(|id| lock(&self.requests).get(&id).cloned());
                    if let Some(mailbox) = mailbox {
                        mailbox.put(message);
                    }
                }
                None => {
                    let text = shown(&String::from_utf8_lossy(&line));
                    return End::Ended(format!("it wrote a line that is no message: {text}"));
                }
            }
        }
    }

    /// Describes how the process ended, after its output has ended.
    fn exit(&self) -> String {
        let limit = Instant::now() + EXIT_LIMIT;
        let status = loop {
            let status = match &mut *lock(&self.child) {
                Some(child) => child.try_wait().unwrap_or_default(),
                None => break None,
            };
            let is_over = status.is_some() && self.all_heard.load(Ordering::Acquire);
            if is_over || Instant::now() >= limit {
                break status;
            }
            thread::sleep(Duration::from_millis(5));
        };
        let line = lock(&self.last_line).clone();
        let output = if line.is_empty() {
            String::new()
        } else {
            format!(". Its last line of output: {line}")
        };
        match status {
            None => format!("it closed its stdout{output}"),
            Some(status) => match killed_by(status) {
                Some(9) => format!(
                    "it was killed (signal 9), probably because memory ran out. Use a smaller batchSize, \
                     maxLength or model{output}"
                ),
                Some(signal) => format!("it was ended by signal {signal}{output}"),
                None => format!(
                    "it ended with code {}{output}",
                    status.code().unwrap_or_default()
                ),
            },
        }
    }

    /// Records why the worker is gone, and wakes all receivers of messages. Only the first reason counts.
    pub fn end(&self, why: End) {
        lock(&self.ended).get_or_insert(why);
        for mailbox in lock(&self.requests).values() {
            mailbox.close();
        }
    }

    /// Writes a line to its stdin.
    pub fn write(&self, line: &str) -> io::Result<()> {
        match &mut *lock(&self.stdin) {
            Some(stdin) => stdin
                .write_all(line.as_bytes())
                .and_then(|()| stdin.flush()),
            None => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    /// Kills the process and all processes that it has started.
    pub fn kill(&self) {
        self.kill_group();
        // Child processes in other groups only notice the end of stdin. Close it after the kill, because
        // a blocked write would hold the lock until then.
        drop(lock(&self.stdin).take());
    }

    fn kill_group(&self) {
        let mut slot = lock(&self.child);
        let Some(mut child) = slot.take() else {
            return;
        };
        #[cfg(unix)]
        if let Some(group) = rustix::process::Pid::from_raw(i32::try_from(child.id()).unwrap_or(0))
        {
            // The worker may be gone while its children are still running.
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
        let _ = child.kill();
        let _ = child.wait();
    }

    /// Logs the worker's stderr line by line.
    pub fn pass_on(&self, stderr: impl Read) {
        let mut stderr = BufReader::new(stderr);
        let mut line = Vec::new();
        loop {
            line.clear();
            match stderr
                .by_ref()
                .take(MAX_LINE_BYTES)
                .read_until(b'\n', &mut line)
            {
                Ok(0) | Err(_) => break,
                Ok(_) => {}
            }
            let text = String::from_utf8_lossy(&line);
            let text = shown(text.trim_end());
            if !text.is_empty() {
                crate::log(format_args!("worker: {text}"));
                *lock(&self.last_line) = text;
            }
        }
        self.all_heard.store(true, Ordering::Release);
    }
}

fn shown(text: &str) -> String {
    text.chars()
        .filter(|char| !char.is_control())
        .take(MAX_LOG_CHARS)
        .collect()
}

#[cfg(unix)]
fn killed_by(status: ExitStatus) -> Option<i32> {
    std::os::unix::process::ExitStatusExt::signal(&status)
}

#[cfg(not(unix))]
fn killed_by(_: ExitStatus) -> Option<i32> {
    None
}

/// Locks a mutex, even if it's poisoned.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
