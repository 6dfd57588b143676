//! A worker process, and requests to it.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::child::{EXIT_LIMIT, End, Process, lock};
use super::mailbox::Mailbox;
use super::protocol::{Hello, Message, PROTOCOL, Request};
use crate::error::{Error, Result};
use crate::stop::Stop;

/// The command that starts a worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerCommand {
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
    /// The worker's time limits.
    pub timing: Timing,
    /// A folder of the store for the built-in base, so that workers can read it.
    pub exported: PathBuf,
}

/// A worker's time limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// The time until `hello`. Python's libraries take a while to load.
    pub hello: Duration,
    /// The time between two lines while it handles a request.
    pub silence: Duration,
    /// The time until a cancelled request ends.
    pub cancel: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            hello: Duration::from_secs(120),
            silence: Duration::from_secs(60),
            cancel: Duration::from_millis(1500),
        }
    }
}

/// A running worker.
#[derive(Debug)]
pub struct Worker {
    /// Its introduction.
    pub hello: Hello,
    timing: Timing,
    process: Arc<Process>,
    next_id: AtomicU64,
}

impl Worker {
    /// Starts a worker and waits for its `hello`.
    pub fn start(command: &WorkerCommand, stop: &dyn Stop) -> Result<Self> {
        let timing = command.timing;
        let program = command.program.display().to_string();
        let mut process = Command::new(&command.program);
        process
            .args(&command.args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut process, 0);
        let mut child = process.spawn().map_err(|source| Error::Io {
            what: format!("--worker: can't start {program}"),
            source,
        })?;
        let (Some(stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else {
            return Err(Error::Engine(format!("{program} has no pipes")));
        };
        let process = Arc::new(Process::new(child));
        let hello = Arc::new(Mailbox::new(1));
        spawn("worker stderr", {
            let process = Arc::clone(&process);
            move || process.pass_on(stderr)
        })?;
        spawn("worker stdout", {
            let (process, hello) = (Arc::clone(&process), Arc::clone(&hello));
            move || {
                let why = process.listen(stdout, &hello);
                process.end(why);
                hello.close();
                // The worker may have left child processes that still use the device's memory.
                process.kill();
            }
        })?;
        let limit = Instant::now() + timing.hello;
        let greeting = loop {
            let greeting = hello.take(TICK);
            let is_gone = lock(&process.ended).is_some();
            if greeting.is_some() || is_gone || Instant::now() >= limit || stop.stopped() {
                break greeting.or_else(|| hello.take(Duration::ZERO));
            }
        };
        let hello = match greeting {
            Some(hello) if hello.protocol == PROTOCOL => hello,
            None if stop.stopped() => {
                process.kill();
                return Err(Error::Stopped);
            }
            other => {
                let ended = lock(&process.ended).clone();
                let why = match (other, ended) {
                    (Some(hello), _) => format!(
                        "it speaks version {} of the protocol, and this arkor-local speaks {PROTOCOL}. Install \
                         the version that belongs to arkor-local {}.",
                        hello.protocol,
                        crate::VERSION
                    ),
                    (None, Some(End::Lost(why) | End::Ended(why))) => why,
                    (None, None) => format!("it isn't ready after {:?}", timing.hello),
                };
                process.kill();
                return Err(Error::Engine(format!("the worker {program}: {why}")));
            }
        };
        Ok(Self {
            hello,
            timing,
            process,
            next_id: AtomicU64::new(1),
        })
    }

    /// Whether it can accept requests.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        lock(&self.process.ended).is_none()
    }

    /// Sends a request. If more than `room` messages about it are queued, the worker is blocked.
    /// `request` receives the new id.
    pub fn call<'a>(
        &self,
        room: usize,
        request: impl FnOnce(u64) -> Request<'a>,
    ) -> Result<Call<'_>> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let mailbox = Arc::new(Mailbox::new(room));
        lock(&self.process.requests).insert(id, Arc::clone(&mailbox));
        *lock(&self.process.heard) = Instant::now();
        let call = Call {
            worker: self,
            id,
            mailbox,
            cancelled: None,
            is_over: false,
        };
        self.send(&request(id))?;
        Ok(call)
    }

    /// Ends the process and all processes that it has started.
    pub fn end(&self) {
        self.process.end(End::Ended("it was shut down".to_owned()));
        // Best effort: the worker is killed anyway.
        let _ = self.send(&Request::Shutdown);
        self.process.kill();
    }

    fn send(&self, request: &Request<'_>) -> Result<()> {
        let line = format!("{}\n", serde_json::to_string(request)?);
        self.process.write(&line).map_err(|_| self.ended())
    }

    /// The reason why the worker is gone. Waits briefly until the reader thread knows it.
    fn ended(&self) -> Error {
        let limit = Instant::now() + EXIT_LIMIT;
        let end = loop {
            match lock(&self.process.ended).clone() {
                Some(end) => break end,
                None if Instant::now() > limit => {
                    break End::Ended("it doesn't read its stdin".to_owned());
                }
                None => thread::sleep(Duration::from_millis(5)),
            }
        };
        let name = &self.hello.name;
        match end {
            End::Lost(why) => Error::Lost(format!("the {name} engine: {why}")),
            End::Ended(why) => Error::Engine(format!("the {name} engine: {why}")),
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.end();
    }
}

