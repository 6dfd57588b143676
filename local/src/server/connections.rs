//! Connections: how many there may be, how long one may be silent, and how they end.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;

/// A connection without a whole request for this long is closed, also between two requests: sockets
/// that say nothing must not keep others out.
const HEADER_LIMIT: Duration = Duration::from_secs(10);
/// A TLS handshake that takes longer is given up.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);
/// After a failed accept (no descriptors, say), the next one is tried after this time.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The most connections that are ever served at once.
const MOST_CONNECTIONS: u64 = 1024;
/// Descriptors that are left to training: checkpoints, logs, datasets, models.
#[cfg(unix)]
const RESERVED_DESCRIPTORS: u64 = 64;
/// How many are served at once, however few descriptors there are.
#[cfg(unix)]
const LEAST_CONNECTIONS: u64 = 8;

/// What a listener may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    connections: usize,
}

impl Limits {
    /// The limits of each listener. None can use up the connections of another.
    pub fn shared_by(listeners: usize) -> Self {
        let most = usize::try_from(most_connections()).unwrap_or(Semaphore::MAX_PERMITS);
        Self {
            connections: most / listeners,
        }
    }
}

/// Serves HTTP/1.1, over TLS if there is an acceptor for it, until `shutdown` resolves; then the connections end after what they are doing.
pub async fn serve(
    router: Router,
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    limits: Limits,
    shutdown: impl Future<Output = ()>,
) {
    let room = Arc::new(Semaphore::new(limits.connections));
    let graceful = GracefulShutdown::new();
    let stopping = CancellationToken::new();
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(HEADER_LIMIT);
    tokio::pin!(shutdown);
    loop {
        let accepted = async {
            let place = Arc::clone(&room).acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            () = &mut shutdown => break,
            accepted = accepted => accepted,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                crate::log(format_args!("can't accept a connection: {error}"));
                sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        // Events are small and must be sent immediately.
        let _ = stream.set_nodelay(true);
        let service = TowerToHyperService::new(router.clone());
        let (http, watcher) = (http.clone(), graceful.watcher());
        let (tls, stopping) = (tls.clone(), stopping.clone());
        tokio::spawn(async move {
            // A client that disconnects midway isn't our error.
            match tls {
                None => {
                    let connection = http.serve_connection(TokioIo::new(stream), service);
                    let _ = watcher.watch(connection).await;
                }
                Some(tls) => {
                    if let Some(stream) = handshake(&tls, stream, &stopping).await {
                        let connection = http.serve_connection(TokioIo::new(stream), service);
                        let _ = watcher.watch(connection).await;
                    }
                }
            }
            drop(place);
        });
    }
    drop(listener);
    stopping.cancel();
    graceful.shutdown().await;
}

/// The stream in a TLS connection, or `None` if it doesn't come about in time.
async fn handshake(
    tls: &TlsAcceptor,
    stream: TcpStream,
    stopping: &CancellationToken,
) -> Option<TlsStream<TcpStream>> {
    tokio::select! {
        () = stopping.cancelled() => None,
        stream = timeout(HANDSHAKE_LIMIT, tls.accept(stream)) => stream.ok()?.ok(),
    }
}

/// As many as there are descriptors for, after raising the limit as far as the system lets us.
#[cfg(unix)]
fn most_connections() -> u64 {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let wanted = MOST_CONNECTIONS + RESERVED_DESCRIPTORS;
    let current = limit.current.unwrap_or(u64::MAX);
    let raised = wanted.min(limit.maximum.unwrap_or(u64::MAX));
    let raise = Rlimit {
        current: Some(raised),
        ..limit
    };
    let descriptors = if raised > current && setrlimit(Resource::Nofile, raise).is_ok() {
        raised
    } else {
        current
    };
    descriptors
        .saturating_sub(RESERVED_DESCRIPTORS)
        .clamp(LEAST_CONNECTIONS, MOST_CONNECTIONS)
}

#[cfg(not(unix))]
fn most_connections() -> u64 {
    MOST_CONNECTIONS
}
