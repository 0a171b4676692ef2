//! The REST interface.

use super::calls::{market_call, markets_call, read_candles, read_markets, window_call};
use super::config::BinanceConfig;
use super::http::Reply;
use super::limits::WEIGHT_KLINES;
use super::session::Session;
use crate::budget::WeightBudget;
use crate::counters::CallCounters;
use crate::error::{Answer, ExchangeError, Fault, Refusal};
use crate::historical::HistoricalMarketData;
use crate::market::{Market, Markets};
use crate::page::{CheckedPage, RawPage};
use crate::server_time::ServerTime;
use candlemill_shared::{Clock, Interval, Symbol, TimeRange};
use std::fmt::{self, Debug, Formatter};
use std::sync::Arc;

/// Talks to Binance's REST interface under a rate budget. Clones share connections, budget and the measured clock.
///
/// Every call repeats itself on passing errors as [`RetryPolicy`](crate::backoff::RetryPolicy) says, and closes the budget
/// for all callers when the exchange demands a pause.
pub struct BinanceClient<B> {
    session: Session<B>,
}

impl<B> Clone for BinanceClient<B> {
    fn clone(&self) -> Self {
        Self { session: self.session.clone() }
    }
}

impl<B> Debug for BinanceClient<B> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_tuple("BinanceClient").field(&self.session).finish()
    }
}

impl<B: WeightBudget> BinanceClient<B> {
    /// A client that spends from `budget`.
    ///
    /// # Errors
    /// When TLS cannot be set up, as on a machine without root certificates.
    pub fn new(config: &BinanceConfig, budget: B, clock: Arc<dyn Clock>) -> Result<Self, reqwest::Error> {
        Ok(Self { session: Session::new(config, budget, clock)? })
    }

    /// What its calls are charged to.
    #[must_use]
    pub fn budget(&self) -> &B {
        self.session.budget()
    }
}

impl<B: WeightBudget> HistoricalMarketData for BinanceClient<B> {
    fn for_job(&self, counters: Arc<CallCounters>) -> Self {
        Self { session: self.session.for_job(counters) }
    }

    fn candles_weight(&self) -> u32 {
        WEIGHT_KLINES
    }

    async fn server_time(&self) -> Result<ServerTime, ExchangeError> {
        self.session.server_time().await
    }

    async fn markets(&self) -> Result<Markets, ExchangeError> {
        let markets = self.session.call(&markets_call(), |reply| read_markets(&reply.body)).await?;
        if markets.skipped > 0 {
            tracing::warn!(
                skipped = markets.skipped,
                "left out {} markets whose names are no symbols",
                markets.skipped
            );
        }
        Ok(markets)
    }

    async fn market(&self, symbol: &Symbol) -> Result<Market, ExchangeError> {
        let read = |body: &[u8]| {
            read_markets(body)?.get(symbol).cloned().ok_or_else(|| Fault::Refused {
                refusal: Refusal::UnknownSymbol,
                answer: Answer { status: 200, code: None, message: "the list lacks it".to_owned() },
            })
        };
        self.session.call(&market_call(symbol), |reply| read(&reply.body)).await
    }

    async fn first_open(&self, symbol: &Symbol, interval: Interval) -> Result<Option<i64>, ExchangeError> {
        self.session.first_open(symbol, interval).await
    }

    async fn last_open(&self, symbol: &Symbol, interval: Interval) -> Result<Option<i64>, ExchangeError> {
        self.session.last_open(symbol, interval).await
    }

    async fn any_open_in(
        &self,
        symbol: &Symbol,
        interval: Interval,
        range: TimeRange,
    ) -> Result<Option<i64>, ExchangeError> {
        self.session.any_open_in(symbol, interval, range).await
    }

    async fn klines(&self, symbol: &Symbol, interval: Interval, window: TimeRange) -> Result<RawPage, ExchangeError> {
        let call = window_call(symbol, interval, window)?;
        let time = self.session.server_time().await?;
        let uncertainty_ms = time.uncertainty_ms();
        let read = |reply: &Reply| {
            Ok(RawPage { rows: read_candles(&reply.body)?, asked_at_ms: time.at(reply.sent), uncertainty_ms })
        };
        self.session.call(&call, read).await
    }

    async fn page(&self, symbol: &Symbol, interval: Interval, window: TimeRange) -> Result<CheckedPage, ExchangeError> {
        let mut page = self.session.part(symbol, interval, window).await?;
        while let Some(rest) = page.rest {
            page.append(self.session.part(symbol, interval, rest).await?);
        }
        Ok(page)
    }
}
