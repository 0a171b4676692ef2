//! `POST /api/market-data/fetch/batch`: submits many backfills as one task.

use super::listings;
use super::run_at::RunAt;
use super::submission::{Submission, Submitted, submit};
use super::wanted::{Wanted, refuse_unknown};
use crate::caller::Admitted;
use crate::error::Problem;
use crate::input::Body;
use crate::state::Shared;
use crate::trace::Trace;
use axum::extract::State;
use axum::http::HeaderMap;
use candlemill_shared::forms::{Accepted, BatchItem, BatchRequest, FieldErrors, Given, WebhookRequest};
use candlemill_shared::job::{FetchBatch, FetchHistory, Job};
use std::collections::HashSet;

/// Most bytes of this call's body: a fetch has about a hundred.
pub(crate) const LARGEST_BODY: usize = 2 * 1024 * 1024;

/// Submit many backfills as one task
///
/// One progress, one result. The batch is durable when this answers. Each of its fetches becomes a task of its own
/// (`GET /api/tasks?parent=…`); what is asked for twice is fetched once. Cancelling the batch cancels them all.
#[utoipa::path(
    post, path = "/api/market-data/fetch/batch", operation_id = "submit_batch", tag = "backfills", request_body = BatchRequest,
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
pub async fn batch(
    admitted: Admitted,
    State(state): State<Shared>,
    Trace(trace): Trace,
    headers: HeaderMap,
    Body(request): Body<BatchRequest>,
) -> Result<Submitted, Problem> {
    let now = state.clock.now_ms();
    // Before thousands of fetches are looked at.
    state.tiers.admit_batch(admitted.caller.tier, length(&request))?;
    let (job, run_at, webhook) = read(request, now)?;
    let grant = admitted.caller.grant(now);
    let request = Submission { job: &job, run_at, webhook, trace, headers: &headers }.request()?;
    let listings = listings::of(&state, &job.fetches).await?;
    state.service.check(&grant, &request, &listings)?;
    refuse_unknown(&state, &grant, &job.fetches, request.idempotency_key.as_deref()).await?;
    submit(&state, &grant, &request, &listings).await
}

/// How many fetches are asked for.
fn length(request: &BatchRequest) -> usize {
    fn of<T>(given: Option<&Given<Vec<T>>>) -> usize {
        if let Some(Given::Read(list)) = given { list.len() } else { 0 }
    }
    of(request.symbols.as_ref()) + of(request.fetches.as_ref())
}

/// The batch that was asked for; or what is wrong with it.
fn read(request: BatchRequest, now: i64) -> Result<(FetchBatch, RunAt, Option<WebhookRequest>), Problem> {
    let mut wrong = FieldErrors::default();
    let run_at = RunAt::read(request.run_at.clone(), now, &mut wrong);
    let webhook = wrong.optional("webhook", request.webhook.clone());
    let fetches = items(request, &mut wrong);
    let (runs, later) = (run_at.due().unwrap_or(now), run_at.due().is_some());
    let read = fetches.into_iter().filter_map(|(place, item)| {
        let mut wrong_here = FieldErrors::default();
        let fetch = item.read(runs, later, &mut wrong_here);
        for error in wrong_here.into_vec() {
            if let Some(field) = place.of(&error.field) {
                wrong.refuse(field, error.message);
            }
        }
        fetch
    });
    let fetches = without_doubles(read.collect());
    if wrong.is_empty() { Ok((FetchBatch { fetches }, run_at, webhook)) } else { Err(Problem::of_fields(wrong)) }
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
fn items(request: BatchRequest, wrong: &mut FieldErrors) -> Vec<(Place, Wanted)> {
    let BatchRequest { symbols, interval, start, end, fetches, .. } = request;
    match (symbols, fetches) {
        (Some(_), Some(_)) => wrong.refuse("fetches", "cannot stand beside symbols; send one of them"),
        (None, None) => wrong.refuse("fetches", "is missing; send fetches, or symbols with interval and start"),
        (Some(symbols), None) => {
            let symbols = wrong.optional("symbols", Some(symbols));
            if symbols.as_ref().is_some_and(Vec::is_empty) {
                wrong.refuse("symbols", "is empty; name at least one");
            }
            let of = |(index, symbol)| {
                let wanted =
                    Wanted { symbol: Some(symbol), interval: interval.clone(), start: start.clone(), end: end.clone() };
                (Place::Symbols(index), wanted)
            };
            return symbols.unwrap_or_default().into_iter().enumerate().map(of).collect();
        }
        (None, Some(fetches)) => {
            if interval.is_some() || start.is_some() || end.is_some() {
                wrong.refuse("fetches", "have an interval, start and end each; those beside them go with symbols");
                return Vec::new();
            }
            let fetches = wrong.optional("fetches", Some(fetches));
            if fetches.as_ref().is_some_and(Vec::is_empty) {
                wrong.refuse("fetches", "is empty; name at least one");
            }
            let mut of = |(index, item)| {
                let BatchItem { symbol, interval, start, end } =
                    wrong.optional(&format!("fetches[{index}]"), Some(item))?;
                Some((Place::Fetches(index), Wanted { symbol, interval, start, end }))
            };
            return fetches.unwrap_or_default().into_iter().enumerate().filter_map(&mut of).collect();
        }
    }
    Vec::new()
}

fn without_doubles(fetches: Vec<FetchHistory>) -> Vec<FetchHistory> {
    let mut met = HashSet::new();
    fetches.into_iter().filter(|fetch| met.insert(fetch.fingerprint(""))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    const NOW: i64 = 1_700_000_000_000;
    const START: i64 = 1_577_836_800_000;

    fn check(name: &str, request: Value, expected: Result<usize, &[&str]>) {
        let request: BatchRequest = serde_json::from_value(request).unwrap();
        match (read(request, NOW), expected) {
            (Ok((job, ..)), Ok(fetches)) => assert_eq!(job.fetches.len(), fetches, "{name}"),
            (Err(problem), Err(fields)) => assert_eq!(problem.refused(), fields, "{name}: {problem:?}"),
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
        let document = read(request, NOW).unwrap_err().document();
        assert_eq!(document["errors"].as_array().unwrap().len(), 20, "{document}");
        assert!(document["detail"].as_str().unwrap().contains("30 more"), "{document}");
    }
}
