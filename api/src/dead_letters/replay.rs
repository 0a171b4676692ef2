//! `POST /api/dead-letters/{id}/replay`: lets a dead or failed task be tried again.

use crate::answer::Json;
use crate::caller::Admitted;
use crate::error::Problem;
use crate::input::TaskPath;
use crate::market_data::listings;
use crate::state::Shared;
use axum::extract::State;
use axum::http::StatusCode;
use candlemill_shared::forms::TaskView;
use candlemill_shared::task::{TaskId, TaskRecord};
use candlemill_tasks::ReplayOutcome;

/// Replay a task that is dead or failed
///
/// It waits for a worker again and goes on from what it has stored, if the caller's tier of now allows what it does: it runs by
/// that tier. Failures are counted anew; its earlier attempts stay on the record.
#[utoipa::path(
    post, path = "/api/dead-letters/{id}/replay", operation_id = "replay_dead_letter", tag = "dead letters",
    params(("id" = TaskId, Path, description = "Task id")),
    responses(
        (status = 202, description = "It is queued", body = TaskView),
        (status = 403, description = "`tier_limit`: too many tasks under way, or more than the tier of now allows in one"),
        (status = 404, description = "`task_not_found`: none of yours"),
        (status = 409, description = "`task_not_replayable`, `task_under_way`"),
    ),
    security(("bearer" = []))
)]
pub async fn replay(
    admitted: Admitted,
    State(state): State<Shared>,
    TaskPath(id): TaskPath,
) -> Result<(StatusCode, Json<TaskView>), Problem> {
    let record = one(&state, &admitted, id).await?;
    Ok((StatusCode::ACCEPTED, Json(record.into())))
}

/// Replays one of the caller's tasks.
pub(super) async fn one(state: &Shared, admitted: &Admitted, id: TaskId) -> Result<TaskRecord, Problem> {
    let grant = admitted.caller.grant(state.clock.now_ms());
    let known = |job| async move { listings::of_job(state, &job).await };
    match state.service.replay(&grant, id, known).await? {
        ReplayOutcome::Replayed(record) => Ok(*record),
        ReplayOutcome::NotReplayable(record) => Err(not_replayable(&record)),
        ReplayOutcome::UnderWay(other) => Err(under_way(other)),
        ReplayOutcome::TooManyJobs => Err(state.tiers.too_many_jobs(grant.tier()).into()),
        ReplayOutcome::NotFound => Err(Problem::no_such_task()),
    }
}

fn not_replayable(record: &TaskRecord) -> Problem {
    let problem = Problem::new(StatusCode::CONFLICT, "task_not_replayable", "The task cannot be replayed")
        .member("state", record.state.as_str());
    match &record.dead_letter.discarded {
        Some(_) => problem.detail("The task was discarded. Submit its request anew.").member("discarded", true),
        None if record.state.is_end() => {
            problem.detail(format!("The task is {}; only dead and failed ones are replayed.", record.state))
        }
        None => problem.detail(format!("The task is {}: it is under way already.", record.state)),
    }
}

fn under_way(other: TaskId) -> Problem {
    Problem::new(StatusCode::CONFLICT, "task_under_way", "The same request is under way")
        .detail(format!("Task {other} does the same at the moment. Wait for its end, or cancel it."))
        .member("task_id", other.to_string())
}
