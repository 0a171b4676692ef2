//! Fetches history: plans what the ledger lacks, pages the exchange, and commits page after page.
//!
//! Invariants:
//! 1. Candles are stored before the range that holds them is verified, and that before progress shows it.
//! 2. Pages are committed in order: what is verified of a planned range is always its beginning.
//! 3. A range with an absence that is not settled is not verified there: the next fetch asks again.
//! 4. Memory is bounded by the pages under way, whatever the range.
//! 5. Pages lie on one grid, and only one task fetches one at a time: others wait, and look into the ledger again.
//! 6. A large fetch is left to parts, and ends by an attempt of its own that finds nothing missing.

mod commit;
mod facts;
mod leases;
mod parts;
mod pipeline;
mod plan;
mod windows;

use crate::context::JobContext;
use crate::markets::MarketError;
use crate::outcome::{Outcome, of_exchange, of_store};
use crate::store_retry::{retry_briefly, retry_until_cancelled};
use candlemill_db::StoreError;
use candlemill_exchanges::{Disposition, ExchangeError};
use candlemill_market_store::Series;
use candlemill_shared::TimeRange;
use candlemill_shared::children::Children;
use candlemill_shared::coverage::join_gaps;
use candlemill_shared::job::FetchHistory;
use candlemill_shared::progress::Progress;
use candlemill_shared::range::{intersection, subtract};
use candlemill_shared::task::{FetchResult, MAX_RESULT_GAPS};
use candlemill_tasks::Checkpoint;

pub(crate) use leases::PageLeases;
pub(crate) use pipeline::PageSlots;
pub(crate) use plan::PER_PAGE;

