//! `GET /api/task/{id}/events`: snapshots as server-sent events, until the end state.
//!
//! Snapshots are states, not steps: a client that missed some has missed nothing once it has the newest. So resuming by
//! `Last-Event-ID` means skipping what the client has seen.

use super::progress::newest;
use crate::auth::Caller;
use crate::caller::Admitted;
use crate::error::Problem;
use crate::input::TaskPath;
use crate::state::Shared;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::IntoResponse;
use axum::response::sse::{Event, KeepAlive, Sse};
use candlemill_shared::forms::ProgressView;
use candlemill_shared::progress::Progress;
use candlemill_shared::task::TaskId;
use futures::{Stream, StreamExt, stream};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

/// Comments that keep proxies from closing an idle connection.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// Longest life of a stream: as long as a token may be remembered.
const LONGEST: Duration = Duration::from_secs(300);
/// The newest snapshot is read again this often: a message may get lost while Redis restarts.
const LOOK_AGAIN: Duration = Duration::from_secs(3);

/// Follow a task until its end
///
/// Server-sent events named `progress`; their id is the snapshot's sequence, their data as of the progress call. A stream ends with
/// the task's end state, with the token, and after 5 minutes at the latest: come back with `Last-Event-ID`.
#[utoipa::path(
    get, path = "/api/task/{id}/events", operation_id = "follow_task", tag = "tasks",
    params(
        ("id" = TaskId, Path, description = "Task id"),
        ("Last-Event-ID" = Option<String>, Header, description = "Id of the last event that was seen"),
    ),
    responses(
        (status = 200, description = "Snapshots until the end state", body = String, content_type = "text/event-stream"),
        (status = 404, description = "`task_not_found`: none of yours"),
        (status = 503, description = "`too_many_streams`"),
    ),
    security(("bearer" = []))
)]
pub async fn events(
    admitted: Admitted,
    State(state): State<Shared>,
    TaskPath(id): TaskPath,
    headers: HeaderMap,
) -> Result<impl IntoResponse, Problem> {
    let caller = admitted.caller;
    // Whose it is comes first: strangers learn nothing, not even how full it is here.
    newest(&state, &caller, id).await?;
    let open = Open::one(&state)?;
    let seen = headers.get("last-event-id").and_then(|id| id.to_str().ok()?.parse::<u64>().ok());
    let live = match state.tasks.progress().follow(id).await {
        Ok(live) => live.boxed(),
        Err(error) => {
            tracing::debug!(%error, "snapshots are read, not heard");
            stream::empty().boxed()
        }
    };
    let looks = tokio_stream::wrappers::IntervalStream::new(tokio::time::interval(LOOK_AGAIN)).then({
        let (state, caller) = (Arc::clone(&state), caller.clone());
        move |_| {
            let (state, caller) = (Arc::clone(&state), caller.clone());
            async move { newest(&state, &caller, id).await.ok() }
        }
    });
    let ending = ending(&state, &caller);
    let snapshots = stream::select(live.map(Some), looks).filter_map(std::future::ready).take_until(Box::pin(ending));
    let events = newer_ones(snapshots, seen).map(move |progress| {
        let _open = &open;
        Ok::<_, Infallible>(event(progress))
    });
    Ok(sent(events))
}

