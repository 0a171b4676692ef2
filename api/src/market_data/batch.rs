//! `POST /api/market-data/fetch/batch`: submits many backfills as one task.

use super::run_at::RunAt;
use super::submission::{Accepted, Submission, submit};
use super::wanted::{Wanted, refuse_unknown};
use crate::caller::Admitted;
use crate::error::{Problem, ProblemDocument};
use crate::input::Body;
use crate::state::Shared;
use crate::trace::Trace;
use crate::webhooks::WebhookRequest;
use axum::extract::State;
use axum::http::HeaderMap;
use candlemill_shared::job::{FetchBatch, FetchHistory, Job};
use serde::Deserialize;
use serde_json::Value;
use std::collections::HashSet;
use utoipa::ToSchema;

/// Most bytes of this call's body: a fetch has about a hundred.
pub(crate) const LARGEST_BODY: usize = 2 * 1024 * 1024;
/// Wrong fields that one answer lists.
const MOST_ERRORS: usize = 20;

/// What to fetch: either `fetches`, or one range of many `symbols`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BatchRequest {
    /// Symbols of which the same range is fetched.
    #[serde(default)]
    #[schema(example = json!(["BTCUSDT", "ETHUSDT"]))]
    symbols: Option<Vec<String>>,
    /// With `symbols`: length of the candles.
    #[serde(default)]
    #[schema(example = "1m")]
    interval: Option<String>,
    /// With `symbols`: first open time, as in a single fetch.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "2020-01-01T00:00:00Z")]
    start: Option<Value>,
    /// With `symbols`: first open time that is no longer wanted; now when absent.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "2020-01-04T00:00:00Z")]
    end: Option<Value>,
    /// Fetches of their own ranges.
    #[serde(default)]
    fetches: Option<Vec<BatchItem>>,
    /// When it is to run, at most 30 days ahead; at once when absent or past.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    run_at: Option<Value>,
    /// Who is told of the end of the whole batch.
    #[serde(default)]
    webhook: Option<WebhookRequest>,
}

/// One fetch of a batch.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BatchItem {
    /// The exchange's symbol.
    symbol: String,
    /// Length of the candles.
    interval: String,
    /// First open time: RFC 3339, UTC milliseconds, or `listing`.
    #[schema(value_type = String)]
    start: Value,
    /// First open time that is no longer wanted; now when absent.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    end: Option<Value>,
}

/// Submits many backfills as one task, with one progress and one result.
///
/// The batch is durable when this answers. Each of its fetches becomes a task of its own (`GET /api/tasks?parent=…`);
/// what is asked for twice is fetched once. Cancelling the batch cancels them all.
#[utoipa::path(
    post, path = "/api/market-data/fetch/batch", tag = "market data", request_body = BatchRequest,
    params(("Idempotency-Key" = Option<String>, Header, description = "1 to 255 visible ASCII characters; kept 24 h")),
    responses(
        (status = 202, description = "Accepted; `Location` names the task", body = Accepted),
        (status = 400, description = "`invalid_request`, `malformed_json`: what and where", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 403, description = "`tier_limit`: which limit, and which tier lifts it", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 409, description = "`idempotency_conflict`", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 413, description = "`body_too_large`", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 422, description = "`unknown_symbol`: the exchange said so within the last 10 minutes; `webhook_refused`, `webhooks_disabled`", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 503, description = "`store_unavailable`, `overloaded`: nothing was stored", body = ProblemDocument, content_type = "application/problem+json"),
    ),
    security(("bearer" = []))
)]
pub async fn batch(
    admitted: Admitted,
    State(state): State<Shared>,
    Trace(trace): Trace,
    headers: HeaderMap,
    Body(request): Body<BatchRequest>,
) -> Result<Accepted, Problem> {
    let now = state.clock.now_ms();
    let asked = request.symbols.as_ref().map_or(0, Vec::len) + request.fetches.as_ref().map_or(0, Vec::len);
    // Before thousands of fetches are read.
    state.tiers.admit_batch(admitted.caller.tier, asked)?;
    let (job, run_at) = read(&request, now)?;
    let grant = admitted.caller.grant(now);
    let webhook = request.webhook.as_ref();
    let request = Submission { job: &job, run_at, webhook, trace, headers: &headers }.request()?;
    state.service.check(&grant, &request)?;
    refuse_unknown(&state, &grant, &job.fetches, request.idempotency_key.as_deref()).await?;
    submit(&state, &grant, &request).await
}

/// The batch that was asked for; or what is wrong with it.
fn read(request: &BatchRequest, now: i64) -> Result<(FetchBatch, RunAt), Problem> {
    let mut wrong = Vec::new();
    let run_at = RunAt::read(request.run_at.as_ref(), now)
        .map_err(|error| wrong.push(("run_at".to_owned(), error)))
        .unwrap_or_default();
    let (runs, later) = (run_at.due().unwrap_or(now), run_at.due().is_some());
    let fetches = match items(request) {
        Ok(items) => {
            let mut read = |(place, item): (Place, Wanted<'_>)| {
                item.read(runs, later, |field, why| wrong.extend(place.of(field).map(|place| (place, why))))
            };
            items.into_iter().filter_map(&mut read).collect()
        }
        Err((field, why)) => {
            wrong.push((field.to_owned(), why.to_owned()));
            Vec::new()
        }
    };
    if wrong.is_empty() {
        return Ok((FetchBatch { fetches: without_doubles(fetches) }, run_at));
    }
    let more = wrong.len().saturating_sub(MOST_ERRORS);
    let told = if more > 0 {
        format!("See errors for each field; {more} more are not listed.")
    } else {
        "See errors for each field.".to_owned()
    };
    let listed = wrong.into_iter().take(MOST_ERRORS);
    Err(listed.fold(Problem::invalid_request().detail(told), |problem, (field, why)| problem.field(field, why)))
}