/// Why a fetch stops before its end.
#[derive(Debug)]
enum Stop {
    Exchange(ExchangeError),
    Store(StoreError),
    Cancelled,
    Draining,
    Overtaken,
    /// Too much for one task: others do it.
    Parts(Children),
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<MarketError> for Stop {
    fn from(error: MarketError) -> Self {
        match error {
            MarketError::Exchange(error) => Self::Exchange(error),
            MarketError::Store(error) => Self::Store(error),
        }
    }
}

impl From<ExchangeError> for Stop {
    fn from(error: ExchangeError) -> Self {
        Self::Exchange(error)
    }
}

/// Runs one attempt.
pub(super) async fn run(context: JobContext, job: FetchHistory) -> Outcome {
    let series = Series::new(job.exchange, job.symbol.clone(), job.interval);
    let mut result = context.record.result.clone().unwrap_or_default();
    let mut fetched = fetch(&context, &job, &series, &mut result).await;
    let is_end = match &fetched {
        Err(Stop::Cancelled) => true,
        Err(Stop::Exchange(error)) => error.disposition() == Disposition::Permanent,
        _ => false,
    };
    if is_end && let Err(error) = keep_fetched_ranges(&context, &job, &series, &mut result).await {
        fetched = Err(error);
    }
    let calls = context.counters.take();
    result.calls += calls.calls;
    result.weight += calls.weight;
    result.retries += calls.retries;
    match fetched {
        Ok(()) => Outcome::Done(result),
        Err(Stop::Exchange(error)) => of_exchange(&error, result),
        Err(Stop::Store(error)) if context.shop.draining.is_cancelled() && error.is_unavailable() => {
            Outcome::HandBack(result)
        }
        Err(Stop::Store(error)) => of_store(&error, result),
        Err(Stop::Cancelled) => Outcome::Cancelled(result),
        Err(Stop::Draining) => Outcome::HandBack(result),
        Err(Stop::Overtaken) => Outcome::Overtaken,
        Err(Stop::Parts(children)) => Outcome::Parts(children, result),
    }
}

/// Of a task that ends early: what it was to fetch becomes what it has fetched.
async fn keep_fetched_ranges(
    context: &JobContext,
    job: &FetchHistory,
    series: &Series,
    result: &mut FetchResult,
) -> Result<(), Stop> {
    let Some(asked) = result.range else { return Ok(()) };
    let fetched = if job.mode.is_fetch() {
        let coverage = context.shop.market.coverage();
        // Not `give_up`, which is cancelled by now: a store that is away is waited for as at any other end.
        retry_briefly(|| coverage.verified(series, asked)).await?
    } else {
        vec![TimeRange::new(asked.start, result.checked_until.unwrap_or(asked.start))]
    };
    result.ranges = intersection(&result.ranges, &fetched);
    Ok(())
}

async fn fetch(
    context: &JobContext,
    job: &FetchHistory,
    series: &Series,
    result: &mut FetchResult,
) -> Result<(), Stop> {
    if let Some(children) = context.record.children.as_ref().filter(|children| children.ended.is_none()) {
        // The worker before died between writing them down and leaving the queue.
        return Err(Stop::Parts(children.clone()));
    }
    show_start(context).await;
    let plan = plan::plan(context, job, series, result).await?;
    result.range = Some(plan.asked);
    result.reopened += plan.reopened;
    for range in &plan.missing {
        if !result.ranges.iter().any(|known| known.intersect(*range) == *range) {
            result.ranges.push(*range);
        }
    }
    if let Some(children) = parts::of(&context.record, &plan, job.interval, context.shop.split_pages) {
        return Err(Stop::Parts(children));
    }
    // Parts have counted for themselves.
    if context.record.attempt > 1 && context.record.children.is_none() {
        count_what_was_lost(context, series, &plan, result).await?;
    }
    if !plan.missing.is_empty() {
        // Before the first page: a later attempt has to know what this one set out to fetch.
        keep(context, result).await?;
    }
    let may_have_gaps = pipeline::run(context, series, &plan, !job.mode.is_fetch(), result).await?;
    if plan.is_untouched && !may_have_gaps {
        (result.gaps, result.gaps_total) = (Vec::new(), 0);
        return Ok(());
    }
    report_gaps(context, series, plan.asked, result).await
}

/// Shows that the task runs: planning may wait for the exchange. What an earlier attempt has shown stays.
async fn show_start(context: &JobContext) {
    let board = context.shop.tasks.progress();
    let mut snapshot = Progress::from_record(&context.record);
    (snapshot.sequence, snapshot.error) = (Progress::sequence_of(context.record.attempt, 0), None);
    match board.read(context.record.id).await {
        Ok(Some(shown)) => {
            snapshot.percent = shown.percent;
            snapshot.pages_total = shown.pages_total;
            snapshot.pages_done = snapshot.pages_done.max(shown.pages_done);
        }
        Ok(None) => {}
        Err(error) => tracing::debug!(%error, "what was shown before is not known"),
    }
    if let Err(error) = board.write(&snapshot).await {
        tracing::warn!(%error, "progress is not shown at the moment");
    }
}

/// Keeps the counts on the record. They may lag behind the ledger, which is written with every commit.
async fn keep(context: &JobContext, result: &FetchResult) -> Result<(), Stop> {
    let (record, tasks, now) = (&context.record, context.shop.tasks.records(), context.clock().now_ms());
    match retry_until_cancelled(context.give_up(), || tasks.checkpoint(record.id, record.attempt, result, now)).await? {
        Checkpoint::Kept => Ok(()),
        Checkpoint::CancelRequested => Err(Stop::Cancelled),
        Checkpoint::Overtaken => Err(Stop::Overtaken),
    }
}

/// Counts candles that an earlier attempt stored and verified, but did not live to count.
async fn count_what_was_lost(
    context: &JobContext,
    series: &Series,
    plan: &plan::Plan,
    result: &mut FetchResult,
) -> Result<(), Stop> {
    let mut stored = 0;
    for range in &result.ranges {
        for done in subtract(*range, &plan.missing) {
            let market = &context.shop.market;
            stored += retry_until_cancelled(context.give_up(), || market.candles().count(series, done)).await?;
        }
    }
    result.duplicate += stored.saturating_sub(result.inserted + result.duplicate);
    Ok(())
}

/// Lists the asked range's absences on the result, those found by earlier tasks too.
async fn report_gaps(
    context: &JobContext,
    series: &Series,
    asked: TimeRange,
    result: &mut FetchResult,
) -> Result<(), Stop> {
    let coverage = context.shop.market.coverage();
    let known = retry_until_cancelled(context.give_up(), || coverage.known(series, asked)).await?;
    // Those that begin before the range, or end after it, as far as they lie in it.
    let inside = known.gaps.into_iter().map(|gap| gap.cut(series.interval, asked));
    let mut gaps = join_gaps(inside.collect());
    result.gaps_total = gaps.len() as u64;
    gaps.truncate(MAX_RESULT_GAPS);
    result.gaps = gaps;
    Ok(())
}
