//! The scheduler: makes the fires of schedules, each exactly once, on any number of workers.
//!
//! A look has two halves. *Decide*: of every schedule that is due, the due instants up to now become fires, recorded before the
//! schedule moves on. *Act*: every open fire is started, made to wait, or settled after the end of its task. Both only read what is
//! stored and write guarded changes, so a scheduler may die between any two steps, or find that another one was quicker. The lease
//! saves work and guards nothing: without Redis everyone acts.

mod act;
mod decide;
mod fire;
mod outcome;

use crate::metrics::Metrics;
use crate::outcome::with_causes;
use candlemill_db::StoreError;
use candlemill_market_store::MarketStore;
use candlemill_shared::tier::TierTable;
use candlemill_tasks::{StoreClock, TaskEngine, TaskService};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Longest time between two looks.
const LOOK: Duration = Duration::from_secs(1);
/// Shortest time between two looks.
const AT_ONCE: Duration = Duration::from_millis(20);
const LEASE: &str = "scheduler";
const LEASE_TERM: Duration = Duration::from_secs(3);
/// Schedules, or fires, that are handled together.
const GROUP: u32 = 500;
/// Groups of one look: what is left waits for the next.
const GROUPS: usize = 64;

/// Makes the fires of schedules.
#[derive(Debug)]
pub struct Scheduler {
    tasks: TaskEngine,
    service: TaskService,
    market: MarketStore,
    tiers: Arc<TierTable>,
    clock: StoreClock,
    metrics: Arc<Metrics>,
}

impl Scheduler {
    /// A scheduler that goes by the store's clock.
    #[must_use]
    pub(crate) fn new(
        tasks: &TaskEngine,
        service: TaskService,
        market: MarketStore,
        tiers: Arc<TierTable>,
        metrics: Arc<Metrics>,
    ) -> Self {
        let clock = tasks.store_clock().clone();
        Self { tasks: tasks.clone(), service, market, tiers, clock, metrics }
    }

    /// One that goes by `clock`, for tests.
    #[must_use]
    pub fn by_clock(
        tasks: &TaskEngine,
        service: TaskService,
        market: MarketStore,
        tiers: Arc<TierTable>,
        clock: StoreClock,
    ) -> Self {
        let metrics = Arc::new(Metrics::new());
        Self { tasks: tasks.clone(), service, market, tiers, clock, metrics }
    }

    /// Looks until `shutdown`, as `worker` while that holds the lease.
    pub(crate) async fn run(self, worker: Arc<str>, shutdown: CancellationToken) {
        let mut wait = LOOK;
        loop {
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = shutdown.cancelled() => return,
            }
            wait = LOOK;
            match self.tasks.db().lease().take(LEASE, &worker, LEASE_TERM).await {
                Ok(false) => continue,
                Ok(true) => {}
                Err(error) => tracing::debug!(%error, "no lease without Redis: every scheduler acts"),
            }
            tokio::select! {
                looked = self.look() => match looked {
                    Ok(next) => wait = next,
                    Err(error) => {
                        tracing::warn!(error = with_causes(&error), "the scheduler broke off; it looks again in a second");
                    }
                },
                () = shutdown.cancelled() => return,
            }
        }
    }

    /// Decides what is due, and acts on what is open. Returns how long to wait for the next look.
    ///
    /// # Errors
    /// When MongoDB fails; the next look goes on where this one stopped.
    pub async fn look(&self) -> Result<Duration, StoreError> {
        let now = self.clock.now_ms().await?;
        let mut more = self.decide(now).await?;
        more |= self.act(now).await?;
        if more {
            return Ok(AT_ONCE);
        }
        // The next fire of all may come before the next look.
        let next = self.tasks.schedules().next_at().await?;
        let until = next.map_or(LOOK, |at| Duration::from_millis(u64::try_from(at - now).unwrap_or(0)));
        Ok(until.clamp(AT_ONCE, LOOK))
    }
}
