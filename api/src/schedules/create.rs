//! `POST /api/schedules`: creates a schedule.

use super::owner::{confirm, view};
use super::request::{admit, read};
use crate::answer::Json;
use crate::caller::Admitted;
use crate::error::Problem;
use crate::input::Body;
use crate::state::Shared;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use candlemill_shared::forms::{ScheduleChange, ScheduleRequest, ScheduleView};
use candlemill_shared::schedule::{Actor, ScheduleId, ScheduleRecord, ScheduleStop};

/// Create a schedule
///
/// From the answer on it submits a task each time that it is due: exactly one, however many workers there are. The answer says the
/// pattern in words and shows the next five fires.
#[utoipa::path(
    post, path = "/api/schedules", operation_id = "create_schedule", tag = "schedules", request_body = ScheduleRequest,
    responses(
        (status = 201, description = "Created", body = ScheduleView,
            headers(("Location" = String, description = "The schedule"))),
        (status = 403, description = "`tier_limit`: which limit, and which tier lifts it"),
        (status = 422, description = "`unknown_symbol`, `webhook_refused`, `webhooks_disabled`"),
    ),
    security(("bearer" = []))
)]
pub async fn create_schedule(
    admitted: Admitted,
    State(state): State<Shared>,
    Body(mut request): Body<ScheduleChange>,
) -> Result<Response, Problem> {
    let now = state.clock.now_ms();
    let grant = admitted.caller.grant(now);
    let paused = request.paused.take();
    let mut wrong = candlemill_shared::forms::FieldErrors::default();
    let paused = wrong.optional("paused", paused).unwrap_or(false);
    if !wrong.is_empty() {
        return Err(Problem::of_fields(wrong));
    }
    let spec = read(request, None, now)?;
    let limit = state.tiers.of(grant.tier()).schedules;
    if state.tasks.schedules().count(grant.owner(), limit).await? >= u64::from(limit) {
        return Err(state.tiers.too_many_schedules(grant.tier()).into());
    }
    admit(&state, &grant, &spec, now).await?;
    // By the clock that judges what is due: a machine whose clock is ahead shall not pass anything over.
    let fired_until = state.tasks.store_clock().now_ms().await?;
    let mut schedule = ScheduleRecord {
        id: ScheduleId::new(now),
        owner: grant.owner().to_owned(),
        revision: 0,
        spec,
        paused: paused.then_some(ScheduleStop { by: Actor::Owner, at: now }),
        fired_until,
        next_at: None,
        covered_until: None,
        failed_in_a_row: 0,
        deleted_at: None,
        created_at: now,
        updated_at: now,
        events: Vec::new(),
    };
    schedule.note(now, Actor::Owner, "created");
    schedule.next_at = schedule.next_fire_at();
    confirm(&state, &admitted).await?;
    state.tasks.schedules().create(&schedule).await?;
    let location = format!("/api/schedules/{}", schedule.id);
    let view = view(&state, schedule).await?;
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(view)).into_response())
}
