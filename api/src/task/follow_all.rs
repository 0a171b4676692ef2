//! `GET /api/events`: what happens to the caller's tasks, in at most two messages a second.
//!
//! 1. Snapshots come from Redis as they are written; of one task the newest of half a second is told.
//! 2. Tasks that show no snapshots (that wait, or end at once) are found by a look at the newest tasks every three seconds.
//! 3. There is no history: who comes back reads what it shows anew.

use super::events::{Open, ending, sent};
use crate::caller::Admitted;
use crate::error::Problem;
use crate::state::Shared;
use axum::extract::State;
use axum::response::IntoResponse;
use axum::response::sse::Event;
use candlemill_shared::forms::ProgressView;
use candlemill_shared::progress::Progress;
use candlemill_shared::task::{TaskId, TaskState};
use candlemill_tasks::TaskQuery;
use futures::stream::{self, BoxStream};
use futures::{Stream, StreamExt};
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Interval, MissedTickBehavior, interval};
use utoipa::ToSchema;

/// Time between two messages at least.
const COALESCED: Duration = Duration::from_millis(500);
const LOOK_AGAIN: Duration = Duration::from_secs(3);
/// Newest tasks that a look sees.
const SEEN: u32 = 50;

/// Tasks that changed.
#[derive(Debug, Serialize, ToSchema)]
pub struct TaskChanges {
    /// The newest snapshot of each.
    changes: Vec<ProgressView>,
}

/// Follow all of your tasks
///
/// Server-sent events named `tasks`: snapshots, as of the progress call, of the tasks that changed; at most two messages a second. Without
/// history. A stream ends with the token, and after 5 minutes at the latest.
#[utoipa::path(
    get, path = "/api/events", operation_id = "follow_tasks", tag = "tasks",
    responses(
        (status = 200, description = "Changes, each as `TaskChanges`", body = String, content_type = "text/event-stream"),
        (status = 503, description = "`too_many_streams`"),
    ),
    security(("bearer" = []))
)]
pub async fn follow_all(admitted: Admitted, State(state): State<Shared>) -> Result<impl IntoResponse, Problem> {
    let open = Open::one(&state)?;
    let owner = Arc::clone(&admitted.caller.user_id);
    let live = match state.tasks.progress().follow_owner(&owner).await {
        // A subscription that ends leaves the looks.
        Ok(live) => live.chain(stream::pending()).boxed(),
        Err(error) => {
            tracing::debug!(%error, "changes are looked for, not heard");
            stream::pending().boxed()
        }
    };
    let until = ending(&state, &admitted.caller);
    let changes = Changes::new(state, owner, live).messages().take_until(Box::pin(until));
    Ok(sent(changes.map(move |changes| {
        let _open = &open;
        Ok::<_, Infallible>(Event::default().event("tasks").json_data(TaskChanges { changes }).unwrap_or_default())
    })))
}

/// What changed, and what was known before.
struct Changes {
    state: Shared,
    owner: Arc<str>,
    live: BoxStream<'static, Progress>,
    /// Not told yet.
    pending: BTreeMap<TaskId, Progress>,
    /// State and time of change of the newest tasks, as the last look found them; `None` before the first.
    known: Option<HashMap<TaskId, (TaskState, i64)>>,
    tell: Interval,
    look: Interval,
}

impl Changes {
    fn new(state: Shared, owner: Arc<str>, live: BoxStream<'static, Progress>) -> Self {
        let every = |time| {
            let mut every = interval(time);
            every.set_missed_tick_behavior(MissedTickBehavior::Delay);
            every
        };
        let (tell, look) = (every(COALESCED), every(LOOK_AGAIN));
        Self { state, owner, live, pending: BTreeMap::new(), known: None, tell, look }
    }

    fn messages(self) -> impl Stream<Item = Vec<ProgressView>> + Send {
        stream::unfold(self, |mut changes| async move {
            let message = changes.next().await;
            Some((message, changes))
        })
    }

    async fn next(&mut self) -> Vec<ProgressView> {
        loop {
            tokio::select! {
                Some(snapshot) = self.live.next() => self.take(snapshot),
                _ = self.look.tick() => self.look_around().await,
                _ = self.tell.tick(), if !self.pending.is_empty() => {
                    return std::mem::take(&mut self.pending).into_values().map(ProgressView::from).collect();
                }
            }
        }
    }

    /// Keeps a snapshot unless a newer one waits to be told.
    fn take(&mut self, snapshot: Progress) {
        let waiting = self.pending.get(&snapshot.task_id);
        if waiting.is_none_or(|waiting| waiting.sequence <= snapshot.sequence) {
            self.pending.insert(snapshot.task_id, snapshot);
        }
    }

    /// Rule 2. A store that is away is asked again the next time.
    async fn look_around(&mut self) {
        let query = TaskQuery {
            owner: self.owner.to_string(),
            state: None,
            kind: None,
            symbol: None,
            interval: None,
            before: None,
            limit: SEEN,
        };
        let Ok(records) = self.state.tasks.records().list(&query).await else { return };
        let now = records.iter().map(|record| (record.id, (record.state, record.updated_at))).collect();
        let before = self.known.replace(now);
        let Some(before) = before else { return };
        for record in records {
            if before.get(&record.id) != Some(&(record.state, record.updated_at)) {
                self.take(Progress::from_record(&record));
            }
        }
    }
}
