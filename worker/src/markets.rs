//! Keeps the list of markets and the exchange's own weight limit, and finds out about symbols that the list lacks.

use crate::budget::SharedBudget;
use crate::outcome::with_causes;
use crate::store_retry::retry_until_cancelled;
use candlemill_db::{Db, StoreError};
use candlemill_exchanges::market::MarketStatus;
use candlemill_exchanges::{Answer, ExchangeClient, ExchangeError, Fault, HistoricalMarketData, Refusal};
use candlemill_market_store::{ListRenewal, Market, MarketLookup, MarketStore, Series};
use candlemill_shared::range::rfc3339;
use candlemill_shared::{Exchange, Interval, Symbol};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Age at which the list is fetched anew.
const RENEW_MS: i64 = 3_600_000;
/// How often the age, the clock and the limit are looked at.
const LOOK: Duration = Duration::from_secs(60);
/// Wait after a failure.
const AGAIN: Duration = Duration::from_secs(5);
/// How long the lease of [`lease_name`] lasts.
const LEASE_TERM: Duration = Duration::from_secs(30);

/// `markets:binance`: the lease of the one worker that fetches the exchange's list for all of them.
fn lease_name(exchange: Exchange) -> String {
    format!("markets:{exchange}")
}

/// What the housekeeping of one exchange's markets needs.
pub(crate) struct MarketKeeper {
    pub(crate) exchange: Exchange,
    pub(crate) db: Db,
    pub(crate) market: MarketStore,
    pub(crate) client: ExchangeClient<Arc<SharedBudget>>,
    pub(crate) worker: String,
    /// A limit from the configuration stands above the exchange's own.
    pub(crate) fixed_limit: Option<u32>,
}

impl MarketKeeper {
    /// Works until `shutdown`.
    pub(crate) async fn run(self, shutdown: CancellationToken) {
        loop {
            let wait = match self.look().await {
                Ok(wait) => wait,
                Err(problem) => {
                    tracing::warn!(problem, "the list of markets of {} could not be kept", self.exchange);
                    AGAIN
                }
            };
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = shutdown.cancelled() => return,
            }
        }
    }

    /// Returns when to look again.
    async fn look(&self) -> Result<Duration, String> {
        let (exchange, budget) = (self.exchange, self.client.budget());
        let time = self.client.server_time().await.map_err(|error| with_causes(&error))?;
        budget.set_time(&time);
        let told = |error: &StoreError| with_causes(error);
        let (renewed, limit) = self.market.markets().renewed(exchange).await.map_err(|e| told(&e))?;
        if let (None, Some(limit)) = (self.fixed_limit, limit) {
            budget.set_limit(limit);
        }
        if self.db.clock().now_ms() - renewed < RENEW_MS {
            return Ok(LOOK);
        }
        if !self.db.lease().take(&lease_name(exchange), &self.worker, LEASE_TERM).await.map_err(|e| told(&e))? {
            return Ok(LOOK);
        }
        let found = self.client.markets().await.map_err(|error| with_causes(&error))?;
        let limit = found.weight_per_minute;
        let markets: Vec<Market> = found.markets.into_iter().map(as_stored).collect();
        let renewal = self.market.markets().renew(exchange, &markets, limit).await.map_err(|e| told(&e))?;
        if let ListRenewal::Doubted { known, missing, found, seen_at, confirmed_from } = renewal {
            tracing::warn!(
                known,
                missing,
                found,
                "{exchange} lists {found} markets and lacks {missing} of the {known} that were known; the list before stays \
                 unless it still says so at {} (it did first at {})",
                rfc3339(confirmed_from),
                rfc3339(seen_at)
            );
            return Ok(until(confirmed_from, self.db.clock().now_ms()));
        }
        if let (None, Some(limit)) = (self.fixed_limit, limit) {
            budget.set_limit(limit);
        }
        tracing::info!(
            markets = markets.len(),
            weight_limit = limit,
            "renewed the list of {exchange}'s {} markets",
            markets.len()
        );
        Ok(LOOK)
    }
}

/// From `now_ms` to `time_ms`, at least a moment and at most [`LOOK`].
fn until(time_ms: i64, now_ms: i64) -> Duration {
    let wait = u64::try_from(time_ms.saturating_sub(now_ms)).unwrap_or(0);
    Duration::from_millis(wait).clamp(Duration::from_millis(100), LOOK)
}

/// The market as the store keeps it.
fn as_stored(market: candlemill_exchanges::Market) -> Market {
    Market { status: market.status.to_string(), assets: Some(market.assets), symbol: market.symbol }
}

/// The status of a symbol that has candles, and that the exchange does not list any more.
const DELISTED: &str = "DELISTED";
/// A symbol whose newest candle opened within this time (or within two of its intervals) is not delisted, whatever the
/// exchange lists: its list has been wrong before.
const TRADED_LATELY_MS: i64 = 86_400_000;

