//! What has to be fetched.

use super::facts::Facts;
use super::stop::FetchStop;
use super::windows::windows;
use crate::job_context::JobContext;
use crate::markets::{self, MarketSource, status_of};
use crate::store_retry::retry_until_cancelled;
use candlemill_exchanges::market::MarketStatus;
use candlemill_exchanges::{FINAL_AFTER_MS, HistoricalMarketData, explain};
use candlemill_market_store::{Audited, Known, Observation, Series};
use candlemill_shared::job::FetchResult;
use candlemill_shared::job::{FetchHistory, Start};
use candlemill_shared::range::{intersection, subtract};
use candlemill_shared::{Interval, TimeRange};
use std::sync::Arc;
use tokio::time::Instant;

/// A range that ended this long ago lies in the past by any clock.
const SURELY_PAST_MS: i64 = 86_400_000;

/// What has to be fetched, and what is known of the market.
#[derive(Debug)]
pub(super) struct Plan {
    /// What was asked for, on the grid, up to the last bucket that is closed and final.
    pub(super) asked: TimeRange,
    /// What is to be asked of the exchange, ascending.
    pub(super) missing: Vec<TimeRange>,
    /// What the ledger held before, and when it was read.
    pub(super) known: Known,
    pub(super) read_at: Instant,
    /// Whether the ledger held nothing of it: then all its gaps are found by this very fetch.
    pub(super) is_untouched: bool,
    /// Pages of `missing`.
    pub(super) pages: u64,
    /// Buckets that the ledger had called complete, and that had neither candle nor gap.
    pub(super) reopened: u64,
    /// For explaining absences; `None` when nothing is missing.
    pub(super) facts: Option<Arc<Facts>>,
}

/// Plans the fetch. `so_far` holds the range that an earlier attempt settled on: "now" stays what it was.
///
/// Costs no call when the ledger holds everything of a range that lies in the past, and its absences are confirmed.
pub(super) async fn plan(
    context: &JobContext,
    job: &FetchHistory,
    series: &Series,
    so_far: &FetchResult,
) -> Result<Plan, FetchStop> {
    let (market, interval, give_up) = (context.market(), job.interval, context.give_up());
    let local_now = context.clock().now_ms();
    let wanted = so_far.range.unwrap_or_else(|| job.range_at(local_now));
    let exchange_now = if wanted.end <= local_now - SURELY_PAST_MS {
        local_now
    } else {
        let time = context.exchange(job.exchange).server_time().await?;
        time.now_ms() - time.uncertainty_ms()
    };
    // The bucket that holds "now" is open, and one that has just closed may still change.
    let final_until = interval.bucket_start(exchange_now - FINAL_AFTER_MS);
    let mut asked = aligned(interval, TimeRange::new(wanted.start, wanted.end.min(final_until)));
    let mut first_open = retry_until_cancelled(give_up, || market.markets().first_open(series)).await?;
    if let (Start::Listing, Some(first)) = (job.start, first_open) {
        asked.start = asked.start.max(interval.bucket_start(first));
    }
    let reopened = if job.mode.is_fetch() { 0 } else { reopened_by_audit(context, series, asked).await? };
    let read_at = Instant::now();
    let known = retry_until_cancelled(give_up, || market.coverage().known(series, asked)).await?;
    let missing = lacking(context, job, &known, asked, so_far);
    let is_untouched = missing == [asked] && known.gaps.is_empty() && known.verified.is_empty();
    let mut plan = Plan { asked, missing, known, read_at, is_untouched, pages: 0, reopened, facts: None };
    if plan.missing.is_empty() {
        return Ok(plan);
    }
    // First of all: a symbol that the exchange does not know ends here.
    let status = status(context, job).await?;
    let listed = first_open.map(|open| interval.bucket_start(open));
    if listed.is_none_or(|listed| plan.missing.iter().any(|range| range.start < listed)) {
        // A first candle that was learnt once may not have been the first: what lies before it is asked for again.
        first_open = if first_open.is_none() {
            let source = MarketSource { market, client: context.exchange(job.exchange), give_up };
            markets::first_open(&source, series).await?
        } else {
            let found = context.exchange(job.exchange).first_open(&job.symbol, interval).await?;
            if let Some(first) = found {
                retry_until_cancelled(give_up, || market.markets().remember_first_open(series, first)).await?;
            }
            found
        };
    }
    let facts = Facts::new(job.symbol.clone(), interval, first_open, status, exchange_now);
    if let (Start::Listing, Some(first)) = (job.start, first_open) {
        plan.asked.start = plan.asked.start.max(interval.bucket_start(first));
        let before = TimeRange::new(i64::MIN, plan.asked.start);
        plan.missing = plan.missing.iter().flat_map(|range| subtract(*range, &[before])).collect();
    }
    plan.missing = without_known_absences(context, series, plan.missing, &facts).await?;
    plan.is_untouched &= plan.missing == [plan.asked];
    plan.pages = windows(interval, plan.missing.clone()).count() as u64;
    plan.facts = Some(facts);
    Ok(plan)
}

