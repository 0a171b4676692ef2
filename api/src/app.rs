//! The routes, and what stands before them.

use crate::bounds::MAX_BODY;
use crate::error::Problem;
use crate::state::AppState;
use crate::{admin, bounds, caller, cors, dashboard, metrics, openapi, remainder, routes, trace};
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::middleware::{from_fn, from_fn_with_state, map_response};
use axum::response::{IntoResponse, Response};
use std::any::Any;
use std::sync::Arc;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::set_header::SetResponseHeaderLayer;
use utoipa_swagger_ui::SwaggerUi;

/// The whole API.
pub fn app(state: AppState) -> Router {
    let state = Arc::new(state);
    let users = Router::from(routes::users());
    let users = users.route_layer(from_fn_with_state(Arc::clone(&state), caller::admit));
    let operators = Router::from(routes::operators());
    let operators = operators.route_layer(from_fn_with_state(Arc::clone(&state), admin::operator::admit));
    let docs = SwaggerUi::new("/docs").url("/api-docs/openapi.json", openapi::document());
    let open = Router::from(routes::open()).merge(docs).merge(Router::from(routes::pages())).merge(dashboard::routes());
    let cors = cors::layer(&state.cors_origins);
    let app = users
        .merge(operators)
        .merge(open)
        .fallback(no_such_route)
        .method_not_allowed_fallback(no_such_method)
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(CatchPanicLayer::custom(broke_off))
        // Within the bounds: what is read here counts among the requests under way.
        .layer(from_fn(remainder::read))
        .layer(from_fn_with_state(bounds::Bounds::default(), bounds::keep))
        .layer(from_fn_with_state(Arc::clone(&state.metrics), metrics::measure));
    // Outside of all that may refuse: a page must be able to read why.
    let app = if let Some(cors) = cors { app.layer(cors).layer(map_response(cors::only_for_allowed)) } else { app };
    app.layer(from_fn(trace::follow))
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
