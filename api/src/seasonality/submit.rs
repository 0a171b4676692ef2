//! `POST /api/seasonality`: submits a study.

use crate::caller::Admitted;
use crate::error::Problem;
use crate::input::Body;
use crate::market_data::run_at::RunAt;
use crate::market_data::submission::{Submission, Submitted, submit};
use crate::market_data::{listings, wanted};
use crate::state::Shared;
use crate::trace::Trace;
use axum::extract::State;
use axum::http::HeaderMap;
use candlemill_shared::Timestamp;
use candlemill_shared::forms::{Accepted, FetchStart, FieldErrors, Given, StudyRequest, WebhookRequest};
use candlemill_shared::job::{EARLIEST_MS, SeasonalityStudy, Start, USUAL_DRAWS, USUAL_SEED};
use candlemill_shared::range::rfc3339;
use candlemill_shared::study::Study;

/// Submit a study
///
/// Calendar effects and two trading rules over the candles of one symbol and interval. What the ledger lacks of the range is fetched
/// first. The task is durable when this answers; what it found is read by its id.
#[utoipa::path(
    post, path = "/api/seasonality", operation_id = "submit_study", tag = "seasonality", request_body = StudyRequest,
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
pub async fn submit_study(
    admitted: Admitted,
    State(state): State<Shared>,
    Trace(trace): Trace,
    headers: HeaderMap,
    Body(request): Body<StudyRequest>,
) -> Result<Submitted, Problem> {
    let now = state.clock.now_ms();
    let grant = admitted.caller.grant(now);
    let (job, run_at, webhook) = read(request, now)?;
    let due = run_at.due().unwrap_or(now);
    let request = Submission { job: &job, run_at, webhook, trace, headers: &headers }.request()?;
    let fetch = [job.fetch(due)];
    let listings = listings::of(&state, &fetch).await?;
    state.service.check(&grant, &request, &listings)?;
    let limit = state.tiers.of(grant.tier()).stored_studies;
    if state.market.studies().count(grant.owner(), limit).await? >= u64::from(limit) {
        return Err(state.tiers.too_many_studies(grant.tier()).into());
    }
    wanted::refuse_unknown(&state, &grant, &fetch, request.idempotency_key.as_deref()).await?;
    submit(&state, &grant, &request, &listings).await
}

/// The job that was asked for; or every field that is wrong.
fn read(request: StudyRequest, now: i64) -> Result<(SeasonalityStudy, RunAt, Option<WebhookRequest>), Problem> {
    let mut wrong = FieldErrors::default();
    let StudyRequest { symbol, interval, start, end, time_zone, studies, draws, seed, run_at, webhook } = request;
    let run_at = RunAt::read(run_at, now, &mut wrong);
    // The time that counts as "now" when it runs.
    let now = run_at.due().unwrap_or(now);
    let symbol = wrong.required("symbol", symbol);
    let interval = wrong.required("interval", interval);
    let start = wrong.optional("start", start).map(|start| match start {
        FetchStart::At(at) => Start::At(at.ms()),
        FetchStart::Listing => Start::Listing,
    });
    let end = wrong.optional("end", end).map(Timestamp::ms).filter(|end| *end < now);
    let first = match start {
        Some(Start::At(ms)) => ms,
        Some(Start::Listing) | None => EARLIEST_MS,
    };
    if first >= now {
        wrong.refuse("start", format!("lies in the future; it runs at {}", rfc3339(now)));
    } else if let Some(end) = end.filter(|end| first >= *end) {
        let field = if start.is_some() { "start" } else { "end" };
        wrong.refuse(
            field,
            format!("the range is empty: start {} must lie before end {}", rfc3339(first), rfc3339(end)),
        );
    }
    let time_zone = wrong.optional("time_zone", time_zone).unwrap_or_default();
    let studies = read_studies(studies, &mut wrong);
    let draws = wrong.optional("draws", draws).unwrap_or(USUAL_DRAWS);
    let seed = wrong.optional("seed", seed).unwrap_or(USUAL_SEED);
    let webhook = wrong.optional("webhook", webhook);
    // Parameters are looked at also where the series cannot be read.
    let (Some(symbol), Some(interval), Some(studies)) = (symbol, interval, studies) else {
        return Err(Problem::of_fields(wrong));
    };
    let job = SeasonalityStudy {
        exchange: Default::default(),
        symbol,
        interval,
        start,
        end,
        time_zone,
        studies,
        draws,
        seed,
    };
    if first < now && end.is_none_or(|end| first < end) {
        for (field, why) in job.faults(now) {
            wrong.refuse(field, why);
        }
    }
    if wrong.is_empty() { Ok((job, run_at, webhook)) } else { Err(Problem::of_fields(wrong)) }
}

