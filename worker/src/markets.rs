//! Keeps the list of markets and the exchange's own weight limit.

use crate::budget::SharedBudget;
use crate::context::Exchanges;
use crate::outcome::with_causes;
use candlemill_shared::Exchange;
use candlemill_store::{Market, Store};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Age at which the list is fetched anew.
const RENEW_MS: i64 = 3_600_000;
/// How often the age, the clock and the limit are looked at.
const LOOK: Duration = Duration::from_secs(60);
/// Wait after a failure.
const AGAIN: Duration = Duration::from_secs(5);
/// One worker fetches for all of them.
const DUTY: &str = "markets:binance";
const DUTY_TERM: Duration = Duration::from_secs(30);

/// What the housekeeping of markets needs.
pub(crate) struct MarketKeeper {
    pub(crate) store: Store,
    pub(crate) exchanges: Exchanges,
    pub(crate) budget: Arc<SharedBudget>,
    pub(crate) worker: String,
    /// A limit from the configuration stands above the exchange's own.
    pub(crate) fixed_limit: Option<u32>,
}

impl MarketKeeper {
    /// Works until `shutdown`.
    pub(crate) async fn run(self, shutdown: CancellationToken) {
        loop {
            let wait = match self.look().await {
                Ok(()) => LOOK,
                Err(problem) => {
                    tracing::warn!(problem, "the list of markets could not be kept");
                    AGAIN
                }
            };
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = shutdown.cancelled() => return,
            }
        }
    }

    async fn look(&self) -> Result<(), String> {
        let time = self.exchanges.binance.server_time().await.map_err(|error| with_causes(&error))?;
        self.budget.set_time(&time);
        let told = |error: &candlemill_store::StoreError| with_causes(error);
        let (renewed, limit) = self.store.markets().renewed(Exchange::Binance).await.map_err(|e| told(&e))?;
        if let (None, Some(limit)) = (self.fixed_limit, limit) {
            self.budget.set_limit(limit);
        }
        if self.store.clock().now_ms() - renewed < RENEW_MS {
            return Ok(());
        }
        if !self.store.lease().take(DUTY, &self.worker, DUTY_TERM).await.map_err(|e| told(&e))? {
            return Ok(());
        }
        let found = self.exchanges.binance.markets().await.map_err(|error| with_causes(&error))?;
        let limit = found.weight_per_minute;
        let markets: Vec<Market> = found
            .markets
            .into_iter()
            .map(|market| Market { status: market.status.to_string(), symbol: market.symbol })
            .collect();
        self.store.markets().replace(Exchange::Binance, &markets, limit).await.map_err(|e| told(&e))?;
        if let (None, Some(limit)) = (self.fixed_limit, limit) {
            self.budget.set_limit(limit);
        }
        tracing::info!(markets = markets.len(), weight_limit = limit, "renewed the list of {} markets", markets.len());
        Ok(())
    }
}
