//! `POST /api/market-data/fetch`: submits a backfill.

use super::listings;
use super::run_at::RunAt;
use super::submission::{Submission, Submitted, submit};
use super::wanted::{Wanted, refuse_unknown};
use crate::caller::Admitted;
use crate::error::Problem;
use crate::input::Body;
use crate::state::{AppState, Shared};
use crate::trace::Trace;
use axum::extract::State;
use axum::http::HeaderMap;
use candlemill_shared::forms::{Accepted, FetchRequest, FieldErrors, WebhookRequest};
use candlemill_shared::job::{FetchHistory, FetchMode};
use candlemill_shared::telemetry::TraceId;
use candlemill_tasks::Grant;

/// Submit a backfill
///
/// The candles of one symbol and interval. The task is durable when this answers. The same request while a task for it is
/// under way returns that task, and so does the same `Idempotency-Key` for 24 hours.
#[utoipa::path(
    post, path = "/api/market-data/fetch", operation_id = "submit_fetch", tag = "backfills", request_body = FetchRequest,
    params(("Idempotency-Key" = Option<String>, Header, description = "Makes a repeated submission the same task, for 24 hours",
        min_length = 1, max_length = 255)),
    responses(
        (status = 202, description = "Accepted", body = Accepted, headers(("Location" = String, description = "The task's record"))),
        (status = 403, description = "`tier_limit`: which limit, and which tier lifts it"),
        (status = 409, description = "`idempotency_conflict`"),
        (status = 422, description = "`unknown_symbol`: the exchange said so within the last 10 minutes; `webhook_refused`, `webhooks_disabled`"),
    ),
    security(("bearer" = []))
)]
pub async fn fetch(
    admitted: Admitted,
    State(state): State<Shared>,
    Trace(trace): Trace,
    headers: HeaderMap,
    Body(request): Body<FetchRequest>,
) -> Result<Submitted, Problem> {
    let grant = admitted.caller.grant(state.clock.now_ms());
    accept(request, FetchMode::Fetch, &state, &grant, trace, &headers).await
}

/// Stores and queues the fetch, to be done in `mode`, for the grant's owner.
pub(crate) async fn accept(
    request: FetchRequest,
    mode: FetchMode,
    state: &AppState,
    grant: &Grant,
    trace: TraceId,
    headers: &HeaderMap,
) -> Result<Submitted, Problem> {
    let (job, run_at, webhook) = read(request, state.clock.now_ms())?;
    let job = FetchHistory { mode, ..job };
    let request = Submission { job: &job, run_at, webhook, trace, headers }.request()?;
    let listings = listings::of(state, std::slice::from_ref(&job)).await?;
    state.service.check(grant, &request, &listings)?;
    refuse_unknown(state, grant, std::slice::from_ref(&job), request.idempotency_key.as_deref()).await?;
    submit(state, grant, &request, &listings).await
}

/// The job that was asked for; or every field that is wrong.
fn read(request: FetchRequest, now: i64) -> Result<(FetchHistory, RunAt, Option<WebhookRequest>), Problem> {
    let mut wrong = FieldErrors::default();
    let FetchRequest { symbol, interval, start, end, run_at, webhook } = request;
    let run_at = RunAt::read(run_at, now, &mut wrong);
    // The time that counts as "now" when it runs.
    let now = run_at.due().unwrap_or(now);
    let job = Wanted { symbol, interval, start, end }.read(now, run_at.due().is_some(), &mut wrong);
    let webhook = wrong.optional("webhook", webhook);
    match job {
        Some(job) if wrong.is_empty() => Ok((job, run_at, webhook)),
        _ => Err(Problem::of_fields(wrong)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candlemill_shared::job::Start;
    use serde_json::json;

    const NOW: i64 = 1_700_000_000_000;

    fn check(name: &str, request: serde_json::Value, expected: Result<(Start, Option<i64>), &[&str]>) {
        let request: FetchRequest = serde_json::from_value(request).unwrap();
        match (read(request, NOW), expected) {
            (Ok((job, ..)), Ok(expected)) => assert_eq!((job.start, job.end), expected, "{name}"),
            (Err(problem), Err(fields)) => assert_eq!(problem.refused(), fields, "{name}: {problem:?}"),
            (got, expected) => panic!("{name}: {got:?}, not {expected:?}"),
        }
    }

    #[test]
    fn requests() {
        let base = json!({"symbol": "BTCUSDT", "interval": "1m", "start": 1_577_836_800_000_i64});
        let with = |name: &str, value: serde_json::Value| {
            let mut request = base.clone();
            request[name] = value;
            request
        };
        let at = Start::At(1_577_836_800_000);
        check("open end", base.clone(), Ok((at, None)));
        check("null end", with("end", json!(null)), Ok((at, None)));
        check("listing", with("start", json!("listing")), Ok((Start::Listing, None)));
        check("text", with("end", json!("2020-01-04T00:00:00Z")), Ok((at, Some(1_578_096_000_000))));
        check("future end is now", with("end", json!(NOW + 1)), Ok((at, None)));
        check("start after end", with("end", json!(1)), Err(&["start"]));
        check("empty range", with("end", json!(1_577_836_800_000_i64)), Err(&["start"]));
        check("future start", with("start", json!(NOW + 1)), Err(&["start"]));
        check("odd symbol", with("symbol", json!("BTC/USDT")), Err(&["symbol"]));
        check("odd interval", with("interval", json!("7m")), Err(&["interval"]));
        check("start is no time", with("start", json!("yesterday")), Err(&["start"]));
        check("start is an object", with("start", json!({"$gt": 1})), Err(&["start"]));
        let all = json!({"symbol": "", "interval": "", "start": true, "end": [], "run_at": "soon"});
        check("everything wrong at once", all, Err(&["run_at", "symbol", "interval", "start", "end"]));
        // What has happened by the time that it runs can be asked for.
        let later = |start: i64, end: i64| json!({"symbol": "BTCUSDT", "interval": "1m", "start": start, "end": end, "run_at": NOW + 100});
        check("future start of a later run", later(NOW + 1, NOW + 50), Ok((Start::At(NOW + 1), Some(NOW + 50))));
        check("end after a later run", later(NOW + 1, NOW + 150), Ok((Start::At(NOW + 1), None)));
        check("start after a later run", later(NOW + 100, NOW + 150), Err(&["start"]));
        check("far too late", with("run_at", json!(NOW + 31 * 86_400_000)), Err(&["run_at"]));
        check("run in the past", with("run_at", json!(1)), Ok((at, None)));
    }
}