/// A stream of events as an answer.
pub(super) fn sent(events: impl Stream<Item = Result<Event, Infallible>> + Send + 'static) -> impl IntoResponse {
    // Proxies such as nginx hold back what they take for an ordinary answer.
    let unbuffered = [(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"))];
    (unbuffered, Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}

/// Is over when a stream has to end. A token that expired, or may have been revoked since, follows no longer. Clients of event
/// streams come back by themselves, with a token that is checked anew.
pub(super) fn ending(state: &Shared, caller: &Caller) -> impl Future<Output = ()> + Send + use<> {
    let left = Duration::from_millis(u64::try_from(caller.expires_at_ms - state.clock.now_ms()).unwrap_or(0));
    let until = left.min(LONGEST);
    let stopping = state.stopping.clone();
    async move {
        tokio::select! {
            () = tokio::time::sleep(until) => {}
            () = stopping.cancelled_owned() => {}
        }
    }
}

/// Held while a stream is open.
pub(super) struct Open {
    metrics: Arc<crate::metrics::Metrics>,
    _place: tokio::sync::OwnedSemaphorePermit,
}

impl Open {
    /// A place among the streams that may be open.
    pub(super) fn one(state: &Shared) -> Result<Self, Problem> {
        let place = Arc::clone(&state.streams).try_acquire_owned().map_err(|_| {
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too_many_streams", "Too many event streams are open")
                .detail("Poll the progress call, or try again in a moment.")
                .retry_after(5)
        })?;
        state.metrics.event_streams.inc();
        Ok(Self { metrics: Arc::clone(&state.metrics), _place: place })
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.metrics.event_streams.dec();
    }
}

/// Snapshots newer than `seen`, each once, up to the first end state. One that was seen is sent again if it is an end:
/// a client that comes back for the end gets it.
fn newer_ones(snapshots: impl Stream<Item = Progress>, seen: Option<u64>) -> impl Stream<Item = Progress> {
    snapshots
        .scan((seen, false), |(seen, ended), snapshot| {
            if *ended {
                return std::future::ready(None);
            }
            *ended = snapshot.state.is_end();
            let new = *ended || seen.is_none_or(|seen| snapshot.sequence > seen);
            if new {
                *seen = Some(snapshot.sequence);
            }
            std::future::ready(Some(new.then_some(snapshot)))
        })
        .filter_map(std::future::ready)
        // `scan` would notice the end only with the snapshot after it.
        .flat_map(|snapshot| {
            let last = snapshot.state.is_end();
            stream::iter([Some(snapshot)].into_iter().chain(last.then_some(None)))
        })
        .take_while(|snapshot| std::future::ready(snapshot.is_some()))
        .filter_map(std::future::ready)
}

fn event(progress: Progress) -> Event {
    let id = progress.sequence.to_string();
    let view = ProgressView::from(progress);
    // A view is plain data; should it ever not be JSON, the id still moves on.
    Event::default().event("progress").id(id).json_data(view).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use candlemill_shared::figures::Figures;
    use candlemill_shared::task::TaskState;

    fn snapshot(sequence: u64, state: TaskState) -> Progress {
        Progress {
            task_id: TaskId::new(1),
            owner: "u".into(),
            state,
            percent: 0.0,
            figures: Figures::default(),
            unit: "pages".to_owned(),
            stage: None,
            rate: 0.0,
            eta_seconds: None,
            attempt: 1,
            started_at: None,
            updated_at: 0,
            sequence,
            error: None,
        }
    }

    async fn check(name: &str, seen: Option<u64>, given: &[(u64, TaskState)], expected: &[u64]) {
        // Never ends by itself: the end state must end it.
        let given = stream::iter(given.iter().map(|&(n, state)| snapshot(n, state)).collect::<Vec<_>>())
            .chain(stream::pending());
        let sent = newer_ones(given, seen).map(|snapshot| snapshot.sequence).collect::<Vec<_>>();
        let sent = tokio::time::timeout(Duration::from_secs(5), sent).await.expect(name);
        assert_eq!(sent, expected, "{name}");
    }

    #[tokio::test]
    async fn streams() {
        use TaskState::{Running, Succeeded};
        check("all", None, &[(1, Running), (2, Running), (3, Succeeded)], &[1, 2, 3]).await;
        check(
            "each once, none older",
            None,
            &[(1, Running), (1, Running), (3, Running), (2, Running), (9, Succeeded)],
            &[1, 3, 9],
        )
        .await;
        check("resumed", Some(2), &[(1, Running), (2, Running), (3, Running), (9, Succeeded)], &[3, 9]).await;
        check("resumed after the end", Some(9), &[(9, Succeeded)], &[9]).await;
        check("nothing after the end", None, &[(9, Succeeded), (10, Running)], &[9]).await;
    }
}
