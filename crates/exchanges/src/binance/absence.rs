//! One answer is no proof of absence (rule 8): what has no row in one answer is asked for a second time with other
//! bounds, and only what both lack is absent.

use super::calls::{candles_call, read_candles, window_call};
use super::limits::PAGE_CANDLES;
use super::session::Session;
use crate::backoff::Delays;
use crate::budget::WeightBudget;
use crate::error::{ExchangeError, Fault};
use crate::page::{AnsweredPage, CheckedPage, FINAL_AFTER_MS, PageFault, check_order};
use candlemill_shared::range::rfc3339;
use candlemill_shared::{Candle, Interval, Symbol, TimeRange};

/// Most steps towards the first or last candle. Two answers of a sound exchange need one; every further step means that
/// an answer left rows out.
const MAX_STEPS: u32 = 8;

/// What a call for one candle may answer.
struct One<'a> {
    /// Parameters beside symbol and interval.
    bounds: &'a str,
    /// Open times that fit them.
    window: TimeRange,
    /// What it asks for, in messages.
    which: &'a str,
}

impl<B: WeightBudget> Session<B> {
    /// Open time of the first candle that the exchange has; `None` when it has none. Two answers must say so.
    ///
    /// # Errors
    /// When the symbol is unknown, the exchange does not tell, or its answers go on contradicting each other.
    pub(super) async fn first_open(&self, symbol: &Symbol, interval: Interval) -> Result<Option<i64>, ExchangeError> {
        // Rule 2.
        let mut first = self.oldest(symbol, interval, i64::MAX).await?;
        if first.is_none() {
            first = self.newest(symbol, interval).await?;
        }
        let Some(mut first) = first else { return Ok(None) };
        for _ in 0..MAX_STEPS {
            if first <= 0 {
                return Ok(Some(first));
            }
            let bounds = format!("&endTime={}", first - 1);
            let before =
                One { bounds: &bounds, window: TimeRange::new(i64::MIN, first), which: "candle before the first" };
            let Some(earlier) = self.one_open(symbol, interval, before).await? else { return Ok(Some(first)) };
            // That is the latest of them; the oldest may be far.
            first = self.oldest(symbol, interval, earlier).await?.unwrap_or(earlier);
        }
        Err(Self::unsettled(symbol, interval, "first candle", first))
    }

    /// Open time of the newest candle, which may still form; `None` when the exchange has none. Two answers must say so.
    ///
    /// # Errors
    /// As [`Self::first_open`].
    pub(super) async fn last_open(&self, symbol: &Symbol, interval: Interval) -> Result<Option<i64>, ExchangeError> {
        // Rule 2.
        let mut last = self.newest(symbol, interval).await?;
        if last.is_none() {
            last = self.oldest(symbol, interval, i64::MAX).await?;
        }
        let Some(mut last) = last else { return Ok(None) };
        for _ in 0..MAX_STEPS {
            let bounds = format!("&startTime={}", last + 1);
            let after =
                One { bounds: &bounds, window: TimeRange::new(last + 1, i64::MAX), which: "candle after the last" };
            let Some(later) = self.one_open(symbol, interval, after).await? else { return Ok(Some(last)) };
            last = self.newest(symbol, interval).await?.map_or(later, |newest| newest.max(later));
        }
        Err(Self::unsettled(symbol, interval, "last candle", last))
    }

    /// First open time inside `range`; `None` when the exchange shows no candle there, which one answer does not prove.
    /// One call, whatever the length; for asking cheaply whether a long absence still stands. No call for an empty range.
    ///
    /// # Errors
    /// When the symbol is unknown or the exchange does not tell.
    pub(super) async fn any_open_in(
        &self,
        symbol: &Symbol,
        interval: Interval,
        range: TimeRange,
    ) -> Result<Option<i64>, ExchangeError> {
        let window = TimeRange::new(range.start.max(0), range.end);
        if window.is_empty() {
            return Ok(None);
        }
        // Rule 1.
        let bounds = format!("&startTime={}&endTime={}", window.start, window.end - 1);
        let which = format!("first candle in {window}");
        self.one_open(symbol, interval, One { bounds: &bounds, window, which: &which }).await
    }

