//! `GET /healthz`, `GET /readyz`: liveness, and readiness with the state of every dependency.

use crate::answer::Json;
use crate::state::Shared;
use axum::extract::State;
use axum::http::StatusCode;
use candlemill_shared::forms::{Dependencies, Dependency, Readiness};
use std::time::Duration;

/// Tell whether the process lives
#[utoipa::path(
    get, path = "/healthz", operation_id = "healthz", tag = "operation",
    responses((status = 200, description = "It does: `ok`", body = String, content_type = "text/plain"))
)]
pub async fn healthz() -> &'static str {
    "ok\n"
}

/// Tell whether requests can be served, and by which stores
#[utoipa::path(
    get, path = "/readyz", operation_id = "readyz", tag = "operation",
    responses(
        (status = 200, description = "They can", body = Readiness),
        (status = 503, description = "A store is away, or the process is about to end", body = Readiness),
    )
)]
pub async fn readyz(State(state): State<Shared>) -> (StatusCode, Json<Readiness>) {
    let health = state.db.health().await;
    let stopping = state.stopping.is_cancelled();
    let ready = health.is_ready() && !stopping;
    let dependencies = Dependencies { redis: told(&health.redis), mongodb: told(&health.mongodb) };
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(Readiness { ready, stopping, dependencies }))
}

fn told(store: &Result<Duration, String>) -> Dependency {
    match store {
        Ok(took) => {
            let milliseconds = u64::try_from(took.as_millis()).ok();
            Dependency { ready: true, milliseconds, problem: None }
        }
        Err(problem) => Dependency { ready: false, milliseconds: None, problem: Some(problem.clone()) },
    }
}
