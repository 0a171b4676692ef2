//! `POST /api/market-data/fetch`: submits a backfill.

use super::run_at::RunAt;
use crate::caller::Admitted;
use crate::error::{Problem, ProblemDocument};
use crate::input::{Body, Time};
use crate::state::Shared;
use crate::trace::Trace;
use crate::webhooks::{Wanted, WebhookRequest};
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse;
use candlemill_shared::job::{EARLIEST_MS, Envelope, FetchHistory, Job, Start};
use candlemill_shared::range::rfc3339;
use candlemill_shared::task::{DeadLetter, TaskId, TaskRecord, TaskState};
use candlemill_shared::{Exchange, Interval, Symbol};
use candlemill_store::{MarketLookup, SubmitError};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

/// What to fetch. Candles are chosen by their open time: `start` inclusive, `end` exclusive.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FetchRequest {
    /// The exchange's symbol.
    #[schema(example = "BTCUSDT")]
    symbol: String,
    /// Length of the candles: 1s 1m 3m 5m 15m 30m 1h 2h 4h 6h 8h 12h 1d 3d 1w 1M.
    #[schema(example = "1m")]
    interval: String,
    /// First open time: RFC 3339, UTC milliseconds, or `listing` for the first candle that the exchange has.
    #[schema(value_type = String, example = "2020-01-01T00:00:00Z")]
    start: serde_json::Value,
    /// First open time that is no longer wanted; now when absent, and when it lies in the future.
    #[schema(value_type = Option<String>, example = "2020-01-04T00:00:00Z")]
    #[serde(default)]
    end: Option<serde_json::Value>,
    /// When it is to run, at most 30 days ahead; at once when absent or past. An absent `end` then means that time.
    #[schema(value_type = Option<String>, example = "2020-01-05T00:00:00Z")]
    #[serde(default)]
    run_at: Option<serde_json::Value>,
    /// Who is told of the task's end.
    #[serde(default)]
    webhook: Option<WebhookRequest>,
}

/// An accepted task.
#[derive(Debug, Serialize, ToSchema)]
pub struct Accepted {
    /// The task's id.
    #[schema(value_type = String, example = "01JC5Y7V9N8B3M2K1H0G9F8E7D")]
    task_id: TaskId,
    /// Where the task stands.
    #[schema(value_type = String, example = "queued")]
    status: TaskState,
    /// Whether this request created the task, rather than an earlier one like it.
    created: bool,
    /// RFC 3339.
    created_at: String,
    /// RFC 3339; before this it does not run. Null: as soon as it can.
    run_at: Option<String>,
    /// Where its progress is.
    progress_url: String,
    /// Where its progress is streamed.
    events_url: String,
}

/// Longest `Idempotency-Key`.
const LONGEST_KEY: usize = 255;

/// Submits a backfill of one symbol and interval.
///
/// The task is durable when this answers. The same request while a task for it is under way returns that task, and so
/// does the same `Idempotency-Key` for 24 hours.
#[utoipa::path(
    post, path = "/api/market-data/fetch", tag = "market data", request_body = FetchRequest,
    params(("Idempotency-Key" = Option<String>, Header, description = "1 to 255 visible ASCII characters; kept 24 h")),
    responses(
        (status = 202, description = "Accepted; `Location` names the task", body = Accepted),
        (status = 400, description = "`invalid_request`, `malformed_json`: what and where", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 401, description = "No valid token", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 403, description = "`tier_limit`: which limit, and which tier lifts it", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 409, description = "`idempotency_conflict`", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 413, description = "`body_too_large`", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 422, description = "`unknown_symbol`, `webhook_refused`, `webhooks_disabled`", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 429, description = "`too_many_requests`", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 503, description = "`store_unavailable`, `overloaded`: nothing was stored", body = ProblemDocument, content_type = "application/problem+json"),
    ),
    security(("bearer" = []))
)]
pub async fn fetch(
    admitted: Admitted,
    State(state): State<Shared>,
    Trace(trace): Trace,
    headers: HeaderMap,
    Body(request): Body<FetchRequest>,
) -> Result<impl IntoResponse, Problem> {
    let caller = admitted.caller;
    let now = state.clock.now_ms();
    let (job, run_at) = read(&request, now)?;
    let webhook = Wanted::read(request.webhook.as_ref(), &state.webhooks)?;
    let idempotency = idempotency(&headers, &caller.user_id)?;
    let candles = job.interval.count(job.range_at(run_at.due().unwrap_or(now)));
    state.tiers.admit_fetch(caller.tier, job.interval, candles)?;
    if state.store.markets().lookup(job.exchange, &job.symbol).await? == MarketLookup::Unknown {
        return Err(unknown_symbol(&job.symbol, job.exchange));
    }
    let limits = state.tiers.of(caller.tier);
    let record = TaskRecord {
        id: TaskId::new(now),
        owner: caller.user_id.to_string(),
        tier: caller.tier,
        pool: FetchHistory::POOL,
        priority: limits.priority,
        running_at_once: limits.running_at_once,
        fingerprint: webhook.fingerprint(run_at.fingerprint(job.fingerprint(&caller.user_id))),
        job: Envelope::of(&job).map_err(|error| Problem::unforeseen(&error))?,
        idempotency,
        state: TaskState::Queued,
        attempt: 0,
        attempts: Vec::new(),
        cancel_requested: false,
        created_at: now,
        updated_at: now,
        started_at: None,
        ended_at: None,
        run_at: run_at.due(),
        result: None,
        error: None,
        dead_letter: DeadLetter::default(),
        webhook: webhook.webhook(),
        trace_id: trace.to_string(),
    };
    let submitted = state.submissions.submit(record, limits.jobs_at_once).await.map_err(|error| match error {
        SubmitError::TooManyJobs => state.tiers.too_many_jobs(caller.tier).into(),
        other => Problem::from(other),
    })?;
    state.metrics.submitted(submitted.created);
    let (id, record) = (submitted.record.id, submitted.record);
    let accepted = Accepted {
        task_id: id,
        status: record.state,
        created: submitted.created,
        created_at: rfc3339(record.created_at),
        run_at: record.run_at.map(rfc3339),
        progress_url: format!("/api/task/{id}/progress"),
        events_url: format!("/api/task/{id}/events"),
    };
    Ok((StatusCode::ACCEPTED, [(header::LOCATION, format!("/api/task/{id}"))], Json(accepted)))
}

