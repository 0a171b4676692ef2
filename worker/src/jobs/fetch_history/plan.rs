//! What has to be fetched.

use super::Stop;
use crate::context::JobContext;
use crate::markets::{MarketSource, status_of};
use crate::patience::patiently;
use candlemill_exchanges::market::MarketStatus;
use candlemill_exchanges::{MarketFacts, page_count};
use candlemill_shared::coverage::{Gap, GapReason};
use candlemill_shared::job::{FetchHistory, Start};
use candlemill_shared::range::subtract;
use candlemill_shared::{Interval, TimeRange};
use candlemill_store::{Series, Verified};

/// Candles per call: the exchange's most.
pub(super) const PER_PAGE: u32 = 1_000;
/// A range that ended this long ago lies in the past by any clock.
const SURELY_PAST_MS: i64 = 86_400_000;

/// What has to be fetched, and what is known of the market.
#[derive(Debug)]
pub(super) struct Plan {
    /// What was asked for, on the grid, up to the last bucket that is closed.
    pub(super) asked: TimeRange,
    /// What the ledger lacks of it, ascending.
    pub(super) missing: Vec<TimeRange>,
    /// What the ledger held before.
    pub(super) known: Verified,
    /// Whether the ledger held nothing of it: then all its gaps are found by this very fetch.
    pub(super) is_untouched: bool,
    /// Pages of `missing`.
    pub(super) pages: u64,
    /// For explaining absences.
    pub(super) facts: MarketFacts,
}

/// Plans the fetch. `resolved` is the range that an earlier attempt settled on: "now" stays what it was.
///
/// Costs no call when the ledger holds everything of a range that lies in the past.
pub(super) async fn plan(
    context: &JobContext,
    job: &FetchHistory,
    series: &Series,
    resolved: Option<TimeRange>,
) -> Result<Plan, Stop> {
    let (store, interval, give_up) = (&context.shop.store, job.interval, context.give_up());
    let local_now = context.clock().now_ms();
    let wanted = resolved.unwrap_or_else(|| job.range_at(local_now));
    let is_past = wanted.end <= local_now - SURELY_PAST_MS;
    let exchange_now = if is_past { local_now } else { context.binance().server_time().await?.now_ms() };
    // The bucket that holds "now" is open.
    let closed = TimeRange::new(wanted.start, wanted.end.min(interval.bucket_start(exchange_now)));
    let mut asked = aligned(interval, closed);
    let mut first_open = patiently(give_up, || store.markets().first_open(series)).await?;
    if let (Start::Listing, Some(first)) = (job.start, first_open) {
        asked.start = asked.start.max(interval.bucket_start(first));
    }
    let known = patiently(give_up, || store.coverage().verified_until(series, asked.end)).await?;
    let mut missing = subtract(asked, &known.within(asked));
    let mut is_untouched = missing == [asked];
    let mut facts =
        MarketFacts { first_open, last_open: None, status: MarketStatus::Trading, exchange_now_ms: exchange_now };
    if missing.is_empty() {
        return Ok(Plan { asked, missing, known, is_untouched, pages: 0, facts });
    }
    // First of all: a symbol that nobody knows ends here.
    (facts.status, facts.last_open) = market(context, job).await?;
    if first_open.is_none() {
        first_open = context.binance().first_open(&job.symbol, interval).await?;
        if let Some(first) = first_open {
            patiently(give_up, || store.markets().remember_first_open(series, first)).await?;
        }
    }
    facts.first_open = first_open;
    if let Some(first) = first_open {
        let listed = interval.bucket_start(first);
        if job.start == Start::Listing {
            asked.start = asked.start.max(listed);
        }
        missing = without_the_time_before(context, series, missing, listed, asked).await?;
        is_untouched &= missing == [asked];
    }
    let pages = missing.iter().map(|range| page_count(interval, *range, PER_PAGE)).sum();
    Ok(Plan { asked, missing, known, is_untouched, pages, facts })
}

/// Buckets before the first candle need no call: they are settled here.
async fn without_the_time_before(
    context: &JobContext,
    series: &Series,
    missing: Vec<TimeRange>,
    listed: i64,
    asked: TimeRange,
) -> Result<Vec<TimeRange>, Stop> {
    let mut left = Vec::with_capacity(missing.len());
    for range in missing {
        let before = TimeRange::new(range.start, range.end.min(listed));
        if !before.is_empty() && before.start >= asked.start {
            let gap = [Gap::new(series.interval, before, GapReason::BeforeListing)];
            let coverage = context.shop.store.coverage();
            patiently(context.give_up(), || coverage.record(series, before, before, &gap)).await?;
        }
        let after = TimeRange::new(range.start.max(listed), range.end);
        if !after.is_empty() {
            left.push(after);
        }
    }
    Ok(left)
}

/// Whether the market trades, and its last candle if it does not.
async fn market(context: &JobContext, job: &FetchHistory) -> Result<(MarketStatus, Option<i64>), Stop> {
    let (store, give_up) = (&context.shop.store, context.give_up());
    let source = MarketSource { store, binance: context.binance(), give_up };
    let status = status_of(&source, job.exchange, &job.symbol, job.interval).await?;
    let last_open =
        if status.is_trading() { None } else { context.binance().last_open(&job.symbol, job.interval).await? };
    Ok((status, last_open))
}

/// The buckets that open inside `range`; none when it is empty.
fn aligned(interval: Interval, range: TimeRange) -> TimeRange {
    let aligned = interval.align(range);
    if aligned.is_empty() { TimeRange::new(aligned.start, aligned.start) } else { aligned }
}
