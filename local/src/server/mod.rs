//! The HTTP server: the cloud's API, on this machine.

mod chat;
mod chat_fields;
mod chat_request;
mod connections;
mod error;
mod guard;
mod openai;
mod output_spec;
mod projects;
mod routes;
mod schema;
mod stream;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use axum::http::StatusCode;
use axum::routing::{any, get, post};
use axum::{Router, middleware};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::error::{Error, Result};
use crate::jobs::Jobs;
use error::ApiError;

/// Stand-ins are logged for this many models, and not at all after that.
const STAND_INS_SAID: usize = 100;

/// What every request can see.
#[derive(Debug)]
pub struct App {
    /// The jobs.
    pub jobs: Jobs,
    /// The bearer token.
    pub token: String,
    /// The port that is listened on.
    pub port: u16,
    /// Slugs of the projects that were made since the start, or have jobs.
    projects: Mutex<BTreeSet<String>>,
    /// Models that were asked for and are not here.
    stood_in: Mutex<BTreeSet<String>>,
    /// True once the server is ending: streams then end too.
    ending: watch::Sender<bool>,
}

impl App {
    /// An app around the jobs of a store.
    #[must_use]
    pub fn new(jobs: Jobs, token: String, port: u16) -> Arc<Self> {
        let projects = jobs
            .list(None)
            .into_iter()
            .map(|job| job.project_id)
            .collect();
        let (projects, ending) = (Mutex::new(projects), watch::Sender::new(false));
        Arc::new(Self {
            jobs,
            token,
            port,
            projects,
            stood_in: Mutex::default(),
            ending,
        })
    }

    /// Whether another model stands in for `model` for the first time.
    fn stands_in_first_time(&self, model: &str) -> bool {
        let mut stood_in = self.stood_in.lock().unwrap_or_else(PoisonError::into_inner);
        // A client may ask for any name: what is remembered must not grow with that.
        stood_in.len() < STAND_INS_SAID && stood_in.insert(model.to_owned())
    }

    fn projects(&self) -> std::sync::MutexGuard<'_, BTreeSet<String>> {
        self.projects.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Serves until `shutdown` resolves; then ends the runs, and the streams after their last event.
pub async fn serve(
    app: Arc<App>,
    listener: TcpListener,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<()> {
    let router = router(&app);
    let graceful = async move {
        shutdown.await;
        crate::log(format_args!("stopping"));
        let jobs = Arc::clone(&app);
        // The store is written when this is done, whatever becomes of the connections.
        let _ = tokio::task::spawn_blocking(move || jobs.jobs.stop()).await;
        app.ending.send_replace(true);
    };
    connections::serve(router, listener, graceful)
        .await
        .map_err(|source| Error::Io {
            what: "the server ended".to_owned(),
            source,
        })
}

fn router(app: &Arc<App>) -> Router {
    Router::new()
        .route("/v1/me", get(projects::me))
        .route("/v1/projects", get(projects::list).post(projects::create))
        .route("/v1/jobs", get(routes::list).post(routes::create))
        .route("/v1/jobs/{id}", get(routes::show).delete(routes::delete))
        .route("/v1/jobs/{id}/resume", post(routes::resume))
        .route("/v1/jobs/{id}/cancel", post(routes::cancel))
        .route("/v1/jobs/{id}/events/stream", get(stream::events))
        .route("/v1/inference/chat", post(chat::chat))
        .route("/v1/chat/completions", post(openai::chat))
        .route("/v1/models", get(openai::models))
        .route("/v1/models/{*model}", get(openai::model))
        .route("/v1/endpoints", any(no_deployments))
        .route("/v1/endpoints/{*rest}", any(no_deployments))
        .fallback(not_found)
        .method_not_allowed_fallback(wrong_method)
        .layer(middleware::map_response(error::as_json))
        .layer(middleware::from_fn_with_state(
            Arc::clone(app),
            guard::check,
        ))
        .with_state(Arc::clone(app))
}

async fn no_deployments() -> ApiError {
    ApiError::new(
        StatusCode::NOT_IMPLEMENTED,
        "deployments are not supported by the local backend: talk to an adapter with POST /v1/inference/chat",
    )
}

async fn not_found() -> ApiError {
    ApiError::new(
        StatusCode::NOT_FOUND,
        "no such address on the local backend",
    )
}

async fn wrong_method() -> ApiError {
    ApiError::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "this address does not know this method",
    )
}
