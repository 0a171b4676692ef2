//! `GET /healthz`, `GET /readyz`: liveness, and readiness with the state of every dependency.

use crate::state::Shared;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::{Value, json};

/// Whether the process lives.
#[utoipa::path(get, path = "/healthz", tag = "operation", responses((status = 200, description = "It does", body = String)))]
pub async fn healthz() -> &'static str {
    "ok\n"
}

/// Whether requests can be served, and by which stores.
#[utoipa::path(
    get, path = "/readyz", tag = "operation",
    responses((status = 200, description = "Ready", body = Value), (status = 503, description = "A store is away, or the process stops", body = Value))
)]
pub async fn readyz(State(state): State<Shared>) -> (StatusCode, Json<Value>) {
    let health = state.db.health().await;
    let ready = health.is_ready() && !state.stopping.is_cancelled();
    let told = |store: &Result<std::time::Duration, String>| match store {
        Ok(took) => json!({ "ready": true, "milliseconds": took.as_millis() }),
        Err(problem) => json!({ "ready": false, "problem": problem }),
    };
    let body = json!({
        "ready": ready,
        "stopping": state.stopping.is_cancelled(),
        "dependencies": { "redis": told(&health.redis), "mongodb": told(&health.mongodb) },
    });
    (if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, Json(body))
}
