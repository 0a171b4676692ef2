//! One fire: whether it starts, waits or is passed over; and its submission.

use super::Scheduler;
use super::outcome::end;
use candlemill_db::StoreError;
use candlemill_shared::job::Listings;
use candlemill_shared::range::{TimeRange, rfc3339};
use candlemill_shared::request::TaskRequest;
use candlemill_shared::schedule::{
    FireReason, FireRecord, FireState, MISFIRE_WINDOW_MS, Overlap, ScheduleRecord, Template,
};
use candlemill_shared::task::{TaskId, TaskState};
use candlemill_shared::tier::TierLimits;
use candlemill_tasks::{Grant, OwnerRecord, OwnerState, SubmitError};
use std::collections::HashMap;

/// A claimed fire without a task is submitted anew after this, ms: its scheduler died.
const CLAIMED_MS: i64 = 3_000;
/// Shortest and longest time between two looks at a fire whose task is under way, ms.
const FOLLOW_MS: std::ops::RangeInclusive<i64> = 1_000..=30_000;
/// Time between two tries of a fire that waits, ms.
const OVERLAP_MS: i64 = 1_000;
const QUOTA_MS: i64 = 5_000;

/// What is known of a schedule while its open fires are passed through, the earliest due first.
pub(super) struct Situation<'a> {
    pub(super) scheduler: &'a Scheduler,
    /// `None`: it is gone.
    pub(super) schedule: Option<&'a ScheduleRecord>,
    pub(super) owner: Option<&'a OwnerRecord>,
    /// UTC ms.
    pub(super) now: i64,
    /// Earlier fires whose tasks have not ended.
    pub(super) under_way: Vec<TaskId>,
    /// Whether an earlier fire waits.
    pub(super) waits: bool,
}

/// What is to become of a fire.
enum Decision {
    Start(TimeRange, TaskRequest, Grant),
    Wait(i64, FireReason),
    End(FireState, FireReason),
}

