//! Commits stored pages in order: ledger, record, progress.

use super::pages::Stored;
use super::plan::Plan;
use super::stop::FetchStop;
use crate::job_context::JobContext;
use crate::progress_reporter::ProgressReporter;
use crate::store_retry::retry_until_cancelled;
use candlemill_db::StoreError;
use candlemill_market_store::{Correction, Observation, Series};
use candlemill_shared::TimeRange;
use candlemill_shared::job::{FetchHistory, FetchResult, Job};
use futures::TryStreamExt;
use futures::future::join_all;
use tokio::time::{Duration, Instant};

/// Time between two checkpoints of the record. The ledger is written with every commit; the record's counts may lag, but
/// they are never less than what was shown: who reads the record, when Redis is away, sees no step back.
const CHECKPOINT_EVERY: Duration = Duration::from_millis(200);

/// Where an attempt stands.
pub(super) struct Committer<'a> {
    context: &'a JobContext,
    series: &'a Series,
    result: &'a mut FetchResult,
    verifies: bool,
    gaps_met: u64,
    /// Whether another task has fetched something of the plan meanwhile.
    by_others: bool,
    checkpointed: Instant,
    reporter: ProgressReporter<'a>,
}

impl<'a> Committer<'a> {
    pub(super) fn new(
        context: &'a JobContext,
        series: &'a Series,
        plan: &Plan,
        verifies: bool,
        result: &'a mut FetchResult,
    ) -> Self {
        result.pages_total = result.pages + plan.pages;
        let reporter = ProgressReporter::new(context, FetchHistory::figures(result));
        Self {
            verifies,
            gaps_met: 0,
            by_others: false,
            checkpointed: Instant::now(),
            reporter,
            context,
            series,
            result,
        }
    }

    /// Whether there may be absences in what was committed.
    pub(super) const fn may_have_gaps(&self) -> bool {
        self.gaps_met > 0 || self.by_others
    }

    /// Takes up where the snapshot of an earlier attempt left off, and shows that this one runs.
    pub(super) async fn begin(&mut self) -> Result<(), FetchStop> {
        Ok(self.reporter.begin(FetchHistory::figures(self.result)).await?)
    }

    /// Commits a batch of stored pages.
    pub(super) async fn commit(&mut self, batch: Stored) -> Result<(), FetchStop> {
        let metrics = &self.context.resources.metrics;
        metrics.candles_inserted.inc_by(batch.found.inserted);
        metrics.candles_duplicate.inc_by(batch.found.duplicate);
        metrics.candles_restated.inc_by(batch.found.restated.len() as u64);
        metrics.pages.inc_by(batch.pages.len() as u64);
        self.result.inserted += batch.found.inserted;
        self.result.duplicate += batch.found.duplicate;
        self.result.restated += batch.found.restated.len() as u64;
        self.result.pages += batch.pages.len() as u64;
        let (mut looks, mut held) = (Vec::new(), Vec::with_capacity(batch.pages.len()));
        let compared_until = batch.pages.last().map(|page| page.window.end);
        for page in batch.pages {
            held.push(page.held);
            self.result.duplicate += page.by_others;
            let Some(seen) = page.seen else {
                self.by_others = true;
                continue;
            };
            self.by_others |= page.by_others > 0;
            metrics.rows_rejected.inc_by(seen.rejected);
            self.result.rejected += seen.rejected;
            self.gaps_met += seen.gaps.len() as u64;
            let look = |range: TimeRange| {
                let gaps = seen.gaps.iter().filter(|gap| !gap.range.intersect(range).is_empty());
                Observation { range, gaps: gaps.cloned().collect() }
            };
            looks.extend(seen.ranges.iter().map(|range| look(*range)));
        }
        self.record(&looks).await?;
        join_all(held.into_iter().map(super::leases::HeldPage::done)).await;
        if self.verifies {
            self.result.checked_until = compared_until.or(self.result.checked_until);
        }
        if self.checkpointed.elapsed() < CHECKPOINT_EVERY {
            return Ok(());
        }
        self.checkpoint().await?;
        Ok(self.reporter.show(FetchHistory::figures(self.result), None).await?)
    }

    /// Takes what was seen over into the ledger. Candles that the exchange no longer gives stay, and that is recorded.
    async fn record(&mut self, looks: &[Observation]) -> Result<(), FetchStop> {
        let (market, give_up) = (self.context.market(), self.context.give_up());
        let (coverage, at) = (market.coverage(), self.context.clock().now_ms());
        let vanished = retry_until_cancelled(give_up, || coverage.record(self.series, looks, at)).await?;
        if vanished.is_empty() {
            return Ok(());
        }
        let corrections: Vec<Correction> = retry_until_cancelled(give_up, || async {
            let mut found = Vec::new();
            for range in &vanished {
                let candles = market.candles().scan(self.series, *range, None).await?;
                found.extend(candles.map_ok(|stored| Correction { stored, now: None }).try_collect::<Vec<_>>().await?);
            }
            Ok::<_, StoreError>(found)
        })
        .await?;
        tracing::warn!(candles = corrections.len(), "the exchange no longer gives stored candles of {}", self.series);
        self.result.restated += corrections.len() as u64;
        retry_until_cancelled(give_up, || coverage.record_corrections(self.series, &corrections, at)).await?;
        Ok(())
    }

    async fn checkpoint(&mut self) -> Result<(), FetchStop> {
        self.checkpointed = Instant::now();
        let calls = self.context.counters.take();
        self.result.calls += calls.calls;
        self.result.weight += calls.weight;
        self.result.retries += calls.retries;
        Ok(self.context.checkpoint(self.result).await?)
    }
}
