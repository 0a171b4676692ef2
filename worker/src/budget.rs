//! The shared weight budget, as the exchange client wants it.

use crate::metrics::Metrics;
use candlemill_exchanges::{BudgetError, Grant, ServerTime, WeightBudget};
use candlemill_market_store::{BudgetAnswer, WeightLedger};
use candlemill_shared::Clock;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use std::time::Duration;

/// Doubt about the exchange's clock before it was measured.
const FIRST_UNCERTAINTY_MS: i64 = 1_000;
/// Time that a call may be under way beyond what the clocks leave open.
const TRAVEL_MS: i64 = 100;
/// One part in so many of the limit is left alone: a call that arrives in another minute than it was charged to, because
/// this machine was busy, must not be the one too many.
const MARGIN: u32 = 50;
const FIRST_WAIT: Duration = Duration::from_millis(50);
const LONGEST_WAIT: Duration = Duration::from_secs(2);
/// Callers that waited for a minute's border come back spread over this many ms.
const SPREAD_MS: u64 = 20;

/// Spends from the ledger in Redis that all workers share.
#[derive(Debug)]
pub(crate) struct SharedBudget {
    ledger: WeightLedger,
    clock: Arc<dyn Clock>,
    limit: AtomicU32,
    offset_ms: AtomicI64,
    uncertainty_ms: AtomicI64,
    metrics: Arc<Metrics>,
}

impl SharedBudget {
    pub(crate) fn new(ledger: WeightLedger, clock: Arc<dyn Clock>, limit: u32, metrics: Arc<Metrics>) -> Self {
        Self {
            ledger,
            clock,
            limit: AtomicU32::new(usable(limit)),
            offset_ms: AtomicI64::new(0),
            uncertainty_ms: AtomicI64::new(FIRST_UNCERTAINTY_MS),
            metrics,
        }
    }

    /// Sets the weight that all workers together may spend in a minute.
    pub(crate) fn set_limit(&self, limit: u32) {
        self.limit.store(usable(limit), Ordering::Relaxed);
    }

    /// The weight that all workers together may spend in a minute.
    pub(crate) fn limit(&self) -> u32 {
        self.limit.load(Ordering::Relaxed)
    }

    /// Takes over what was measured of the exchange's clock.
    pub(crate) fn set_time(&self, time: &ServerTime) {
        self.offset_ms.store(time.offset_ms(), Ordering::Relaxed);
        self.uncertainty_ms.store(time.uncertainty_ms() + TRAVEL_MS, Ordering::Relaxed);
    }

    fn exchange_now_ms(&self) -> i64 {
        self.clock.now_ms() + self.offset_ms.load(Ordering::Relaxed)
    }
}

/// What is spent of an exchange's limit.
const fn usable(limit: u32) -> u32 {
    limit - limit / MARGIN
}

impl WeightBudget for SharedBudget {
    async fn acquire(&self, weight: u32) -> Result<Grant, BudgetError> {
        let mut wait = FIRST_WAIT;
        loop {
            let limit = self.limit.load(Ordering::Relaxed);
            let doubt = self.uncertainty_ms.load(Ordering::Relaxed);
            match self.ledger.charge(weight, limit, self.exchange_now_ms(), doubt).await {
                Ok(BudgetAnswer::Granted { minute }) => {
                    self.metrics.weight_spent.inc_by(u64::from(weight));
                    return Ok(Grant { weight, window: minute });
                }
                Ok(BudgetAnswer::Wait { milliseconds, closed }) => {
                    self.metrics.budget_waits.inc();
                    tracing::debug!(milliseconds, closed, "the request weight of this minute is spent");
                    let spread = rand::random_range(0..SPREAD_MS);
                    tokio::time::sleep(Duration::from_millis(milliseconds + spread)).await;
                }
                // Without the shared count no call may be made; the caller's own deadline bounds the wait.
                Err(error) if error.is_unavailable() => {
                    tracing::warn!(%error, "the weight ledger is away; no call is made");
                    tokio::time::sleep(wait).await;
                    wait = (wait * 2).min(LONGEST_WAIT);
                }
                Err(error) => return Err(BudgetError(Box::new(error))),
            }
        }
    }

    async fn settle(&self, grant: Grant, used_weight: Option<u32>) {
        let Some(used) = used_weight else { return };
        // Only a figure of surely the same minute: one of the minute before would close the new one.
        let now = self.exchange_now_ms();
        let doubt = self.uncertainty_ms.load(Ordering::Relaxed);
        let same = (now - doubt).div_euclid(60_000) == grant.window && (now + doubt).div_euclid(60_000) == grant.window;
        if same && let Err(error) = self.ledger.correct(grant.window, used).await {
            tracing::warn!(%error, "the exchange's own weight count was not noted");
        }
    }

    async fn close(&self, wait: Duration) -> Result<(), BudgetError> {
        self.metrics.exchange_closures.inc();
        let milliseconds = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        tracing::warn!(milliseconds, "the exchange wants no calls; closed for all workers");
        self.ledger.close_for(milliseconds).await.map_err(|error| BudgetError(Box::new(error)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearly_all_of_the_limit_is_spent() {
        for (limit, expected) in [(6_000, 5_880), (1_200, 1_176), (10, 10)] {
            assert_eq!(usable(limit), expected);
            assert!(usable(limit) * 100 >= limit * 95);
        }
    }
}
