//! `POST /api/schedules/{id}/run`: fires a schedule by hand.

use super::no_such_schedule;
use super::owner::confirm;
use super::request::{FireRequest, NoRequest, fire_request};
use crate::caller::Admitted;
use crate::error::Problem;
use crate::input::SchedulePath;
use crate::market_data::submission::{Submitted, idempotency_key, of_submitted};
use crate::state::Shared;
use crate::trace::Trace;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use candlemill_shared::forms::Accepted;
use candlemill_shared::job::Listings;
use candlemill_shared::request::TaskRequest;
use candlemill_shared::schedule::{FireRecord, FireState, ScheduleId};
use candlemill_tasks::SubmitError;
use sha2::{Digest, Sha256};
use ulid::Ulid;

/// A run whose API process died is submitted by a scheduler after this, ms.
const CLAIMED_MS: i64 = 10_000;

/// Fire a schedule now
///
/// As if it were due at this moment, whatever it rests or overlaps; its next fires stay as they are. The caller's tier counts.
#[utoipa::path(
    post, path = "/api/schedules/{id}/run", operation_id = "run_schedule", tag = "schedules",
    params(
        ("id" = ScheduleId, Path, description = "Id of the schedule"),
        ("Idempotency-Key" = Option<String>, Header, description = "Makes a repeated call the same fire",
            min_length = 1, max_length = 255),
    ),
    responses(
        (status = 202, description = "Accepted", body = Accepted, headers(("Location" = String, description = "The task's record"))),
        (status = 403, description = "`tier_limit`: which limit, and which tier lifts it"),
        (status = 404, description = "`schedule_not_found`: none of yours"),
        (status = 409, description = "`nothing_to_run`: no interval has closed, or no symbol is known"),
    ),
    security(("bearer" = []))
)]
pub async fn run_schedule(
    admitted: Admitted,
    State(state): State<Shared>,
    Trace(trace): Trace,
    SchedulePath(id): SchedulePath,
    headers: HeaderMap,
) -> Result<Submitted, Problem> {
    let now = state.clock.now_ms();
    let grant = admitted.caller.grant(now);
    let key = idempotency_key(&headers)?;
    let schedules = state.tasks.schedules();
    let schedule = schedules.get(id, Some(grant.owner())).await?.ok_or_else(no_such_schedule)?;
    let asked = fire_request(&state, &grant, &schedule.spec.template, now, schedule.covered_until).await?;
    let FireRequest { range, request } = asked.map_err(|nothing| {
        let interval = schedule.spec.template.interval();
        Problem::new(StatusCode::CONFLICT, "nothing_to_run", "There is nothing to run").detail(match nothing {
            NoRequest::NothingNew => format!("No {interval} interval has closed since the last success."),
            NoRequest::NoSymbols => "No symbol trades against the quote asset.".to_owned(),
            NoRequest::NoMarkets => "The exchange's markets are not known yet; try again in a minute.".to_owned(),
        })
    })?;
    let request = TaskRequest { trace_id: Some(trace.to_string()), ..request };
    state.service.check(&grant, &request, &Listings::default())?;
    let run = match &key {
        Some(key) => hex::encode(Sha256::digest(key)),
        None => Ulid::generate().to_string(),
    };
    let mut fire = FireRecord {
        id: format!("{id}_run_{run}"),
        fire_at: now,
        manual: true,
        state: FireState::Started,
        range: Some(range),
        started_at: Some(now),
        look_at: Some(now + CLAIMED_MS),
        ..FireRecord::due(&schedule, now, now)
    };
    if !schedules.record_fires(std::slice::from_ref(&fire)).await? {
        // The same call once more: its first time counts.
        fire = schedules.fire(&fire.id).await?.ok_or_else(no_such_schedule)?;
    }
    fire.task = Some(fire.task_id());
    confirm(&state, &admitted).await?;
    match state.service.submit_fire(&grant, &fire, &request, &Listings::default()).await {
        Ok(submitted) => {
            schedules.change_fire(FireState::Started, &fire).await?;
            Ok(of_submitted(&state, submitted))
        }
        Err(SubmitError::Store(error)) => Err(error.into()),
        Err(refusal) => {
            let why = candlemill_shared::schedule::FireReason::new(refusal.code(), refusal.to_string());
            let refused = FireRecord {
                state: FireState::Refused,
                task: None,
                why: Some(why),
                started_at: None,
                ended_at: Some(now),
                look_at: None,
                ..fire
            };
            schedules.change_fire(FireState::Started, &refused).await?;
            Err(match refusal {
                SubmitError::TooManyTasks => state.tiers.too_many_jobs(grant.tier()).into(),
                other => other.into(),
            })
        }
    }
}
