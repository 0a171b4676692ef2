//! `PATCH /api/schedules/{id}`: changes a schedule, pauses or resumes it.

use super::owner::{confirm, view};
use super::request::{admit, read};
use super::{changed_meanwhile, no_such_schedule};
use crate::answer::Json;
use crate::caller::Admitted;
use crate::error::Problem;
use crate::input::{Body, SchedulePath};
use crate::state::{AppState, Shared};
use axum::extract::State;
use axum::http::StatusCode;
use candlemill_shared::forms::{FieldErrors, ScheduleChange, ScheduleView};
use candlemill_shared::schedule::{Actor, FireRecord, ScheduleId, ScheduleRecord, ScheduleSpec, ScheduleStop, plan};

/// Fires of which the delay is not over when a schedule is changed: a day of them, one a minute.
const MAX_DELAYED: usize = 1_440;

/// Change a schedule, pause or resume it
///
/// Members that are left out stay. Whatever was due up to now is decided: neither another pattern nor a resumption makes up for it.
#[utoipa::path(
    patch, path = "/api/schedules/{id}", operation_id = "change_schedule", tag = "schedules", request_body = ScheduleChange,
    params(("id" = ScheduleId, Path, description = "Id of the schedule")),
    responses(
        (status = 200, description = "As it is now", body = ScheduleView),
        (status = 403, description = "`tier_limit`: which limit, and which tier lifts it"),
        (status = 404, description = "`schedule_not_found`: none of yours"),
        (status = 409, description = "`schedule_changed`: somebody else changed it; `schedule_paused`: by an operator"),
        (status = 422, description = "`unknown_symbol`, `webhook_refused`, `webhooks_disabled`"),
    ),
    security(("bearer" = []))
)]
pub async fn change_schedule(
    admitted: Admitted,
    State(state): State<Shared>,
    SchedulePath(id): SchedulePath,
    Body(mut request): Body<ScheduleChange>,
) -> Result<Json<ScheduleView>, Problem> {
    let now = state.clock.now_ms();
    let grant = admitted.caller.grant(now);
    let mut wrong = FieldErrors::default();
    let paused = wrong.optional("paused", request.paused.take());
    if !wrong.is_empty() {
        return Err(Problem::of_fields(wrong));
    }
    let found = state.tasks.schedules().get(id, Some(grant.owner())).await?;
    let mut schedule = found.ok_or_else(no_such_schedule)?;
    let by_operator = schedule.paused.as_ref().is_some_and(|stop| stop.by == Actor::Operator);
    if paused == Some(false) && by_operator {
        return Err(Problem::new(StatusCode::CONFLICT, "schedule_paused", "An operator has paused the schedule")
            .detail("What an operator paused only an operator resumes."));
    }
    let spec = read(request, Some(&schedule.spec), now)?;
    let changed = changed(&schedule.spec, &spec);
    let resumes = paused == Some(false) && schedule.paused.is_some();
    if !changed.is_empty() || resumes {
        admit(&state, &grant, &spec, now).await?;
    }
    let before = schedule.clone();
    if !changed.is_empty() {
        schedule.note(now, Actor::Owner, format!("changed {}", changed.join(", ")));
    }
    schedule.spec = spec;
    if let Some(pauses) = paused {
        pause(&mut schedule, pauses, Actor::Owner, now);
    }
    if schedule.revision != before.revision {
        confirm(&state, &admitted).await?;
        write(&state, &before, &mut schedule).await?;
    }
    view(&state, schedule).await.map(Json)
}

/// Lets it rest, or fire again.
pub(crate) fn pause(schedule: &mut ScheduleRecord, pauses: bool, by: Actor, now: i64) {
    if pauses && schedule.paused.is_none() {
        schedule.note(now, by, "paused");
        schedule.paused = Some(ScheduleStop { by, at: now });
    } else if !pauses && schedule.paused.is_some() {
        schedule.note(now, by, "resumed");
        schedule.paused = None;
        schedule.failed_in_a_row = 0;
    }
}

/// Writes a schedule that was `before` as it was read. What was due up to now, and is not decided yet, is recorded first: it was due
/// by the rules that held then. What is due later goes by the new ones.
pub(crate) async fn write(
    state: &AppState,
    before: &ScheduleRecord,
    schedule: &mut ScheduleRecord,
) -> Result<(), Problem> {
    let now = state.tasks.store_clock().now_ms().await?;
    let schedules = state.tasks.schedules();
    schedules.record_fires(&undecided(before, now)).await?;
    schedule.fired_until = schedule.fired_until.max(now);
    schedule.next_at = schedule.next_fire_at();
    if schedules.change(before.revision, schedule).await? { Ok(()) } else { Err(changed_meanwhile()) }
}

/// The fires that were due by `now` (UTC ms) and that no scheduler has recorded yet.
fn undecided(schedule: &ScheduleRecord, now: i64) -> Vec<FireRecord> {
    if schedule.next_fire_at().is_none() {
        return Vec::new();
    }
    let (timing, id) = (&schedule.spec.timing, schedule.id.to_string());
    let plan = plan(timing, schedule.spec.misfire, &id, schedule.fired_until, now);
    let missed = plan.missed.map(|missed| FireRecord::missed(schedule, missed, now));
    let made = plan.fires.into_iter();
    // Due already; their delay is not over.
    let delayed = std::iter::successors(timing.next_after(plan.fired_until), |due| timing.next_after(*due));
    let delayed = delayed.take_while(|due| *due <= now).take(MAX_DELAYED);
    let fires = made.chain(delayed).map(|due| {
        let fire = FireRecord::due(schedule, due, now);
        FireRecord { look_at: Some(fire.fire_at), ..fire }
    });
    missed.into_iter().chain(fires).collect()
}

/// Names of the members that differ.
fn changed(before: &ScheduleSpec, after: &ScheduleSpec) -> Vec<&'static str> {
    let (was, is) = (&before.timing, &after.timing);
    [
        ("name", before.name != after.name),
        ("note", before.note != after.note),
        ("when", was.when != is.when),
        ("start", was.start_at != is.start_at),
        ("end", was.end_at != is.end_at),
        ("jitter", was.jitter_seconds != is.jitter_seconds),
        ("delay", was.delay_seconds != is.delay_seconds),
        ("template", before.template != after.template),
        ("misfire", before.misfire != after.misfire),
        ("overlap", before.overlap != after.overlap),
        ("webhook", before.webhook != after.webhook),
        ("failures", before.failures != after.failures),
    ]
    .into_iter()
    .filter_map(|(name, differs)| differs.then_some(name))
    .collect()
}
