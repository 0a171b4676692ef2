//! What is known of a market when its absent candles are explained.

use candlemill_exchanges::market::MarketStatus;
use candlemill_exchanges::{CheckedPage, ExchangeError, HistoricalMarketData, MarketFacts};
use candlemill_shared::coverage::Gap;
use candlemill_shared::{Interval, Symbol};
use std::sync::Arc;
use tokio::sync::OnceCell;

/// The facts of one attempt, those that few need asked for once and only then.
#[derive(Debug)]
pub(crate) struct Facts {
    pub(super) symbol: Symbol,
    pub(super) interval: Interval,
    /// Open time of the first candle that the exchange has; `None`: it has none.
    pub(super) first_open: Option<i64>,
    pub(super) status: MarketStatus,
    /// The exchange's clock before candles were asked for, UTC ms.
    pub(super) exchange_now_ms: i64,
    last_open: OnceCell<Option<i64>>,
}

impl Facts {
    pub(super) fn new(
        symbol: Symbol,
        interval: Interval,
        first_open: Option<i64>,
        status: MarketStatus,
        exchange_now_ms: i64,
    ) -> Arc<Self> {
        Arc::new(Self { symbol, interval, first_open, status, exchange_now_ms, last_open: OnceCell::new() })
    }

    /// Open time of the newest candle that the exchange has.
    pub(super) async fn last_open(&self, client: &impl HistoricalMarketData) -> Result<Option<i64>, ExchangeError> {
        self.last_open.get_or_try_init(|| client.last_open(&self.symbol, self.interval)).await.copied()
    }

    pub(super) fn with_last_open(&self, last_open: Option<i64>) -> MarketFacts {
        MarketFacts {
            first_open: self.first_open,
            last_open,
            status: self.status.clone(),
            exchange_now_ms: self.exchange_now_ms,
        }
    }

    /// The absent buckets of a page, each with its reason.
    pub(super) async fn explain(
        &self,
        client: &impl HistoricalMarketData,
        page: &CheckedPage,
    ) -> Result<Vec<Gap>, ExchangeError> {
        // Nothing after the last candle of a market is final as long as it trades: only a later candle proves an outage.
        let trails_off = page.absent.last().is_some_and(|run| run.end >= page.verified_until);
        let last_open = if trails_off { self.last_open(client).await? } else { None };
        Ok(page.gaps(self.interval, &self.with_last_open(last_open)))
    }
}
