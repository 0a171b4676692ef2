//! Asks the exchanges again for what they lacked: an hour, a day and a month after it was first seen, and for holes that the
//! audit found. At most one part in [`SHARE`] of an exchange's weight limit goes into it.

use crate::budget::SharedBudget;
use crate::context::WorkerContext;
use crate::jobs::{PER_PAGE, PageLeases};
use crate::outcome::with_causes;
use crate::store_retry::retry_briefly;
use candlemill_db::StoreError;
use candlemill_exchanges::{Disposition, ExchangeClient, ExchangeError, HistoricalMarketData, check_page};
use candlemill_market_store::{Observation, Series};
use candlemill_shared::coverage::{Gap, GapReason};
use candlemill_shared::range::{normalise, subtract};
use candlemill_shared::task::TaskId;
use candlemill_shared::{Exchange, TimeRange};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// One part in so many of the weight limit: 2 %.
const SHARE: u32 = 50;
/// Looks in a minute.
const LOOKS: u32 = 12;
/// Chunks of the ledger whose gaps one look takes up.
const CHUNKS: u32 = 50;
/// Holes that wait to be fetched; further ones are left to the next fetch of their series.
const MAX_HOLES: usize = 1_000;

pub(super) struct Recheck {
    context: WorkerContext,
    holes: VecDeque<(Series, TimeRange)>,
}

/// Calls that one look may still make to each exchange.
struct Calls(HashMap<Exchange, u32>);

impl Calls {
    fn new(context: &WorkerContext) -> Self {
        let of = |exchange| {
            let client = context.resources.exchanges.of(exchange);
            (client.budget().limit() / SHARE / LOOKS / client.candles_weight()).max(1)
        };
        Self(Exchange::ALL.map(|exchange| (exchange, of(exchange))).into())
    }

    /// Whether there is one more call to `exchange`, which is taken.
    fn take(&mut self, exchange: Exchange) -> bool {
        self.0.get_mut(&exchange).filter(|left| **left > 0).map(|left| *left -= 1).is_some()
    }

    /// No more calls to `exchange`.
    fn end(&mut self, exchange: Exchange) {
        self.0.remove(&exchange);
    }

    fn are_spent(&self) -> bool {
        self.0.values().all(|left| *left == 0)
    }
}

/// What ends a look early.
enum Stop {
    Exchange(ExchangeError),
    Store(StoreError),
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<ExchangeError> for Stop {
    fn from(error: ExchangeError) -> Self {
        Self::Exchange(error)
    }
}

impl Recheck {
    pub(super) fn new(context: WorkerContext) -> Self {
        Self { context, holes: VecDeque::new() }
    }

    /// Asks for `holes`, then for what is due, as far as the weight goes.
    pub(super) async fn look(&mut self, holes: Vec<(Series, TimeRange)>) -> Result<(), StoreError> {
        let pages = holes.into_iter().flat_map(|(series, hole)| {
            series.interval.blocks(hole, PER_PAGE).map(move |page| (series.clone(), page)).collect::<Vec<_>>()
        });
        self.holes.extend(pages.take(MAX_HOLES.saturating_sub(self.holes.len())));
        let mut calls = Calls::new(&self.context);
        let mut next = 0;
        while let Some((series, page)) = self.holes.get(next).cloned() {
            if !calls.take(series.exchange) {
                next += 1;
                continue;
            }
            match self.page(&series, page, &[]).await {
                Ok(()) => drop(self.holes.remove(next)),
                Err(stop) => self.stopped(stop, &series, &mut calls)?,
            }
        }
        if calls.are_spent() {
            return Ok(());
        }
        let now = self.context.tasks.clock().now_ms();
        for (series, gaps) in self.context.resources.market.coverage().due_gaps(now, CHUNKS).await? {
            for neighbours in together(&series, gaps) {
                if !calls.take(series.exchange) {
                    break;
                }
                match self.ask(&series, &neighbours).await {
                    Ok(()) => drop(self.context.metrics.absences_rechecked.inc_by(neighbours.len() as u64)),
                    Err(Stop::Exchange(error)) if error.disposition() == Disposition::Permanent => {
                        // It says nothing of this symbol any more, so it cannot say anything else of its absences.
                        tracing::info!(error = with_causes(&error), "absent candles of {series} cannot be asked for");
                        self.confirm(&series, &neighbours).await?;
                    }
                    Err(stop) => self.stopped(stop, &series, &mut calls)?,
                }
            }
        }
        Ok(())
    }

    /// What its exchange could not answer now is left to the next look, and so is all else of that exchange.
    fn stopped(&mut self, stop: Stop, series: &Series, calls: &mut Calls) -> Result<(), StoreError> {
        match stop {
            Stop::Store(error) => Err(error),
            Stop::Exchange(error) => {
                calls.end(series.exchange);
                tracing::warn!(error = with_causes(&error), "absent candles of {series} could not be asked for now");
                if error.disposition() == Disposition::Permanent {
                    self.holes.retain(|(other, _)| other != series);
                }
                Ok(())
            }
        }
    }

