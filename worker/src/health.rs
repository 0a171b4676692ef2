//! The worker's health and metrics page.

use crate::claimer::Claiming;
use crate::lifecycle::Lifecycle;
use crate::metrics::Metrics;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use candlemill_shared::job::Pool;
use candlemill_tasks::TaskEngine;
use futures::future::join_all;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// Longest wait for the depths of all queues.
const DEPTH_WAIT: Duration = Duration::from_secs(1);

#[derive(Clone)]
pub(crate) struct Page {
    pub(crate) tasks: TaskEngine,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) claiming: Claiming,
    pub(crate) lifecycle: Lifecycle,
    pub(crate) worker: Arc<str>,
}

/// Serves until `shutdown`.
pub(crate) async fn serve(listener: TcpListener, page: Page, shutdown: CancellationToken) -> std::io::Result<()> {
    let routes = Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(page);
    axum::serve(listener, routes).with_graceful_shutdown(shutdown.cancelled_owned()).await
}

async fn ready(State(page): State<Page>) -> impl IntoResponse {
    let health = page.tasks.db().health().await;
    let draining = page.lifecycle.draining.is_cancelled();
    let claiming = Pool::ALL.into_iter().all(|pool| page.claiming.works(pool));
    let ready = health.is_ready() && claiming && !draining;
    let told = |state: &Result<Duration, String>| match state {
        Ok(took) => json!({ "ready": true, "milliseconds": took.as_millis() }),
        Err(problem) => json!({ "ready": false, "problem": problem }),
    };
    let mut queues = serde_json::Map::new();
    // The caller has no time to wait for a Redis that is away once more for each queue.
    let depths = join_all(Pool::ALL.map(|pool| timeout(DEPTH_WAIT, page.tasks.queue(pool).depth()))).await;
    for (pool, depth) in Pool::ALL.into_iter().zip(depths) {
        let mut told = json!({ "claiming": page.claiming.works(pool) });
        if let Ok(Ok(depth)) = depth {
            (told["waiting"], told["delayed"], told["held"]) =
                (depth.waiting.into(), depth.delayed.into(), depth.held.into());
        }
        queues.insert(pool.as_str().to_owned(), told);
    }
    let body = json!({
        "ready": ready,
        "worker": &*page.worker,
        "state": page.lifecycle.state().as_str(),
        "draining": draining,
        "redis": told(&health.redis),
        "mongodb": told(&health.mongodb),
        "claiming": claiming,
        "queues": queues,
    });
    (if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, Json(body))
}

async fn metrics(State(page): State<Page>) -> impl IntoResponse {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], page.metrics.render())
}
