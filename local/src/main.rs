//! The program. Flow in: arguments and signals. Flow out: one line on stdout when the server is
//! ready, and an exit code. Everything else is in the library.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use arkor_local::base::resolve;
use arkor_local::cli::Args;
use arkor_local::error::{Error, Result, refused};
use arkor_local::jobs::Jobs;
use arkor_local::server::{self, App};
use arkor_local::store::Store;
use clap::Parser;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

/// A training step allocates and frees hundreds of large tensors. The system's allocator gives their
/// pages back each time, and the kernel clears them anew (decision 0012).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// After a signal, connections that don't end by themselves are cut off after this time.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(5);

fn main() -> ExitCode {
    let args = Args::parse();
    single_threaded_tensor_operations();
    match start(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            arkor_local::log(format_args!("{error}"));
            ExitCode::FAILURE
        }
    }
}

/// Training runs rows in parallel (`train::step`). Threads inside of each operation on top of that
/// only wait for each other: measured, a step then takes twice as long.
fn single_threaded_tensor_operations() {
    for name in ["RAYON_NUM_THREADS", "CANDLE_NUM_THREADS"] {
        // SAFETY: the first thing that the program does after reading its arguments; there is no
        // other thread yet that could read the environment.
        unsafe { std::env::set_var(name, "1") };
    }
}

#[tokio::main]
async fn start(args: Args) -> Result<()> {
    // Needed once, for datasets behind https; an error would mean that it is there already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let token = match args.token {
        Some(token) if token.is_empty() => return refused("--token must not be empty"),
        Some(token) => token,
        None => arkor_local::random_hex()?,
    };
    let base_model = args
        .base_model
        .as_deref()
        .map(checked_base_model)
        .transpose()?;
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
    let url = format!("http://{address}");
    store.announce(&url)?;
    let app = App::new(
        Jobs::open(store, base_model)?,
        token.clone(),
        address.port(),
    );
    let (ended, end) = oneshot::channel();
    let shutdown = async move {
        asked_to_end(args.with_parent).await;
        let _ = ended.send(());
    };
    let server = tokio::spawn(server::serve(Arc::clone(&app), listener, shutdown));
    announce(&json!({ "url": url, "token": token }).to_string())?;
    let limit = async {
        if end.await.is_ok() {
            tokio::time::sleep(SHUTDOWN_LIMIT).await;
        } else {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        result = server => result.unwrap_or(Err(Error::Stopped)),
        () = limit => Ok(()),
    }
}

/// Absolute, and a model that can be trained: better said now than with the first job.
fn checked_base_model(dir: &Path) -> Result<PathBuf> {
    let dir = std::fs::canonicalize(dir)
        .map_err(|source| Error::io("--base-model: can't open", dir, source))?;
    match resolve::check(&dir) {
        Ok(()) => Ok(dir),
        Err(error) => refused(format!("--base-model: {error}")),
    }
}

/// The one line on stdout.
fn announce(line: &str) -> Result<()> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{line}")
        .and_then(|()| stdout.flush())
        .map_err(|source| Error::Io {
            what: "can't write to stdout".to_owned(),
            source,
        })
}

/// Resolves on SIGINT, on SIGTERM, and with `--with-parent` when stdin is closed.
async fn asked_to_end(with_parent: bool) {
    tokio::select! {
        () = signalled() => {}
        () = orphaned(), if with_parent => {}
    }
}

#[cfg(unix)]
async fn signalled() {
    use tokio::signal::unix::{SignalKind, signal};
    match (
        signal(SignalKind::interrupt()),
        signal(SignalKind::terminate()),
    ) {
        (Ok(mut interrupt), Ok(mut terminate)) => tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        },
        // Without handlers the signals end the process by themselves.
        _ => std::future::pending().await,
    }
}

#[cfg(not(unix))]
async fn signalled() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending().await
    }
}

/// Resolves when stdin is closed. On a plain thread: one of tokio's would keep the runtime from
/// ending while it waits for input.
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
