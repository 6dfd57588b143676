//! The HTTP server: the cloud's API, on this machine.

mod app;
mod calls;
mod chat;
mod chat_fields;
mod chat_request;
mod connections;
mod dataset;
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

use std::sync::Arc;

use axum::http::StatusCode;
use axum::routing::{delete, get, post};
use axum::{Router, middleware};
use tokio::net::TcpListener;

pub use app::App;
use calls::Door;
use connections::Limits;
use error::ApiError;
use outside::Outside;

/// Serves until `shutdown` resolves. Then stops the runs, and ends the event streams after their last
/// event.
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
            // An error means that the app is gone.
            let _ = ending.wait_for(|ending| *ending).await;
        };
        connections::serve(outside_router(&app), listener, tls, limits, ended)
    });
    let graceful = async move {
        shutdown.await;
        crate::log(format_args!("stopping"));
        let jobs = Arc::clone(&app);
        // After this, the store is written, whatever happens to the connections.
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

/// The routes for other machines: calls of endpoints with keys.
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
        .route("/v1/dataset/preview", post(dataset::preview))
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
        // Calls have their own checks: the ones above are for the owner's token.
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
