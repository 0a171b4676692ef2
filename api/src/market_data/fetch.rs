//! `POST /api/market-data/fetch`: submits a backfill.

use super::run_at::RunAt;
use super::submission::{Accepted, Submission, submit};
use super::wanted::{Wanted, refuse_unknown};
use crate::caller::Admitted;
use crate::error::{Problem, ProblemDocument};
use crate::input::Body;
use crate::state::{AppState, Shared};
use crate::trace::Trace;
use crate::webhooks::WebhookRequest;
use axum::extract::State;
use axum::http::HeaderMap;
use candlemill_shared::job::{FetchHistory, FetchMode};
use candlemill_shared::telemetry::TraceId;
use candlemill_tasks::Grant;
use serde::Deserialize;
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
        (status = 422, description = "`unknown_symbol`: the exchange said so within the last 10 minutes; `webhook_refused`, `webhooks_disabled`", body = ProblemDocument, content_type = "application/problem+json"),
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
) -> Result<Accepted, Problem> {
    request.accept(FetchMode::Fetch, &state, &admitted.caller.grant(state.clock.now_ms()), trace, &headers).await
}

impl FetchRequest {
    /// Stores and queues the fetch, to be done in `mode`, for the grant's owner.
    pub(crate) async fn accept(
        &self,
        mode: FetchMode,
        state: &AppState,
        grant: &Grant,
        trace: TraceId,
        headers: &HeaderMap,
    ) -> Result<Accepted, Problem> {
        let (job, run_at) = read(self, state.clock.now_ms())?;
        let job = FetchHistory { mode, ..job };
        let webhook = self.webhook.as_ref();
        let request = Submission { job: &job, run_at, webhook, trace, headers }.request()?;
        state.service.check(grant, &request)?;
        refuse_unknown(state, grant, std::slice::from_ref(&job), request.idempotency_key.as_deref()).await?;
        submit(state, grant, &request).await
    }
}

/// The job that was asked for; or every field that is wrong.
fn read(request: &FetchRequest, now: i64) -> Result<(FetchHistory, RunAt), Problem> {
    let mut wrong = Problem::invalid_request();
    let mut refuse = |field: &str, message: String| wrong.refuse(field, message);
    let run_at = RunAt::read(request.run_at.as_ref(), now).map_err(|error| refuse("run_at", error)).unwrap_or_default();
    // The time that counts as "now" when it runs.
    let now = run_at.due().unwrap_or(now);
    let wanted = Wanted {
        symbol: &request.symbol,
        interval: &request.interval,
        start: &request.start,
        end: request.end.as_ref(),
    };
    let read = wanted.read(now, run_at.due().is_some(), &mut refuse);
    match read {
        Some(job) if !wrong.has_fields() => Ok((job, run_at)),
        _ => Err(wrong.detail("See errors for each field.")),
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
