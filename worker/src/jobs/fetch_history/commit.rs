//! Commits stored pages in order: ledger, record, progress.

use super::Stop;
use super::pipeline::Stored;
use super::plan::Plan;
use crate::context::JobContext;
use crate::store_retry::retry_until_cancelled;
use candlemill_db::StoreError;
use candlemill_market_store::{Correction, Observation, Series};
use candlemill_shared::TimeRange;
use candlemill_shared::progress::Progress;
use candlemill_shared::task::{FetchResult, TaskState};
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
    pages_before: u64,
    pages_total: u64,
    candles_before: u64,
    started: Instant,
    checkpointed: Instant,
    step: u32,
    /// What watchers have seen already: a later attempt knows of less than the one that died, and shows no less.
    shown: f64,
}

impl<'a> Committer<'a> {
    pub(super) fn new(
        context: &'a JobContext,
        series: &'a Series,
        plan: &Plan,
        verifies: bool,
        result: &'a mut FetchResult,
    ) -> Self {
        let now = Instant::now();
        result.pages_total = result.pages + plan.pages;
        Self {
            verifies,
            gaps_met: 0,
            by_others: false,
            pages_before: result.pages,
            pages_total: result.pages_total,
            candles_before: result.inserted + result.duplicate,
            started: now,
            checkpointed: now,
            step: 1,
            shown: 0.0,
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
    pub(super) async fn begin(&mut self) -> Result<(), Stop> {
        match self.context.shop.tasks.progress().read(self.context.record.id).await {
            Ok(earlier) => self.shown = earlier.map_or(0.0, |snapshot| snapshot.percent),
            Err(error) => tracing::debug!(%error, "what was shown before is not known"),
        }
        self.show().await
    }

    /// Commits a batch of stored pages.
    pub(super) async fn commit(&mut self, batch: Stored) -> Result<(), Stop> {
        let metrics = &self.context.shop.metrics;
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
        self.show().await
    }

    /// Takes what was seen over into the ledger. Candles that the exchange no longer gives stay, and that is recorded.
    async fn record(&mut self, looks: &[Observation]) -> Result<(), Stop> {
        let (market, give_up) = (&self.context.shop.market, self.context.give_up());
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

    async fn checkpoint(&mut self) -> Result<(), Stop> {
        self.checkpointed = Instant::now();
        let calls = self.context.counters.take();
        self.result.calls += calls.calls;
        self.result.weight += calls.weight;
        self.result.retries += calls.retries;
        super::keep(self.context, self.result).await
    }

    /// Shows the progress. Redis may be away: progress is not the truth.
    #[expect(clippy::cast_precision_loss, reason = "counts of pages and candles lie far below 2^52")]
    async fn show(&mut self) -> Result<(), Stop> {
        let record = &self.context.record;
        let result = &self.result;
        let seconds = self.started.elapsed().as_secs_f64();
        let per_second = |done: u64| if seconds > 0.0 { done as f64 / seconds } else { 0.0 };
        let pages_per_second = per_second(result.pages - self.pages_before);
        let left = self.pages_total.saturating_sub(result.pages);
        // The gaps are still to be gathered: only the end state is whole.
        self.shown = Progress::percent_of(result.pages, self.pages_total).min(99.9).max(self.shown);
        let snapshot = Progress {
            task_id: record.id,
            owner: record.owner.clone(),
            state: TaskState::Running,
            percent: self.shown,
            pages_done: result.pages,
            pages_total: self.pages_total,
            candles_stored: result.inserted,
            duplicates: result.duplicate,
            rate: rounded(per_second(result.inserted + result.duplicate - self.candles_before)),
            eta_seconds: (pages_per_second > 0.0).then(|| rounded(left as f64 / pages_per_second)),
            attempt: record.attempt,
            started_at: record.started_at,
            updated_at: self.context.clock().now_ms(),
            sequence: Progress::sequence_of(record.attempt, self.step),
            error: None,
        };
        self.step = self.step.saturating_add(1).min(Progress::LAST_STEP - 1);
        let written = self.context.shop.tasks.progress().write(&snapshot).await;
        if let Some(parent) = record.parent {
            self.context.shop.reconciler.note(parent);
        }
        match written {
            Ok(written) if written.cancel_requested => Err(Stop::Cancelled),
            Ok(written) if !written.accepted => Err(Stop::Overtaken),
            Ok(_) => Ok(()),
            Err(error) => {
                tracing::warn!(%error, "progress is not shown at the moment");
                Ok(())
            }
        }
    }
}

fn rounded(figure: f64) -> f64 {
    (figure * 10.0).round() / 10.0
}
