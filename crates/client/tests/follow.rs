//! Following a task over an event stream that breaks.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use candlemill_client::{Api, ApiError};
use candlemill_shared::task::TaskState;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

const TASK: &str = "01JC5Y7V9N8B3M2K1H0G9F8E7D";

/// What each opening of the stream answers, and the `Last-Event-ID` that each of them brought.
#[derive(Default)]
struct Script {
    streams: Mutex<Vec<(u16, String)>>,
    asked: Mutex<Vec<Option<String>>>,
}

fn progress(state: &str, percent: f64) -> Value {
    json!({"task_id": TASK, "state": state, "percent": percent, "pages_done": 1, "pages_total": 2, "candles_stored": 3,
        "duplicates": 0, "rate": 1.5, "eta_seconds": null, "attempt": 1, "started_at": 1, "updated_at": 2})
}

fn event(id: u32, state: &str, percent: f64) -> String {
    format!("event: progress\nid: {id}\ndata: {}\n\n", progress(state, percent))
}

async fn events(State(script): State<Arc<Script>>, headers: HeaderMap) -> Response {
    let id = headers.get("last-event-id").map(|id| id.to_str().unwrap().to_owned());
    script.asked.lock().unwrap().push(id);
    let (status, body) = script.streams.lock().unwrap().remove(0);
    let kind = if status == 200 { "text/event-stream" } else { "application/problem+json" };
    (StatusCode::from_u16(status).unwrap(), [(header::CONTENT_TYPE, kind)], body).into_response()
}

/// Follows a task over `streams`; returns the percents seen, the ids sent back, and the end.
async fn follow(streams: &[(u16, String)]) -> (Vec<f64>, Vec<Option<String>>, Result<TaskState, ApiError>) {
    let script = Arc::new(Script { streams: Mutex::new(streams.to_vec()), ..Script::default() });
    let app = Router::new()
        .route(&format!("/api/task/{TASK}/events"), get(events))
        .route(&format!("/api/task/{TASK}/progress"), get(|| async { Json(progress("running", 50.0)) }))
        .with_state(Arc::clone(&script));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let api = Api::new(&format!("http://{}", listener.local_addr().unwrap()), "token");
    let server = tokio::spawn(async move { axum::serve(listener, app).await });
    let mut seen = Vec::new();
    let end = api.follow(TASK, |progress| seen.push(progress.percent)).await;
    server.abort();
    let asked = script.asked.lock().unwrap().clone();
    (seen, asked, end.map(|progress| progress.state))
}

#[tokio::test]
async fn a_broken_stream_is_resumed_after_the_last_event() {
    let first = event(7, "running", 10.0) + "event: progress\nid: 8\ndata: {\"cut";
    let streams = [(200, first), (503, String::new()), (200, event(9, "succeeded", 100.0))];
    let (seen, asked, end) = follow(&streams).await;
    assert_eq!(seen, [10.0, 100.0]);
    assert_eq!(asked, [None, Some("7".to_owned()), Some("7".to_owned())]);
    assert_eq!(end.unwrap(), TaskState::Succeeded);
}

#[tokio::test]
async fn a_refusal_ends_the_following_with_its_problem() {
    let problem =
        json!({"title": "No such task", "status": 404, "code": "task_not_found", "detail": "look at your tasks"});
    let (seen, _, end) = follow(&[(404, problem.to_string())]).await;
    assert!(seen.is_empty());
    let error = end.unwrap_err();
    assert_eq!((error.status(), error.code()), (Some(404), Some("task_not_found")));
}