/// The studies, each read for itself.
fn read_studies(given: Option<Given<Vec<Given<Study>>>>, wrong: &mut FieldErrors) -> Option<Vec<Study>> {
    if given.is_none() {
        return Some(Study::all());
    }
    let listed = wrong.optional("studies", given)?;
    let all = listed.len();
    let read: Vec<Study> = listed
        .into_iter()
        .enumerate()
        .filter_map(|(at, study)| wrong.optional(&format!("studies[{at}]"), Some(study)))
        .collect();
    (read.len() == all).then_some(read)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    const NOW: i64 = 1_700_000_000_000;

    fn check(name: &str, request: Value, expected: &[&str]) {
        let request: StudyRequest = serde_json::from_value(request).unwrap();
        let refused = read(request, NOW).map_or_else(|problem| problem.refused(), |_| Vec::new());
        assert_eq!(refused, expected, "{name}");
    }

    #[test]
    fn requests() {
        let with = |more: Value| {
            let mut request = json!({"symbol": "btcusdt", "interval": "1h"});
            request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            request
        };
        check("two members are enough", with(json!({})), &[]);
        check("nothing", json!({}), &["symbol", "interval"]);
        check("a zone", with(json!({"time_zone": "Europe/Berlin"})), &[]);
        check("no zone", with(json!({"time_zone": "Mars/Olympus"})), &["time_zone"]);
        check("too little data", with(json!({"start": NOW - 3_600_000 * 10})), &["start", "start", "start"]);
        check(
            "fast above slow",
            with(json!({"studies": [{"study": "sma_crossover", "fast": 50, "slow": 20}]})),
            &["studies[0].fast"],
        );
        check(
            "negative fee",
            with(json!({"studies": [{"study": "mean_reversion", "fee_bps": -1}]})),
            &["studies[0].fee_bps"],
        );
        check("twice", with(json!({"studies": [{"study": "calendar"}, {"study": "calendar"}]})), &["studies[1]"]);
        check("unknown study", with(json!({"studies": [{"study": "moon"}]})), &["studies[0]"]);
        check("unknown parameter", with(json!({"studies": [{"study": "calendar", "moon": 1}]})), &["studies[0]"]);
        check("no study", with(json!({"studies": []})), &["studies"]);
        check("absurd draws", with(json!({"draws": 1_000_000})), &["draws"]);
        check("draws below 0", with(json!({"draws": -1})), &["draws"]);
        let all = json!({"symbol": "", "interval": "7m", "start": true, "end": [], "time_zone": 5, "studies": 3, "draws": "x", "seed": -1});
        check("all at once", all, &["symbol", "interval", "start", "end", "time_zone", "studies", "draws", "seed"]);
        check("future start", with(json!({"start": NOW + 1})), &["start"]);
        check("empty range", with(json!({"start": NOW - 1_000, "end": NOW - 2_000})), &["start"]);
        check(
            "days in another zone",
            json!({"symbol": "BTCUSDT", "interval": "1d", "time_zone": "Asia/Tokyo"}),
            &["time_zone"],
        );
        let minutes = json!({"studies": [{"study": "calendar", "groupings": ["minute_of_hour"]}]});
        check("what makes no sense for hours", with(minutes), &["studies[0].groupings"]);
    }
}