/// Where a fetch stands in the request.
#[derive(Debug, Clone, Copy)]
enum Place {
    Symbols(usize),
    Fetches(usize),
}

impl Place {
    /// The name of one of its fields; none for a field that is common to all symbols and told of with the first.
    fn of(self, field: &str) -> Option<String> {
        match self {
            Self::Fetches(index) => Some(format!("fetches[{index}].{field}")),
            Self::Symbols(index) if field == "symbol" => Some(format!("symbols[{index}]")),
            Self::Symbols(0) => Some(field.to_owned()),
            Self::Symbols(_) => None,
        }
    }
}

/// The fetches, each with its place.
fn items(request: &BatchRequest) -> Result<Vec<(Place, Wanted<'_>)>, (&'static str, &'static str)> {
    match (&request.symbols, &request.fetches) {
        (Some(_), Some(_)) => Err(("fetches", "cannot stand beside symbols; send one of them")),
        (None, None) => Err(("fetches", "is missing; send fetches, or symbols with interval and start")),
        (Some(symbols), None) => {
            let interval = request.interval.as_deref().ok_or(("interval", "is missing; it goes with symbols"))?;
            let start = request.start.as_ref().ok_or(("start", "is missing; it goes with symbols"))?;
            if symbols.is_empty() {
                return Err(("symbols", "is empty; name at least one"));
            }
            let end = request.end.as_ref();
            let wanted = symbols
                .iter()
                .enumerate()
                .map(|(index, symbol)| (Place::Symbols(index), Wanted { symbol, interval, start, end }));
            Ok(wanted.collect())
        }
        (None, Some(fetches)) => {
            if request.interval.is_some() || request.start.is_some() || request.end.is_some() {
                return Err(("fetches", "have an interval, start and end each; those beside them go with symbols"));
            }
            if fetches.is_empty() {
                return Err(("fetches", "is empty; name at least one"));
            }
            let wanted = fetches.iter().enumerate().map(|(index, item)| {
                let BatchItem { symbol, interval, start, end } = item;
                (Place::Fetches(index), Wanted { symbol, interval, start, end: end.as_ref() })
            });
            Ok(wanted.collect())
        }
    }
}

fn without_doubles(fetches: Vec<FetchHistory>) -> Vec<FetchHistory> {
    let mut met = HashSet::new();
    fetches.into_iter().filter(|fetch| met.insert(fetch.fingerprint(""))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const NOW: i64 = 1_700_000_000_000;
    const START: i64 = 1_577_836_800_000;

    fn check(name: &str, request: Value, expected: Result<usize, &[&str]>) {
        let request: BatchRequest = serde_json::from_value(request).unwrap();
        match (read(&request, NOW), expected) {
            (Ok((job, _)), Ok(fetches)) => assert_eq!(job.fetches.len(), fetches, "{name}"),
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
        let item = |symbol: &str, start: i64| json!({"symbol": symbol, "interval": "1m", "start": start});
        check("symbols", json!({"symbols": ["BTCUSDT", "ETHUSDT"], "interval": "1m", "start": START}), Ok(2));
        check("fetches", json!({"fetches": [item("BTCUSDT", START), item("BTCUSDT", START + 60_000)]}), Ok(2));
        check("doubles", json!({"fetches": [item("BTCUSDT", START), item("btcusdt", START)]}), Ok(1));
        check("neither", json!({}), Err(&["fetches"]));
        check("both", json!({"symbols": ["A"], "interval": "1m", "start": 1, "fetches": []}), Err(&["fetches"]));
        check("no symbols", json!({"symbols": [], "interval": "1m", "start": START}), Err(&["symbols"]));
        check("no fetches", json!({"fetches": []}), Err(&["fetches"]));
        check(
            "an odd symbol",
            json!({"symbols": ["BTC/USDT", "X!"], "interval": "1m", "start": START}),
            Err(&["symbols[0]", "symbols[1]"]),
        );
        check(
            "an odd interval",
            json!({"symbols": ["BTCUSDT", "ETHUSDT"], "interval": "7m", "start": START}),
            Err(&["interval"]),
        );
        check("no interval", json!({"symbols": ["BTCUSDT"], "start": START}), Err(&["interval"]));
        check("a range beside fetches", json!({"fetches": [item("BTCUSDT", START)], "end": NOW}), Err(&["fetches"]));
        check(
            "wrong ones among good ones",
            json!({"fetches": [item("BTCUSDT", START), item("BTC/USDT", START), item("BTCUSDT", NOW + 1)]}),
            Err(&["fetches[1].symbol", "fetches[2].start"]),
        );
        let odd: Vec<String> = (0..50).map(|number| format!("${number}")).collect();
        let request = serde_json::from_value(json!({"symbols": odd, "interval": "1m", "start": START})).unwrap();
        let shown = format!("{:?}", read(&request, NOW).unwrap_err());
        assert!(shown.matches("field: ").count() == MOST_ERRORS && shown.contains("30 more"), "{shown}");
    }
}
