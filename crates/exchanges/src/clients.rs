//! One client for each exchange.

use crate::binance::BinanceClient;
use crate::budget::WeightBudget;
use crate::config::ExchangesConfig;
use crate::counters::CallCounters;
use crate::error::ExchangeError;
use crate::historical::HistoricalMarketData;
use crate::market::{Market, Markets};
use crate::page::{CheckedPage, RawPage};
use crate::server_time::ServerTime;
use candlemill_shared::{Clock, Exchange, Interval, Symbol, TimeRange};
use std::sync::Arc;

/// The client of one exchange, whichever it is.
#[derive(Debug, Clone)]
pub enum ExchangeClient<B> {
    /// Binance spot.
    Binance(BinanceClient<B>),
}

/// The clients of all exchanges. Clones share connections, budgets and measured clocks.
#[derive(Debug, Clone)]
pub struct ExchangeClients<B> {
    binance: ExchangeClient<B>,
}

impl<B: WeightBudget> ExchangeClients<B> {
    /// Clients that spend from the budgets that `budget_of` makes, one for each exchange.
    ///
    /// # Errors
    /// When TLS cannot be set up, as on a machine without root certificates.
    pub fn new(
        config: &ExchangesConfig,
        clock: &Arc<dyn Clock>,
        budget_of: impl Fn(Exchange) -> B,
    ) -> Result<Self, reqwest::Error> {
        let binance = BinanceClient::new(&config.binance, budget_of(Exchange::Binance), Arc::clone(clock))?;
        Ok(Self { binance: ExchangeClient::Binance(binance) })
    }

    /// The client of `exchange`.
    #[must_use]
    pub const fn of(&self, exchange: Exchange) -> &ExchangeClient<B> {
        match exchange {
            Exchange::Binance => &self.binance,
        }
    }
}

impl<B: WeightBudget> ExchangeClient<B> {
    /// What its calls are charged to.
    #[must_use]
    pub fn budget(&self) -> &B {
        match self {
            Self::Binance(client) => client.budget(),
        }
    }
}

impl<B: WeightBudget> HistoricalMarketData for ExchangeClient<B> {
    fn for_job(&self, counters: Arc<CallCounters>) -> Self {
        match self {
            Self::Binance(client) => Self::Binance(client.for_job(counters)),
        }
    }

    fn candles_weight(&self) -> u32 {
        match self {
            Self::Binance(client) => client.candles_weight(),
        }
    }

    async fn server_time(&self) -> Result<ServerTime, ExchangeError> {
        match self {
            Self::Binance(client) => client.server_time().await,
        }
    }

    async fn markets(&self) -> Result<Markets, ExchangeError> {
        match self {
            Self::Binance(client) => client.markets().await,
        }
    }

    async fn market(&self, symbol: &Symbol) -> Result<Market, ExchangeError> {
        match self {
            Self::Binance(client) => client.market(symbol).await,
        }
    }

    async fn first_open(&self, symbol: &Symbol, interval: Interval) -> Result<Option<i64>, ExchangeError> {
        match self {
            Self::Binance(client) => client.first_open(symbol, interval).await,
        }
    }

    async fn last_open(&self, symbol: &Symbol, interval: Interval) -> Result<Option<i64>, ExchangeError> {
        match self {
            Self::Binance(client) => client.last_open(symbol, interval).await,
        }
    }

    async fn any_open_in(
        &self,
        symbol: &Symbol,
        interval: Interval,
        range: TimeRange,
    ) -> Result<Option<i64>, ExchangeError> {
        match self {
            Self::Binance(client) => client.any_open_in(symbol, interval, range).await,
        }
    }

    async fn klines(&self, symbol: &Symbol, interval: Interval, window: TimeRange) -> Result<RawPage, ExchangeError> {
        match self {
            Self::Binance(client) => client.klines(symbol, interval, window).await,
        }
    }

    async fn page(&self, symbol: &Symbol, interval: Interval, window: TimeRange) -> Result<CheckedPage, ExchangeError> {
        match self {
            Self::Binance(client) => client.page(symbol, interval, window).await,
        }
    }
}
