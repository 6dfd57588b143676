//! Connections: how many there may be, how long one may be idle, and how they end.

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

/// A connection that sends no complete request for this long is closed, even between two requests: idle
/// sockets must not keep others out.
const HEADER_LIMIT: Duration = Duration::from_secs(10);
/// A TLS handshake that takes longer than this is abandoned.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);
/// The pause after a failed accept, for example when there are no file descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The most connections that are served at once.
const MOST_CONNECTIONS: u64 = 1024;
/// File descriptors that are reserved for training: checkpoints, logs, datasets, models.
#[cfg(unix)]
const RESERVED_DESCRIPTORS: u64 = 64;
/// The number of connections that are served at once even if there are too few file descriptors.
#[cfg(unix)]
const LEAST_CONNECTIONS: u64 = 8;

/// The limits of a listener.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    connections: usize,
}

impl Limits {
    /// Divides the connections between the listeners, so that none can use up another's.
    pub fn shared_by(listeners: usize) -> Self {
        let most = usize::try_from(most_connections()).unwrap_or(Semaphore::MAX_PERMITS);
        Self {
            connections: most / listeners,
        }
    }
}

/// Serves HTTP/1.1 until `shutdown` resolves, over TLS if there is an acceptor. Open connections then
/// finish their current request.
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

/// Performs the TLS handshake. `None` if it fails, isn't done in time, or the server is stopping.
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

/// As many connections as there are file descriptors for. Raises the soft limit as far as the system
/// allows.
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