    /// Open time of the first candle up to `until`, inclusive.
    async fn oldest(&self, symbol: &Symbol, interval: Interval, until: i64) -> Result<Option<i64>, ExchangeError> {
        let bounds =
            if until == i64::MAX { "&startTime=0".to_owned() } else { format!("&startTime=0&endTime={until}") };
        let window = TimeRange::new(i64::MIN, until.saturating_add(1));
        self.one_open(symbol, interval, One { bounds: &bounds, window, which: "first candle" }).await
    }

    async fn newest(&self, symbol: &Symbol, interval: Interval) -> Result<Option<i64>, ExchangeError> {
        let window = TimeRange::new(i64::MIN, i64::MAX);
        self.one_open(symbol, interval, One { bounds: "", window, which: "newest candle" }).await
    }

    async fn one_open(&self, symbol: &Symbol, interval: Interval, one: One<'_>) -> Result<Option<i64>, ExchangeError> {
        let parameters = format!("{}&limit=1", one.bounds);
        let call = candles_call(symbol, interval, &parameters, &format!(", {}", one.which));
        self.call(&call, |reply| {
            let open = read_candles(&reply.body)?.first().map(|row| row.open_time);
            match open.filter(|open| !one.window.contains(*open)) {
                Some(open_time) => Err(Fault::Page(PageFault::OutsideWindow { row: 0, open_time })),
                None => Ok(open),
            }
        })
        .await
    }

    fn unsettled(symbol: &Symbol, interval: Interval, which: &str, open_time: i64) -> ExchangeError {
        let call = candles_call(symbol, interval, "", &format!(", {which}")).name;
        ExchangeError { call, fault: Fault::Page(PageFault::Unsettled { open_time }) }
    }

    /// The page of one window, as far as one answer has room for it.
    pub(super) async fn part(
        &self,
        symbol: &Symbol,
        interval: Interval,
        window: TimeRange,
    ) -> Result<CheckedPage, ExchangeError> {
        let call = window_call(symbol, interval, window)?;
        let time = self.server_time().await?;
        let (retry, limit) = (self.retry(), PAGE_CANDLES as usize);
        let mut delays = Delays::new(retry.first_delay, retry.longest_delay);
        let mut attempt = 1;
        loop {
            let answered = self.call(&call, |reply| {
                let final_until_ms = time.at(reply.sent) - time.uncertainty_ms() - FINAL_AFTER_MS;
                AnsweredPage::new(interval, window, read_candles(&reply.body)?, final_until_ms, limit)
                    .map_err(Fault::Page)
            });
            let answered = answered.await?;
            if !answered.lacks_rows() {
                return Ok(answered.judge());
            }
            let other = self.latest(symbol, interval, answered.answered_until()).await?;
            match answered.join(other, limit) {
                Ok(joined) => return Ok(joined.judge()),
                Err(fault) if attempt >= retry.attempts => {
                    return Err(ExchangeError { call: call.name, fault: Fault::Page(fault) });
                }
                Err(fault) => tracing::debug!(call = call.name, attempt, "{fault}"),
            }
            // Which of the two answers is wrong is not known: both are asked for again.
            attempt += 1;
            self.count_retry();
            tokio::time::sleep(delays.next_delay()).await;
        }
    }

    /// The latest rows that open before `end`, ascending.
    async fn latest(&self, symbol: &Symbol, interval: Interval, end: i64) -> Result<Vec<Candle>, ExchangeError> {
        // Rule 1.
        let bounds = format!("&endTime={}&limit={PAGE_CANDLES}", end - 1);
        let call = candles_call(symbol, interval, &bounds, &format!(" before {}", rfc3339(end)));
        self.call(&call, |reply| {
            let rows = read_candles(&reply.body)?;
            check_order(TimeRange::new(i64::MIN, end), &rows).map_err(Fault::Page)?;
            Ok(rows)
        })
        .await
    }
}
