//! The program: reads arguments, handles signals, prints one line on stdout when the server is ready, and
//! returns an exit code. Everything else is in the library.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use arkor_local::base::{Base, Source, built_in};
use arkor_local::cli::{Args, Command, EngineChoice};
use arkor_local::engine::Engine;
use arkor_local::engine::auto::AutoEngine;
use arkor_local::engine::candle::CandleEngine;
use arkor_local::engine::process::{ProcessEngine, Timing, WorkerCommand};
use arkor_local::error::{Error, Result, refused};
use arkor_local::export::args::ExportArgs;
use arkor_local::jobs::{Jobs, Runner};
use arkor_local::server::outside::Outside;
use arkor_local::server::{self, App};
use arkor_local::store::Store;
use clap::Parser;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

/// A training step allocates and frees hundreds of large tensors. The system's allocator would return
/// their pages to the kernel each time, which then has to clear them again (decision 0012).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How long the process may take to exit after a signal.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(4);

fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => return unusable(&error),
    };
    single_threaded_tensor_operations();
    let result = match &args.command {
        Some(Command::Export(args)) => export(args),
        None => start(&args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            arkor_local::log(format_args!("{error}"));
            ExitCode::FAILURE
        }
    }
}

/// Handles invalid arguments and requests for help. For `export`, an error is a single line on stderr.
fn unusable(error: &clap::Error) -> ExitCode {
    let is_export = std::env::args().nth(1).is_some_and(|arg| arg == "export");
    if !error.use_stderr() || !is_export {
        error.exit();
    }
    let text = error.to_string();
    let first = text.lines().take_while(|line| !line.is_empty());
    let line: Vec<&str> = first.map(str::trim).collect();
    let line = line.join(" ");
    arkor_local::log(format_args!(
        "{}. See arkor-local export --help.",
        line.strip_prefix("error: ").unwrap_or(&line)
    ));
    ExitCode::FAILURE
}

/// Turns off threads within tensor operations. Training already runs rows in parallel (`train::step`),
/// and additional threads only wait for each other: measured, a step then takes twice as long.
fn single_threaded_tensor_operations() {
    for name in ["RAYON_NUM_THREADS", "CANDLE_NUM_THREADS"] {
        // SAFETY: this comes right after reading the arguments, when no other thread exists that could read
        // the environment.
        unsafe { std::env::set_var(name, "1") };
    }
}

#[tokio::main]
async fn start(args: &Args) -> Result<()> {
    // Datasets behind https need this. An error only means that it's already installed.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let token = match &args.token {
        Some(token) if token.is_empty() => return refused("--token must not be empty"),
        Some(token) => token.clone(),
        None => arkor_local::random_hex()?,
    };
    let engine = engine(args)?;
    let base_model = args
        .base_model
        .as_deref()
        .map(|dir| checked_base_model(dir, engine.as_ref()))
        .transpose()?;
    // Before anything is acquired that must be released on a signal.
    let end = End::listen(args.with_parent)?;
    let store = Store::open(&args.store)?;
    let listener = TcpListener::bind(("127.0.0.1", args.port))
        .await
        .map_err(|source| {
            let what = format!(
                "--port: can't listen on 127.0.0.1:{}, use another port",
                args.port
            );
            Error::Io { what, source }
        })?;
    let address = listener.local_addr().map_err(|source| Error::Io {
        what: "no local address".to_owned(),
        source,
    })?;
    let outside = Outside::open(&args.outside).await?;
    let url = format!("http://{address}");
    store.announce(&url, &token, !args.no_runs)?;
    let runner = Runner::new(engine, args.max_failures);
    let jobs =
        Jobs::open(store, base_model, runner, !args.no_runs)?.with_strict_model(args.strict_model);
    let app = App::new(jobs, token.clone(), address.port())?;
    let shutdown = async move {
        end.requested().await;
        exit_within(SHUTDOWN_LIMIT);
    };
    let server = tokio::spawn(server::serve(Arc::clone(&app), listener, outside, shutdown));
    let ready = json!({ "url": url, "token": token, "version": arkor_local::VERSION });
    announce(&ready.to_string())?;
    server.await.map_err(|_| Error::Stopped)
}