/// Why nothing is known of a market.
#[derive(Debug)]
pub(crate) enum MarketError {
    Exchange(ExchangeError),
    Store(StoreError),
}

impl From<ExchangeError> for MarketError {
    fn from(error: ExchangeError) -> Self {
        Self::Exchange(error)
    }
}

impl From<StoreError> for MarketError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// What it takes to find out about a market.
pub(crate) struct MarketSource<'a> {
    pub(crate) market: &'a MarketStore,
    pub(crate) client: ExchangeClient<Arc<SharedBudget>>,
    /// Cancelled when the answer is not needed any more.
    pub(crate) give_up: &'a CancellationToken,
}

/// Whether the market of `symbol` trades: by the list, by what the exchange said of the symbol lately, or by its word now,
/// which is remembered. A symbol that it does not list but has candles of `interval` of is delisted.
///
/// # Errors
/// The exchange's refusal ([`Refusal::UnknownSymbol`]), now or minutes ago, when it knows no such symbol; or when the exchange or the store does
/// not answer.
pub(crate) async fn status_of(
    source: &MarketSource<'_>,
    exchange: Exchange,
    symbol: &Symbol,
    interval: Interval,
) -> Result<MarketStatus, MarketError> {
    let MarketSource { market, client, give_up } = source;
    match retry_until_cancelled(give_up, || market.markets().lookup(exchange, symbol)).await? {
        MarketLookup::Listed(listed) => return Ok(MarketStatus::of(&listed.status)),
        MarketLookup::Refused { asked_at, .. } => return Err(refused_before(symbol, asked_at).into()),
        MarketLookup::Unknown | MarketLookup::NoList => {}
    }
    let unknown = match client.market(symbol).await {
        Ok(found) => {
            let status = found.status.clone();
            let found = as_stored(found);
            retry_until_cancelled(give_up, || market.markets().remember_market(exchange, &found)).await?;
            return Ok(status);
        }
        Err(error) if is_unknown_symbol(&error) => error,
        Err(error) => return Err(error.into()),
    };
    let series = Series::new(exchange, symbol.clone(), interval);
    match first_open(source, &series).await {
        Ok(Some(_)) => {}
        Ok(None) => return Err(refused(source, &series, unknown).await),
        Err(MarketError::Exchange(error)) if is_unknown_symbol(&error) => {
            return Err(refused(source, &series, error).await);
        }
        Err(error) => return Err(error),
    }
    let last_open = client.last_open(symbol, interval).await?;
    let now = client.server_time().await?.now_ms();
    let lately = interval.advance(interval.bucket_start(now), -2).min(now - TRADED_LATELY_MS);
    if last_open.is_some_and(|last| last >= lately) {
        tracing::warn!(%symbol, "the exchange does not list a symbol that it has new candles of; it is taken to trade");
        return Ok(MarketStatus::Trading);
    }
    let delisted = Market { symbol: symbol.clone(), status: DELISTED.to_owned(), assets: None };
    retry_until_cancelled(give_up, || market.markets().remember_market(exchange, &delisted)).await?;
    Ok(MarketStatus::Stopped(DELISTED.to_owned()))
}

/// First open time of a series: as it is known, or as the exchange says, which is remembered. Tasks of this process that
/// want to know at once make one call.
///
/// # Errors
/// When the symbol is unknown, or the exchange or the store does not answer.
pub(crate) async fn first_open(source: &MarketSource<'_>, series: &Series) -> Result<Option<i64>, MarketError> {
    let MarketSource { market, client, give_up } = source;
    if let Some(known) = retry_until_cancelled(give_up, || market.markets().first_open(series)).await? {
        return Ok(Some(known));
    }
    let ask = || async { Ok(client.first_open(&series.symbol, series.interval).await?) };
    market.markets().first_open_or(series, ask).await
}

/// The exchange's refusal, as it is remembered: others have asked a moment ago.
fn refused_before(symbol: &Symbol, asked_at: i64) -> ExchangeError {
    let message = format!("it said at {} that it has no such symbol", rfc3339(asked_at));
    let fault = Fault::Refused { refusal: Refusal::UnknownSymbol, answer: Answer { status: 400, code: None, message } };
    ExchangeError { call: format!("exchange info of {symbol}"), fault }
}

/// Remembers that there is no such symbol, as `error` says.
async fn refused(source: &MarketSource<'_>, series: &Series, error: ExchangeError) -> MarketError {
    let Series { exchange, symbol, .. } = series;
    let markets = source.market.markets();
    let remembered = retry_until_cancelled(source.give_up, || markets.remember_unknown(*exchange, symbol)).await;
    remembered.map_or_else(MarketError::from, |()| error.into())
}

fn is_unknown_symbol(error: &ExchangeError) -> bool {
    matches!(error.fault, Fault::Refused { refusal: Refusal::UnknownSymbol, .. })
}
