//! One attempt at a fetch.

use super::stop::FetchStop;
use super::{parts, pipeline, plan};
use crate::job_context::JobContext;
use crate::jobs::Run;
use crate::outcome::{Outcome, Stop, of_exchange};
use crate::store_retry::{retry_briefly, retry_until_cancelled};
use candlemill_db::StoreError;
use candlemill_exchanges::Disposition;
use candlemill_market_store::Series;
use candlemill_shared::TimeRange;
use candlemill_shared::coverage::join_gaps;
use candlemill_shared::job::{FetchHistory, FetchResult, MAX_RESULT_GAPS};
use candlemill_shared::range::{intersection, subtract};

impl Run for FetchHistory {
    async fn run(self, context: JobContext) -> Outcome<FetchResult> {
        let series = Series::new(self.exchange, self.symbol.clone(), self.interval);
        let mut result: FetchResult = context.result();
        // Boxed: it holds its pages under way.
        let mut fetched = Box::pin(fetch(&context, &self, &series, &mut result)).await;
        // A parent adds up what its parts have fetched, also of those that ended without success.
        let ends_early = match &fetched {
            Err(FetchStop::Job(Stop::Cancelled)) => true,
            Err(FetchStop::Exchange(error)) => matches!(error.disposition(), Disposition::Permanent),
            _ => false,
        };
        if ends_early && let Err(error) = keep_fetched_ranges(&context, &self, &series, &mut result).await {
            fetched = Err(error.into());
        }
        let calls = context.counters.take();
        result.calls += calls.calls;
        result.weight += calls.weight;
        result.retries += calls.retries;
        match fetched {
            Ok(()) => Outcome::Done(result),
            Err(FetchStop::Exchange(error)) => of_exchange(&error, result),
            Err(FetchStop::Parts(children)) => Outcome::Parts(children, result),
            Err(FetchStop::Job(stop)) => stop.outcome(result, context.draining.is_cancelled()),
        }
    }
}

/// Of a task that ends early: what it was to fetch becomes what it has fetched.
async fn keep_fetched_ranges(
    context: &JobContext,
    job: &FetchHistory,
    series: &Series,
    result: &mut FetchResult,
) -> Result<(), StoreError> {
    let Some(asked) = result.range else { return Ok(()) };
    let fetched = if job.mode.is_fetch() {
        let coverage = context.market().coverage();
        // Not `give_up`, which is cancelled by now: a store that is away is waited for as at any other end.
        retry_briefly(|| coverage.verified(series, asked)).await?
    } else {
        vec![TimeRange::new(asked.start, result.checked_until.unwrap_or(asked.start))]
    };
    result.ranges = intersection(&result.ranges, &fetched);
    result.ranges_are_fetched = true;
    Ok(())
}

async fn fetch(
    context: &JobContext,
    job: &FetchHistory,
    series: &Series,
    result: &mut FetchResult,
) -> Result<(), FetchStop> {
    if let Some(children) = context.record.children.as_ref().filter(|children| children.ended.is_none()) {
        // The worker before died between writing them down and leaving the queue.
        return Err(FetchStop::Parts(children.clone()));
    }
    context.show_start().await;
    let plan = plan::plan(context, job, series, result).await?;
    result.range = Some(plan.asked);
    result.reopened += plan.reopened;
    result.ranges_are_fetched = false;
    for range in &plan.missing {
        if !result.ranges.iter().any(|known| known.intersect(*range) == *range) {
            result.ranges.push(*range);
        }
    }
    if let Some(children) = parts::of(&context.record, &plan, job.interval, context.resources.fetching.split_pages) {
        return Err(FetchStop::Parts(children));
    }
    // Parts have counted for themselves.
    if context.record.attempt > 1 && context.record.children.is_none() {
        count_what_was_lost(context, series, &plan, result).await?;
    }
    if !plan.missing.is_empty() {
        // Before the first page: a later attempt has to know what this one set out to fetch.
        context.checkpoint(result).await?;
    }
    let may_have_gaps = pipeline::run(context, series, &plan, !job.mode.is_fetch(), result).await?;
    if plan.is_untouched && !may_have_gaps {
        (result.gaps, result.gaps_total) = (Vec::new(), 0);
        return Ok(());
    }
    report_gaps(context, series, plan.asked, result).await
}

/// Counts candles that an earlier attempt stored and verified, but did not live to count.
async fn count_what_was_lost(
    context: &JobContext,
    series: &Series,
    plan: &plan::Plan,
    result: &mut FetchResult,
) -> Result<(), FetchStop> {
    let mut stored = 0;
    for range in &result.ranges {
        for done in subtract(*range, &plan.missing) {
            let market = context.market();
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
) -> Result<(), FetchStop> {
    let coverage = context.market().coverage();
    let known = retry_until_cancelled(context.give_up(), || coverage.known(series, asked)).await?;
    // Those that begin before the range, or end after it, as far as they lie in it.
    let inside = known.gaps.into_iter().map(|gap| gap.cut(series.interval, asked));
    let mut gaps = join_gaps(inside.collect());
    result.gaps_total = gaps.len() as u64;
    gaps.truncate(MAX_RESULT_GAPS);
    result.gaps = gaps;
    Ok(())
}