/// Writes an export. A signal stops it, and removes the files written so far.
#[tokio::main(flavor = "current_thread")]
async fn export(args: &ExportArgs) -> Result<()> {
    let end = End::listen(false)?;
    let stop = CancellationToken::new();
    let (args, stopped) = (args.clone(), stop.clone());
    let mut work = tokio::task::spawn_blocking(move || {
        let mut print = |line: &Value| announce(&line.to_string());
        arkor_local::export::run(&args, &|| stopped.is_cancelled(), &mut print)
    });
    let done = tokio::select! {
        done = &mut work => done,
        () = end.requested() => {
            stop.cancel();
            work.await
        }
    };
    done.map_err(|_| Error::Stopped)?
}

/// Creates the requested engine.
fn engine(args: &Args) -> Result<Arc<dyn Engine>> {
    let choice = args.engine()?;
    let store = std::path::absolute(&args.store)
        .map_err(|source| Error::io("--store: can't use", &args.store, source))?;
    let worker = args.worker.clone().map(|program| WorkerCommand {
        program,
        args: args.worker_arg.clone(),
        timing: Timing::default(),
        exported: store.join("models").join(built_in::NAME),
    });
    Ok(match (choice, worker) {
        // Started right away, so that a failure is noticed.
        (EngineChoice::Torch, Some(worker)) => Arc::new(ProcessEngine::start(worker, &|| false)?),
        (EngineChoice::Cpu, _) => Arc::new(CandleEngine::with_memory(args.memory)),
        (_, worker) => Arc::new(AutoEngine::new(
            CandleEngine::with_memory(args.memory),
            worker,
        )),
    })
}

/// Exits the process after a time limit, whatever it's doing. A step of a large model, or an answer,
/// can't be interrupted, and the store records that an unfinished run was stopped.
fn exit_within(limit: Duration) {
    let exit = move || {
        std::thread::sleep(limit);
        std::process::exit(0);
    };
    // Without this thread, the process still exits when its work is done.
    let _ = std::thread::Builder::new()
        .name("exit".to_owned())
        .spawn(exit);
}

/// Returns the absolute path. Checks that the model can be trained, to report a problem at the start
/// rather than with the first job.
fn checked_base_model(path: &Path, engine: &dyn Engine) -> Result<PathBuf> {
    let path = std::fs::canonicalize(path)
        .map_err(|source| Error::io("--base-model: can't open", path, source))?;
    let check = |source: Source| {
        // A run may quantise the model. A run that doesn't is checked when it's submitted.
        if engine.check_model(&source, true).is_err() {
            engine.check_model(&source, false)?;
        }
        Base::load(&source)
    };
    match Source::at(&path).and_then(check) {
        Ok(_) => Ok(path),
        Err(error) => refused(format!("--base-model: {error}")),
    }
}

/// Prints a line on stdout.
fn announce(line: &str) -> Result<()> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{line}")
        .and_then(|()| stdout.flush())
        .map_err(|source| Error::Io {
            what: "can't write to stdout".to_owned(),
            source,
        })
}

/// The signals that end the server: SIGINT, SIGTERM, and with `--with-parent` the end of stdin.
struct End {
    #[cfg(unix)]
    signals: [tokio::signal::unix::Signal; 2],
    with_parent: bool,
}

impl End {
    /// Starts listening.
    fn listen(with_parent: bool) -> Result<Self> {
        #[cfg(unix)]
        let signals = {
            use tokio::signal::unix::{SignalKind, signal};
            let failed = |source| Error::Io {
                what: "can't listen for signals".to_owned(),
                source,
            };
            [SignalKind::interrupt(), SignalKind::terminate()]
                .map(signal)
                .into_iter()
                .collect::<io::Result<Vec<_>>>()
                .map_err(failed)?
                .try_into()
                .map_err(|_| Error::Stopped)?
        };
        Ok(Self {
            #[cfg(unix)]
            signals,
            with_parent,
        })
    }

    /// Resolves when the server has to stop.
    async fn requested(self) {
        let with_parent = self.with_parent;
        tokio::select! {
            () = self.signalled() => {}
            () = orphaned(), if with_parent => {}
        }
    }

    #[cfg(unix)]
    async fn signalled(self) {
        let [mut interrupt, mut terminate] = self.signals;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    }

    #[cfg(not(unix))]
    async fn signalled(self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending().await
        }
    }
}

/// Resolves when stdin is closed. Uses a plain thread, since a thread of tokio that waits for input would
/// keep the runtime from shutting down.
async fn orphaned() {
    let (closed, wait) = oneshot::channel();
    std::thread::spawn(move || {
        let mut buffer = [0; 1024];
        let mut stdin = io::stdin().lock();
        while stdin.read(&mut buffer).is_ok_and(|length| length > 0) {}
        let _ = closed.send(());
    });
    let _ = wait.await;
}
