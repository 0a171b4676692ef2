//! `POST /api/dead-letters/{id}/replay`: lets a dead or failed task be tried again.

use crate::caller::Admitted;
use crate::error::{Problem, ProblemDocument};
use crate::input::TaskPath;
use crate::market_data::wanted;
use crate::state::Shared;
use crate::task::TaskView;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use candlemill_shared::job::{FetchBatch, FetchHistory};
use candlemill_shared::task::{TaskId, TaskRecord};
use candlemill_shared::tier::{Tier, TierLimits, TierRefusal, TierTable};
use candlemill_tasks::{ReplayOutcome, ReplayTerms};

/// Replays a task that is dead or failed.
///
/// It waits for a worker again and goes on from what it has stored, if the caller's tier of now allows what it does: it runs by
/// that tier. Failures are counted anew; its earlier attempts stay on the record.
#[utoipa::path(
    post, path = "/api/dead-letters/{id}/replay", tag = "dead letters",
    params(("id" = String, Path, description = "Task id")),
    responses(
        (status = 202, description = "It is queued", body = TaskView),
        (status = 403, description = "`tier_limit`: too many tasks under way, or more than the tier of now allows in one", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 404, description = "`task_not_found`: none of yours", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 409, description = "`task_not_replayable`, `task_under_way`", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 503, description = "`store_unavailable`, `overloaded`", body = ProblemDocument, content_type = "application/problem+json"),
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
    let caller = &admitted.caller;
    let TierLimits { priority, running_at_once, jobs_at_once, .. } = *state.tiers.of(caller.tier);
    // What was submitted stays as it was, so what is read here is what would run.
    if let Some(record) = state.tasks.records().get(id).await?
        && *record.owner == *caller.user_id
        && record.state.is_replayable()
        && record.dead_letter.discarded.is_none()
    {
        admit(&state.tiers, caller.tier, &record, state.clock.now_ms())?;
    }
    let terms = ReplayTerms { tier: caller.tier, priority, running_at_once, jobs_at_once };
    match state.tasks.replay(id, &caller.user_id, &terms).await? {
        ReplayOutcome::Replayed(record) => Ok(*record),
        ReplayOutcome::NotReplayable(record) => Err(not_replayable(&record)),
        ReplayOutcome::UnderWay(other) => Err(under_way(other)),
        ReplayOutcome::TooManyJobs => Err(state.tiers.too_many_jobs(caller.tier).into()),
        ReplayOutcome::NotFound => Err(Problem::no_such_task()),
    }
}

/// Whether `tier` may do what the task does, as if it were submitted now (UTC ms). What no tier bounds, or no program can
/// read, passes.
fn admit(tiers: &TierTable, tier: Tier, record: &TaskRecord, now: i64) -> Result<(), TierRefusal> {
    if let Ok(batch) = record.job.open::<FetchBatch>() {
        tiers.admit_batch(tier, batch.fetches.len())?;
        return batch.fetches.iter().try_for_each(|fetch| wanted::admit(tiers, tier, fetch, now));
    }
    let Ok(fetch) = record.job.open::<FetchHistory>() else { return Ok(()) };
    // An end left out is what it was when the task ran first.
    let until = record.result.as_ref().and_then(|result| result.range).map_or(now, |range| range.end);
    wanted::admit(tiers, tier, &fetch, until)
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

#[cfg(test)]
mod tests {
    use super::*;
    use candlemill_shared::TimeRange;
    use candlemill_shared::task::FetchResult;
    use serde_json::{Value, json};

    const MINUTE: i64 = 60_000;
    const NOW: i64 = 1_700_000_000_000;

    fn record(kind: &str, version: u32, payload: &Value, range: Option<TimeRange>) -> TaskRecord {
        let mut record: TaskRecord = serde_json::from_value(json!({
            "id": "01JC5Y7V9N8B3M2K1H0G9F8E7D", "owner": "u", "tier": "pro", "pool": "backfill", "priority": 5,
            "job": {"kind": kind, "version": version, "payload": payload}, "fingerprint": "f", "state": "dead", "attempt": 1,
            "created_at": 1, "updated_at": 1, "trace_id": "0",
        }))
        .unwrap();
        record.result = range.map(|range| FetchResult { range: Some(range), ..FetchResult::default() });
        record
    }

    fn check(name: &str, record: &TaskRecord, expected: Option<&str>) {
        let refused = admit(&TierTable::default(), Tier::Free, record, NOW).err().map(|refusal| refusal.limit);
        assert_eq!(refused, expected, "{name}");
    }

    #[test]
    fn what_the_tier_of_now_allows() {
        let fetch = |interval: &str, candles: i64| {
            let start = NOW - candles * MINUTE;
            json!({"symbol": "BTCUSDT", "interval": interval, "start": {"at": start}, "end": null})
        };
        let range = |candles: i64| Some(TimeRange::new(NOW - candles * MINUTE, NOW - candles * MINUTE + 60 * MINUTE));
        let (long, seconds) = (Some("longest_range_candles"), Some("intervals"));
        check("short", &record("fetch_history", 1, &fetch("1m", 50_000), None), None);
        check("long", &record("fetch_history", 1, &fetch("1m", 50_002), None), long);
        check("seconds", &record("fetch_history", 1, &fetch("1s", 1), None), seconds);
        check("an end that is settled", &record("fetch_history", 1, &fetch("1m", 90_000), range(90_000)), None);
        let mut verify = fetch("1m", 90_000);
        verify["mode"] = json!("verify");
        check("a verification", &record("fetch_history", 2, &verify, None), long);
        let batch = |fetches: Vec<Value>| record("fetch_batch", 1, &json!({ "fetches": fetches }), None);
        check("a batch", &batch(vec![fetch("1m", 9); 10]), None);
        check("a wide batch", &batch(vec![fetch("1m", 9); 11]), Some("batch_fetches"));
        check("a long one in a batch", &batch(vec![fetch("1m", 9), fetch("1m", 50_002)]), long);
        check("what nobody can read", &record("fetch_history", 1, &json!({"symbol": 5}), None), None);
        check("what no tier bounds", &record("probe", 1, &json!({"number": 5}), None), None);
    }
}
