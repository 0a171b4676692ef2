//! Beside a running worker: moves what is due in bounded steps, removes what is finished, and sees whether the worker works.

use super::counters::InboxCounters;
use super::generation::Beat;
use super::handler::Running;
use super::store::Store;
use candlemill_db::StoreError;
use candlemill_shared::Clock;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::time::MissedTickBehavior;

/// How often due messages are moved.
const TICK: Duration = Duration::from_millis(250);
/// The rest is done every so many ticks.
const ROUND: u32 = 4;
/// Lost workers are looked for every so many ticks.
const LOST_ROUND: u32 = 120;
/// A worker that gives no sign of life for so long, though Redis answers, hangs.
const SILENT: Duration = Duration::from_secs(6);
/// A message that a worker holds for so long without a handler was lost on its way.
const UNHANDLED: Duration = Duration::from_secs(5);
/// A worker of another process that was started so long ago is registered, or lost.
const REGISTERED_MS: i64 = 60_000;
/// How long finished messages are kept for producers that wait for their results, and how many at most.
const KEPT: Duration = Duration::from_secs(60);
const KEPT_AT_MOST: usize = 10_000;
/// Steps of a purge, and of moves, before something else has its turn.
const STEPS: usize = 10;

/// Moves all that is due, step by step.
pub(super) async fn move_all_due(store: &Store, counters: &InboxCounters) -> Result<(), StoreError> {
    loop {
        let (moved, more) = store.move_due().await?;
        counters.promoted.inc_by(moved as u64);
        if !more {
            return Ok(());
        }
    }
}

/// What is looked after.
pub(super) struct Watched<'a> {
    pub(super) store: &'a Store,
    pub(super) counters: &'a InboxCounters,
    pub(super) clock: &'a Arc<dyn Clock>,
    pub(super) name: &'a str,
}

impl Watched<'_> {
    /// Returns why the worker is to be ended.
    pub(super) async fn until_it_hangs(&self, beat: &Beat, running: &Running) -> String {
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut unhandled, mut finished_at, mut dead_at) = (HashMap::new(), 0, 0);
        for tick in 0_u32.. {
            ticks.tick().await;
            let done = async {
                move_all_due(self.store, self.counters).await?;
                if tick % ROUND == 0 {
                    finished_at = self.purge(finished_at).await?;
                    dead_at = self.revive(dead_at).await?;
                    self.look_for_unhandled(running, &mut unhandled).await?;
                    let depth = self.store.depth().await?;
                    self.counters.waiting.set(depth.waiting.cast_signed());
                    self.counters.postponed.set(depth.postponed.cast_signed());
                }
                if tick % LOST_ROUND == LOST_ROUND - 1 {
                    self.end_lost_workers().await?;
                }
                Ok::<_, StoreError>(())
            };
            if let Err(error) = done.await {
                // The worker's own calls fail as well, and end it.
                tracing::debug!(%error, "the inbox is not looked after at the moment");
                continue;
            }
            if beat.age() > SILENT {
                return format!("no heartbeat for {} s, though Redis answers", beat.age().as_secs());
            }
            if unhandled.values().any(|since: &Instant| since.elapsed() > UNHANDLED) {
                return "it holds a message that was lost on the way to its handler".to_owned();
            }
        }
        String::new()
    }

    async fn purge(&self, mut from: u64) -> Result<u64, StoreError> {
        for _ in 0..STEPS {
            let (next, removed) = self.store.purge(from, KEPT, KEPT_AT_MOST).await?;
            self.counters.purged.inc_by(removed);
            from = next;
            if from == 0 {
                break;
            }
        }
        Ok(from)
    }

    async fn revive(&self, from: u64) -> Result<u64, StoreError> {
        let (next, found) = self.store.revive(from).await?;
        if found > 0 {
            tracing::warn!(messages = found, "messages of the inbox that apalis gave up are tried again");
        }
        Ok(next)
    }

    async fn look_for_unhandled(
        &self,
        running: &Running,
        unhandled: &mut HashMap<String, Instant>,
    ) -> Result<(), StoreError> {
        let held = self.store.held_by(self.name).await?;
        let lacks_handler = |id: &String| !running.has(id);
        let held = held.iter().map(|id| String::from_utf8_lossy(id).into_owned()).filter(lacks_handler);
        let before = std::mem::take(unhandled);
        unhandled.extend(held.map(|id| {
            let since = before.get(&id).copied().unwrap_or_else(Instant::now);
            (id, since)
        }));
        Ok(())
    }

    /// Those that other processes left behind and apalis itself did not clear away.
    async fn end_lost_workers(&self) -> Result<(), StoreError> {
        for lost in self.store.lost_workers(self.clock.now_ms() - REGISTERED_MS).await? {
            let returned = self.store.leave(&lost).await?;
            self.counters.returned.inc_by(returned);
            tracing::info!(worker = lost, messages = returned, "a lost worker of the inbox was cleared away");
        }
        Ok(())
    }
}
