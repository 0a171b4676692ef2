//! Owners of schedules: what Supabase last said of them, and asking again without them.

use crate::auth::{Authenticator, CurrentUser};
use crate::caller::Admitted;
use crate::error::Problem;
use crate::state::AppState;
use candlemill_db::StoreError;
use candlemill_shared::forms::{ScheduleState, ScheduleView};
use candlemill_shared::schedule::ScheduleRecord;
use candlemill_tasks::{OwnerRecord, OwnerState, TaskEngine};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use ulid::Ulid;

/// Owners of schedules are asked for again after this.
const ASK_AGAIN_MS: i64 = 15 * 60_000;
/// Time between two looks for such owners.
const LOOK: Duration = Duration::from_secs(60);
const LEASE: &str = "owners";
const LEASE_TERM: Duration = Duration::from_secs(150);
/// Owners that one look asks for.
const AT_ONCE: u32 = 200;

/// Writes down that Supabase has just confirmed the caller, and follows it from now on: it has a schedule.
pub(super) async fn confirm(state: &AppState, admitted: &Admitted) -> Result<(), StoreError> {
    let caller = &admitted.caller;
    let now = state.clock.now_ms();
    let owner =
        OwnerRecord { id: caller.user_id.to_string(), tier: caller.tier, state: OwnerState::Active, confirmed_at: now };
    state.tasks.owners().confirm(&owner).await?;
    state.tasks.owners().follow(&owner.id, now).await
}

/// Schedules as they are shown: with what is known of their owners.
pub(crate) async fn views(state: &AppState, schedules: Vec<ScheduleRecord>) -> Result<Vec<ScheduleView>, Problem> {
    let owners = state.tasks.owners();
    let known = owners.many(schedules.iter().map(|schedule| schedule.owner.as_str()).collect()).await?;
    let now = state.clock.now_ms();
    let view = |schedule: ScheduleRecord| {
        let owner = known.get(&schedule.owner);
        let valid_until = owner.map(|owner| owners.valid_until(owner));
        let owner_state = match owner.map(|owner| owner.state) {
            Some(OwnerState::Active) if valid_until.is_some_and(|until| now > until) => {
                Some(ScheduleState::Unconfirmed)
            }
            Some(OwnerState::Active) => None,
            Some(OwnerState::Banned | OwnerState::Deleted) => Some(ScheduleState::Suspended),
            None => Some(ScheduleState::Unconfirmed),
        };
        ScheduleView::new(schedule, owner_state, valid_until)
    };
    Ok(schedules.into_iter().map(view).collect())
}

/// One schedule as it is shown.
pub(super) async fn view(state: &AppState, schedule: ScheduleRecord) -> Result<ScheduleView, Problem> {
    views(state, vec![schedule]).await?.pop().ok_or_else(super::no_such_schedule)
}

/// Asks Supabase for owners of schedules, where that is possible without their tokens.
#[derive(Debug)]
pub struct Refresher {
    /// Who can ask.
    pub auth: Arc<Authenticator>,
    /// Where the answers go.
    pub tasks: TaskEngine,
}

impl Refresher {
    /// Asks until `stopping`; at once over, where nobody can be asked.
    pub async fn run(self, stopping: CancellationToken) {
        if !self.auth.can_ask_for_users() {
            return;
        }
        let holder = format!("api-{}", Ulid::generate());
        loop {
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                () = stopping.cancelled() => return,
            }
            // Without Redis every process asks: rarely, and harmlessly.
            if matches!(self.tasks.db().lease().take(LEASE, &holder, LEASE_TERM).await, Ok(false)) {
                continue;
            }
            tokio::select! {
                looked = self.look() => if let Err(error) = looked {
                    tracing::warn!(%error, "owners of schedules were not asked for; again in a minute");
                },
                () = stopping.cancelled() => return,
            }
        }
    }

    /// Asks for those that were not asked for within the last 15 minutes.
    ///
    /// # Errors
    /// When MongoDB fails.
    pub async fn look(&self) -> Result<(), StoreError> {
        let (owners, clock) = (self.tasks.owners(), self.tasks.clock());
        let due = owners.to_refresh(clock.now_ms() - ASK_AGAIN_MS, AT_ONCE).await?;
        for owner in due {
            let (state, tier) = match self.auth.ask_for_user(&owner.id).await {
                Ok(CurrentUser::Active(tier)) => (OwnerState::Active, tier),
                Ok(CurrentUser::Banned) => (OwnerState::Banned, owner.tier),
                Ok(CurrentUser::Deleted) => (OwnerState::Deleted, owner.tier),
                Err(error) => {
                    // What was confirmed counts on.
                    tracing::warn!(%error, "Supabase does not say what tier an owner of schedules has");
                    return Ok(());
                }
            };
            let now = clock.now_ms();
            if (state, tier) != (owner.state, owner.tier) {
                tracing::info!(owner = owner.id, ?state, %tier, "an owner of schedules has another tier or state");
            }
            owners.confirm(&OwnerRecord { id: owner.id.clone(), tier, state, confirmed_at: now }).await?;
            let still = self.tasks.schedules().count(&owner.id, 1).await? > 0;
            owners.refreshed(&owner.id, now, still).await?;
        }
        Ok(())
    }
}
