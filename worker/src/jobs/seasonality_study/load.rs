//! Reads the candles of a study.

use super::progress::{LOAD, StudyProgress};
use super::stop::{StudyStop, fail};
use crate::job_context::JobContext;
use crate::store_retry::retry_until_cancelled;
use candlemill_analytics::Candles;
use candlemill_market_store::{Known, Series};
use candlemill_shared::TimeRange;
use candlemill_shared::job::StudyResult;
use candlemill_shared::range::subtract;
use std::sync::atomic::{AtomicU64, Ordering};

/// Buckets at the end of the range that may be left out.
const MAX_UNSETTLED: u64 = 1_000;

/// What the ledger says of `range`, and the range up to the newest bucket that is settled: the exchange may not have
/// published the newest ones yet.
pub(super) async fn settled(
    context: &JobContext,
    series: &Series,
    range: TimeRange,
) -> Result<(TimeRange, Known), StudyStop> {
    let market = context.market();
    let ledger = retry_until_cancelled(context.give_up(), || market.coverage().known(series, range)).await?;
    let unsettled = subtract(range, &ledger.verified);
    let Some(first) = unsettled.first() else { return Ok((range, ledger)) };
    let cut = TimeRange::new(range.start, first.start);
    if series.interval.count(range) - series.interval.count(cut) > MAX_UNSETTLED {
        let told = if first.end == range.end {
            let end = candlemill_shared::Timestamp::from(first.start);
            format!(
                "{first}, the end of the range, is not verified: the exchange has published nothing there, or it could not be fetched; \
                 a study up to {end} would not need it"
            )
        } else {
            format!(
                "{first} of the range is not verified: it was reopened, or could not be fetched; a replay fetches it again"
            )
        };
        return Err(fail("range_not_verified", told));
    }
    Ok((cut, ledger))
}

/// The candles of `range`: exactly those that the ledger tells of, however much is written meanwhile.
pub(super) async fn load(
    context: &JobContext,
    series: &Series,
    range: TimeRange,
    ledger: &Known,
    progress: &mut StudyProgress<'_>,
    result: &mut StudyResult,
) -> Result<Candles, StudyStop> {
    let market = context.market();
    let expected = series.interval.count(range) - ledger.absent(series.interval, range);
    let read = AtomicU64::new(0);
    let loading = retry_until_cancelled(context.give_up(), || {
        read.store(0, Ordering::Relaxed);
        market.candles().columns(series, range, |more| {
            read.fetch_add(more, Ordering::Relaxed);
        })
    });
    let look = || {
        context.may_go_on()?;
        #[expect(clippy::cast_precision_loss, reason = "counts of candles")]
        let share = read.load(Ordering::Relaxed) as f64 / expected.max(1) as f64;
        Ok((LOAD, share))
    };
    let columns = progress.while_waiting(loading, look, result).await?;
    result.candles = columns.len() as u64;
    if result.candles != expected {
        let told = format!(
            "{} candles are stored where the ledger tells of {expected}: something was written meanwhile, or candles were lost; POST \
             /api/market-data/verify over the range compares them, then replay the study",
            result.candles
        );
        return Err(fail("ledger_differs", told));
    }
    Candles::of(series.interval, columns).map_err(|error| fail("candles_unusable", error.to_string()))
}
