//! What is done about fires that have not ended.

use super::fire::Situation;
use super::{GROUP, GROUPS, Scheduler};
use candlemill_db::StoreError;
use candlemill_shared::schedule::{FireRecord, FireState, ScheduleId};
use candlemill_shared::task::TaskId;
use futures::{StreamExt, TryStreamExt};
use std::collections::{BTreeSet, HashMap};

/// Schedules that are acted upon at once: their submissions share journal writes.
const AT_ONCE: usize = 256;
/// Open fires of a group's schedules that are looked at together.
const MAX_OPEN: u32 = 20_000;

impl Scheduler {
    /// Acts on all open fires whose time has come at `now` (UTC ms). Whether there may be more.
    pub(super) async fn act(&self, now: i64) -> Result<bool, StoreError> {
        for _ in 0..GROUPS {
            let fires = self.tasks.schedules().fires_to_look_at(now, GROUP).await?;
            if fires.is_empty() {
                return Ok(false);
            }
            let is_last = fires.len() < GROUP as usize;
            self.act_on(&fires, now).await?;
            if is_last {
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn act_on(&self, fires: &[FireRecord], now: i64) -> Result<(), StoreError> {
        let ids: Vec<ScheduleId> =
            fires.iter().map(|fire| fire.schedule).collect::<BTreeSet<_>>().into_iter().collect();
        let owners = fires.iter().map(|fire| fire.owner.as_str()).collect();
        let schedules = self.tasks.schedules();
        let (known, open, owners) = tokio::try_join!(
            schedules.many(&ids),
            schedules.open_fires(&ids, MAX_OPEN),
            self.tasks.owners().many(owners)
        )?;
        let started: Vec<TaskId> = open.iter().filter_map(|fire| fire.task).collect();
        let states = self.tasks.records().states(&started).await?;
        let mut of_schedules: HashMap<ScheduleId, Vec<FireRecord>> = HashMap::new();
        for fire in open {
            of_schedules.entry(fire.schedule).or_default().push(fire);
        }
        let (known, owners, states) = (&known, &owners, &states);
        let each = of_schedules.into_iter().map(|(id, fires)| async move {
            let owner = fires.first().and_then(|fire| owners.get(&fire.owner));
            let mut situation = Situation {
                scheduler: self,
                schedule: known.get(&id),
                owner,
                now,
                under_way: Vec::new(),
                waits: false,
            };
            // In the order in which they were due: an earlier one decides what becomes of a later one.
            for fire in fires {
                match fire.state {
                    FireState::Started => situation.follow(fire, states).await?,
                    _ => situation.consider(fire).await?,
                }
            }
            Ok::<_, StoreError>(())
        });
        futures::stream::iter(each).buffer_unordered(AT_ONCE).try_collect().await
    }
}