    /// Asks for neighbouring gaps by one call.
    async fn ask(&self, series: &Series, gaps: &[Gap]) -> Result<(), Stop> {
        let (Some(first), Some(last)) = (gaps.first(), gaps.last()) else { return Ok(()) };
        let range = TimeRange::new(first.range.start, last.range.end);
        if series.interval.count(range) <= u64::from(PER_PAGE) {
            return self.page(series, range, gaps).await;
        }
        // However long: the exchange need only name one candle of it.
        let Some(open) = self.client(series).any_open_in(&series.symbol, series.interval, range).await? else {
            return Ok(self.confirm(series, gaps).await?);
        };
        let bucket = series.interval.bucket_start(open);
        tracing::warn!(open_time = open, "the exchange has candles of {series} now that it lacked before");
        self.context.metrics.absences_refuted.inc();
        let coverage = self.context.resources.market.coverage();
        if gaps.iter().any(|gap| gap.reason == GapReason::BeforeListing) {
            retry_briefly(|| self.context.resources.market.markets().remember_first_open(series, open)).await?;
        }
        let before = TimeRange::new(range.start, bucket);
        let confirmed = gaps.iter().map(|gap| Gap { range: gap.range.intersect(before), ..gap.clone() });
        let confirmed: Vec<Gap> = confirmed.filter(|gap| !gap.range.is_empty()).collect();
        if !before.is_empty() {
            self.confirm(series, &confirmed).await?;
        }
        // What lies behind is asked for by the next fetch.
        let behind = [TimeRange::new(bucket, range.end)];
        retry_briefly(|| coverage.reopen(series, &behind)).await?;
        Ok(())
    }

    fn client(&self, series: &Series) -> &ExchangeClient<Arc<SharedBudget>> {
        self.context.resources.exchanges.of(series.exchange)
    }

    /// The exchange says the same as before.
    async fn confirm(&self, series: &Series, gaps: &[Gap]) -> Result<(), StoreError> {
        let looks: Vec<Observation> =
            gaps.iter().map(|gap| Observation { range: gap.range, gaps: vec![gap.clone()] }).collect();
        let (coverage, at) = (self.context.resources.market.coverage(), self.context.tasks.clock().now_ms());
        retry_briefly(|| coverage.record(series, &looks, at)).await.map(drop)
    }

    /// Asks for one page, stores what is there now, and confirms what is still absent. What is no gap stays as it is.
    async fn page(&self, series: &Series, range: TimeRange, gaps: &[Gap]) -> Result<(), Stop> {
        let (market, interval) = (&self.context.resources.market, series.interval);
        let never = CancellationToken::new();
        let leases = PageLeases::start(market.pages(), series, TaskId::new(self.context.tasks.clock().now_ms()), 1);
        let (held, _) = leases.take(interval.block_start(range.start, PER_PAGE), &never).await?;
        let raw = self.client(series).klines(&series.symbol, interval, range).await?;
        let limit = PER_PAGE as usize;
        let page = check_page(interval, range, raw.rows, raw.asked_at_ms, raw.uncertainty_ms, limit);
        let Ok(page) = page else {
            tracing::warn!("a page of {series} is not believed; it is asked for again");
            return Ok(());
        };
        let asked: Vec<TimeRange> =
            if gaps.is_empty() { vec![range] } else { gaps.iter().map(|gap| gap.range).collect() };
        let in_asked = |open: i64| asked.iter().any(|range| range.contains(interval.bucket_start(open)));
        let candles: Vec<_> = page.candles.into_iter().filter(|candle| in_asked(candle.open_time)).collect();
        let bucket = |open: i64| TimeRange::new(interval.bucket_start(open), interval.next_bucket(open));
        let found = normalise(candles.iter().map(|candle| bucket(candle.open_time)).collect());
        if !found.is_empty() {
            if !gaps.is_empty() {
                tracing::warn!(
                    candles = candles.len(),
                    "the exchange has candles of {series} now that it lacked before"
                );
                self.context.metrics.absences_refuted.inc_by(candles.len() as u64);
            }
            retry_briefly(|| market.coverage().reopen_gaps(series, &found)).await?;
            retry_briefly(|| market.candles().insert(series, &candles)).await?;
        }
        let mut looks: Vec<Observation> =
            found.iter().map(|range| Observation { range: *range, gaps: Vec::new() }).collect();
        let known = gaps.iter().flat_map(|gap| {
            subtract(gap.range, &found)
                .into_iter()
                .map(|part| Observation { range: part, gaps: vec![Gap { range: part, ..gap.clone() }] })
        });
        looks.extend(known);
        let at = self.context.tasks.clock().now_ms();
        retry_briefly(|| market.coverage().record(series, &looks, at)).await?;
        held.done().await;
        Ok(())
    }
}

/// Gaps that one call can ask for: all that begin within one page, or one that is longer.
fn together(series: &Series, gaps: Vec<Gap>) -> Vec<Vec<Gap>> {
    let interval = series.interval;
    let mut groups: Vec<Vec<Gap>> = Vec::new();
    for gap in gaps {
        match groups.last_mut() {
            Some(group)
                if group
                    .first()
                    .is_some_and(|first| gap.range.end <= interval.block_end(first.range.start, PER_PAGE)) =>
            {
                group.push(gap);
            }
            _ => groups.push(vec![gap]),
        }
    }
    groups
}
