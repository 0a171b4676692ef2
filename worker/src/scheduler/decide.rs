//! Which due instants become fires.

use super::{GROUP, GROUPS, Scheduler};
use candlemill_db::StoreError;
use candlemill_shared::schedule::{FireRecord, FireState, ScheduleRecord, plan};
use futures::future::try_join_all;

impl Scheduler {
    /// Records the fires of all schedules that are due at `now` (UTC ms). Whether there may be more.
    pub(super) async fn decide(&self, now: i64) -> Result<bool, StoreError> {
        for _ in 0..GROUPS {
            let due = self.tasks.schedules().due(now, GROUP).await?;
            if due.is_empty() {
                return Ok(false);
            }
            let is_last = due.len() < GROUP as usize;
            self.record(&due, now).await?;
            if is_last {
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn record(&self, due: &[ScheduleRecord], now: i64) -> Result<(), StoreError> {
        let mut fires = Vec::with_capacity(due.len());
        let mut advances = Vec::with_capacity(due.len());
        for schedule in due {
            let id = schedule.id.to_string();
            let plan = plan(&schedule.spec.timing, schedule.spec.misfire, &id, schedule.fired_until, now);
            if let Some(missed) = plan.missed {
                tracing::warn!(schedule.id = %id, fires = missed.count, "fires were missed: nobody was there to make them in time");
                fires.push(FireRecord::missed(schedule, missed, now));
            }
            fires.extend(plan.fires.iter().map(|due_at| FireRecord::due(schedule, *due_at, now)));
            advances.push((schedule, plan.fired_until, plan.next_fire_at));
        }
        let schedules = self.tasks.schedules();
        schedules.record_fires(&fires).await?;
        for fire in fires.iter().filter(|fire| fire.state == FireState::Missed) {
            self.metrics
                .fires_ended
                .get_or_create(&FireState::Missed.into())
                .inc_by(fire.missed.map_or(1, |missed| missed.count));
        }
        // Only now: a fire that is not recorded is decided again.
        let advanced = advances.into_iter().map(|(schedule, until, next)| schedules.advance(schedule, until, next));
        try_join_all(advanced).await.map(drop)
    }
}
