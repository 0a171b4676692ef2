//! Reads the candles of a study.

use super::progress::{LOAD, LOOK_EVERY, StudyProgress};
use super::{StudyStop, fail};
use crate::job_context::JobContext;
use crate::store_retry::retry_until_cancelled;
use candlemill_analytics::{CandleColumns, Candles};
use candlemill_market_store::{Columns, Known, Series};
use candlemill_shared::TimeRange;
use candlemill_shared::job::StudyResult;
use candlemill_shared::range::subtract;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::time::MissedTickBehavior;

/// Candles, and what the ledger said of their range.
pub(super) struct Loaded {
    pub(super) candles: Candles,
    pub(super) ledger: Known,
}

/// The candles of `range`: exactly those that the ledger tells of, however much is written meanwhile.
pub(super) async fn load(
    context: &JobContext,
    series: &Series,
    range: TimeRange,
    progress: &mut StudyProgress<'_>,
    result: &mut StudyResult,
) -> Result<Loaded, StudyStop> {
    let market = context.market();
    let ledger = retry_until_cancelled(context.give_up(), || market.coverage().known(series, range)).await?;
    if !subtract(range, &ledger.verified).is_empty() {
        return Err(fail(
            "ledger_changed",
            "a part of the range was reopened meanwhile; a replay of the study fetches it again",
        ));
    }
    let absent: u64 = ledger.gaps.iter().map(|gap| series.interval.count(gap.range.intersect(range))).sum();
    let expected = series.interval.count(range) - absent;
    let read = AtomicU64::new(0);
    let columns = {
        let loading = retry_until_cancelled(context.give_up(), || {
            read.store(0, Ordering::Relaxed);
            market.candles().columns(series, range, |more| {
                read.fetch_add(more, Ordering::Relaxed);
            })
        });
        tokio::pin!(loading);
        let mut looks = tokio::time::interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                columns = &mut loading => break columns?,
                _ = looks.tick() => {
                    context.may_go_on()?;
                    #[expect(clippy::cast_precision_loss, reason = "counts of candles")]
                    let share = read.load(Ordering::Relaxed) as f64 / expected.max(1) as f64;
                    progress.show(LOAD, share, result).await?;
                }
            }
        }
    };
    result.candles = columns.len() as u64;
    if result.candles != expected {
        let told = format!(
            "{} candles are stored where the ledger tells of {expected}: something was written meanwhile, or candles were lost; POST \
             /api/market-data/verify over the range compares them, then replay the study",
            result.candles
        );
        return Err(fail("ledger_differs", told));
    }
    let Columns { open_time, open, high, low, close, volume } = columns;
    let columns = CandleColumns { open_time, open, high, low, close, volume };
    let candles = Candles::of(series.interval, columns).map_err(|error| fail("candles_unusable", error.to_string()))?;
    Ok(Loaded { candles, ledger })
}
