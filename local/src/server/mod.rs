//! The HTTP server: the cloud's API, on this machine.

mod calls;
mod chat;
mod chat_fields;
mod chat_request;
mod connections;
mod endpoint_fields;
mod endpoint_target;
mod endpoints;
mod error;
mod guard;
mod openai;
mod output_spec;
pub mod outside;
mod projects;
mod routes;
mod schema;
mod stream;
mod turns;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use axum::http::StatusCode;
use axum::routing::{delete, get, post};
use axum::{Router, middleware};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::endpoints::Endpoints;
use crate::error::Result;
use crate::jobs::Jobs;
use calls::Door;
use connections::Limits;
use error::ApiError;
use outside::Outside;
use turns::Turns;

/// Stand-ins are logged for this many models, and not at all after that.
const STAND_INS_SAID: usize = 100;

/// What every request can see.
#[derive(Debug)]
pub struct App {
    /// The jobs.
    pub jobs: Jobs,
    /// The endpoints.
    pub endpoints: Endpoints,
    /// Turns at the model.
    turns: Turns,
    /// The bearer token.
    pub token: String,
    /// The port that is listened on.
    pub port: u16,
    /// Slugs of the projects that were made since the start, or have jobs or endpoints.
    projects: Mutex<BTreeSet<String>>,
    /// Models that were asked for and are not here.
    stood_in: Mutex<BTreeSet<String>>,
    /// True once the server is ending: streams then end too.
    ending: watch::Sender<bool>,
}

impl App {
    /// An app around the jobs of a store, and its endpoints.
    pub fn new(jobs: Jobs, token: String, port: u16) -> Result<Arc<Self>> {
        let endpoints = Endpoints::open(jobs.store().endpoints_file())?;
        let with_endpoints = endpoints.all();
        let projects = jobs
            .list(None)
            .into_iter()
            .map(|job| job.project_id)
            .chain(with_endpoints.iter().map(|one| one.project_id.clone()))
            .collect();
        let (projects, ending) = (Mutex::new(projects), watch::Sender::new(false));
        Ok(Arc::new(Self {
            jobs,
            endpoints,
            turns: Turns::default(),
            token,
            port,
            projects,
            stood_in: Mutex::default(),
            ending,
        }))
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
    outside: Option<Outside>,
    shutdown: impl Future<Output = ()> + Send + 'static,
) {
    let router = router(&app);
    let limits = Limits::shared_by(1 + usize::from(outside.is_some()));
    let outside = outside.map(|Outside { listener, tls }| {
        let mut ending = app.ending.subscribe();
        let ended = async move {
            // An error would mean that the app is gone.
            let _ = ending.wait_for(|ending| *ending).await;
        };
        connections::serve(outside_router(&app), listener, tls, limits, ended)
    });
    let graceful = async move {
        shutdown.await;
        crate::log(format_args!("stopping"));
        let jobs = Arc::clone(&app);
        // The store is written when this is done, whatever becomes of the connections.
        let _ = tokio::task::spawn_blocking(move || jobs.jobs.stop()).await;
        app.ending.send_replace(true);
    };
    let inside = connections::serve(router, listener, None, limits, graceful);
    tokio::join!(inside, async {
        if let Some(outside) = outside {
            outside.await;
        }
    });
}

/// What other machines reach: calls of endpoints with keys.
fn outside_router(app: &Arc<App>) -> Router {
    Router::new()
        .nest_service("/e", calls::router(app, Door::Outside))
        .fallback(calls::not_found)
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
        .route(
            "/v1/endpoints",
            get(endpoints::list).post(endpoints::create),
        )
        .route(
            "/v1/endpoints/{id}",
            get(endpoints::show)
                .patch(endpoints::update)
                .delete(endpoints::remove),
        )
        .route(
            "/v1/endpoints/{id}/keys",
            get(endpoints::keys).post(endpoints::create_key),
        )
        .route(
            "/v1/endpoints/{id}/keys/{key}",
            delete(endpoints::revoke_key),
        )
        .fallback(not_found)
        .method_not_allowed_fallback(wrong_method)
        .layer(middleware::map_response(error::as_json))
        .layer(middleware::from_fn_with_state(
            Arc::clone(app),
            guard::check,
        ))
        // With checks of its own: those above are for the owner's token.
        .nest_service("/e", calls::router(app, Door::Inside))
        .with_state(Arc::clone(app))
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