impl Situation<'_> {
    /// A fire whose task was claimed.
    pub(super) async fn follow(
        &mut self,
        fire: FireRecord,
        states: &HashMap<TaskId, TaskState>,
    ) -> Result<(), StoreError> {
        let task = fire.task_id();
        let state = states.get(&task).copied();
        if let Some(outcome) = state.and_then(FireState::of_task) {
            return end(self.scheduler, self.schedule, fire, outcome, None, self.now).await;
        }
        self.under_way.push(task);
        if fire.look_at.is_some_and(|at| at > self.now) {
            return Ok(());
        }
        if state.is_some() {
            let age = self.now - fire.started_at.unwrap_or(self.now);
            let next = (age / 4).clamp(*FOLLOW_MS.start(), *FOLLOW_MS.end());
            let later = FireRecord { look_at: Some(self.now + next), ..fire };
            return self.scheduler.tasks.schedules().change_fire(FireState::Started, &later).await.map(drop);
        }
        // Claimed, and not submitted: the scheduler that claimed it died, or was refused by a store.
        match self.decide(&fire, true).await? {
            Decision::Start(_, request, grant) => self.submit(fire, &request, &grant).await,
            Decision::Wait(..) => Ok(()),
            Decision::End(state, why) => end(self.scheduler, self.schedule, fire, state, Some(why), self.now).await,
        }
    }

    /// A fire that has not started.
    pub(super) async fn consider(&mut self, fire: FireRecord) -> Result<(), StoreError> {
        if fire.look_at.is_some_and(|at| at > self.now) {
            self.waits = true;
            return Ok(());
        }
        let schedules = self.scheduler.tasks.schedules();
        match self.decide(&fire, false).await? {
            Decision::Start(range, request, grant) => {
                let claimed = FireRecord {
                    state: FireState::Started,
                    task: Some(fire.task_id()),
                    range: Some(range),
                    why: None,
                    started_at: Some(self.now),
                    look_at: Some(self.now + CLAIMED_MS),
                    ..fire.clone()
                };
                if schedules.change_fire(fire.state, &claimed).await? {
                    return self.submit(claimed, &request, &grant).await;
                }
                // Another scheduler was quicker.
                self.under_way.push(fire.task_id());
                Ok(())
            }
            Decision::Wait(after_ms, why) => {
                self.waits = true;
                let waiting = FireRecord {
                    state: FireState::Waiting,
                    why: Some(why),
                    look_at: Some(self.now + after_ms),
                    ..fire.clone()
                };
                schedules.change_fire(fire.state, &waiting).await.map(drop)
            }
            Decision::End(state, why) => end(self.scheduler, self.schedule, fire, state, Some(why), self.now).await,
        }
    }

    /// What is to become of `fire`, which was `claimed` before or not.
    async fn decide(&mut self, fire: &FireRecord, claimed: bool) -> Result<Decision, StoreError> {
        let skip = |code: &str, why: String| Decision::End(FireState::Skipped, FireReason::new(code, why));
        let Some(schedule) = self.schedule.filter(|schedule| schedule.deleted_at.is_none()) else {
            return Ok(skip("schedule_deleted", "the schedule was deleted before this fire started".to_owned()));
        };
        if schedule.paused.is_some() && !claimed {
            return Ok(skip("schedule_paused", "the schedule was paused before this fire started".to_owned()));
        }
        let grant = match self.grant() {
            Ok(grant) => grant,
            Err((state, why)) => return Ok(Decision::End(state, why)),
        };
        if !claimed && let Some(decision) = self.overlap(schedule).await? {
            return Ok(decision);
        }
        let template = &schedule.spec.template;
        let limits = self.scheduler.tiers.of(grant.tier());
        let Some(range) = fire.range.or_else(|| range_of(schedule, fire, limits)) else {
            let told = format!("no {} interval has closed since the last success", template.interval());
            return Ok(skip("nothing_new", told));
        };
        self.request(fire, template, range, &grant).await
    }

    /// Whose tier counts.
    fn grant(&self) -> Result<Grant, (FireState, FireReason)> {
        let unconfirmed = |why: String| (FireState::OwnerUnconfirmed, FireReason::new("owner_unconfirmed", why));
        let Some(owner) = self.owner else {
            return Err(unconfirmed("nobody has confirmed the owner's tier; the owner's next request does".to_owned()));
        };
        let suspended = |what: &str| {
            Err((FireState::Refused, FireReason::new("owner_suspended", format!("the schedule's owner {what}"))))
        };
        match owner.state {
            OwnerState::Banned => suspended("is banned"),
            OwnerState::Deleted => suspended("does not exist any more"),
            OwnerState::Active if self.now > self.scheduler.tasks.owners().valid_until(owner) => {
                Err(unconfirmed(format!(
                    "the owner's tier was last confirmed at {}, longer ago than it counts; the owner's next request confirms it",
                    rfc3339(owner.confirmed_at)
                )))
            }
            OwnerState::Active => {
                owner.grant().ok_or_else(|| unconfirmed("the owner may not submit anything".to_owned()))
            }
        }
    }

    /// What the fires before this one make of it; `None`: it may start.
    async fn overlap(&mut self, schedule: &ScheduleRecord) -> Result<Option<Decision>, StoreError> {
        if self.under_way.is_empty() && !self.waits {
            return Ok(None);
        }
        let before = self.under_way.last().map_or_else(
            || "a fire before it still waits".to_owned(),
            |task| format!("the fire before it has not ended (task {task})"),
        );
        let skipped = Decision::End(FireState::Skipped, FireReason::new("overlap", before.clone()));
        let waits = Decision::Wait(OVERLAP_MS, FireReason::new("overlap", before));
        Ok(match schedule.spec.overlap {
            Overlap::Allow => None,
            Overlap::Skip => Some(skipped),
            Overlap::QueueOne if self.waits => Some(skipped),
            Overlap::QueueOne => Some(waits),
            Overlap::CancelRunning if self.under_way.is_empty() => None,
            Overlap::CancelRunning => {
                for task in &self.under_way {
                    self.scheduler.tasks.cancel(*task, &schedule.owner).await?;
                }
                Some(waits)
            }
        })
    }

    /// What is submitted.
    async fn request(
        &self,
        fire: &FireRecord,
        template: &Template,
        range: TimeRange,
        grant: &Grant,
    ) -> Result<Decision, StoreError> {
        let refused = |code: &str, why: String| Decision::End(FireState::Refused, FireReason::new(code, why));
        let market = &self.scheduler.market;
        let symbols = match template.quote_asset() {
            None => Vec::new(),
            Some(quote) => match market.markets().trading_against(template.exchange(), quote).await? {
                Some(symbols) if symbols.is_empty() => {
                    let told = format!("{} trades nothing against {quote}", template.exchange());
                    return Ok(refused("no_symbols", told));
                }
                Some(symbols) => symbols,
                None if self.now - fire.fire_at > MISFIRE_WINDOW_MS => {
                    return Ok(refused("no_markets", format!("the markets of {} are not known", template.exchange())));
                }
                None => {
                    let told = format!("the markets of {} are not known yet", template.exchange());
                    return Ok(Decision::Wait(QUOTA_MS, FireReason::new("no_markets", told)));
                }
            },
        };
        if matches!(template, Template::Study(_)) {
            let limit = self.scheduler.tiers.of(grant.tier()).stored_studies;
            if market.studies().count(grant.owner(), limit).await? >= u64::from(limit) {
                return Ok(refused("tier_limit", self.scheduler.tiers.too_many_studies(grant.tier()).detail));
            }
        }
        match template.request(range, symbols) {
            Ok(request) => Ok(Decision::Start(range, request, grant.clone())),
            Err(error) => Ok(refused("invalid_request", error.to_string())),
        }
    }

    /// Submits a claimed fire.
    async fn submit(&mut self, fire: FireRecord, request: &TaskRequest, grant: &Grant) -> Result<(), StoreError> {
        let submitted = self.scheduler.service.submit_fire(grant, &fire, request, &Listings::default()).await;
        let schedules = self.scheduler.tasks.schedules();
        match submitted {
            Ok(submitted) => {
                let lag = self.now - fire.fire_at;
                self.scheduler.metrics.fires_started.inc();
                self.scheduler.metrics.fire_lag_seconds.observe(seconds(lag));
                tracing::info!(
                    schedule.id = %fire.schedule, task.id = %submitted.record.id, due_at = rfc3339(fire.due_at), lag_ms = lag,
                    "a fire has started"
                );
                self.under_way.push(submitted.record.id);
                Ok(())
            }
            Err(SubmitError::TooManyTasks) if self.now - fire.fire_at <= MISFIRE_WINDOW_MS => {
                self.waits = true;
                let told =
                    "half of the tasks that the owner may have under way are: the other half is not for schedules";
                let waiting = FireRecord {
                    state: FireState::Waiting,
                    task: None,
                    started_at: None,
                    why: Some(FireReason::new("quota", told)),
                    look_at: Some(self.now + QUOTA_MS),
                    ..fire
                };
                schedules.change_fire(FireState::Started, &waiting).await.map(drop)
            }
            Err(SubmitError::Store(error)) if error.is_unavailable() => {
                // It stays claimed; the next look submits it.
                tracing::warn!(schedule.id = %fire.schedule, %error, "a fire is recorded and not submitted yet");
                self.under_way.push(fire.task_id());
                Ok(())
            }
            Err(refusal) => {
                let why = FireReason::new(refusal.code(), refusal.to_string());
                end(self.scheduler, self.schedule, fire, FireState::Refused, Some(why), self.now).await
            }
        }
    }
}

fn range_of(schedule: &ScheduleRecord, fire: &FireRecord, limits: &TierLimits) -> Option<TimeRange> {
    let template = &schedule.spec.template;
    template.range().at(template.interval(), fire.due_at, schedule.covered_until, limits.longest_range_candles)
}

/// A number of milliseconds as seconds.
fn seconds(ms: i64) -> f64 {
    let ms = u32::try_from(ms.max(0)).unwrap_or(u32::MAX);
    f64::from(ms) / 1_000.0
}
