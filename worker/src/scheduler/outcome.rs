//! The end of a fire, and what it means for its schedule.

use super::Scheduler;
use candlemill_db::StoreError;
use candlemill_shared::schedule::{Actor, FireRange, FireReason, FireRecord, FireState, ScheduleRecord, ScheduleStop};
use candlemill_shared::webhook::Webhook;
use candlemill_tasks::FireSelection;

/// Fires that are looked back upon to count failures.
const LOOKED_BACK: u32 = 100;

/// Writes that `fire` has ended so. What follows for the schedule is written first: it may be written twice, the end once.
pub(super) async fn end(
    scheduler: &Scheduler,
    schedule: Option<&ScheduleRecord>,
    fire: FireRecord,
    state: FireState,
    why: Option<FireReason>,
    now: i64,
) -> Result<(), StoreError> {
    let schedules = scheduler.tasks.schedules();
    let mut ended = FireRecord { state, why, ended_at: Some(now), look_at: None, ..fire.clone() };
    if !matches!(state, FireState::Succeeded | FireState::Failed | FireState::Cancelled) {
        // Claimed, perhaps, and never submitted.
        ended.task = None;
        ended.started_at = None;
    }
    if let Some(schedule) = schedule {
        if state == FireState::Succeeded {
            let follows = matches!(schedule.spec.template.range(), FireRange::SinceLastSuccess(_));
            let covered = fire.range.map(|range| range.end).filter(|_| follows);
            if covered.is_some() || schedule.failed_in_a_row > 0 {
                schedules.note_outcome(schedule.id, 0, covered).await?;
            }
        } else if state.is_failure() {
            let failed = failures(scheduler, schedule, &fire).await?;
            schedules.note_outcome(schedule.id, failed, None).await?;
            if schedule.spec.failures.alert_after == Some(failed) {
                ended.alert = schedule.spec.webhook.clone().map(|url| Webhook::new(url).due(failed, now));
            }
            if schedule.paused.is_none() && schedule.spec.failures.pause_after.is_some_and(|after| failed >= after) {
                pause(scheduler, schedule, failed, now).await?;
            }
        }
    }
    if schedules.change_fire(fire.state, &ended).await? {
        scheduler.metrics.fires_ended.get_or_create(&state.into()).inc();
        if state != FireState::Succeeded {
            let why = ended.why.as_ref().map_or("", |why| why.detail.as_str());
            tracing::info!(schedule.id = %fire.schedule, state = state.as_str(), why, "a fire has ended");
        }
    }
    Ok(())
}

/// Failed fires in a row, with `fire`, which fails now.
async fn failures(scheduler: &Scheduler, schedule: &ScheduleRecord, fire: &FireRecord) -> Result<u32, StoreError> {
    let newest = FireSelection { schedule: schedule.id, before: None, limit: LOOKED_BACK };
    let newest = scheduler.tasks.schedules().fires(newest).await?;
    let others = newest.iter().filter(|other| other.id != fire.id);
    let told = others.filter(|other| other.state.is_failure() || other.state == FireState::Succeeded);
    let failed = told.take_while(|other| other.state.is_failure()).count();
    Ok(u32::try_from(failed).unwrap_or(u32::MAX).saturating_add(1))
}

async fn pause(scheduler: &Scheduler, schedule: &ScheduleRecord, failed: u32, now: i64) -> Result<(), StoreError> {
    let mut paused = schedule.clone();
    paused.paused = Some(ScheduleStop { by: Actor::Failures, at: now });
    paused.next_at = None;
    paused.failed_in_a_row = failed;
    paused.note(now, Actor::Failures, format!("paused after {failed} failed fires in a row"));
    if scheduler.tasks.schedules().change(schedule.revision, &paused).await? {
        tracing::warn!(schedule.id = %schedule.id, failed, "a schedule is paused: too many of its fires failed in a row");
    }
    Ok(())
}
