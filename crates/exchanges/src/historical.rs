//! What every exchange can be asked about its past.

use crate::counters::CallCounters;
use crate::error::ExchangeError;
use crate::market::{Market, Markets};
use crate::page::{CheckedPage, RawPage};
use crate::server_time::ServerTime;
use candlemill_shared::{Interval, Symbol, TimeRange};
use std::sync::Arc;

/// Markets and candles of one exchange, asked for under its rate budget.
///
/// Times are UTC ms. Passing errors are overcome within a call, so an error means that its attempts or its time are used up,
/// or that asking again brings the same; [`ExchangeError::disposition`] says which. A pause that the exchange demands is made
/// known to the budget before the call goes on or ends. Every returned future may be dropped at any point.
pub trait HistoricalMarketData: Sized + Send + Sync + 'static {
    /// The same client, counting its calls on `counters`.
    #[must_use]
    fn for_job(&self, counters: Arc<CallCounters>) -> Self;

    /// Request weight of one call for candles, at least 1.
    fn candles_weight(&self) -> u32;

    /// What the exchange's clock shows: measured, or as it was measured some minutes ago. Only a time that is certain
    /// enough to call a candle final by it.
    ///
    /// # Errors
    /// When the exchange does not tell, or its answers are not to be believed.
    fn server_time(&self) -> impl Future<Output = Result<ServerTime, ExchangeError>> + Send;

    /// Every market, and the weight limit. A large answer; for one market there is [`Self::market`].
    ///
    /// # Errors
    /// When the exchange does not tell.
    fn markets(&self) -> impl Future<Output = Result<Markets, ExchangeError>> + Send;

    /// The market of that name.
    ///
    /// # Errors
    /// [`Refusal::UnknownSymbol`](crate::error::Refusal::UnknownSymbol) when there is none; or when the exchange does not
    /// tell.
    fn market(&self, symbol: &Symbol) -> impl Future<Output = Result<Market, ExchangeError>> + Send;

    /// Open time of the first candle that the exchange has; `None` when it has none. Two answers must say so.
    ///
    /// # Errors
    /// When the symbol is unknown, the exchange does not tell, or its answers go on contradicting each other.
    fn first_open(
        &self,
        symbol: &Symbol,
        interval: Interval,
    ) -> impl Future<Output = Result<Option<i64>, ExchangeError>> + Send;

    /// Open time of the newest candle, which may still form; `None` when the exchange has none. Two answers must say so.
    ///
    /// # Errors
    /// As [`Self::first_open`].
    fn last_open(
        &self,
        symbol: &Symbol,
        interval: Interval,
    ) -> impl Future<Output = Result<Option<i64>, ExchangeError>> + Send;

    /// First open time inside `range`; `None` when the exchange shows no candle there, which one answer does not prove.
    /// One call, whatever the length; for asking cheaply whether a long absence still stands. No call for an empty range.
    ///
    /// # Errors
    /// When the symbol is unknown or the exchange does not tell.
    fn any_open_in(
        &self,
        symbol: &Symbol,
        interval: Interval,
        range: TimeRange,
    ) -> impl Future<Output = Result<Option<i64>, ExchangeError>> + Send;

    /// The rows whose open times lie in `window`, parsed and not judged. The window holds at most
    /// [`PAGE_BUCKETS`](candlemill_shared::PAGE_BUCKETS) buckets.
    ///
    /// # Errors
    /// When the window is empty or too long, the symbol is unknown, or the exchange does not answer.
    fn klines(
        &self,
        symbol: &Symbol,
        interval: Interval,
        window: TimeRange,
    ) -> impl Future<Output = Result<RawPage, ExchangeError>> + Send;

    /// The checked candles of `window`, which holds at most [`PAGE_BUCKETS`](candlemill_shared::PAGE_BUCKETS) buckets. A
    /// page that is not believed is fetched again; one that the answer had no room for is completed, so its `rest` is always
    /// `None`. Where closed buckets lack a row, a second, differently bounded call is made: only what both answers lack is
    /// absent.
    ///
    /// # Errors
    /// As [`Self::klines`]; and when the page is not to be believed however often it is fetched.
    fn page(
        &self,
        symbol: &Symbol,
        interval: Interval,
        window: TimeRange,
    ) -> impl Future<Output = Result<CheckedPage, ExchangeError>> + Send;
}
