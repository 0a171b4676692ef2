//! `GET /api/task/{id}/progress`: the newest snapshot, from Redis; from the record when Redis has none.

use crate::answer::Json;
use crate::auth::Caller;
use crate::caller::Admitted;
use crate::error::Problem;
use crate::input::TaskPath;
use crate::state::{AppState, Shared};
use axum::extract::State;
use candlemill_shared::forms::ProgressView;
use candlemill_shared::progress::Progress;
use candlemill_shared::task::{TaskId, TaskRecord};

/// Show how far a task is
#[utoipa::path(
    get, path = "/api/task/{id}/progress", operation_id = "show_progress", tag = "tasks",
    params(("id" = TaskId, Path, description = "Task id")),
    responses(
        (status = 200, description = "The newest snapshot", body = ProgressView),
        (status = 404, description = "`task_not_found`: none of yours"),
    ),
    security(("bearer" = []))
)]
pub async fn progress(
    admitted: Admitted,
    State(state): State<Shared>,
    TaskPath(id): TaskPath,
) -> Result<Json<ProgressView>, Problem> {
    Ok(Json(newest(&state, &admitted.caller, id).await?.into()))
}

/// A task that runs shows itself more often than this.
const SILENT_MS: i64 = 2_000;

/// The newest snapshot of the caller's task.
pub(super) async fn newest(state: &AppState, caller: &Caller, id: TaskId) -> Result<Progress, Problem> {
    let live = match state.tasks.progress().read(id).await {
        Ok(live) => live,
        Err(error) => {
            state.metrics.redis_bypasses.inc();
            tracing::debug!(%error, "progress is read from the record");
            None
        }
    };
    let found = match live {
        Some(live) if may_be_old(state, &live) => match state.tasks.records().look_up(id).await? {
            Some(record) => Some(looked_up(state, live, &record).await),
            None => Some(live),
        },
        Some(live) => Some(live),
        None => {
            let record = state.tasks.records().look_up(id).await?;
            let children = match &record {
                Some(parent) if parent.awaits_children() => of_children(state, id).await,
                _ => None,
            };
            match (record, children) {
                // Redis may have come back just now, with less than the record has shown meanwhile.
                (Some(parent), Some(live)) => Some(Progress::newest_of(live, &parent)),
                (Some(record), None) => {
                    let told = Progress::from_record(&record);
                    // The next poll of a waiting task finds it in Redis. A newer snapshot stays.
                    if let Err(error) = state.tasks.progress().keep(&told).await {
                        tracing::debug!(%error, "a snapshot was not kept");
                    }
                    Some(told)
                }
                (None, _) => None,
            }
        }
    };
    found.filter(|progress| *progress.owner == *caller.user_id).ok_or_else(Problem::no_such_task)
}

/// What both say; kept, so that the record is not asked again at once.
async fn looked_up(state: &AppState, live: Progress, record: &TaskRecord) -> Progress {
    let newest = Progress { updated_at: state.clock.now_ms(), ..Progress::newest_of(live, record) };
    if let Err(error) = state.tasks.progress().keep(&newest).await {
        tracing::debug!(%error, "a snapshot was not kept");
    }
    newest
}

/// Whether the record may know more: Redis has just been away, or nobody has said anything for long. An end that could not
/// be shown at its time is found so.
fn may_be_old(state: &AppState, live: &Progress) -> bool {
    let silent = state.clock.now_ms() - live.updated_at > SILENT_MS;
    !live.state.is_end() && (silent || state.tasks.progress().is_doubtful())
}

/// The record of a task that waits for its children knows less than they do.
async fn of_children(state: &AppState, id: TaskId) -> Option<Progress> {
    match state.tasks.reconcile(id).await {
        Ok(()) => state.tasks.progress().read(id).await.ok().flatten(),
        Err(error) => {
            tracing::debug!(%error, "progress is read from the record");
            None
        }
    }
}