/// The job that was asked for; or every field that is wrong.
fn read(request: &FetchRequest, now: i64) -> Result<(FetchHistory, RunAt), Problem> {
    let mut wrong = Problem::invalid_request();
    let mut refuse = |field: &str, message: String| {
        wrong = std::mem::replace(&mut wrong, Problem::invalid_request()).field(field, message);
    };
    let run_at = RunAt::read(request.run_at.as_ref(), now).map_err(|error| refuse("run_at", error)).unwrap_or_default();
    // The time that counts as "now" when it runs.
    let now = run_at.due().unwrap_or(now);
    let symbol = request.symbol.parse::<Symbol>().map_err(|error| refuse("symbol", error.to_string())).ok();
    let interval = request.interval.parse::<Interval>().map_err(|error| refuse("interval", error.to_string())).ok();
    let start = match &request.start {
        serde_json::Value::String(text) if text == "listing" => Some(Start::Listing),
        other => Time::deserialize(other)
            .map(|time| Start::At(time.ms()))
            .map_err(|error| refuse("start", format!("{error}; or \"listing\"")))
            .ok(),
    };
    let end = match &request.end {
        None | Some(serde_json::Value::Null) => Some(None),
        Some(value) => Time::deserialize(value)
            // What has not happened yet cannot be fetched: such an end means "now".
            .map(|time| Some(time.ms()).filter(|end| *end < now))
            .map_err(|error| refuse("end", error.to_string()))
            .ok(),
    };
    if let (Some(start), Some(end)) = (start, end) {
        let first = match start {
            Start::At(ms) => ms,
            Start::Listing => EARLIEST_MS,
        };
        if first >= now {
            let when = if run_at.due().is_some() { "it runs at" } else { "now is" };
            refuse("start", format!("lies in the future; {when} {}", rfc3339(now)));
        } else if end.is_some_and(|end| first >= end) {
            refuse("start", format!("must lie before end ({})", rfc3339(end.unwrap_or_default())));
        }
    }
    match (symbol, interval, start, end) {
        (Some(symbol), Some(interval), Some(start), Some(end)) if !wrong.has_fields() => {
            Ok((FetchHistory { exchange: Exchange::Binance, symbol, interval, start, end }, run_at))
        }
        _ => Err(wrong.detail("See errors for each field.")),
    }
}

fn idempotency(headers: &HeaderMap, owner: &str) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    match value.to_str() {
        Ok(key) if !key.is_empty() && key.len() <= LONGEST_KEY => {
            Ok(Some(hex::encode(Sha256::digest(format!("{owner}\n{key}")))))
        }
        _ => Err(Problem::invalid_request()
            .detail("See errors for each field.")
            .field("Idempotency-Key", format!("must be 1 to {LONGEST_KEY} visible ASCII characters"))),
    }
}

/// The exchange does not list it.
#[must_use]
pub fn unknown_symbol(symbol: &Symbol, exchange: Exchange) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "unknown_symbol", "The exchange has no such symbol")
        .detail(format!("{exchange} lists no {symbol}. Check the spelling, as in BTCUSDT."))
        .member("symbol", symbol.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const NOW: i64 = 1_700_000_000_000;

    fn check(name: &str, request: serde_json::Value, expected: Result<(Start, Option<i64>), &[&str]>) {
        let request: FetchRequest = serde_json::from_value(request).unwrap();
        match (read(&request, NOW), expected) {
            (Ok((job, _)), Ok(expected)) => assert_eq!((job.start, job.end), expected, "{name}"),
            (Err(problem), Err(fields)) => {
                let shown = format!("{problem:?}");
                for field in fields {
                    assert!(shown.contains(&format!("field: \"{field}\"")), "{name}: {shown}");
                }
                assert_eq!(shown.matches("field: ").count(), fields.len(), "{name}: {shown}");
            }
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
        check("everything wrong at once", all, Err(&["symbol", "interval", "start", "end", "run_at"]));
        // What has happened by the time that it runs can be asked for.
        let later = |start: i64, end: i64| json!({"symbol": "BTCUSDT", "interval": "1m", "start": start, "end": end, "run_at": NOW + 100});
        check("future start of a later run", later(NOW + 1, NOW + 50), Ok((Start::At(NOW + 1), Some(NOW + 50))));
        check("end after a later run", later(NOW + 1, NOW + 150), Ok((Start::At(NOW + 1), None)));
        check("start after a later run", later(NOW + 100, NOW + 150), Err(&["start"]));
        check("far too late", with("run_at", json!(NOW + 31 * 86_400_000)), Err(&["run_at"]));
        check("run in the past", with("run_at", json!(1)), Ok((at, None)));
    }

    #[test]
    fn unknown_fields_are_refused() {
        let request = json!({"symbol": "BTCUSDT", "interval": "1m", "start": 1, "ende": 2});
        assert!(serde_json::from_value::<FetchRequest>(request).unwrap_err().to_string().contains("ende"));
    }
}