/// What is to be asked of the exchange.
fn lacking(
    context: &JobContext,
    job: &FetchHistory,
    known: &Known,
    asked: TimeRange,
    so_far: &FetchResult,
) -> Vec<TimeRange> {
    let record = &context.record;
    if job.mode.is_fetch() {
        // What this task, or its parts, saw already is not asked for once more.
        return known.lacking(asked, record.created_at);
    }
    if record.children.is_some() {
        return Vec::new();
    }
    let from = so_far.checked_until.unwrap_or(asked.start).max(asked.start);
    Some(TimeRange::new(from, asked.end)).filter(|left| !left.is_empty()).into_iter().collect()
}

/// Takes back what the ledger wrongly calls complete; the number of buckets.
async fn reopened_by_audit(context: &JobContext, series: &Series, asked: TimeRange) -> Result<u64, FetchStop> {
    let (coverage, now) = (context.market().coverage(), context.clock().now_ms());
    let audited = retry_until_cancelled(context.give_up(), || async {
        let mut audited = Audited::default();
        coverage.audit(series, asked, now, &mut audited).await.map(|_| audited)
    });
    Ok(audited.await?.holes.iter().map(|(_, hole)| series.interval.count(*hole)).sum())
}

/// Buckets before the first candle, and after the last one of a market that trades no more, need no page: their absence is
/// recorded here. What is left is returned.
async fn without_known_absences(
    context: &JobContext,
    series: &Series,
    missing: Vec<TimeRange>,
    facts: &Facts,
) -> Result<Vec<TimeRange>, FetchStop> {
    let interval = series.interval;
    let last_open =
        if facts.status.is_trading() { None } else { facts.last_open(&context.exchange(series.exchange)).await? };
    let traded = match facts.first_open {
        Some(first) => {
            TimeRange::new(interval.bucket_start(first), last_open.map_or(i64::MAX, |last| interval.next_bucket(last)))
        }
        None => TimeRange::new(0, 0),
    };
    let absent: Vec<TimeRange> = missing.iter().flat_map(|range| subtract(*range, &[traded])).collect();
    if !absent.is_empty() {
        let gaps = explain(interval, &absent, &facts.with_last_open(last_open));
        let looks: Vec<Observation> = absent
            .iter()
            .map(|range| {
                let inside = gaps.iter().filter(|gap| !gap.range.intersect(*range).is_empty());
                Observation { range: *range, gaps: inside.cloned().collect() }
            })
            .collect();
        let (coverage, at) = (context.market().coverage(), context.clock().now_ms());
        retry_until_cancelled(context.give_up(), || coverage.record(series, &looks, at)).await?;
    }
    Ok(intersection(&missing, &[traded]))
}

/// Whether the market trades.
async fn status(context: &JobContext, job: &FetchHistory) -> Result<MarketStatus, FetchStop> {
    let (market, give_up) = (context.market(), context.give_up());
    let source = MarketSource { market, client: context.exchange(job.exchange), give_up };
    Ok(status_of(&source, job.exchange, &job.symbol, job.interval).await?)
}

/// The buckets that open inside `range`; none when it is empty.
fn aligned(interval: Interval, range: TimeRange) -> TimeRange {
    let aligned = interval.align(range);
    if aligned.is_empty() { TimeRange::new(aligned.start, aligned.start) } else { aligned }
}