/// A request to a worker.
#[derive(Debug)]
pub struct Call<'a> {
    worker: &'a Worker,
    id: u64,
    mailbox: Arc<Mailbox<Message>>,
    /// The time when it was cancelled.
    cancelled: Option<Instant>,
    /// Whether the last message about it has been received.
    is_over: bool,
}

/// How long to wait for a message before other checks are due.
const TICK: Duration = Duration::from_millis(100);

impl Call<'_> {
    /// Returns the next message. Calls `wanted` ten times a second. Once that returns `false`, cancels
    /// the request, and kills the worker if the request doesn't end soon. `None` if the request was
    /// cancelled and has ended.
    pub fn next(&mut self, wanted: &dyn Fn() -> bool) -> Result<Option<Message>> {
        let message = self.wait(wanted);
        self.is_over = match &message {
            Ok(Some(message)) => message.is_last(),
            Ok(None) | Err(_) => true,
        };
        message
    }

    fn wait(&mut self, wanted: &dyn Fn() -> bool) -> Result<Option<Message>> {
        let (worker, process) = (self.worker, &self.worker.process);
        loop {
            if self.cancelled.is_none() && !wanted() {
                self.cancelled = Some(Instant::now());
                worker.send(&Request::Cancel { id: self.id })?;
            }
            match self.mailbox.take(TICK) {
                Some(Message::Cancelled { .. }) if self.cancelled.is_some() => return Ok(None),
                Some(Message::Failed { message, kind, .. }) => {
                    return Err(failure(&worker.hello.name, kind, message));
                }
                // The worker sent this before it received the cancellation.
                Some(message) if self.cancelled.is_some() && !message.is_last() => {}
                Some(message) => return Ok(Some(message)),
                None => {}
            }
            if !worker.is_alive() {
                // Messages from before the process ended still count.
                return match self.mailbox.take(Duration::ZERO) {
                    Some(message) => Ok(Some(message)),
                    None if self.cancelled.is_some() => Ok(None),
                    None => Err(worker.ended()),
                };
            }
            let late = |since: Instant, limit: Duration| since.elapsed() > limit;
            if self
                .cancelled
                .is_some_and(|at| late(at, worker.timing.cancel))
            {
                let why = "it didn't end a request that was cancelled";
                process.end(End::Ended(why.to_owned()));
                process.kill();
                return Ok(None);
            }
            let heard = *lock(&process.heard);
            if late(heard, worker.timing.silence) {
                let silence = worker.timing.silence;
                process.end(End::Lost(format!(
                    "nothing was heard of it for {silence:?}"
                )));
                process.kill();
            }
        }
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        // Dropped early: cancel the request and wait for its end.
        while !self.is_over {
            let _ = self.next(&|| false);
        }
        self.mailbox.close();
        lock(&self.worker.process.requests).remove(&self.id);
    }
}

fn failure(engine: &str, kind: super::protocol::Failure, message: String) -> Error {
    use super::protocol::Failure;
    match kind {
        Failure::Refused => Error::Refused(message),
        Failure::Diverged => Error::Engine(message),
        Failure::OutOfMemory => Error::Engine(format!(
            "memory wasn't enough: {message} Use a smaller batchSize, maxLength or model."
        )),
        Failure::Lost => Error::Lost(format!("the {engine} engine: {message}")),
        Failure::Error => Error::Engine(format!("the {engine} engine: {message}")),
    }
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<()> {
    let spawned = thread::Builder::new().name(name.to_owned()).spawn(work);
    spawned.map(drop).map_err(|source| Error::Io {
        what: "can't start a thread for the worker".to_owned(),
        source,
    })
}
