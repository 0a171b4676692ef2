//! Runs a study: what the ledger lacks is fetched by a task of its own; then candles are loaded, studies computed, charts drawn,
//! and all of it is stored.

mod compute;
mod load;
mod progress;
mod report;
mod stop;

use super::Run;
use crate::job_context::JobContext;
use crate::outcome::{Outcome, Stop};
use crate::store_retry::retry_until_cancelled;
use candlemill_market_store::Series;
use candlemill_shared::TimeRange;
use candlemill_shared::children::Children;
use candlemill_shared::job::{FetchHistory, SeasonalityStudy, StudyResult};
use progress::StudyProgress;
use stop::{StudyStop, fail};

impl Run for SeasonalityStudy {
    async fn run(self, context: JobContext) -> Outcome<StudyResult> {
        let mut result: StudyResult = context.result();
        match study(&self, &context, &mut result).await {
            Ok(()) => Outcome::Done(result),
            Err(StudyStop::Parts(children)) => Outcome::Parts(children, result),
            Err(StudyStop::Fail(error)) => Outcome::Fail(error, result),
            Err(StudyStop::Job(stop)) => stop.outcome(result, context.draining.is_cancelled()),
        }
    }
}

async fn study(job: &SeasonalityStudy, context: &JobContext, result: &mut StudyResult) -> Result<(), StudyStop> {
    let series = Series::new(job.exchange, job.symbol.clone(), job.interval);
    let wanted = range(job, context, &series, result).await?;
    let (range, ledger) = load::settled(context, &series, wanted).await?;
    result.range = Some(range);
    let needed = job.studies.iter().map(candlemill_shared::study::Study::min_candles).max().unwrap_or(0);
    let buckets = job.interval.count(range);
    if buckets < needed {
        return Err(too_little(job, range, buckets, needed));
    }
    let mut progress = StudyProgress::begin(context, result).await?;
    let _memory = context.resources.studies.reserve(context.give_up(), buckets).await?;
    let candles = load::load(context, &series, range, &ledger, &mut progress, result).await?;
    if result.candles < needed {
        return Err(too_little(job, range, result.candles, needed));
    }
    let computed = compute::compute(context, job, range, candles, &mut progress, result).await?;
    result.stable = computed.stable;
    progress.show(progress::WRITE, 0.5, result).await?;
    let report::Stored { head, contents, report, files } =
        report::of(context, job, range, &ledger, result.candles, computed)?;
    let (studies, attempt) = (context.market().studies(), context.record.attempt);
    let stored =
        retry_until_cancelled(context.give_up(), || studies.store(&head, attempt, &contents, &report, &files)).await?;
    if !stored {
        return Err(Stop::Overtaken.into());
    }
    result.stored = true;
    Ok(())
}

fn too_little(job: &SeasonalityStudy, range: TimeRange, candles: u64, needed: u64) -> StudyStop {
    let named: Vec<String> =
        job.studies.iter().map(|study| format!("{} needs {}", study.name(), study.min_candles())).collect();
    let told = format!(
        "{range} holds {candles} {} candles of {}: too little data; of at least {needed} ({})",
        job.interval,
        job.symbol,
        named.join(", ")
    );
    fail("too_little_data", told)
}

/// The range to be studied, of which the ledger holds everything: what an earlier attempt or the fetch settled on.
async fn range(
    job: &SeasonalityStudy,
    context: &JobContext,
    series: &Series,
    result: &StudyResult,
) -> Result<TimeRange, StudyStop> {
    let record = &context.record;
    let children = match &record.children {
        None => None,
        Some(children) => match children.ended {
            // The worker before died between writing them down and leaving the queue.
            None => return Err(StudyStop::Parts(children.clone())),
            Some(counts) => Some(counts),
        },
    };
    let fetch = job.fetch(record.created_at);
    if let Some(counts) = children {
        if counts.succeeded == 0 {
            let told = format!(
                "the candles could not be fetched: GET /api/tasks?parent={} tells why; a replay of the study tries again",
                record.id
            );
            return Err(fail("fetch_failed", told));
        }
        let range = result.range.filter(|range| !range.is_empty());
        return range.ok_or_else(|| fail("too_little_data", "the exchange has no closed candle in the range"));
    }
    // A range that lies in the past and is held wholly needs no fetch.
    if let Some(range) = past_range(&fetch, record.created_at) {
        let market = context.market();
        let known = retry_until_cancelled(context.give_up(), || market.coverage().known(series, range)).await?;
        if known.lacking(range, record.created_at).is_empty() {
            return Ok(range);
        }
    }
    let generation = record.dead_letter.replays;
    Err(StudyStop::Parts(Children { total: 1, generation, ..Children::default() }))
}

/// A range that ended this long ago lies in the past by any clock.
const SURELY_PAST_MS: i64 = 86_400_000;

/// The range of a fetch that says both ends, on the grid, where it surely lies in the past.
fn past_range(fetch: &FetchHistory, now_ms: i64) -> Option<TimeRange> {
    let end = fetch.end.filter(|end| *end <= now_ms - SURELY_PAST_MS)?;
    let candlemill_shared::job::Start::At(start) = fetch.start else { return None };
    let range = fetch.interval.align(TimeRange::new(start, end));
    (!range.is_empty()).then_some(range)
}
