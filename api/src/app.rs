//! The routes, and what stands before them.

use crate::bounds::MAX_BODY;
use crate::error::Problem;
use crate::openapi::ApiDoc;
use crate::state::AppState;
use crate::{
    admin, bounds, caller, dead_letters, health, market_data, metrics, metrics_page, problems, remainder, task, trace,
    webhooks,
};
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use std::any::Any;
use std::sync::Arc;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::set_header::SetResponseHeaderLayer;
use utoipa::OpenApi;
use utoipa_swagger_ui::SwaggerUi;

/// The whole API.
pub fn app(state: AppState) -> Router {
    let state = Arc::new(state);
    let admitted = Router::new()
        .route("/api/market-data/fetch", post(market_data::fetch::fetch))
        .route(
            "/api/market-data/fetch/batch",
            post(market_data::batch::batch).layer(DefaultBodyLimit::max(market_data::batch::LARGEST_BODY)),
        )
        .route("/api/market-data/verify", post(market_data::verify::verify))
        .route("/api/market-data/klines", get(market_data::klines::klines))
        .route("/api/market-data/coverage", get(market_data::coverage::coverage))
        .route("/api/tasks", get(task::list::list))
        .route("/api/task/{id}", get(task::show::show).delete(task::cancel::cancel))
        .route("/api/task/{id}/progress", get(task::progress::progress))
        .route("/api/task/{id}/events", get(task::events::events))
        .route("/api/dead-letters", get(dead_letters::list::list))
        .route("/api/dead-letters/replay", post(dead_letters::replay_many::replay_many))
        .route("/api/dead-letters/{id}/replay", post(dead_letters::replay::replay))
        .route("/api/dead-letters/{id}/discard", post(dead_letters::discard::discard))
        .route("/api/webhooks/secret", get(webhooks::secret::secret))
        .route_layer(from_fn_with_state(Arc::clone(&state), caller::admit));
    let operators = Router::new()
        .route("/api/admin/queues", get(admin::queues::queues))
        .route("/api/admin/queues/{pool}/pause", post(admin::pause::pause))
        .route("/api/admin/queues/{pool}/resume", post(admin::pause::resume))
        .route("/api/admin/workers/{id}/drain", post(admin::drain::drain))
        .route("/api/admin/market-data/verify", post(admin::verify::verify))
        .route("/api/admin/task/{id}", get(admin::verify::task))
        .route_layer(from_fn_with_state(Arc::clone(&state), admin::operator::admit));
    let open = Router::new()
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(metrics_page::metrics))
        .route("/problems", get(problems::problems))
        .merge(SwaggerUi::new("/docs").url("/api-docs/openapi.json", ApiDoc::openapi()));
    admitted
        .merge(operators)
        .merge(open)
        .fallback(no_such_route)
        .method_not_allowed_fallback(no_such_method)
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(CatchPanicLayer::custom(broke_off))
        // Within the bounds: what is read here counts among the requests under way.
        .layer(from_fn(remainder::read))
        .layer(from_fn_with_state(bounds::Bounds::default(), bounds::keep))
        .layer(from_fn_with_state(Arc::clone(&state.metrics), metrics::measure))
        .layer(from_fn(trace::follow))
        .layer(SetResponseHeaderLayer::overriding(
            HeaderName::from_static("x-content-type-options"),
            HeaderValue::from_static("nosniff"),
        ))
        .with_state(state)
}

async fn no_such_route() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "route_not_found", "There is no such call")
        .detail("The calls are listed at /docs.")
}

async fn no_such_method() -> Problem {
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "This call has another method")
        .detail("The calls and their methods are listed at /docs.")
}

fn broke_off(panic: Box<dyn Any + Send>) -> Response {
    let said = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let said = said.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
    Problem::internal(&std::io::Error::other(format!("a handler broke off: {said}"))).into_response()
}
